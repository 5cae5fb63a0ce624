"""The executor: runs a plan's lanes in parallel and settles everything in one thread, the caller's.

Owns the worker threads and their queue.  Knows no step kind, no NIM and no xCAT.  Workers do the work and
wish for commits; the settling thread (whoever iterates over :meth:`Executor.run`) groups the wishes into few
transactions and tells what is committed, and nothing else.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xcat_aix.plan.model import Lane, Plan
from xcatd.api import DatabaseError

from . import rows
from .board import Board
from .errors import RunError, StepFailed
from .journal import Claimed, Hold, Journal
from .lane_runner import Circumstances, Crash, LaneRunner
from .line import Finished, Line, Message, Said, Stopped, Wish, Write
from .news import Teller
from .progress import PlanEnded, Progress
from .registry import Registry
from .states import Event, Outcome, StepState, Word, fold
from .task import Connect, LaneLink

if TYPE_CHECKING:
    from xcatd.api import Clock

_log = logging.getLogger(__name__)

#: What a user is told of a fault of the program in a lane; the log has more.
FAULT = "an internal error ended the work on it; the log of the management node tells more"

#: Nodes worked on at once, unless the user says otherwise.
FANOUT = 64

#: Seconds a lane may take, unless the user says otherwise.
TIMEOUT = 600.0

#: Seconds after its time limit at which a lane's worker is no longer waited for.
GRACE = 15.0

#: Most messages settled in one transaction, but for one.
BATCH = 256

#: Progress rows kept per attempt at a step; the job's directory on the agent has all.
PROGRESS_ROWS = 20

_TICK = 0.25
_LOOK = 1.0
_JOIN = 5.0


#: What a fault makes of the step at which its lane stood: nobody knows about one that was under way.
_AFTER_FAULT = {
    StepState.DOING: Word.LOST,
    StepState.TODO: Word.FAILED,
    StepState.UNKNOWN: Word.PROBED_UNREACHABLE,
}


def _no_crash(_point: str, _lane: str, _step: str) -> None:
    """Product code never ends at a boundary."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Executes plans from a journal.

    ``connect`` reaches a lane's agent; ``fanout`` lanes run at once, each for at most ``timeout`` seconds.  When
    ``stop`` is set, steps under way are brought to a safe end, and the plan stays open to be resumed.
    ``crash`` is for tests: it is called at every boundary.
    """

    journal: Journal
    registry: Registry
    clock: Clock
    connect: Connect
    fanout: int = FANOUT
    timeout: float = TIMEOUT
    grace: float = GRACE
    stop: threading.Event = field(default_factory=threading.Event)
    crash: Crash = _no_crash

    def open(self, plan: Plan, *, command: str = "", user: str = "") -> Claimed:
        """Store a new plan; raises :class:`.errors.Overlap`, :class:`.errors.Parked`, ValueError."""
        self.registry.check(plan)
        hold = self.journal.open_plan(plan, command=command, user=user)
        return Claimed(hold, plan, fold(rows.shape(plan), [Event(Word.OPENED)], hold.plan_id))

    def claim(self, plan_id: str) -> Claimed:
        """Take over an unfinished plan; raises as :meth:`.journal.Journal.claim` does."""
        self.registry.check(self.journal.load(plan_id).plan, plan_id)
        return self.journal.claim(plan_id)

    def run(self, claimed: Claimed, *, retry: bool = True) -> Iterator[Progress]:
        """Do what is left of a plan; the last thing told is :class:`.progress.PlanEnded`.

        ``retry``: what failed, was held or skipped before is tried again, once; an interrupted step that
        is found half done is done anew.  Raises :class:`.errors.LeaseLost` and the database's errors; then
        and when the caller stops iterating, the plan can be resumed.
        """
        run = _Run(self, claimed, retry=retry)
        try:
            yield from run.go()
        except GeneratorExit:
            run.wind_down()
            raise
        except Exception:
            run.abandon()
            run.let_go()
            raise
        finally:
            run.abandon()


class _Run:
    """One execution of one plan."""

    def __init__(self, executor: Executor, claimed: Claimed, *, retry: bool) -> None:
        self._executor = executor
        self._journal = executor.journal
        self._hold: Hold = claimed.hold
        self._plan = claimed.plan
        self._state = claimed.state
        self._retry = retry
        self._clock = executor.clock
        self._teller = Teller(claimed.plan.lanes, claimed.state)
        self._halt = threading.Event()
        self._closed = threading.Event()
        self._inbox: queue.Queue[Message] = queue.Queue(maxsize=4 * executor.fanout)
        self._work: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._active: dict[str, Line] = {}
        self._batch: list[Message] = []
        self._later: list[Event] = []
        self._has_ended = False
        self._next_look = 0.0
        self._board = Board(claimed.plan.lanes, claimed.state.results())
        self._around = Circumstances(
            plan_id=claimed.hold.plan_id,
            plan=claimed.plan,
            registry=executor.registry,
            clock=executor.clock,
            halt=self._halt,
            timeout=executor.timeout,
            retry=retry,
            crash=executor.crash,
        )

    # The settling thread

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
            if isinstance(message, Wish) and not message.settled.is_set():
                message.refuse(Stopped())
        for _ in self._threads:
            self._work.put(None)
        limit = self._clock.monotonic() + _JOIN
        for thread in self._threads:
            thread.join(max(0.0, limit - self._clock.monotonic()))

    def _turn(self) -> list[Progress]:
        """Settle what has come in.  Nothing is told before all of it is settled."""
        self._look_at_stop()
        told = self._settle(self._collect())
        for line in self._late_lines():
            told += self._give_up(line)
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
        return self._batch

    def _arrived(self) -> Iterator[Message]:
        """What is in the queue now, up to a limit."""
        for _ in range(BATCH):
            try:
                yield self._inbox.get_nowait()
            except queue.Empty:
                return

    def _settle(self, messages: Sequence[Message]) -> list[Progress]:
        told: list[Progress] = []
        valid = [message for message in messages if not self._is_revoked(message)]
        for message in valid:
            if isinstance(message, Said):
                told += self._note(message)
        wishes = [message for message in valid if isinstance(message, Wish)]
        told += self._grant([wish for wish in wishes if wish.write is None])
        for wish in wishes:
            if wish.write is not None:
                told += self._write(wish)
        for message in valid:
            if isinstance(message, Finished):
                told += self._finish(message)
        return told

    def _is_revoked(self, message: Message) -> bool:
        if message.line.is_revoked and isinstance(message, Wish):
            message.refuse(Stopped())
        return message.line.is_revoked

    def _note(self, said: Said) -> Iterator[Progress]:
        event = said.event
        self._state.apply(event)
        if self._state.record(event.lane, event.step).progress_rows <= PROGRESS_ROWS:
            self._later.append(event)
        return self._teller.tell([event])

    def _grant(self, wishes: Sequence[Wish]) -> list[Progress]:
        events = self._record([event for wish in wishes for event in wish.events])
        for wish in wishes:
            wish.settled.set()
        return list(self._teller.tell(events))

    def _write(self, wish: Wish) -> list[Progress]:
        try:
            events = self._record(wish.events, wish.tables, wish.write)
        except StepFailed as problem:
            wish.refuse(problem)
            return []
        wish.settled.set()
        return list(self._teller.tell(events))

    def _record(
        self, events: Sequence[Event], tables: Sequence[str] = (), write: Write | None = None
    ) -> Sequence[Event]:
        """Commit the events and what ``write`` does, together with the progress lines so far."""
        if not events and write is None:
            return ()
        self._crash("before-commit")
        later = tuple(self._later)
        stored = self._journal.record(self._hold, [*later, *events], tables=tables, write=write)
        self._crash("after-commit")
        self._later.clear()
        new = stored[len(later) :]
        for event in new:
            self._state.apply(event)
        return new

    def _finish(self, finished: Finished) -> list[Progress]:
        problem = finished.problem
        if problem is not None and not isinstance(problem, Exception):
            raise problem
        told: list[Progress] = []
        if problem is not None:
            told = self._note_fault(finished.line.lane, problem, finished.outcomes)
        return told + self._end_lane(finished.line.lane)

    def _note_fault(
        self, lane: Lane, problem: Exception, outcomes: Sequence[Event]
    ) -> list[Progress]:
        """A fault of the program ended a lane: it is that lane's trouble, not everybody's.

        What ``outcomes`` say was done before stays done; what was under way is in doubt.
        """
        where = f"the lane {lane.id} of {self._hold.plan_id}"
        _log.error("internal error in %s", where, exc_info=problem)
        told = list(self._teller.tell(self._record(outcomes)))
        return told + list(self._teller.tell(self._record(self._in_doubt(lane))))

    def _in_doubt(self, lane: Lane) -> list[Event]:
        for step, record in self._state.lanes[lane.id].items():
            word = _AFTER_FAULT.get(record.state)
            if word is not None:
                return [Event(word, lane.id, step, record.attempt, detail={"text": FAULT})]
            if record.state is not StepState.DONE:
                return []
        return []

    def _end_lane(self, lane: Lane) -> list[Progress]:
        del self._active[lane.id]
        held = self._board.ended(lane.id, self._state.lane_result(lane.id))
        if not self._halt.is_set():
            self._record([event for each in held for event in self._holds(each, lane)])
        self._dispatch()
        return [self._teller.lane_ended(each) for each in (lane, *held)]

    def _holds(self, lane: Lane, needed: Lane) -> Iterator[Event]:
        text = f"{needed.subject or needed.id} was not done"
        for step, record in self._state.lanes[lane.id].items():
            if record.state is StepState.TODO:
                yield Event(Word.HELD, lane.id, step, record.attempt, detail={"text": text})

    def _late_lines(self) -> list[Line]:
        """The lanes that are long past their time; looked for once in a while."""
        now = self._clock.monotonic()
        if now < self._next_look:
            return []
        self._next_look = now + min(_LOOK, self._executor.grace)
        limit = now - self._executor.grace
        return [line for line in self._active.values() if (line.deadline or limit) < limit]

    def _give_up(self, line: Line) -> list[Progress]:
        """Stop waiting for a worker that does not come back; its thread is left to itself."""
        line.is_revoked = True
        if line.thread is not None:
            self._threads.discard(line.thread)
        text = f"gave no sign of life for {self._executor.timeout:g} s"
        lost = [
            Event(Word.LOST, line.lane.id, step, record.attempt, detail={"text": text})
            for step, record in self._state.lanes[line.lane.id].items()
            if record.state is StepState.DOING
        ]
        told = list(self._teller.tell(self._record(lost)))
        return told + self._end_lane(line.lane)

    def _retries(self) -> list[Event]:
        return [
            Event(Word.RETRIED, lane, step, record.attempt)
            for (lane, step), record in self._state.records()
            if record.state in {StepState.FAILED, StepState.HELD, StepState.SKIPPED}
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

    # The workers

    def _dispatch(self) -> None:
        if self._halt.is_set():
            return
        for lane in self._board.ready():
            link = LaneLink(lane, self._executor.connect, self._halt)
            line = Line(lane, link, self._inbox, self._closed)
            self._active[lane.id] = line
            self._work.put(line)
        while len(self._threads) < min(self._executor.fanout, len(self._active)):
            thread = threading.Thread(target=self._work_off, name="lane", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _work_off(self) -> None:
        """A worker thread's life."""
        while (line := self._work.get()) is not None:
            line.thread = threading.current_thread()
            line.deadline = self._clock.monotonic() + self._executor.timeout
            try:
                line.put(self._finished(line))
            except Stopped:
                return

    def _finished(self, line: Line) -> Finished:
        runner = LaneRunner(self._around, line, self._state.lanes[line.lane.id])
        try:
            runner.run()
        except Stopped:
            raise
        except BaseException as problem:  # noqa: BLE001 - told, or raised again, by the settling thread
            return Finished(line, problem, runner.outcomes)
        return Finished(line)
