"""The journal: every plan as it was made, and everything that happened to it, in order.

Owns the tables ``aixplan`` and ``aixevent``, and who may work on a plan; :mod:`.standing` judges when two plans
exclude each other, :mod:`.locks` has what single steps exclude each other by.  Must not: execute anything, or know what a step does.  Nothing here is a secret's place: the
journal is shown to users.

A plan belongs to the claim (:class:`Hold`) of one owner.  The claim is renewed with every record; when it has
run out, or its process is gone from this host, the plan counts as interrupted and one other owner can take it
over.  Every record checks the claim in its own transaction, so that an owner who was thought dead cannot go on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from xcat_aix.plan.model import FORMAT, Plan, digest

from . import locks, names, standing, stored
from .errors import (
    LeaseLost,
    NotClosed,
    NothingToResume,
    Parked,
    StillRunning,
    UnknownPlan,
)
from .locks import Taken, WantedLocks
from .owner import Owner, is_running
from .standing import PlanJudge
from .states import CorruptJournal, Event, Outcome, Phase, Word
from .store import EVENTS, LOCKS, PLANS, Database, Row, Transaction
from .stored import PlanSummary
from .story import PlanState, fold

if TYPE_CHECKING:
    from xcatd.api import Clock

#: How long a claim holds without being renewed.
LEASE = timedelta(seconds=30)

#: How many closed plans are kept; one of 10 000 nodes takes about 7 MB.
KEPT = 100

#: How long a plan is kept that was not begun, and how many of them.
SAVED_FOR = timedelta(days=7)
SAVED_KEPT = 100

#: What the end of an undo means for the plan it is about.
_UNDO_ENDS = {
    Outcome.OK: (Word.UNDONE, Phase.UNDONE),
    Outcome.FAILED: (Word.UNDO_FAILED, Phase.CLOSED),
}

_CLOSED_PHASES = (Phase.CLOSED.value, Phase.UNDONE.value)


@dataclass(slots=True)
class Claim:
    """The right to work on one plan; made by :meth:`Journal.open_plan` and :meth:`Journal.claim`."""

    plan_id: str
    owner: Owner
    undoes: str | None
    until: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """A plan out of the journal, with its story and the state that it leads to."""

    summary: PlanSummary
    plan: Plan
    events: Sequence[Event]
    state: PlanState


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """A plan that this process may go on with."""

    hold: Claim
    plan: Plan
    state: PlanState


@dataclass(slots=True)
class Journal:
    """Plans and events in ``db``.

    ``host`` is this management node's short name; ``token`` gives a new text at each call (four hexadecimal
    digits are enough); ``alive`` tells whether a process of this host exists.
    """

    db: Database
    clock: Clock
    host: str
    token: Callable[[], str]
    alive: Callable[[int], bool] = is_running
    lease: timedelta = LEASE
    kept: int = KEPT
    _standing: PlanJudge = field(init=False)

    def __post_init__(self) -> None:
        self._standing = PlanJudge(self.clock, self.host, self.alive)

    # Opening and closing

    def open_plan(self, plan: Plan, *, command: str = "", user: str = "") -> Claim:
        """Store ``plan`` and claim it, in one transaction; ``command`` is the line the user gave.

        Raises :class:`Overlap` if an open plan shares a node, ValueError for an impossible plan, and
        :class:`StillRunning` or :class:`NothingToResume` if the plan it undoes cannot be undone.
        """
        self._refuse_impossible(plan)
        with self._transaction() as transaction:
            hold = self._new_hold(transaction, plan)
            self._refuse_opening(transaction, plan, hold.plan_id)
            row = self._row(hold.plan_id, plan, command, user)
            claimed = {
                "state": Phase.OPEN.value,
                "owner": str(hold.owner),
                "lease": stored.stamp(hold.until),
            }
            transaction.insert(PLANS, [row | claimed])
            self._append(transaction, hold.plan_id, [Event(Word.OPENED)])
            self._forget_old(transaction)
        return hold

    @staticmethod
    def _refuse_impossible(plan: Plan) -> None:
        if problems := plan.problems():
            raise ValueError(f"cannot open this plan: {'; '.join(problems)}")

    def _refuse_opening(self, transaction: Transaction, plan: Plan, plan_id: str) -> None:
        if plan.undoes is not None:
            self._begin_undo(transaction, plan.undoes, plan_id)
        self._standing.refuse_overlap(transaction, plan.nodes)

    def _row(self, plan_id: str, plan: Plan, command: str, user: str) -> dict[str, str | int]:
        text = plan.text()
        return {
            "id": plan_id,
            "command": command or plan.command,
            "username": user,
            "host": self.host,
            "opened": self._now(),
            "format": FORMAT,
            "digest": digest(text),
            "body": text,
            "nodes": stored.nodes_to_text(plan.nodes),
        }

    def save(self, plan: Plan, *, command: str = "", user: str = "") -> tuple[str, str]:
        """Keep a plan to be opened within :data:`SAVED_FOR`; its id and digest.  Raises ValueError as above.

        It keeps its nodes from nobody meanwhile.
        """
        self._refuse_impossible(plan)
        with self._transaction() as transaction:
            plan_id = self._new_hold(transaction, plan).plan_id
            row = self._row(plan_id, plan, command, user)
            transaction.insert(
                PLANS, [row | {"state": Phase.SAVED.value, "owner": "", "lease": ""}]
            )
            self._append(transaction, plan_id, [Event(Word.SAVED)])
            self._forget_old(transaction)
        return plan_id, str(row["digest"])

    def open_saved(self, plan_id: str, sha256: str = "", *, user: str = "") -> OpenPlan:
        """Open a plan that was kept, as it is, and claim it; ``sha256``: only if it has this digest.

        Raises :class:`UnknownPlan`, :class:`NothingToResume` (it was opened before, or was kept too long, or has another
        digest), :class:`Parked`, and as :meth:`open_plan` does.
        """
        plan = self.load(plan_id).plan
        with self._transaction() as transaction:
            row = standing.row_of(transaction, plan_id)
            self._refuse_applying(row, sha256)
            self._refuse_opening(transaction, plan, plan_id)
            hold = Claim(plan_id, self._owner(), plan.undoes, self.clock.now() + self.lease)
            values = {
                "owner": str(hold.owner),
                "lease": stored.stamp(hold.until),
                "state": Phase.OPEN.value,
                "opened": self._now(),
                "host": self.host,
                "username": user,
            }
            transaction.update(PLANS, {"id": plan_id}, values)
            self._append(transaction, plan_id, [Event(Word.OPENED)])
            events = transaction.select(EVENTS, {"plan": plan_id}, order=("seq",))
        return OpenPlan(hold, plan, _story(plan, events, plan_id)[1])

    def _refuse_applying(self, row: Row, wanted: str) -> None:
        plan_id, found = row["id"], row["digest"]
        if row["state"] != Phase.SAVED.value:
            summary = stored.summary(row, is_running=self._standing.is_held(row))
            advice = f"; to go on: plans --resume {plan_id}" if summary.can_go_on else ""
            raise NothingToResume(
                f"cannot apply {plan_id}: it was begun already ({summary.sentence}){advice}"
            )
        if self._is_stale(row):
            raise NothingToResume(
                f"cannot apply {plan_id}: it was kept for {SAVED_FOR.days} days; make the plan anew"
            )
        if wanted and wanted != found:
            raise NothingToResume(
                f"cannot apply {plan_id}: the plan that is kept under this name has the SHA-256 {found}, not"
                f" {wanted}; look at it: plans --show {plan_id}"
            )

    def _is_stale(self, row: Row) -> bool:
        return (row["opened"] or "") <= stored.stamp(self.clock.now() - SAVED_FOR)

    def close(self, hold: Claim, outcome: Outcome) -> Event:
        """Close the plan; an undo that went well, or did nothing, marks the plan it was to take back."""
        event = Event(Word.CLOSED, detail={"outcome": outcome.value})
        with self._transaction() as transaction:
            self._check(transaction, hold)
            (event,) = self._close(transaction, hold.plan_id, event)
            if hold.undoes is not None and outcome in _UNDO_ENDS:
                word, phase = _UNDO_ENDS[outcome]
                self._append(transaction, hold.undoes, [Event(word, detail={"by": hold.plan_id})])
                transaction.update(PLANS, {"id": hold.undoes}, {"state": phase.value})
        return event

    def abandon(self, plan_id: str) -> None:
        """Close an interrupted plan for good, one that cannot be read too: its nodes are free then.

        Raises :class:`UnknownPlan`, :class:`StillRunning`, :class:`NothingToResume`.
        """
        with self._transaction() as transaction:
            row = standing.row_of(transaction, plan_id)
            if row["state"] == Phase.SAVED.value:
                raise NothingToResume(
                    f"cannot give up {plan_id}: it was not begun; to forget it: plans --forget {plan_id}"
                )
            if not stored.guards_nodes(row):
                raise NothingToResume(f"cannot give up {plan_id}: it is closed already")
            self._standing.refuse_held(row)
            self._abandon(transaction, plan_id)

    def forget(self, plan_id: str) -> None:
        """Take a closed plan out of the journal; it cannot be resumed or undone any more.

        Raises :class:`UnknownPlan`, :class:`StillRunning`, :class:`NotClosed`.
        """
        with self._transaction() as transaction:
            row = standing.row_of(transaction, plan_id)
            self._standing.refuse_held(row)
            if stored.guards_nodes(row) or row["state"] == Phase.UNDOING.value:
                raise NotClosed(
                    f"cannot forget {plan_id}: it is not over; finish it, undo it, or give it up:"
                    f" plans --abandon {plan_id}"
                )
            self._delete(transaction, plan_id)

    # Working on a plan

    def record(
        self,
        hold: Claim,
        events: Sequence[Event],
        *,
        tables: Sequence[str] = (),
        write: Callable[[Transaction], Sequence[Event]] | None = None,
        released: Collection[str] = (),
    ) -> Sequence[Event]:
        """Commit ``events``, and what ``write`` does to ``tables`` and returns as further events.

        One transaction: all of it or, if ``write`` raises, nothing.  Renews the claim; raises
        :class:`LeaseLost` if it is no longer ours.  Returns the events as they were stored.  ``released`` are the
        locks that are given back with them.
        """
        with self._transaction(*tables) as transaction:
            self._check(transaction, hold)
            if released:
                locks.release(transaction, hold.plan_id, released)
            more = () if write is None else write(transaction)
            return self._append(transaction, hold.plan_id, [*events, *more])

    def claim_locks(
        self, transaction: Transaction, hold: Claim, wanted: Iterable[WantedLocks]
    ) -> dict[str, Taken]:
        """Within ``write`` of :meth:`record`: see :func:`.locks.claim`."""
        return locks.claim(transaction, self._standing.is_held, hold.plan_id, wanted, self._now())

    def release_locks(self, transaction: Transaction, hold: Claim, names: Collection[str]) -> None:
        """Within ``write`` of :meth:`record`: give these locks back at once."""
        locks.release(transaction, hold.plan_id, names)

    def lock_holders(self, hold: Claim, names: Sequence[str]) -> dict[str, str]:
        """Which of these locks other plans that are being worked on have: name -> plan."""
        return locks.holders(self.db, self._standing.is_held, hold.plan_id, names)

    def renew_if_due(self, hold: Claim) -> None:
        """Renew the claim once a third of its time has passed; raises :class:`LeaseLost`."""
        if hold.until - self.clock.now() < self.lease * 2 / 3:
            self.record(hold, ())

    def release(self, hold: Claim) -> Sequence[Event]:
        """Give the claim up with the plan still open: it can be resumed at once."""
        with self._transaction() as transaction:
            self._check(transaction, hold)
            transaction.update(PLANS, {"id": hold.plan_id}, {"owner": "", "lease": ""})
            locks.release(transaction, hold.plan_id)
            return self._append(transaction, hold.plan_id, [Event(Word.RELEASED)])

    def claim(self, plan_id: str) -> OpenPlan:
        """Take over an interrupted plan, or open one again that was closed partial or failed.

        Exactly one of several claimants gets it.  Raises :class:`UnknownPlan`, :class:`StillRunning`,
        :class:`NothingToResume` (also when a later plan worked on one of its nodes) and :class:`Parked`.
        """
        plan = self.load(plan_id).plan
        with self._transaction() as transaction:
            row = standing.row_of(transaction, plan_id)
            self._standing.refuse_held(row)
            standing.refuse_finished(transaction, row)
            hold = Claim(plan_id, self._owner(), plan.undoes, self.clock.now() + self.lease)
            self._take(transaction, hold, row)
            events = transaction.select(EVENTS, {"plan": plan_id}, order=("seq",))
        return OpenPlan(hold, plan, _story(plan, events, plan_id)[1])

    # Looking

    def load(self, plan_id: str, listed: PlanSummary | None = None) -> Stored:
        """One plan with its story; raises :class:`UnknownPlan`, and :class:`Parked` if it cannot be read.

        ``listed`` is what :meth:`list` said of it just now, for whoever has it.
        """
        columns = (*stored.SUMMARY_COLUMNS, "body")
        found = self.db.select(PLANS, {"id": plan_id}, columns=columns)
        if not found:
            raise UnknownPlan(plan_id)
        plan = stored.read_plan(found[0])
        events = self.db.select(EVENTS, {"plan": plan_id}, order=("seq",))
        state = _story(plan, events, plan_id)
        return Stored(listed or self._summary_of(found[0]), plan, *state)

    def _summary_of(self, row: Row) -> PlanSummary:
        """Only of one that is closed the others tell something: whether they overtook it."""
        alone = self._alone(row)
        if alone.phase is not Phase.CLOSED:
            return alone
        return next((each for each in self.list() if each.id == alone.id), alone)

    def _alone(self, row: Row, superseded_by: str = "") -> PlanSummary:
        return stored.summary(
            row,
            is_running=self._standing.is_held(row),
            superseded_by=superseded_by,
            is_expired=row["state"] == Phase.SAVED.value and self._is_stale(row),
        )

    def list(self) -> tuple[PlanSummary, ...]:
        """All plans, newest first, without reading their bodies."""
        found = standing.in_order(self.db)
        listed = []
        for place, row in enumerate(found):
            later = (
                next(standing.overtaking(row, found[:place]), None)
                if standing.is_partial(row)
                else None
            )
            by = (later["id"] or "") if later else ""
            listed.append(self._alone(row, by))
        return tuple(listed)

    # Inside a transaction

    @contextmanager
    def _transaction(self, *tables: str) -> Iterator[Transaction]:
        with self.db.transaction(PLANS, EVENTS, LOCKS, *tables) as transaction:
            yield transaction

    def _now(self) -> str:
        return stored.stamp(self.clock.now())

    def _owner(self) -> Owner:
        # Longer than a plan's suffix: that two claims get the same one must not happen.
        return Owner.here(self.host, "".join(self.token() for _ in range(4)))

    def _new_hold(self, transaction: Transaction, plan: Plan) -> Claim:
        now = self.clock.now()
        plan_id = names.plan_id(plan.command, now, self.token())
        while transaction.select(PLANS, {"id": plan_id}, columns=("id",)):
            plan_id = names.plan_id(plan.command, now, self.token())
        return Claim(plan_id, self._owner(), plan.undoes, now + self.lease)

    def _append(
        self, transaction: Transaction, plan_id: str, events: Sequence[Event]
    ) -> Sequence[Event]:
        now = self._now()
        kept = [stored.capped(event, now) for event in events]
        if kept:
            transaction.insert(EVENTS, [stored.event_row(plan_id, event) for event in kept])
        return kept

    def _check(self, transaction: Transaction, hold: Claim) -> None:
        until = self.clock.now() + self.lease
        mine = {"id": hold.plan_id, "owner": str(hold.owner), "state": Phase.OPEN.value}
        if transaction.update(PLANS, mine, {"lease": stored.stamp(until)}) != 1:
            raise LeaseLost(hold.plan_id)
        hold.until = until

    def _take(self, transaction: Transaction, hold: Claim, row: Row) -> None:
        before = {"id": hold.plan_id, "owner": row["owner"], "state": row["state"]}
        values = {
            "owner": str(hold.owner),
            "lease": stored.stamp(hold.until),
            "state": Phase.OPEN.value,
            "outcome": None,
            "closed": None,
        }
        if transaction.update(PLANS, before, values) != 1:
            raise StillRunning(hold.plan_id, "somebody else")
        locks.release(transaction, hold.plan_id)
        claimed = Event(Word.CLAIMED, detail={"by": str(hold.owner)})
        self._append(transaction, hold.plan_id, [claimed])

    def _close(self, transaction: Transaction, plan_id: str, event: Event) -> Sequence[Event]:
        values = {
            "state": Phase.CLOSED.value,
            "outcome": event.detail["outcome"],
            "closed": self._now(),
            "owner": "",
            "lease": "",
        }
        transaction.update(PLANS, {"id": plan_id}, values)
        locks.release(transaction, plan_id)
        return self._append(transaction, plan_id, [event])

    def _abandon(self, transaction: Transaction, plan_id: str) -> None:
        event = Event(Word.CLOSED, detail={"outcome": Outcome.ABANDONED.value})
        self._close(transaction, plan_id, event)

    def _begin_undo(self, transaction: Transaction, plan_id: str, by: str) -> None:
        row = standing.row_of(transaction, plan_id)
        if row["state"] == Phase.UNDONE.value:
            raise NothingToResume(f"cannot undo {plan_id}: it was taken back already")
        if row["state"] == Phase.UNDOING.value:
            standing.refuse_second_undo(transaction, plan_id)
        if row["state"] == Phase.OPEN.value:
            self._standing.refuse_held(row)
            self._abandon(transaction, plan_id)
        transaction.update(PLANS, {"id": plan_id}, {"state": Phase.UNDOING.value})
        self._append(transaction, plan_id, [Event(Word.UNDO_INTENT, detail={"by": by})])

    def _forget_old(self, transaction: Transaction) -> None:
        found = standing.in_order(transaction)
        closed = [row for row in found if row["state"] in _CLOSED_PHASES]
        saved = [row for row in found if row["state"] == Phase.SAVED.value]
        stale = [row for row in saved[:SAVED_KEPT] if self._is_stale(row)]
        for row in (*closed[self.kept :], *saved[SAVED_KEPT:], *stale):
            self._delete(transaction, row["id"] or "")

    def _delete(self, transaction: Transaction, plan_id: str) -> None:
        locks.release(transaction, plan_id)
        transaction.delete(EVENTS, {"plan": plan_id})
        transaction.delete(PLANS, {"id": plan_id})


def _story(plan: Plan, found: Sequence[Row], plan_id: str) -> tuple[Sequence[Event], PlanState]:
    try:
        events = [stored.read_event(row) for row in found]
        return events, fold(stored.shape(plan), events, plan_id)
    except CorruptJournal as problem:
        raise Parked(plan_id, str(problem)) from problem
