"""States of a job on an agent, and what the agent tells about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple

from .errors import AgentError


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
class Outcome:
    """How a job ended: ``error`` is None on success; ``result`` is what the operation returns."""

    ok: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    error: Optional[Mapping[str, Any]] = None

    def failure(self) -> Optional[AgentError]:
        """The error as exception object, or None."""
        return None if self.error is None else AgentError.from_wire(self.error)


@dataclass(frozen=True)
class JobStatus:
    """What ``submit``, ``follow`` and ``cancel`` answer."""

    job_id: str
    kind: str
    state: JobState
    last_seq: int = 0
    outcome: Optional[Outcome] = None


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
