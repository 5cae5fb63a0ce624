"""The step kinds a program knows.  A kind that cannot be asked whether it is done is not let in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard

from xcat_aix.plan.model import Plan
from xcat_aix_proto.jobs import Probe

from .errors import Parked
from .outcomes import NodeOutcomes, NodeProbes
from .task import Task

if TYPE_CHECKING:
    from .store import Transaction


class StepKind(Protocol):
    """How steps of one kind are looked at and done.  Called from worker threads, many at once."""

    @property
    def kind(self) -> str:
        """The versioned name, such as ``client.repoint@1``."""

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


class DatabaseKind(Protocol):
    """A kind whose effect lies in the journal's own database.

    Effect, intent and outcome are committed in one transaction, so that the journal says done if and
    only if it was written.
    """

    @property
    def kind(self) -> str:
        """The versioned name."""

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
        """Add a kind; raises ValueError for one without probe, without effect or with a known name."""
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

    @property
    def kinds(self) -> tuple[str, ...]:
        """All names, in order of registration."""
        return tuple(self._kinds)

    def check(self, plan: Plan, plan_id: str = "the plan") -> None:
        """Raise :class:`Parked` unless every step of ``plan`` is of a known kind."""
        used = dict.fromkeys(step.kind for lane in plan.lanes for step in lane.steps)
        unknown = [kind for kind in used if kind not in self._kinds]
        if unknown:
            reason = f"this version knows no step kind {', '.join(unknown)}; use the version that made it"
            raise Parked(plan_id, reason)


def _problem(kind: AnyKind) -> str:
    can_probe, has_effect, has_tables, has_write = (
        callable(getattr(kind, name, None)) for name in ("probe", "effect", "tables", "write")
    )
    if not can_probe:
        return "has no probe"
    if has_tables != has_write or has_effect == has_write:
        return "must have either effect, or tables and write"
    return "" if "@" in kind.kind else "has no version"
