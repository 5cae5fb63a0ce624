"""Many inputs in child processes under watch: what hangs is ended and told, and the rest is still tried."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.attack.child import END
from tests.attack.meter import Cost
from tests.attack.targets import PROGRAMS, SHARES

TOP = Path(__file__).parents[2]

#: Seconds until a child has made its target, and until it has let go of it.
_START = 90.0
_END = 120.0

#: Seconds that one input may take: for a part of the product, and where a program is started anew.
_PART = 30.0
_PROGRAM = 60.0

#: Findings of one piece of work after which the rest of it is left.
_MOST = 12
_PIECE = 250


@dataclass(frozen=True, slots=True)
class Work:
    """Inputs of one target: by numbers from ``first`` up to ``last``, or files."""

    target: str
    seed: int = 0
    first: int = 0
    last: int = 0
    files: tuple[str, ...] = ()
    #: Seconds after which one input does not end; None: as its target has it.
    silence: float | None = None

    @property
    def patience(self) -> float:
        """Seconds that one input may take, with what is done around it."""
        if self.silence is not None:
            return self.silence
        return _PROGRAM if self.target in PROGRAMS else _PART

    def name(self, index: int) -> str:
        """What one of them is called."""
        if index == END:
            return f"{self.target}, its end"
        if self.files:
            return self.files[index]
        return f"{self.target}, seed {self.seed}, index {index}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one input did that none may."""

    work: Work
    index: int
    text: str

    def __str__(self) -> str:
        return f"{self.work.name(self.index)}: {self.text}"


@dataclass(slots=True)
class Report:
    """What came of some work."""

    tried: int = 0
    findings: list[Finding] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)

    def add(self, other: Report) -> None:
        """Put another one's into this."""
        self.tried += other.tried
        self.findings += other.findings
        self.cost.note(other.cost)


def plan(seed: int, count: int, names: Sequence[str] = tuple(SHARES), first: int = 0) -> list[Work]:
    """About ``count`` inputs over the targets, by their shares, in pieces."""
    whole = sum(SHARES[name] for name in names)
    pieces = []
    for name in names:
        last = first + max(1, round(count * SHARES[name] / whole))
        pieces += [
            Work(name, seed, start, min(last, start + _PIECE))
            for start in range(first, last, _PIECE)
        ]
    return pieces


def run(pieces: Sequence[Work], workers: int = 2) -> dict[str, Report]:
    """Everything of these, some at once; reports by target."""
    reports: dict[str, Report] = {}
    with ThreadPoolExecutor(workers) as pool:
        for work, report in zip(pieces, pool.map(tried, pieces), strict=True):
            reports.setdefault(work.target, Report()).add(report)
    return reports


def tried(work: Work) -> Report:
    """One piece of work, over as many children as it takes."""
    report = Report()
    first = work.first
    last = len(work.files) if work.files else work.last
    while first < last:
        reached = _child(work, first, report)
        if reached is None:
            break
        first = reached + 1
        if len(report.findings) >= _MOST:
            break
    return report


class _Lines:
    """The child's lines, each within a time."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""

    def next(self, seconds: float) -> dict[str, Any] | None:
        """The next one; None at the end.  Raises TimeoutError."""
        limit = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                raise TimeoutError
            data = os.read(self._fd, 65536)
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


class _Child:
    """One child: its process, in a session of its own, and what it says."""

    def __init__(self, work: Work, first: int, errors: IO[bytes]) -> None:
        order: dict[str, Any] = {
            "target": work.target,
            "seed": work.seed,
            "first": first,
            "last": work.last,
            **({"files": work.files} if work.files else {}),
        }
        self._errors = errors
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.attack.child"],
            cwd=TOP,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order).encode())
        self.process.stdin.close()
        self.lines = _Lines(self.process.stdout.fileno())

    def where(self) -> str:
        """Where it hangs, as far as it can still say so."""
        self._errors.truncate(0)
        self.process.send_signal(signal.SIGUSR1)
        for _ in range(20):
            time.sleep(0.1)
            places = [line.strip() for line in self.words().splitlines() if " File " in line]
            if places:
                return " < ".join(places[:5])
        return "in a place that cannot be told"

    def words(self) -> str:
        """What it wrote to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")

    def end(self) -> None:
        """With the programs that it started: they are of its process group."""
        if (
            self.process.returncode is None
        ):  # not waited for: the group's number is nobody else's yet
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def _child(work: Work, first: int, report: Report) -> int | None:
    """One child's life; the input at which it ended before its time, None when it did everything."""
    with tempfile.TemporaryFile() as errors:
        child = _Child(work, first, errors)
        try:
            return _watched(child, work, first, report)
        finally:
            child.end()


def _watched(child: _Child, work: Work, first: int, report: Report) -> int | None:
    index, is_open, seconds = first, False, _START
    try:
        while (line := child.lines.next(seconds)) is not None:
            is_open = "begun" in line
            if is_open:
                index = line["begun"]
                seconds = _END if index == END else work.patience
                continue
            _note(work, line, report)
            if index == END:
                return None
            if len(report.findings) >= _MOST:
                return index
    except TimeoutError:
        report.findings.append(Finding(work, index, f"does not end: {child.where()}"))
        return None if index == END else index
    words = " ".join(child.words().split())[-700:]
    if not is_open:
        raise RuntimeError(f"the target {work.target} cannot be made or ended: {words}")
    report.findings.append(Finding(work, index, f"the process ended by itself: {words}"))
    return None if index == END else index


def _note(work: Work, line: dict[str, Any], report: Report) -> None:
    if line["done"] != END:
        report.tried += 1
        report.cost.note(Cost(line["seconds"], line["memory"]))
    if line["wrong"] is not None:
        report.findings.append(Finding(work, line["done"], line["wrong"]))
