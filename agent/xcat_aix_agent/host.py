"""The host as operations see it: a root directory, commands, names, time.

Owns: :class:`Host` and the time limits around commands.  Must not: know any operation.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, FrozenSet, Mapping, Optional, Sequence

from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.operations import Operation

from .clock import Clock, SystemClock
from .files import read
from .shell import Commands, Completed, timed_out

#: Takes one line (or several) of a job's story.
Report = Callable[[str], None]


def _never_finished(_operation: Operation) -> bool:
    return False


@dataclass(frozen=True)
class Host:
    """What an operation may touch.

    ``root`` stands for / ; ``finished`` tells a probe whether the job that is asked about is
    here and performed exactly that operation with success.  ``sync`` False leaves
    out flushing files to disk (laboratories).
    """

    node: str
    commands: Commands
    root: Path = Path("/")
    postscripts: str = "/xcatpost"
    clock: Clock = field(default_factory=SystemClock)
    finished: Callable[[Operation], bool] = _never_finished
    sync: bool = True

    def file(self, path: str) -> Path:
        """The file that stands for the absolute ``path``."""
        return self.root / path.lstrip("/")

    def addresses(self, name: str) -> FrozenSet[str]:
        """The addresses of a name: /etc/hosts below the root first, then the system's resolver."""
        return _in_hosts_file(read(self.file("/etc/hosts")) or "", name) or _resolved(name)


def _in_hosts_file(text: str, name: str) -> FrozenSet[str]:
    wanted = name.lower()
    found = set()
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if wanted in (word.lower() for word in words):
            found.add(words[0])
    return frozenset(found)


def _resolved(name: str) -> FrozenSet[str]:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(answer[4][0]) for answer in answers)


class LimitedCommands:
    """Commands that end when the job must: at its time limit, or when it is cancelled."""

    def __init__(
        self,
        commands: Commands,
        clock: Clock,
        limit: float,
        cancelled: Optional[threading.Event] = None,
        report: Report = lambda _: None,
    ) -> None:
        self._commands = commands
        self._clock = clock
        self._limit = limit
        self._deadline = clock.monotonic() + limit
        self._cancelled = cancelled or threading.Event()
        self._report = report

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Optional[Mapping[str, str]] = None,
        input: Optional[str] = None,  # noqa: A002 - named as in subprocess
    ) -> Completed:
        """See :meth:`xcat_aix_agent.shell.Commands.run`; also raises ``CANCELLED``."""
        self._check_cancelled()
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise timed_out(argv, self._limit)
        done = self._commands.run(argv, timeout=min(timeout, left), env=env, input=input)
        self._report(f"{' '.join(argv)}: exit code {done.rc} after {done.duration:.1f} s")
        self._check_cancelled()
        return done

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise AgentError(ErrorCode.CANCELLED, "cancelled")
