"""What an execution tells while it runs; a command turns it into replies.

Apart from :class:`StepSaid` these are committed facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from xcat_aix.plan.model import Lane, Step

from .states import LaneResult, Outcome, StepState
from .story import NodeState


@dataclass(frozen=True, slots=True)
class StepWaits:
    """The step cannot begin yet: ``holder``, another plan, has these locks."""

    lane: Lane
    step: Step
    locks: tuple[str, ...]
    holder: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The step's intent is recorded; it is being looked at or done."""

    lane: Lane
    step: Step
    attempt: int


@dataclass(frozen=True, slots=True)
class StepSaid:
    """A line from the step while it runs."""

    lane: Lane
    step: Step
    text: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    """The step's outcome is recorded.

    ``state`` is DONE, FAILED, UNKNOWN or SKIPPED, and PARTIAL where it is not the same for all of ``nodes``: then
    these have what became of each.  ``was_so`` means that a probe found it done and nothing was changed.  ``text`` is
    the reason in one line, ``detail`` such as a command's output, ``code`` the agent's error number, ``result`` what
    the effect returned.
    """

    lane: Lane
    step: Step
    state: StepState
    text: str = ""
    detail: str = ""
    code: int | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    was_so: bool = False
    nodes: Mapping[str, NodeState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaneEnded:
    """Nothing more happens in this lane; ``text`` is the reason when it is not moved."""

    lane: Lane
    result: LaneResult
    text: str = ""


@dataclass(frozen=True, slots=True)
class PlanEnded:
    """The last of all.  ``outcome`` None: stopped on request, still open, can be resumed."""

    plan_id: str
    outcome: Outcome | None
    lanes: Mapping[str, LaneResult]


Progress: TypeAlias = StepWaits | StepStarted | StepSaid | StepEnded | LaneEnded | PlanEnded
