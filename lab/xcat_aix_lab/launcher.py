"""The one module of the lab that starts and ends processes.

Every process gets a session of its own and a pid file that also holds when it was started; only a
process for which both agree is ever signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from xcat_aix_agent.jobs.job import Job

_POLL = 0.02
_LOG_TAIL = 2000


class NotReady(Exception):
    """A process ended or said nothing in time; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: ``name`` names the pid file; ``ready`` is the text its log shows when it is."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready: str


class Launcher:
    """The processes of one lab, known by the pid files in ``run``."""

    def __init__(self, run: Path) -> None:
        self._run = run

    # Starting

    def start(self, programs: Sequence[Program], seconds: float) -> None:
        """Start those that do not run; all are ready when this returns; raises :class:`NotReady`."""
        begun = [(p, self._spawn(p)) for p in programs if not self.is_running(p.name)]
        end = time.monotonic() + seconds
        for program, offset in begun:
            self._await(program, offset, end)

    def _spawn(self, program: Program) -> int:
        """Start one; returns where its part of the log begins."""
        program.log.parent.mkdir(parents=True, exist_ok=True)
        offset = program.log.stat().st_size if program.log.exists() else 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawnp(
            program.argv[0],
            list(program.argv),
            dict(program.environment),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(program.log), flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        text = json.dumps({"pid": pid, "started": _started(pid)})
        (self._run / f"{program.name}.pid").write_text(text, encoding="ascii")
        return offset

    def _await(self, program: Program, offset: int, end: float) -> None:
        while True:
            is_running = self.is_running(program.name)
            with program.log.open("rb") as file:
                file.seek(offset)
                text = file.read().decode("utf-8", "replace")
            if program.ready in text:
                return
            if not is_running or time.monotonic() > end:
                why = "did not get ready in time" if is_running else "ended at once"
                raise NotReady(f"{program.name} {why}; {program.log} says:\n{text[-_LOG_TAIL:]}")
            time.sleep(_POLL)

    # Looking

    def pid(self, name: str) -> int | None:
        """The process id of a program that runs."""
        try:
            known = json.loads((self._run / f"{name}.pid").read_text(encoding="ascii"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        pid = int(known["pid"])
        return pid if known["started"] is not None and _started(pid) == known["started"] else None

    def is_running(self, name: str) -> bool:
        """Tell whether a program runs."""
        return self.pid(name) is not None

    def running(self) -> list[str]:
        """All programs that run."""
        return [f.stem for f in sorted(self._run.glob("*.pid")) if self.is_running(f.stem)]

    # Ending

    def signal(self, name: str, number: Signals) -> bool:
        """Send a signal to a program's whole process group; tells whether it was running."""
        pid = self.pid(name)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        return True

    def kill(self, name: str, seconds: float = 10.0) -> bool:
        """End a program with SIGKILL and wait until it is gone; tells whether it was running."""
        return self.end([name], seconds, first=Signals.SIGKILL) == [name]

    def end(
        self, names: Sequence[str], seconds: float, *, first: Signals = Signals.SIGTERM
    ) -> list[str]:
        """End programs; those that are not gone after ``seconds`` are killed.  Returns who ran."""
        ended = [name for name in names if self.signal(name, first)]
        for name in ended:
            self.signal(name, Signals.SIGCONT)  # a stopped process cannot end
        left = self._wait_gone(ended, seconds)
        for name in left:
            self.signal(name, Signals.SIGKILL)
        stubborn = self._wait_gone(left, seconds)
        if stubborn:
            raise NotReady(f"cannot end {', '.join(stubborn)}")
        for name in names:
            (self._run / f"{name}.pid").unlink(missing_ok=True)
        return ended

    def _wait_gone(self, names: Sequence[str], seconds: float) -> list[str]:
        end = time.monotonic() + seconds
        left = list(names)
        while left and time.monotonic() < end:
            left = [name for name in left if self.is_running(name)]
            if left:
                time.sleep(_POLL)
        return left


def wait_until(is_so: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Wait for what another process does; raises :class:`NotReady` with ``otherwise``."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise NotReady(otherwise)
        time.sleep(_POLL)


def kill_jobs(jobs: Path) -> None:
    """Kill the wrapper processes of an agent's running jobs, and their commands."""
    for path in sorted(jobs.glob("[!.]*")):
        job = Job(path)
        if not job.lock_is_held():
            continue
        for group in (job.wrapper, job.group):
            if group:  # 0: a command is only being started
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, Signals.SIGKILL)


def _started(pid: int) -> int | None:
    """When a process was started, in ticks of the kernel; None if it is gone or a zombie.

    A killed process is a zombie already while its last threads still hold its sockets: not gone yet.
    """
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    is_gone = state == "X" or (state == "Z" and int(fields[16]) <= 1)
    return None if is_gone else int(fields[18])


def run_lines(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    seconds: float,
    on_line: Callable[[str], None],
) -> tuple[int, str]:
    """Run a command, each line of its output handed on as it comes; (exit code, all output).

    After ``seconds`` it is killed, which shows as a negative exit code.
    """
    lines = []
    with subprocess.Popen(
        list(argv),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            for line in process.stdout or ():
                lines.append(line)
                on_line(line)
        finally:
            timer.cancel()
    return process.returncode, "".join(lines)


def run_through(argv: Sequence[str], environment: Mapping[str, str], directory: Path) -> int:
    """Run a command in a directory with our own terminal; returns its exit code."""
    return subprocess.run(list(argv), env=dict(environment), cwd=directory, check=False).returncode
