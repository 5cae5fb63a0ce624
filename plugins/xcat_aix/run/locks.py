"""Locks: what no two steps may hold at once, within one execution and between plans.

Owns the table ``aixlock`` and the order in which the lanes of one execution get what they wait for.  A step
claims all it needs at once, so nobody waits in a circle.

A lock is given back with what settles the step that holds it.  A step that is lost may still be at work somewhere: the
plan keeps its locks until a probe tells, or the plan is closed, given up or forgotten; also as an interrupted plan that
was released.  The plan's own lanes may have them meanwhile.  The locks of an owner that died are taken over with its
claim.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .store import LOCKS, PLANS, Database, Row, Transaction

#: Tells from a row of ``aixplan`` whether the plan's locks are its own, or nobody's any more.
IsHeld = Callable[[Row], bool]

_HOLDER_COLUMNS = ("id", "owner", "lease", "state")


class WantedLocks(NamedTuple):
    """What one step needs, before its effect."""

    lane: str
    step: str
    locks: tuple[str, ...]


class Holder(NamedTuple):
    """A plan that has a lock."""

    plan: str
    is_interrupted: bool = False

    def __str__(self) -> str:
        if self.is_interrupted:
            return f"{self.plan} holds, which was interrupted: resume it or give it up"
        return f"{self.plan} holds"


class Taken(NamedTuple):
    """Locks that somebody else has, and the first one's holder."""

    locks: tuple[str, ...]
    holder: Holder


def claim(
    transaction: Transaction,
    is_held: IsHeld,
    plan_id: str,
    wanted: Iterable[WantedLocks],
    since: str,
) -> dict[str, Taken]:
    """Give each lane all its locks or none; what kept back those that got none, by lane.

    A lock of a plan whose owner is dead is taken over, and so is one that this plan left behind: its lanes'
    order among themselves is :class:`Queue`'s.
    """
    wanted = tuple(wanted)
    kept = taken(transaction, is_held, plan_id, wanted)
    got = [each for each in wanted if each.lane not in kept]
    rows = [
        {"name": name, "plan": plan_id, "lane": each.lane, "step": each.step, "since": since}
        for each in got
        for name in each.locks
    ]
    if rows:
        transaction.delete(LOCKS, {"name": tuple(row["name"] for row in rows)})
        transaction.insert(LOCKS, rows)
    return kept


def taken(
    transaction: Transaction, is_held: IsHeld, plan_id: str, wanted: Sequence[WantedLocks]
) -> dict[str, Taken]:
    """What other plans keep from each lane, by lane."""
    names = tuple(dict.fromkeys(name for each in wanted for name in each.locks))
    others = holders(transaction, is_held, plan_id, names)
    return {
        each.lane: _taken(each, others)
        for each in wanted
        if not others.keys().isdisjoint(each.locks)
    }


def keep(transaction: Transaction, plan_id: str, names: Collection[str]) -> None:
    """Give back all locks of a plan but these."""
    rows = transaction.select(LOCKS, {"plan": plan_id}, columns=("name",))
    if left := {row["name"] or "" for row in rows}.difference(names):
        release(transaction, plan_id, left)


def release(transaction: Transaction, plan_id: str, names: Collection[str] | None = None) -> None:
    """Give back these locks of a plan, or all of them."""
    key: dict[str, object] = {"plan": plan_id}
    if names is not None:
        key["name"] = tuple(names)
    transaction.delete(LOCKS, key)


def holders(
    source: Database | Transaction, is_held: IsHeld, plan_id: str, names: Sequence[str]
) -> dict[str, Holder]:
    """Which of these locks other plans have, by name."""
    if not names:
        return {}
    found = {
        row["name"] or "": row["plan"] or ""
        for row in source.select(LOCKS, {"name": tuple(names)}, columns=("name", "plan"))
        if row["plan"] != plan_id
    }
    plans = tuple(dict.fromkeys(found.values()))
    rows = source.select(PLANS, {"id": plans}, columns=_HOLDER_COLUMNS) if plans else ()
    alive = {row["id"]: Holder(row["id"] or "", not row["owner"]) for row in rows if is_held(row)}
    return {name: alive[plan] for name, plan in found.items() if plan in alive}


def _taken(wanted: WantedLocks, others: Mapping[str, Holder]) -> Taken:
    names = tuple(name for name in wanted.locks if name in others)
    return Taken(names, others[names[0]])


@dataclass(slots=True)
class Queue:
    """The locks among the lanes of one execution: first come, first served.  Pure.

    A lane that has its turn has it until :meth:`done`, also while another plan keeps it waiting: those behind it
    would wait for the same.
    """

    _turns: dict[str, frozenset[str]] = field(default_factory=dict)
    _waiting: dict[str, frozenset[str]] = field(default_factory=dict)

    def ask(self, lane: str, names: Iterable[str]) -> bool:
        """Whether it is the lane's turn to claim ``names``; if not, it is in the queue.

        What the lane had before it has no more, unless that was the same.
        """
        wanted = frozenset(names)
        if self._turns.get(lane) == wanted:
            return True
        self.done(lane)
        if self._is_free(wanted, self._waiting):
            self._turns[lane] = wanted
            return True
        self._waiting[lane] = wanted
        return False

    def done(self, lane: str) -> None:
        """The lane needs nothing any more."""
        self._turns.pop(lane, None)
        self._waiting.pop(lane, None)

    def next(self) -> tuple[str, ...]:
        """The waiting lanes whose turn has come."""
        found: list[str] = []
        before: dict[str, frozenset[str]] = {}
        for lane, wanted in tuple(self._waiting.items()):
            if self._is_free(wanted, before):
                del self._waiting[lane]
                self._turns[lane] = wanted
                found.append(lane)
            else:
                before[lane] = wanted
        return tuple(found)

    def _is_free(self, wanted: frozenset[str], before: Mapping[str, frozenset[str]]) -> bool:
        return all(
            wanted.isdisjoint(other)
            for others in (self._turns, before)
            for other in others.values()
        )
