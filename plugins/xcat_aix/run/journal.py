"""The journal: every plan as it was made, and everything that happened to it, in order.

Owns the tables ``aixplan`` and ``aixevent``, and who may work on a plan; :mod:`.standing` judges when two plans
exclude each other, :mod:`.locks` has what single steps exclude each other by.  Must not: execute anything, or know what a step does.  Nothing here is a secret's place: the
journal is shown to users.

A plan belongs to the claim (:class:`Claim`) of one owner.  The claim is renewed with every record; when it has
run out, or its process is gone from this host, the plan counts as interrupted and one other owner can take it
over.  Every record checks the claim in its own transaction, so that an owner who was thought dead cannot go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from xcat_aix.plan.model import FORMAT, Plan, digest

from . import locks, names, standing, stored, undoing
from .chains import held_by
from .errors import (
    LeaseLost,
    NotClosed,
    NothingToResume,
    Parked,
    StillRunning,
    UnknownPlan,
)
from .locks import Holder, Taken, WantedLocks
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

#: How long a plan is kept that was not begun, and how many of each user.
SAVED_FOR = timedelta(days=7)
SAVED_KEPT = 100

#: Where a plan stands after an event about its undo.
_UNDO_PHASES = {
    Word.UNDO_INTENT: Phase.UNDOING,
    Word.UNDO_FAILED: Phase.CLOSED,
    Word.UNDONE: Phase.UNDONE,
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
            self._begin_undo(transaction, plan.undoes, plan_id, plan.undoes_seq)
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
        return OpenPlan(hold, plan, _story(plan, events, row)[1])

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
            if hold.undoes is not None:
                self._end_undo(transaction, hold.undoes, hold.plan_id, outcome)
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
            if stored.guards_nodes(row):
                raise NotClosed(
                    f"cannot forget {plan_id}: it is not over; finish it, undo it, or give it up:"
                    f" plans --abandon {plan_id}"
                )
            if row["state"] == Phase.UNDOING.value:
                found, undos = standing.in_order(transaction), undoing.last_undos(transaction)
                if (undo := undoing.undoing(plan_id, found, undos)) is not None:
                    raise NotClosed(f"cannot forget {plan_id}: {undo.sentence}")
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
        is_held = self._standing.keeps_locks
        return locks.claim(transaction, is_held, hold.plan_id, wanted, self._now())

    def locks_taken(
        self, transaction: Transaction, hold: Claim, wanted: WantedLocks
    ) -> dict[str, Taken]:
        """Within ``write`` of :meth:`record`: see :func:`.locks.taken`."""
        return locks.taken(transaction, self._standing.keeps_locks, hold.plan_id, [wanted])

    def lock_holders(self, hold: Claim, names: Sequence[str]) -> dict[str, Holder]:
        """Which of these locks other plans have, by name."""
        return locks.holders(self.db, self._standing.keeps_locks, hold.plan_id, names)

    def renew_if_due(self, hold: Claim) -> None:
        """Renew the claim once a third of its time has passed; raises :class:`LeaseLost`."""
        if hold.until - self.clock.now() < self.lease * 2 / 3:
            self.record(hold, ())

    def release(self, hold: Claim) -> Sequence[Event]:
        """Give the claim up with the plan still open: it can be resumed at once.

        What its steps hold that are at work or in doubt stays the plan's.
        """
        with self._transaction() as transaction:
            self._check(transaction, hold)
            transaction.update(PLANS, {"id": hold.plan_id}, {"owner": "", "lease": ""})
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
            if plan.undoes is not None:
                self._go_on_undoing(transaction, plan.undoes, plan_id, plan.undoes_seq)
            hold = Claim(plan_id, self._owner(), plan.undoes, self.clock.now() + self.lease)
            self._take(transaction, hold, row)
            events = transaction.select(EVENTS, {"plan": plan_id}, order=("seq",))
            state = _story(plan, events, row)[1]
            locks.keep(transaction, plan_id, held_by(plan.lanes, state.lanes))
        return OpenPlan(hold, plan, state)

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
        state = _story(plan, events, found[0])
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
                if standing.is_unfinished(row)
                else None
            )
            by = (later["id"] or "") if later else ""
            listed.append(self._alone(row, by))
        return tuple(listed)

    def refuse_undo(self, plan_id: str) -> None:
        """Raise :class:`UnknownPlan` or :class:`NothingToResume` for one that was or is being taken back."""
        undoing.refuse(self.db, standing.row_of(self.db, plan_id))

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

    def _begin_undo(self, transaction: Transaction, plan_id: str, by: str, seq: int | None) -> None:
        row = standing.row_of(transaction, plan_id)
        undoing.refuse(transaction, row)
        if row["state"] == Phase.OPEN.value:
            self._standing.refuse_held(row)
        undoing.refuse_gone_on(transaction, plan_id, seq)
        if row["state"] == Phase.OPEN.value:
            self._abandon(transaction, plan_id)
        self._mark(transaction, plan_id, by, Word.UNDO_INTENT)

    def _go_on_undoing(
        self, transaction: Transaction, plan_id: str, by: str, seq: int | None
    ) -> None:
        """An undo that had failed begins anew, as if it were opened now; the plan may be forgotten."""
        row = next(iter(transaction.select(PLANS, {"id": plan_id}, columns=("state",))), None)
        is_mine = undoing.last_undos(transaction).get(plan_id) == by
        if row is not None and not (is_mine and row["state"] == Phase.UNDOING.value):
            self._begin_undo(transaction, plan_id, by, seq)

    def _end_undo(self, transaction: Transaction, plan_id: str, by: str, outcome: Outcome) -> None:
        """What an undo that went well, or did nothing, means for its plan, if that is still there."""
        row = next(iter(transaction.select(PLANS, {"id": plan_id}, columns=("state",))), None)
        if row is None or row["state"] != Phase.UNDOING.value:
            return
        if outcome is Outcome.OK:
            self._mark(transaction, plan_id, by, Word.UNDONE)
            self._turn_others(transaction, plan_id)
        elif outcome is Outcome.FAILED:
            self._mark(transaction, plan_id, by, Word.UNDO_FAILED)

    def _turn_others(self, transaction: Transaction, plan_id: str) -> None:
        """A plan was taken back: if it was an undo, what that took back is as it was; and so on, back to the first."""
        before = {by: plan for plan, by in undoing.last_undos(transaction).items()}
        by, is_undone = plan_id, True
        while by in before:
            plan = before.pop(by)
            found = transaction.select(PLANS, {"id": (by, plan)}, columns=stored.SUMMARY_COLUMNS)
            rows = {row["id"]: row for row in found}
            if len(rows) < len((by, plan)):
                return
            words = (Word.UNDO_FAILED,) if is_undone else undoing.counts_again(rows[by])
            is_closed = rows[plan]["state"] == Phase.CLOSED.value
            if not words or stored.guards_nodes(rows[plan]) or is_closed is is_undone:
                return
            self._mark(transaction, plan, by, *words)
            by, is_undone = plan, words[-1] is Word.UNDONE
            if words[-1] is Word.UNDO_INTENT:
                return

    def _mark(self, transaction: Transaction, plan_id: str, by: str, *words: Word) -> None:
        """Events about a plan's undo, and where it stands after them."""
        transaction.update(PLANS, {"id": plan_id}, {"state": _UNDO_PHASES[words[-1]].value})
        self._append(transaction, plan_id, [Event(word, detail={"by": by}) for word in words])

    def _forget_old(self, transaction: Transaction) -> None:
        found = standing.in_order(transaction)
        undos = undoing.last_undos(transaction)
        closed = [
            row
            for row in found
            if row["state"] in _CLOSED_PHASES
            or (
                row["state"] == Phase.UNDOING.value
                and undoing.undoing(row["id"] or "", found, undos) is None
            )
        ]
        saved = [row for row in found if row["state"] == Phase.SAVED.value]
        counts = Counter[str]()  # each user's own: nobody drives out the plans of others
        for row in saved:
            counts[row["username"] or ""] += 1
            if counts[row["username"] or ""] > SAVED_KEPT or self._is_stale(row):
                self._delete(transaction, row["id"] or "")
        for row in closed[self.kept :]:
            self._delete(transaction, row["id"] or "")

    def _delete(self, transaction: Transaction, plan_id: str) -> None:
        locks.release(transaction, plan_id)
        transaction.delete(EVENTS, {"plan": plan_id})
        transaction.delete(PLANS, {"id": plan_id})


def _story(plan: Plan, found: Sequence[Row], row: Row) -> tuple[Sequence[Event], PlanState]:
    plan_id = row["id"] or ""
    try:
        events = [stored.read_event(each) for each in found]
        return events, fold(stored.shape(plan), events, plan_id)
    except CorruptJournal as problem:
        raise Parked(plan_id, str(problem), is_over=not stored.guards_nodes(row)) from problem
