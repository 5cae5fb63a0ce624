"""One execution of one plan: settles everything in one thread, the caller's.

Workers do the work and wish for commits; the settling thread groups the wishes into few transactions and tells what
is committed, and nothing else.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from xcat_aix.plan.model import Lane
from xcatd.api import DatabaseError

from .board import Board
from .chains import held_by, linked, locks_of, open_steps
from .errors import RunError, StepFailed
from .journal import OpenPlan
from .lane_runner import Circumstances
from .locks import Taken, WantedLocks
from .ports import CommitRequest, Finished, LaneParked, LanePort, Message, Said, Stopped, Write
from .progress import PlanEnded, Progress
from .reporting import Teller
from .states import CorruptJournal, Event, Outcome, StepState, Word
from .story import meant
from .task import LaneLink
from .waiting import Waiting, WaitingRoom
from .workers import Workers

if TYPE_CHECKING:
    from .executor import Executor
    from .store import Transaction

_log = logging.getLogger(__name__)

#: What a user is told of a fault of the program in a lane; the log has more.
FAULT = "an internal error ended the work on it; the log of the management node tells more"

#: Most messages settled in one transaction, but for one.
BATCH = 256

#: Progress rows kept per attempt at a step; the job's directory on the agent has all.
PROGRESS_ROWS = 20

_TICK = 0.25
_LOOK = 1.0

#: With more lanes at work than this a commit waits for others to travel with it: so many seconds for the next message, and
#: for all of them.
_FEW = 8
_NEXT, _ALL = 0.05, 0.1

#: What a fault makes of the step at which its lane stood: nobody knows about one that was under way.
_AFTER_FAULT = {
    StepState.DOING: Word.LOST,
    StepState.TODO: Word.FAILED,
    StepState.WAITING: Word.FAILED,
    StepState.UNKNOWN: Word.PROBED_UNREACHABLE,
}


class Execution:
    """See the module."""

    def __init__(self, executor: Executor, claimed: OpenPlan, *, retry: bool) -> None:
        self._executor = executor
        self._journal = executor.journal
        self._hold = claimed.hold
        self._plan = claimed.plan
        self._state = claimed.state
        self._holding = {
            lane.id: lane for lane in claimed.plan.lanes if any(step.holds for step in lane.steps)
        }
        self._retry = retry
        self._clock = executor.clock
        self._teller = Teller(claimed.plan.lanes, claimed.state)
        self._halt = threading.Event()
        self._closed = threading.Event()
        self._inbox: queue.Queue[Message] = queue.Queue(maxsize=4 * executor.fanout)
        self._active: dict[str, LanePort] = {}
        self._batch: list[Message] = []
        self._later: list[Event] = []
        self._has_ended = False
        self._next_look = 0.0
        self._room = WaitingRoom(executor.timeout)
        self._board = Board(claimed.plan.lanes, claimed.state.results())
        around = Circumstances(
            plan_id=claimed.hold.plan_id,
            plan=claimed.plan,
            registry=executor.registry,
            clock=executor.clock,
            halt=self._halt,
            timeout=executor.timeout,
            retry=retry,
            crash=executor.crash,
        )
        self._workers = Workers(around, executor.fanout)

    def go(self) -> Iterator[Progress]:
        """All of it, from the retries to the end."""
        self._look_at_stop()
        if self._retry:
            self._record(self._retries())
        self._dispatch()
        while self._active:
            yield from self._turn()
        yield self._end()

    def wind_down(self) -> None:
        """Bring what is under way to a safe end and give the claim up; tells nobody."""
        self._halt.set()
        while self._active:
            self._turn()
        if not self._has_ended:
            self._end()

    def let_go(self) -> None:
        """Give the claim up after a failure, as far as that is still possible."""
        if not self._has_ended:
            with suppress(RunError, DatabaseError):
                self._journal.release(self._hold)

    def abandon(self) -> None:
        """Let go of the worker threads; writes nothing."""
        self._halt.set()
        self._closed.set()
        for message in (*self._batch, *self._arrived()):
            if isinstance(message, CommitRequest) and not message.settled.is_set():
                message.refuse(Stopped())
        self._workers.end(self._clock)

    def _turn(self) -> list[Progress]:
        """Settle what has come in.  Nothing is told before all of it is settled."""
        self._look_at_stop()
        told = self._settle(self._collect())
        for line in self._late_lines():
            told += self._give_up(line)
        told += self._wait_on()
        self._journal.renew_if_due(self._hold)
        return told

    def _look_at_stop(self) -> None:
        if self._executor.stop.is_set():
            self._halt.set()

    def _collect(self) -> list[Message]:
        try:
            first = self._inbox.get(timeout=_TICK)
        except queue.Empty:
            self._batch = []
        else:
            self._batch = [first, *self._arrived()]
            self._gather()
        return self._batch

    def _gather(self) -> None:
        """A commit costs more than what is in it."""
        most = min(BATCH, self._executor.fanout, len(self._active))
        until = self._clock.monotonic() + _ALL
        while _FEW < most > len(self._batch) and self._clock.monotonic() < until:
            try:
                self._batch.append(self._inbox.get(timeout=_NEXT))
            except queue.Empty:
                return

    def _arrived(self) -> Iterator[Message]:
        """What is in the queue now, up to a limit."""
        for _ in range(BATCH):
            try:
                yield self._inbox.get_nowait()
            except queue.Empty:
                return

    # What workers wish for

    def _settle(self, messages: Sequence[Message]) -> list[Progress]:
        told: list[Progress] = []
        valid = [message for message in messages if not self._is_revoked(message)]
        for message in valid:
            if isinstance(message, Said):
                told += self._note(message)
        wishes = [message for message in valid if isinstance(message, CommitRequest)]
        told += self._grant([wish for wish in wishes if wish.write is None])
        for wish in wishes:
            if wish.write is not None:
                told += self._write(wish)
        for message in valid:
            if isinstance(message, Finished):
                told += self._finish(message)
        return told

    def _is_revoked(self, message: Message) -> bool:
        if message.line.is_revoked and isinstance(message, CommitRequest):
            message.refuse(Stopped())
        return message.line.is_revoked

    def _is_possible(self, wish: CommitRequest) -> bool:
        """What cannot be is a fault of its lane, and of nobody else."""
        try:
            self._state.after([*wish.events, *wish.intents])
        except CorruptJournal as problem:
            wish.refuse(problem)
            return False
        return True

    def _note(self, said: Said) -> Iterator[Progress]:
        event = said.event
        self._state.apply(event)
        if self._state.record(event.lane, event.step).progress_rows <= PROGRESS_ROWS:
            self._later.append(event)
        return self._teller.tell([event])

    def _grant(self, wishes: Sequence[CommitRequest]) -> list[Progress]:
        """Commit them together; where that cannot be, those that can."""
        try:
            return self._grant_all(wishes)
        except CorruptJournal:
            possible = [wish for wish in wishes if self._is_possible(wish)]
            if len(possible) == len(wishes):
                raise
            return self._grant_all(possible)

    def _grant_all(self, wishes: Sequence[CommitRequest]) -> list[Progress]:
        """Commit them together.  Who does not get its locks is parked; its outcomes are committed all the same."""
        self._pass_on(wishes)
        asking = [wish for wish in wishes if self._has_turn(wish)]
        sure = [event for wish in wishes for event in _sure_events(wish)]
        taken: dict[str, Taken] = {}

        def claim(transaction: Transaction) -> Sequence[Event]:
            wanted = [WantedLocks(w.line.lane.id, w.intents[0].step, w.locks) for w in asking]
            taken.update(self._journal.claim_locks(transaction, self._hold, wanted))
            return [event for wish in asking for event in self._begun(wish, taken)]

        write = claim if asking else None
        told = list(self._teller.tell(self._record(sure, write=write)))
        for wish in wishes:
            lane = wish.line.lane.id
            if lane in taken or (wish.locks and wish not in asking):
                self._park(wish, taken.get(lane))
            else:
                wish.settled.set()
                if wish.is_last:
                    told += self._end_lane(wish.line.lane)
        return told

    def _pass_on(self, wishes: Sequence[CommitRequest]) -> None:
        """From here on it is another lane's turn to have what these had."""
        for wish in wishes:
            if wish.releases:
                self._room.queue.done(wish.line.lane.id)

    def _has_turn(self, wish: CommitRequest) -> bool:
        return bool(wish.locks) and self._room.queue.ask(wish.line.lane.id, wish.locks)

    def _begun(self, wish: CommitRequest, taken: dict[str, Taken]) -> Sequence[Event]:
        kept = taken.get(wish.line.lane.id)
        return wish.intents if kept is None else self._waits(wish.intents[0], kept)

    def _waits(self, intent: Event, taken: Taken) -> Sequence[Event]:
        """That a step waits, unless that was said before."""
        text = f"waits for {', '.join(taken.locks)}, which {taken.holder}"
        record = self._state.record(intent.lane, intent.step)
        if record.state is StepState.WAITING and record.text == text:
            return ()
        detail = {"text": text, "locks": list(taken.locks), "holder": taken.holder.plan}
        if "nodes" in intent.detail:
            detail["nodes"] = intent.detail["nodes"]
        return [Event(Word.WAITS, intent.lane, intent.step, record.attempt, detail=detail)]

    def _write(self, wish: CommitRequest) -> list[Progress]:
        lane = wish.line.lane.id
        self._pass_on([wish])
        if wish.locks and not self._has_turn(wish):
            self._record(wish.events)
            self._park(wish, None)
            return []
        taken: dict[str, Taken] = {}

        def write(transaction: Transaction) -> Sequence[Event]:
            """Nobody can come between: its locks need only be free."""
            if wish.locks:
                wanted = WantedLocks(lane, _step_of(wish), wish.locks)
                taken.update(self._journal.locks_taken(transaction, self._hold, wanted))
            if taken:
                return self._waits(wish.intents[0], taken[lane])
            return wish.write(transaction) if wish.write is not None else ()

        try:
            events = self._record(wish.events, wish.tables, write)
        except (StepFailed, CorruptJournal) as problem:
            self._room.queue.done(lane)
            wish.refuse(problem)
            return []
        if taken:
            self._park(wish, taken[lane])
        else:
            self._room.queue.done(lane)
            wish.settled.set()
        return list(self._teller.tell(events))

    def _record(
        self,
        events: Sequence[Event],
        tables: Sequence[str] = (),
        write: Write | None = None,
    ) -> Sequence[Event]:
        """Commit the events and what ``write`` does, together with the progress lines so far.

        The locks of steps that the events settle are given back.  Nothing is committed if one of the events cannot
        be: raises :class:`.states.CorruptJournal`.
        """
        if not events and write is None:
            return ()
        self._crash("before-commit")
        later = tuple(self._later)
        released = self._settled(events)

        def checked(transaction: Transaction) -> Sequence[Event]:
            more = write(transaction) if write is not None else ()
            self._state.after([*events, *more])
            return more

        stored = self._journal.record(
            self._hold, [*later, *events], tables=tables, write=checked, released=released
        )
        self._crash("after-commit")
        self._later.clear()
        new = stored[len(later) :]
        for event in new:
            self._state.apply(event)
        return new

    def _settled(self, events: Sequence[Event]) -> frozenset[str]:
        """What steps at work or in doubt held before these events, and none does any more."""
        concerned = {event.lane for event in events}
        lanes = [lane for lane in self._holding.values() if lane.id in concerned]
        before = held_by(lanes, self._state.lanes) if lanes else frozenset()
        if not before:
            return before
        after = self._state.after([event for event in events if event.lane in self._holding])
        records = {lane: state.steps for lane, state in after.items()}
        return before - held_by(self._holding.values(), {**self._state.lanes, **records})

    # Lanes that wait for locks

    def _park(self, wish: CommitRequest, taken: Taken | None) -> None:
        line = wish.line
        waiting = Waiting(line, _step_of(wish), wish.locks, self._clock.monotonic(), taken)
        self._room.enter(waiting)
        wish.refuse(LaneParked())

    def _wait_on(self) -> list[Progress]:
        """Let those go on whose locks are free, and end those whose time is up."""
        if not len(self._room):
            return []
        if self._halt.is_set():
            return [each for line in self._room.leave_all() for each in self._end_lane(line.lane)]
        now = self._clock.monotonic()
        told: list[Progress] = []
        for waiting, text in self._room.late(now):
            told += self._wait_no_more(waiting, text)
        look = lambda names: self._journal.lock_holders(self._hold, names)  # noqa: E731 - as short as it is
        for lane in (*self._room.at_turn(), *self._room.due(now, look)):
            self._start(self._room.leave(lane))
        return told

    def _wait_no_more(self, waiting: Waiting, text: str) -> list[Progress]:
        lane = waiting.line.lane
        self._room.leave(lane.id)
        attempt = self._state.record(lane.id, waiting.step).attempt
        state = self._state.lane(lane.id)
        record = state.steps[waiting.step]
        # What was in doubt before stays in doubt: nobody has looked.
        ends = (
            (Word.PROBED_UNREACHABLE, record.in_state(StepState.UNKNOWN)),
            (Word.FAILED, state.ready(waiting.step)),
        )
        events = [
            Event(
                word, lane.id, waiting.step, attempt, detail={"text": text, **meant(record, nodes)}
            )
            for word, nodes in ends
            if nodes
        ]
        told = list(self._teller.tell(self._record(events)))
        return told + self._end_lane(lane)

    # Ends

    def _finish(self, finished: Finished) -> list[Progress]:
        problem, lane = finished.problem, finished.line.lane
        if problem is not None and not isinstance(problem, Exception):
            raise problem
        told: list[Progress] = []
        if problem is not None:
            told = self._note_fault(lane, problem, finished.outcomes)
        return told + self._end_lane(lane) if lane.id in self._active else told

    def _note_fault(
        self, lane: Lane, problem: Exception, outcomes: Sequence[Event]
    ) -> list[Progress]:
        """A fault of the program ended a lane: it is that lane's trouble, not everybody's.

        What ``outcomes`` say was done before stays done; what was under way is in doubt.
        """
        where = f"the lane {lane.id} of {self._hold.plan_id}"
        _log.error("internal error in %s", where, exc_info=problem)
        if lane.id not in self._active:
            return []  # all of it was recorded before
        try:
            told = list(self._teller.tell(self._record(outcomes)))
        except CorruptJournal:
            told = []  # they are the fault: what they are about is in doubt
        return told + list(self._teller.tell(self._record(self._in_doubt(lane))))

    def _in_doubt(self, lane: Lane) -> list[Event]:
        """Of steps that are one job, all."""
        found: list[Event] = []
        for step, record in self._state.lane(lane.id).steps.items():
            word = _AFTER_FAULT.get(record.state)
            if word is not None and (not found or record.state is StepState.DOING):
                found.append(Event(word, lane.id, step, record.attempt, detail={"text": FAULT}))
            elif not record.has_done:
                break
        return found

    def _end_lane(self, lane: Lane) -> list[Progress]:
        del self._active[lane.id]
        self._room.queue.done(lane.id)
        held = self._board.ended(lane.id, self._state.lane_result(lane.id))
        if not self._halt.is_set():
            self._record([event for each in held for event in self._holds(each, lane)])
        self._dispatch()
        return [self._teller.lane_ended(each) for each in (lane, *held)]

    def _holds(self, lane: Lane, needed: Lane) -> Iterator[Event]:
        text = f"{needed.subject or needed.id} was not done"
        for step, record in self._state.lane(lane.id).steps.items():
            if record.in_state(StepState.TODO):
                yield Event(Word.HELD, lane.id, step, record.attempt, detail={"text": text})

    def _late_lines(self) -> list[LanePort]:
        """The lanes that are long past their time; looked for once in a while."""
        now = self._clock.monotonic()
        if now < self._next_look:
            return []
        self._next_look = now + min(_LOOK, self._executor.grace)
        limit = now - self._executor.grace
        return [
            line
            for lane, line in self._active.items()
            if lane not in self._room and (line.deadline or limit) < limit
        ]

    def _give_up(self, line: LanePort) -> list[Progress]:
        """Stop waiting for a worker that does not come back; its thread is left to itself."""
        line.is_revoked = True
        self._workers.leave(line.thread)
        text = f"gave no sign of life for {self._executor.timeout:g} s"
        lost = [
            Event(Word.LOST, line.lane.id, step, record.attempt, detail={"text": text})
            for step, record in self._state.lane(line.lane.id).steps.items()
            if record.state is StepState.DOING
        ]
        told = list(self._teller.tell(self._record(lost)))
        return told + self._end_lane(line.lane)

    def _retries(self) -> list[Event]:
        again = {StepState.FAILED, StepState.HELD, StepState.SKIPPED}
        return [
            Event(Word.RETRIED, lane, step, record.attempt)
            for (lane, step), record in self._state.records()
            if not again.isdisjoint(node.state for node in record.nodes.values())
        ]

    def _end(self) -> PlanEnded:
        outcome = self._close()
        self._has_ended = True
        return PlanEnded(self._hold.plan_id, outcome, self._state.results())

    def _close(self) -> Outcome | None:
        outcome = self._state.final_outcome()
        if self._halt.is_set() and outcome is not Outcome.OK:
            self._journal.release(self._hold)
            return None
        self._crash("before-close")
        self._state.apply(self._journal.close(self._hold, outcome))
        self._crash("after-close")
        return outcome

    def _crash(self, point: str) -> None:
        self._executor.crash(point, "", "")

    # Beginnings

    def _dispatch(self) -> None:
        if self._halt.is_set():
            return
        for lane in self._board.ready():
            line = self._line(lane)
            self._active[lane.id] = line
            locks = self._first_locks(lane)
            if locks and not self._room.queue.ask(lane.id, locks):
                step = open_steps(lane, self._done_steps(lane))[0]
                self._room.enter(Waiting(line, step.id, locks, self._clock.monotonic(), None))
            else:
                self._workers.take(line)
        self._workers.fill(len(self._active) - len(self._room))

    def _start(self, before: LanePort) -> None:
        """Have a lane go on that waited."""
        line = self._line(before.lane)
        line.deadline = before.deadline
        self._active[line.lane.id] = line
        self._workers.take(line)
        self._workers.fill(len(self._active) - len(self._room))

    def _line(self, lane: Lane) -> LanePort:
        link = LaneLink(lane, self._executor.connect, self._halt)
        undone = self._state.undone(lane.after) if lane.after else frozenset()
        return LanePort(
            lane, link, self._inbox, self._closed, self._state.lane(lane.id).copy(), undone
        )

    def _done_steps(self, lane: Lane) -> list[str]:
        steps = self._state.lane(lane.id).steps
        return [step for step, record in steps.items() if record.state is StepState.DONE]

    def _first_locks(self, lane: Lane) -> tuple[str, ...]:
        """What the lane will claim first: so many lanes wait for one lock without ever being begun."""
        if not any(step.holds for step in lane.steps):
            return ()
        steps = open_steps(lane, self._done_steps(lane))
        return locks_of(linked(steps, self._executor.registry))


def _sure_events(wish: CommitRequest) -> Sequence[Event]:
    return [*wish.events, *(() if wish.locks else wish.intents)]


def _step_of(wish: CommitRequest) -> str:
    return wish.intents[0].step
