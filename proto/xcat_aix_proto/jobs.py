"""States of a job on an agent, and what the agent tells about it."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Tuple

from . import bounds, codec
from .errors import AgentError, ErrorCode


class JobState(enum.Enum):
    """Derived from the job's directory alone (ARCHITECTURE.md, Decisions)."""

    #: ``spec.json`` is there, nothing runs yet.
    ACCEPTED = "accepted"
    #: The job's lock is held by its wrapper process.
    RUNNING = "running"
    #: ``result.json`` (with the exit code) is there.
    EXITED = "exited"
    #: Neither lock nor result although it was started: only a probe can tell what was done.
    LOST = "lost"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in (JobState.EXITED, JobState.LOST)


@dataclass(frozen=True)
class JobEvent:
    """One line of a job's story.  ``seq`` counts from 1 without gaps; ``at`` is UTC ISO 8601."""

    seq: int
    at: str
    text: str


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended: ``error`` is None on success; ``result`` is what the operation returns."""

    ok: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    error: Optional[Mapping[str, Any]] = None

    def failure(self) -> Optional[AgentError]:
        """The error as exception object, or None."""
        return None if self.error is None else AgentError.from_wire(self.error)


class RecordState(enum.Enum):
    """What became of one operation of a chain."""

    DONE = "done"
    #: The probe found it done already.
    WAS_SO = "was_so"
    FAILED = "failed"
    NOT_BEGUN = "not_begun"
    #: The job died and nothing tells how far this one got: only a probe can.
    LOST = "lost"


@dataclass(frozen=True)
class Record:
    """What became of one operation of a chain: ``text`` in one line, ``result`` what it returned."""

    state: RecordState
    text: str = ""
    error: Optional[Mapping[str, Any]] = None
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether its effect was there when the agent came to it, or left it."""
        return self.state in (RecordState.DONE, RecordState.WAS_SO)

    def failure(self) -> Optional[AgentError]:
        """The error as exception object, or None."""
        return None if self.error is None else AgentError.from_wire(self.error)


def with_records(records: Sequence[Record], error: Optional[AgentError]) -> JobOutcome:
    """The outcome of a chain: on success and on failure it has a record for each operation."""
    result = {"records": codec.to_wire(records)}
    if error is None:
        return JobOutcome(ok=True, result=result)
    return JobOutcome(ok=False, result=result, error=error.to_wire())


def records(outcome: JobOutcome, count: int) -> Tuple[Record, ...]:
    """The records of a chain of ``count`` operations in its outcome; raises ``BAD_MESSAGE``."""
    found = outcome.result.get("records")
    if not isinstance(found, (list, tuple)) or len(found) != count:
        text = f"the outcome of a chain of {count} operations has no record for each"
        raise AgentError(ErrorCode.BAD_MESSAGE, text)
    return tuple(codec.from_wire(Record, data) for data in found)


@dataclass(frozen=True)
class JobStatus:
    """What ``submit``, ``follow`` and ``cancel`` answer.

    ``outcome`` is there once the job exited.  A chain that was lost has one as well: what was recorded
    until then, with the error ``JOB_LOST``.
    """

    job_id: str
    kind: str
    state: JobState
    last_seq: int = 0
    outcome: Optional[JobOutcome] = None


@dataclass(frozen=True)
class JobUpdate:
    """Answer of ``follow``: the status and the events after the asked sequence number.

    There are more if ``status.last_seq`` is beyond the last of ``events``; the next ``follow`` has them.
    """

    status: JobStatus
    events: Tuple[JobEvent, ...] = ()


class Verdict(enum.Enum):
    """What a probe found: is the effect of an operation already there?"""

    DONE = "done"
    NOT_DONE = "not_done"
    BROKEN = "broken"


@dataclass(frozen=True)
class Probe:
    """Answer of ``probe``; ``text`` says in one line what was seen."""

    verdict: Verdict
    text: str = ""


@dataclass(frozen=True)
class ChainProbe(Probe):
    """Answer of ``probe`` for a chain: ``DONE`` only if all of it is; one probe for each operation."""

    parts: Tuple[Probe, ...] = ()


@dataclass(frozen=True)
class NodesProbe(Probe):
    """Answer of ``probe`` for an operation for several nodes: ``DONE`` only if it is for all; one probe for each."""

    nodes: Mapping[str, Probe] = field(default_factory=dict)


@dataclass(frozen=True)
class NodesResult:
    """What an operation for several nodes did for each: ``failed`` says why.  Of a node that is in neither nobody knows."""

    done: Tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    def fitted(self, limit: int = bounds.MAX_RESULT) -> Mapping[str, Any]:
        """As the result of an operation, in ``limit`` characters as JSON: what is said gets shorter, no node is left out."""
        room = bounds.MAX_TEXT
        while True:
            failed = {
                node: bounds.line(text, room) if room else "" for node, text in self.failed.items()
            }
            found: Mapping[str, Any] = codec.to_wire(NodesResult(self.done, failed))
            if not room or len(json.dumps(found)) <= limit:
                return found
            room //= 2

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> NodesResult:
        """Read the result of an operation; raises ``BAD_MESSAGE``."""
        return codec.from_wire(cls, result)
