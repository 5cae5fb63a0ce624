"""A program of the product under attack: started, watched from outside, ended."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.attack.meter import Complaint

_START = 60.0
_KEPT = ("PATH", "PYTHONPATH")
#: What a log may grow by one input.
_LOG = 64 << 10
#: What no log and no peer may show.
_TRACES = (b"Traceback (most recent", b"internal error", b'  File "')


class Program:
    """One process; its standard error goes to a file, which is read as it grows."""

    def __init__(self, args: Sequence[str], directory: Path, env: Mapping[str, str]) -> None:
        self._log = directory / "stderr"
        self._read = 0
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *args],
                cwd=directory,
                env={**{name: os.environ[name] for name in _KEPT if name in os.environ}, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _START)
        self.first = self._process.stdout.readline().decode() if ready else ""
        if "ready" not in self.first:
            self.end(0.0)
            raise RuntimeError(f"it does not start: {self.first} {self._log.read_text()}")
        self.port = int(self.first.split()[-1].rpartition(":")[2])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def cpu(self) -> float:
        """Seconds of processor time it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check(self) -> None:
        """It lives, and its log tells of no accident; raises :class:`Complaint`."""
        if self._process.poll() is not None:
            raise Complaint(f"the program ended with {self._process.returncode}: {self._new()!r}")
        text = self._new()
        if len(text) > _LOG:
            raise Complaint(f"its log grew by {len(text)} bytes, which begin {text[:200]!r}")
        check_text(text)

    def _new(self) -> bytes:
        with self._log.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        self._read += len(text)
        return text

    def end(self, seconds: float) -> bool:
        """SIGTERM, and after so many seconds SIGKILL; whether the first was enough."""
        self._process.terminate()
        limit = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < limit:
            try:
                self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        was_enough = self._process.poll() is not None
        if not was_enough:
            self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return was_enough


def check_text(text: bytes) -> None:
    """Nothing of the inside is told; raises :class:`Complaint`."""
    for trace in _TRACES:
        if trace in text:
            place = text.index(trace)
            raise Complaint(
                f"an accident is told: {text[place : place + 3000].decode('utf-8', 'replace')}"
            )
