"""Which plans stand in the way of what: held by somebody, over, overtaken by a later one, on the same nodes.

Owns the judgement over rows of ``aixplan``.  Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import stored
from .errors import NothingToResume, Overlap, StillRunning, UnknownPlan, named
from .owner import Owner
from .states import Outcome, Phase, Word
from .store import EVENTS, PLANS, Database, Row, Transaction

if TYPE_CHECKING:
    from xcatd.api import Clock


@dataclass(frozen=True, slots=True)
class PlanJudge:
    """Judges as one management node sees it: ``host`` is its short name, ``alive`` knows its processes."""

    clock: Clock
    host: str
    alive: Callable[[int], bool]

    def is_held(self, row: Row) -> bool:
        """Whether somebody works on the plan."""
        lease = stored.moment(row["lease"])
        if not row["owner"] or lease is None or lease <= self.clock.now():
            return False
        owner = Owner.parse(row["owner"])
        return owner.host != self.host or self.alive(owner.pid)

    def keeps_locks(self, row: Row) -> bool:
        """Whether what the plan holds is its own: somebody works on it, or it was released and can be resumed."""
        return self.is_held(row) or (not row["owner"] and stored.guards_nodes(row))

    def refuse_held(self, row: Row) -> None:
        """Raise :class:`StillRunning` if so."""
        if self.is_held(row):
            raise StillRunning(row["id"] or "", row["owner"] or "", row["lease"] or "")

    def refuse_overlap(self, transaction: Transaction, nodes: Sequence[str]) -> None:
        """Raise :class:`Overlap` if an open plan works on one of ``nodes``."""
        wanted = frozenset(nodes)
        columns = ("id", "nodes", "owner", "lease", "state")
        for row in filter(stored.guards_nodes, transaction.select(PLANS, columns=columns)):
            shared = wanted.intersection(_guarded(transaction, row))
            if shared:
                raise Overlap(row["id"] or "", sorted(shared), is_running=self.is_held(row))


def _guarded(transaction: Transaction, row: Row) -> Sequence[str]:
    """The nodes of a plan; where its row has lost them, those of its body."""
    if row["nodes"]:
        return stored.nodes_from_text(row["nodes"])
    found = transaction.select(PLANS, {"id": row["id"]}, columns=("body",))
    return stored.nodes_of_body(found[0]["body"] if found else None)


def row_of(source: Database | Transaction, plan_id: str) -> Row:
    """The plan's row without its body; raises :class:`UnknownPlan`."""
    for row in source.select(PLANS, {"id": plan_id}, columns=stored.SUMMARY_COLUMNS):
        return row
    raise UnknownPlan(plan_id)


def refuse_finished(transaction: Transaction, row: Row) -> None:
    """Raise :class:`NothingToResume` for a plan that is over for good, or behind a later one."""
    phase, plan_id = Phase(row["state"]), row["id"]
    if phase is Phase.OPEN:
        return
    if phase is not Phase.CLOSED:
        raise NothingToResume(f"cannot resume {plan_id}: it is {phase.sentence}")
    outcome = Outcome(row["outcome"])
    if not outcome.can_be_resumed:
        raise NothingToResume(f"cannot resume {plan_id}: {outcome.sentence}")
    _refuse_superseded(transaction, row)


def _refuse_superseded(transaction: Transaction, row: Row) -> None:
    found = in_order(transaction)
    place = next(place for place, other in enumerate(found) if other["id"] == row["id"])
    later = next(overtaking(row, found[:place]), None)
    if later is not None:
        shared = sorted(
            {*stored.nodes_from_text(row["nodes"])} & {*stored.nodes_from_text(later["nodes"])}
        )
        raise NothingToResume(
            f"cannot resume {row['id']}: it is superseded by {later['id']}, which has worked on"
            f" {named(shared)} since; what it left unfinished elsewhere needs a new command, see"
            f" plans --show {row['id']}"
        )


def in_order(source: Database | Transaction) -> Sequence[Row]:
    """All plans, newest first: by the journal's own numbers, for clocks are set back at times."""
    words = (Word.SAVED.value, Word.OPENED.value)
    begun = source.select(EVENTS, {"event": words}, columns=("plan", "seq"), order=("seq",))
    places = {row["plan"]: stored.number(row["seq"]) for row in begun}
    found = source.select(PLANS, columns=stored.SUMMARY_COLUMNS)
    newest = max(places.values(), default=0) + 1  # of a plan without events nothing is known
    return sorted(found, key=lambda row: places.get(row["id"], newest), reverse=True)


def is_unfinished(row: Row) -> bool:
    """Whether it was closed with something left to do."""
    left = {outcome.value for outcome in Outcome if outcome.can_be_resumed}
    return row["state"] == Phase.CLOSED.value and row["outcome"] in left


def is_superseded(row: Row, later: Sequence[Row]) -> bool:
    """Whether one of the later plans overtook it."""
    return next(overtaking(row, later), None) is not None


def overtaking(row: Row, later: Sequence[Row]) -> Iterator[Row]:
    """Those of the later plans that did something on nodes of this one."""
    mine = frozenset(stored.nodes_from_text(row["nodes"]))
    for other in later:
        if other["outcome"] == Outcome.FAILED.value or other["state"] == Phase.SAVED.value:
            continue
        if not mine.isdisjoint(stored.nodes_from_text(other["nodes"])):
            yield other
