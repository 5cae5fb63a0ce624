"""Steps that can travel together: what a kind offers whose consecutive steps are one job.

The engine joins what the plan puts one after the other in a lane; whether the other end takes it, and how, the
kind alone knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from xcat_aix_proto.jobs import Probe

from .errors import StepFailed
from .outcomes import NodeOutcomes
from .states import StepState

if TYPE_CHECKING:
    from xcat_aix.plan.model import Lane, Step

    from .registry import AnyKind, Registry
    from .story import StepRecord
    from .task import Task


#: How one step ended: what its effect returned, what was so already (a probe's DONE), why it failed or is lost, None:
#: not begun.
Ending: TypeAlias = Mapping[str, Any] | NodeOutcomes | Probe | StepFailed | None


_AT_WORK = (StepState.DOING, StepState.UNKNOWN)
_MAY_BE_AT_WORK = frozenset({*_AT_WORK, StepState.WAITING})


class ChainKind(Protocol):
    """Carries out several steps as one; shared by all kinds whose steps can be joined."""

    def reach(self, tasks: Sequence[Task]) -> int:
        """How many of these steps, from the first, can be one job at this agent; may raise StepFailed."""

    def effect(self, tasks: Sequence[Task]) -> Sequence[Ending]:
        """Do them in order up to the first that fails; each is looked at first.

        What is raised is so for all of them.
        """

    def recall(self, tasks: Sequence[Task]) -> Sequence[Ending]:
        """What the record of an interrupted job says of its steps, as probes; anything else: ask for that one.

        Waits for the job's end.  Raises as a probe does.
        """


#: What a kind may have beside the engine's protocols: ``chain`` joins its steps to others with the same one, and
#: ``check(task)`` raises StepFailed before the first intent of a lane if one of its steps cannot be done at all.
def chain_of(kind: AnyKind) -> ChainKind | None:
    """What joins the steps of this kind."""
    chain: ChainKind | None = getattr(kind, "chain", None)
    return chain


def check_of(kind: AnyKind) -> Callable[[Task], None] | None:
    """What tells beforehand that a step of this kind cannot be done."""
    check: Callable[[Task], None] | None = getattr(kind, "check", None)
    return check


def linked(steps: Iterable[Step], registry: Registry) -> list[Step]:
    """The first of ``steps`` and those after it that may be one with it as far as the plan goes.

    A step with a time limit of its own is a job of its own.
    """
    found: list[Step] = []
    for step in steps:
        chain = None if step.limit is not None else chain_of(registry[step.kind])
        if found and (chain is None or chain is not chain_of(registry[found[0].kind])):
            break
        found.append(step)
        if chain is None:
            break
    return found


def locks_of(steps: Iterable[Step]) -> tuple[str, ...]:
    """All that these steps hold together, each once."""
    return tuple(dict.fromkeys(name for step in steps for name in step.holds))


def held_by(
    lanes: Iterable[Lane], records: Mapping[str, Mapping[str, StepRecord]]
) -> frozenset[str]:
    """What the steps of these lanes hold that are at work or in doubt."""
    return frozenset(
        name
        for lane in lanes
        for step in lane.steps
        if step.holds and _is_at_work(records[lane.id][step.id])
        for name in step.holds
    )


def _is_at_work(record: StepRecord) -> bool:
    """Whether it is for any of its nodes; a step that waits for one may be in doubt about another."""
    return record.state in _MAY_BE_AT_WORK and any(map(record.in_state, _AT_WORK))


def open_steps(lane: Lane, done: Iterable[str]) -> tuple[Step, ...]:
    """The steps of a lane from the first that is not done."""
    over = frozenset(done)
    places = [place for place, step in enumerate(lane.steps) if step.id not in over]
    return lane.steps[places[0] :] if places else ()
