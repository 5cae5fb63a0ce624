"""The host as operations see it: a root directory, commands, names, time.

Owns: :class:`Host` and the time limits around what takes long.  Must not: know any operation.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, FrozenSet, Iterator, Mapping, Optional, Sequence

from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.messages import TakeRequest
from xcat_aix_proto.operations import Operation

from .clock import Clock, SystemClock
from .files import read
from .reach import KnownAgents, OtherAgents, Read, SourceAgent
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
    out flushing files to disk (laboratories).  ``peers`` is the only way to other agents.
    """

    node: str
    commands: Commands
    root: Path = Path("/")
    postscripts: str = "/xcatpost"
    clock: Clock = field(default_factory=SystemClock)
    finished: Callable[[Operation], bool] = _never_finished
    sync: bool = True
    peers: OtherAgents = field(default_factory=KnownAgents)

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


class End:
    """When a job must end: at its time limit, or when it is cancelled."""

    def __init__(self, clock: Clock, limit: float, cancelled: Optional[threading.Event]) -> None:
        self._clock = clock
        self.limit = limit
        self._deadline = clock.monotonic() + limit
        self._cancelled = cancelled or threading.Event()

    def check(self) -> None:
        """Raises ``CANCELLED``, or ``TIMED_OUT`` when the time is over."""
        if self.left() <= 0:
            text = f"it was not done within {self.limit:.0f} seconds"
            raise AgentError(ErrorCode.TIMED_OUT, text)

    def left(self) -> float:
        """Seconds, not above 0 when it is over; raises ``CANCELLED``."""
        self.check_cancelled()
        return self._deadline - self._clock.monotonic()

    def check_cancelled(self) -> None:
        """Raises ``CANCELLED``."""
        if self._cancelled.is_set():
            raise AgentError(ErrorCode.CANCELLED, "cancelled")


class LimitedCommands:
    """Commands that end when the job must."""

    def __init__(
        self,
        commands: Commands,
        clock: Clock,
        limit: float,
        cancelled: Optional[threading.Event] = None,
        report: Report = lambda _: None,
    ) -> None:
        self._commands = commands
        self._end = End(clock, limit, cancelled)
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
        left = self._end.left()
        if left <= 0:
            raise timed_out(argv, self._end.limit)
        done = self._commands.run(argv, timeout=min(timeout, left), env=env, input=input)
        self._report(f"{' '.join(argv)}: exit code {done.rc} after {done.duration:.1f} s")
        self._end.check_cancelled()
        return done


class LimitedAgents:
    """Other agents, reached until the job must end, however slowly they give."""

    def __init__(
        self,
        agents: OtherAgents,
        clock: Clock,
        limit: float,
        cancelled: Optional[threading.Event] = None,
        report: Report = lambda _: None,
    ) -> None:
        self._agents = agents
        self._end = End(clock, limit, cancelled)
        self._report = report

    @contextlib.contextmanager
    def take(self, source: SourceAgent, request: TakeRequest, *, timeout: float) -> Iterator[Read]:
        """See :meth:`.reach.OtherAgents.take`; also raises ``TIMED_OUT`` and ``CANCELLED``."""
        left = self._left(source, request)
        taken = 0

        def limited(size: int) -> bytes:
            nonlocal taken
            self._left(source, request)
            chunk = more(size)
            taken += len(chunk)
            return chunk

        with self._agents.take(source, request, timeout=min(timeout, left)) as more:
            yield limited
        self._report(f"took {taken} bytes of {request.what} from {source.identity}")

    def _left(self, source: SourceAgent, request: TakeRequest) -> float:
        left = self._end.left()
        if left <= 0:
            text = f"{request.what} did not come from {source.identity} within {self._end.limit:.0f} seconds"
            raise AgentError(ErrorCode.TIMED_OUT, text)
        return left
