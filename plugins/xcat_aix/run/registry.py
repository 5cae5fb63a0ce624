"""The step kinds a program knows.

A kind is not let in that cannot be asked whether it is done, has no name for people, or does not say how it is taken back
or why it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard

from xcat_aix.plan.kinds import Begun, NoReverse, Reverse, words_problem
from xcat_aix.plan.model import Plan, Step
from xcat_aix_proto.jobs import Probe

from .errors import Parked
from .outcomes import NodeOutcomes, NodeProbes
from .task import Task

if TYPE_CHECKING:
    from .store import Transaction


class Worded(Protocol):
    """What every kind says of its steps; pure."""

    @property
    def kind(self) -> str:
        """The versioned name, such as ``client.repoint@1``."""

    def title(self, step: Step) -> str:
        """What people call the step."""

    @property
    def reverse(self) -> Reverse:
        """What takes a step back; a :class:`~xcat_aix.plan.kinds.NoReverse` says why there is nothing."""


class StepKind(Worded, Protocol):
    """How steps of one kind are looked at and done.  Called from worker threads, many at once."""

    def probe(self, task: Task) -> Probe | NodeProbes:
        """Ask the world whether the effect is there; changes nothing.

        Raises :class:`~.errors.Unreachable` or :class:`~.errors.StepFailed` when there is no answer.
        If ``task.earlier_job`` may still be running, waits for its end first.
        """

    def effect(self, task: Task) -> Mapping[str, Any] | NodeOutcomes:
        """Do it for ``task.nodes``; what is returned is kept in the journal and must be small and hold no secret.

        Raises :class:`~.errors.StepFailed` when it is known not to be done and
        :class:`~.errors.StepLost` when nobody knows.
        """


class DatabaseKind(Worded, Protocol):
    """A kind whose effect lies in the journal's own database.

    Effect, intent and outcome are committed in one transaction, so that the journal says done if and
    only if it was written.
    """

    def probe(self, task: Task) -> Probe | NodeProbes:
        """As :meth:`StepKind.probe`."""

    def tables(self, task: Task) -> Sequence[str]:
        """The tables :meth:`write` uses, without the journal's."""

    def write(self, task: Task, transaction: Transaction) -> Mapping[str, Any] | NodeOutcomes:
        """Do it in ``transaction``; raises :class:`~.errors.StepFailed`, and nothing is written."""


AnyKind: TypeAlias = StepKind | DatabaseKind


def is_database(kind: AnyKind) -> TypeGuard[DatabaseKind]:
    """Which of the two; asked for every step, so by the one thing that tells them apart."""
    return hasattr(kind, "write")


class Registry:
    """Step kinds by name."""

    def __init__(self, kinds: Sequence[AnyKind] = ()) -> None:
        self._kinds: dict[str, AnyKind] = {}
        for kind in kinds:
            self.register(kind)

    def register(self, kind: AnyKind) -> None:
        """Add a kind; raises ValueError for one that lacks something, or with a known name."""
        problem = _problem(kind)
        if kind.kind in self._kinds:
            problem = "is registered twice"
        if problem:
            raise ValueError(f"step kind {kind.kind!r} {problem}")
        self._kinds[kind.kind] = kind

    def __getitem__(self, name: str) -> AnyKind:
        """The kind called ``name``; raises KeyError."""
        return self._kinds[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def title(self, step: Step) -> str:
        """What people call the step; of an unknown kind its name."""
        kind = self._kinds.get(step.kind)
        return step.kind if kind is None else kind.title(step)

    def reverse(self, begun: Begun) -> Step | NoReverse | None:
        """What takes the step back; raises KeyError for an unknown kind."""
        return self._kinds[begun.step.kind].reverse(begun)

    def is_whole(self, name: str) -> bool:
        """Whether a step of this kind that fails leaves nothing behind: its transaction is not committed."""
        kind = self._kinds.get(name)
        return kind is not None and is_database(kind)

    @property
    def kinds(self) -> tuple[str, ...]:
        """All names, in order of registration."""
        return tuple(self._kinds)

    def check(self, plan: Plan, plan_id: str = "the plan", *, is_over: bool = False) -> None:
        """Raise :class:`Parked` unless every step of ``plan`` is of a known kind."""
        used = dict.fromkeys(step.kind for lane in plan.lanes for step in lane.steps)
        unknown = [kind for kind in used if kind not in self._kinds]
        if unknown:
            reason = f"this version knows no step kind {', '.join(unknown)}; use the version that made it"
            raise Parked(plan_id, reason, is_over=is_over)


def _problem(kind: AnyKind) -> str:
    if not callable(getattr(kind, "probe", None)):
        return "has no probe"
    if problem := words_problem(kind):
        return problem
    has_effect, has_tables, has_write = (
        callable(getattr(kind, name, None)) for name in ("effect", "tables", "write")
    )
    if has_tables != has_write or has_effect == has_write:
        return "must have either effect, or tables and write"
    return "" if "@" in kind.kind else "has no version"
