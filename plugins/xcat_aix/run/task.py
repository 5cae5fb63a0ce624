"""What a step handler gets: its step, time, a way to talk, and the lane's agent connection.

Owns the lane's connection.  Belongs to one worker thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from xcat_aix.plan.model import Lane, Plan, Step, Target
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import JobUpdate, Probe
from xcat_aix_proto.operations import Operation

from .errors import StepFailed, Unreachable

if TYPE_CHECKING:
    from xcatd.api import Clock


class AgentLine(Protocol):
    """The part of ``xcatd.agents.AgentConnection`` that steps use; every call may raise AgentError."""

    def knows(self, kind: str) -> bool: ...
    def require(self, op: Operation) -> None: ...
    def probe(self, op: Operation, job_id: str = "") -> Probe: ...
    def begin(self, job_id: str, op: Operation, limit: float, wait: float) -> JobUpdate: ...
    def follow(self, job_id: str, after_seq: int, wait: float) -> JobUpdate: ...
    def forget(self, job_id: str) -> None: ...
    def close(self) -> None: ...


#: Connects to the agent ``target``, perhaps relayed through ``via``; raises AgentError.
Connect = Callable[[Target, Target | None], AgentLine]


#: Seconds between attempts to connect to an agent that has too many connections.
BUSY_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)


class LaneLink:
    """The lane's connection, opened at first use and opened again after it was dropped.

    A busy agent is asked again a few times, unless ``stop`` is set.
    """

    def __init__(self, lane: Lane, connect: Connect, stop: threading.Event) -> None:
        self._lane = lane
        self._connect = connect
        self._stop = stop
        self._connection: AgentLine | None = None

    def get(self) -> AgentLine:
        """The open connection; raises :class:`Unreachable`, or :class:`StepFailed` when refused."""
        if self._connection is None:
            if self._lane.target is None:
                raise StepFailed("cannot be sent to an agent: its lane names none")
            try:
                self._connection = self._dial(self._lane.target)
            except AgentError as problem:
                kind = Unreachable if problem.code is ErrorCode.UNREACHABLE else StepFailed
                raise kind(problem.message, problem.detail, int(problem.code)) from problem
        return self._connection

    def _dial(self, target: Target) -> AgentLine:
        for pause in BUSY_PAUSES:
            try:
                return self._connect(target, self._lane.via)
            except AgentError as problem:
                if problem.code is not ErrorCode.BUSY or self._stop.wait(pause):
                    raise
        return self._connect(target, self._lane.via)

    def forget(self, job_id: str) -> None:
        """Let the agent forget a job when the connection ends; none is opened for that."""
        if self._connection is not None:
            self._connection.forget(job_id)

    def drop(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@dataclass(slots=True)
class Task:
    """One attempt at one step.

    ``nodes`` are those it is to be done for, or asked about: not those for which it is done, nor those for which
    something before it failed; empty for a step that is about none.  ``undone`` are the nodes for which not every step
    about them in the lanes that this one comes ``after`` is done.
    ``job_id`` names this attempt; ``earlier_job`` is set only when an interrupted attempt is being asked about, and
    may still be running.  ``deadline`` is a reading of ``clock.monotonic()``.  ``report`` hands a line to the
    user.  ``stop`` is set when the user aborts or the daemon ends: go on for as short as is safe, then raise
    :class:`StepLost`.
    """

    plan_id: str
    plan: Plan
    lane: Lane
    step: Step
    job_id: str
    earlier_job: str
    deadline: float
    clock: Clock
    stop: threading.Event
    link: LaneLink
    report: Callable[[str], None]
    #: Called once the outcome is committed, such as to let the agent forget the job.
    afterwards: list[Callable[[], None]] = field(default_factory=list)
    #: What kinds keep for the steps of one lane while it runs, such as what they read from a step; by step.
    memory: dict[str, Any] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    undone: frozenset[str] = frozenset()

    def remaining(self) -> float:
        """Seconds until the lane's time is up, not below 0."""
        return max(0.0, self.deadline - self.clock.monotonic())
