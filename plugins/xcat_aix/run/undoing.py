"""What stands between a plan and its undo: another undo at work, one that is over, a story that has gone on.

Owns the judgement over rows and events.  Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import standing, stored
from .errors import NothingToResume
from .states import CorruptJournal, Outcome, Phase, Word
from .store import EVENTS, Database, Row, Transaction

#: Events after which what was done of a plan is what it was before.
_IDLE = frozenset(
    word.value for word in (Word.UNDO_INTENT, Word.UNDO_FAILED, Word.CLOSED, Word.RELEASED)
)


@dataclass(frozen=True, slots=True)
class Undoing:
    """An undo that is not over: ``by`` takes the plan back, and ``at_work`` can go on: the same, or the undo of that."""

    by: str
    at_work: Row

    @property
    def sentence(self) -> str:
        """Which one it is, and what can be done about it."""
        id_ = self.at_work["id"]
        what = f"{self.by} is taking it back already"
        if id_ != self.by:
            what = f"its undo {self.by} is being taken back by {id_}"
        end = "give it up: plans --abandon"
        if not stored.guards_nodes(self.at_work):
            end = "forget it: plans --forget"
        return f"{what}; resume that one, or {end} {id_}"


def last_undos(source: Database | Transaction) -> dict[str, str]:
    """By plan the last undo that was begun of it; one that cannot be read counts as none."""
    found = {}
    for row in source.select(EVENTS, {"event": Word.UNDO_INTENT.value}, order=("seq",)):
        try:
            found[row["plan"] or ""] = str(stored.read_event(row).detail.get("by", ""))
        except CorruptJournal:
            found.pop(row["plan"] or "", None)
    return found


def undoing(plan_id: str, found: Sequence[Row], undos: Mapping[str, str]) -> Undoing | None:
    """The undo of a plan, unless it can do nothing more; ``found`` are all plans, newest first."""
    places = {row["id"]: place for place, row in enumerate(found)}
    by, at = undos.get(plan_id, ""), plan_id
    passed: set[str] = set()
    while at not in passed and (following := undos.get(at)) in places:
        passed.add(at)
        at = following or ""
        row = found[places[at]]
        if stored.guards_nodes(row):
            return Undoing(by, row)
        if row["state"] != Phase.UNDOING.value:
            can_go_on = standing.is_unfinished(row) and not standing.is_superseded(
                row, found[: places[at]]
            )
            return Undoing(by, row) if can_go_on else None
    return None


def refuse(source: Database | Transaction, row: Row) -> None:
    """Raise :class:`NothingToResume` if the plan was taken back, or an undo that can go on does so."""
    plan_id = row["id"] or ""
    if row["state"] == Phase.UNDONE.value:
        raise NothingToResume(f"cannot undo {plan_id}: it was taken back already")
    if row["state"] != Phase.UNDOING.value:
        return
    first = undoing(plan_id, standing.in_order(source), last_undos(source))
    if first is not None:
        raise NothingToResume(f"cannot undo {plan_id}: {first.sentence}")


def refuse_gone_on(transaction: Transaction, plan_id: str, seq: int | None) -> None:
    """Raise :class:`NothingToResume` if more was done of a plan after its event ``seq``, None: nobody knows."""
    if seq is None:
        return
    events = transaction.select(EVENTS, {"plan": plan_id}, columns=("seq", "event"))
    if any(int(row["seq"] or 0) > seq and row["event"] not in _IDLE for row in events):
        raise NothingToResume(
            f"cannot undo {plan_id}: it went on after this undo was made; make the undo anew:"
            f" plans --undo {plan_id}"
        )


def counts_again(row: Row) -> tuple[Word, ...]:
    """What an undo that is itself no longer taken back means for its plan: how it had ended."""
    match row["outcome"]:
        case Outcome.OK.value:
            return (Word.UNDO_INTENT, Word.UNDONE)
        case Outcome.FAILED.value | None:
            return ()
        case _:
            return (Word.UNDO_INTENT,)
