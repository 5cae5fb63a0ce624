"""Locks: between the lanes of one execution, between two management nodes, and what a dead one leaves."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.plan.kinds import NoReverse
from xcat_aix.plan.model import Lane, Plan, Step, Target
from xcat_aix.run.board import Board
from xcat_aix.run.errors import StepFailed, StepLost
from xcat_aix.run.executor import Executor
from xcat_aix.run.journal import Journal, OpenPlan
from xcat_aix.run.lane_runner import LaneRunner
from xcat_aix.run.locks import Queue
from xcat_aix.run.progress import LaneEnded, Progress, StepEnded, StepWaits
from xcat_aix.run.registry import Registry
from xcat_aix.run.states import Event, LaneResult, Outcome, StepState, Word
from xcat_aix.run.store import EVENTS, LOCKS, PLANS, Transaction
from xcat_aix.run.task import Task
from xcat_aix.run.testing import FakeWorld, ManualClock, MemoryDatabase
from xcat_aix.steps.agent import agent_steps
from xcat_aix_proto.jobs import Probe, Verdict
from xcatd.db.database import Database

from .rig import Killed, outcome, results, steps

NIM = ("nim:sn1",)
LIMIT = 20.0  # seconds that a test waits for another thread


class Gate:
    """``test.gate@1``: an effect that is let go by the test; knows who is inside at the same time."""

    kind = "test.gate@1"
    reverse = NoReverse("it is a test")

    def __init__(self) -> None:
        self.inside: set[str] = set()
        self.most = 0
        self.order: list[str] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self._lock = threading.Lock()

    def title(self, step: Step) -> str:
        return step.id

    def probe(self, task: Task) -> Probe:
        return Probe(Verdict.NOT_DONE)

    def effect(self, task: Task) -> Mapping[str, Any]:
        with self._lock:
            self.inside.add(task.lane.id)
            self.order.append(task.lane.id)
            self.most = max(self.most, len(self.inside))
        self.entered.release()
        assert self.open.wait(LIMIT)
        with self._lock:
            self.inside.remove(task.lane.id)
        return {}


class Written(Gate):
    """``test.written@1``: the same in the journal's own transaction, so that nobody can be inside."""

    kind = "test.written@1"
    effect = None  # type: ignore[assignment] # a database kind has none

    def tables(self, task: Task) -> Sequence[str]:
        return ()

    def write(self, task: Task, transaction: Transaction) -> Mapping[str, Any]:
        self.order.append(task.lane.id)
        return {}


@dataclass
class Site:
    """Several management nodes over one database."""

    db: Any = field(default_factory=MemoryDatabase)
    clock: ManualClock = field(default_factory=ManualClock)
    world: FakeWorld = field(default_factory=FakeWorld)
    dead: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def executor(self, host: str, *kinds: Any, db: Any = None, **more: Any) -> Executor:
        journal = Journal(
            db or self.db, self.clock, host, lambda: f"{next(self.numbers):04x}",
            alive=lambda _: host not in self.dead,
        )  # fmt: skip
        registry = Registry([*kinds, *agent_steps((0.0,), late=0.0)])
        return Executor(journal, registry, self.clock, self.world.connect, **more)

    def locks(self) -> dict[str | None, str | None]:
        return {row["name"]: row["lane"] for row in self.db.select(LOCKS)}


def holding(name: str, kind: str = Gate.kind, locks: tuple[str, ...] = NIM, **more: Any) -> Lane:
    return Lane(name, (Step("s", kind, holds=locks),), subject=name, **more)


def plan(*lanes: Lane) -> Plan:
    return Plan("test", tuple(lane.id for lane in lanes), lanes)


class Running:
    """An execution in a thread of its own, and what it tells."""

    def __init__(self, executor: Executor, wanted: Plan | OpenPlan) -> None:
        self.told: list[Progress] = []
        self.problems: list[BaseException] = []
        self.said = threading.Condition()
        claimed = wanted if isinstance(wanted, OpenPlan) else executor.open(wanted)
        self.plan_id = claimed.hold.plan_id
        self._thread = threading.Thread(target=self._run, args=(executor, claimed), daemon=True)
        self._thread.start()

    def _run(self, executor: Executor, claimed: OpenPlan) -> None:
        try:
            for each in executor.run(claimed):
                with self.said:
                    self.told.append(each)
                    self.said.notify_all()
        except BaseException as problem:  # noqa: BLE001 - the test looks at it
            self.problems.append(problem)

    def until(self, kind: type[Progress]) -> Any:
        """The first of these that is told."""

        def found() -> list[Progress]:
            return [each for each in self.told if isinstance(each, kind)]

        with self.said:
            assert self.said.wait_for(found, LIMIT), self.told
            return found()[0]

    def end(self, pass_time: Callable[[], None] = lambda: None) -> list[Progress]:
        """Wait for the end, while time passes."""
        while self._thread.is_alive():
            pass_time()
            self._thread.join(0.05)
        return self.told


# Among the lanes of one execution


def test_lanes_with_the_same_lock_come_one_after_the_other_in_plan_order() -> None:
    site, gate = Site(), Gate()
    gate.open.set()
    names = [f"n{number}" for number in range(12)]
    executor = site.executor("mn1", gate, fanout=8)
    told = Running(executor, plan(*(holding(name) for name in names))).end()
    assert outcome(told) is Outcome.OK
    assert gate.most == 1
    assert gate.order == names
    assert site.locks() == {}
    assert not [each for each in told if isinstance(each, StepWaits)]


def test_other_lanes_do_not_wait_with_them() -> None:
    site, gate = Site(), Gate()
    lanes = [holding("a"), holding("b"), holding("c", locks=("copy:sn1",)), holding("d", locks=())]
    running = Running(site.executor("mn1", gate, fanout=2), plan(*lanes))
    for _ in range(2):
        assert gate.entered.acquire(timeout=LIMIT)
    assert gate.inside == {"a", "c"}
    assert site.locks() == {"nim:sn1": "a", "copy:sn1": "c"}
    gate.open.set()
    assert outcome(running.end()) is Outcome.OK
    assert gate.order[-1] in {"b", "d"}


def test_a_step_in_the_middle_waits_without_a_connection() -> None:
    site, gate = Site(), Gate()
    middle = (steps("n1", 1)[0], replace(steps("n1", 2)[1], holds=NIM, limit=60.0))
    late = Lane("n1", middle, subject="n1", target=Target("cn", "n1"))
    running = Running(site.executor("mn1", gate, fanout=2), plan(holding("a"), late))
    assert gate.entered.acquire(timeout=LIMIT)
    running.until(StepEnded)
    while site.world.open_connections:
        running.said.acquire()
        running.said.wait(0.01)
        running.said.release()
    gate.open.set()
    told = running.end()
    assert outcome(told) is Outcome.OK
    assert site.world.node("n1").performed.total() == 2


def test_all_locks_of_steps_that_are_one_job_are_claimed_together() -> None:
    site, seen = Site(), []
    first, second = steps("n1", 2)
    both = (replace(first, holds=("a",)), replace(second, holds=("b", "a")))
    lane = Lane("n1", both, target=Target("cn", "n1"))
    site.world.on_call = lambda *_: seen.append(set(site.locks()))
    told = Running(site.executor("mn1"), plan(lane)).end()
    assert outcome(told) is Outcome.OK
    assert seen == [{"a", "b"}, set()]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sets(st.sampled_from("xyz"))), max_size=30))
def test_the_queue_gives_nothing_twice_and_forgets_nobody(
    story: list[tuple[str, set[str]]],
) -> None:
    queue, waiting = Queue(), {}  # type: ignore[var-annotated] # of lanes
    has: dict[str, frozenset[str]] = {}
    for lane, names in story:
        waiting.pop(lane, None)
        has.pop(lane, None)
        if queue.ask(lane, names):
            has[lane] = frozenset(names)
        else:
            waiting[lane] = frozenset(names)
        held = [name for names in has.values() for name in names]
        assert len(held) == len(set(held))
    has |= {lane: waiting.pop(lane) for lane in queue.next()}
    while has:
        lane = next(iter(has))
        queue.done(lane)
        del has[lane]
        for next_lane in queue.next():
            has[next_lane] = waiting.pop(next_lane)
    assert not waiting


def test_lanes_come_after_others_however_these_ended() -> None:
    lanes = [
        holding("a"),
        holding("b", needs=("a",)),
        holding("c", after=("a", "b")),
        holding("d", after=("c",), needs=("c",)),
    ]
    board = Board(lanes, {})
    assert [lane.id for lane in board.ready()] == ["a"]
    assert [lane.id for lane in board.ended("a", LaneResult.UNDONE)] == ["b"]
    assert [lane.id for lane in board.ready()] == ["c"]
    board.ended("c", LaneResult.DONE)
    assert [lane.id for lane in board.ready()] == ["d"]


# Between plans, on two management nodes


def two(site: Site, **more: Any) -> tuple[Gate, Running, Gate, Running]:
    """The first holds the lock, the second waits for it."""
    gates = Gate(), Gate()
    first = Running(site.executor("mn1", gates[0], **more), plan(holding("n1")))
    assert gates[0].entered.acquire(timeout=LIMIT)
    second = Running(site.executor("mn2", gates[1], **more), plan(holding("n2"), holding("n3")))
    return gates[0], first, gates[1], second


def test_a_step_waits_for_the_lock_of_another_plan_and_says_for_whom() -> None:
    site = Site()
    gate, first, other, second = two(site)
    waits = second.until(StepWaits)
    assert (waits.lane.id, waits.locks, waits.holder) == ("n2", NIM, first.plan_id)
    record = site.executor("mn3").journal.load(second.plan_id).state.record("n2", "s")
    assert record.state is StepState.WAITING
    assert record.text == f"waits for nim:sn1, which {first.plan_id} holds"
    for open_ in (gate, other):
        open_.open.set()
    assert outcome(first.end()) is Outcome.OK
    assert other.order == []
    told = second.end(lambda: site.clock.advance(0.3))
    assert outcome(told) is Outcome.OK
    assert other.order == ["n2", "n3"]
    assert len([each for each in told if isinstance(each, StepWaits)]) == 1
    assert site.locks() == {}


def test_waiting_ends_with_the_time_limit_and_names_the_holder() -> None:
    """Also for the lanes that were not even begun, as they had to wait behind it."""
    site = Site()
    gate, first, _, second = two(site, timeout=60.0, grace=1e6)
    second.until(StepWaits)
    told = second.end(lambda: site.clock.advance(5.0))
    assert outcome(told) is Outcome.FAILED
    assert results(told) == {"n2": "undone", "n3": "undone"}
    for lane in ("n2", "n3"):
        (end,) = [e for e in told if isinstance(e, StepEnded) and e.lane.id == lane]
        assert end.text == (
            f"its time was over while it waited for nim:sn1, which {first.plan_id} holds;"
            " resume this plan when that is over"
        )
    gate.open.set()
    first.end()


def test_a_waiting_plan_can_be_stopped() -> None:
    site, stop = Site(), threading.Event()
    gate, first, other, second = two(site, stop=stop)
    second.until(StepWaits)
    stop.set()
    gate.open.set()
    assert outcome(second.end()) is None
    state = site.executor("mn2").journal.load(second.plan_id).state
    assert state.record("n2", "s").state is StepState.TODO
    first.end()
    assert other.order == []


def test_the_lock_of_a_dead_holder_is_taken_over_with_its_lease() -> None:
    site, gate = Site(), Gate()

    def die(point: str, lane: str, step: str) -> None:
        if point == "after-intent":
            raise Killed

    dead = Running(site.executor("mn1", Gate(), crash=die), plan(holding("n1")))
    dead.end()
    assert isinstance(dead.problems[0], Killed)
    assert site.locks() == {"nim:sn1": "n1"}
    gate.open.set()
    second = Running(site.executor("mn2", gate), plan(holding("n2")))
    assert second.until(StepWaits).holder == dead.plan_id
    told = second.end(lambda: site.clock.advance(5.0))
    assert outcome(told) is Outcome.OK
    assert site.clock.monotonic() >= 30
    # Its own plan goes on with a lock of its own.
    executor = site.executor("mn1", gate)
    assert outcome(Running(executor, executor.claim(dead.plan_id)).end()) is Outcome.OK


def test_a_dead_holder_on_the_same_host_is_not_waited_for() -> None:
    site, gate = Site(), Gate()

    def die(point: str, lane: str, step: str) -> None:
        if point == "before-outcome":
            raise Killed

    first = Gate()
    first.open.set()
    Running(site.executor("mn1", first, crash=die), plan(holding("n1"))).end()
    assert site.locks() == {"nim:sn1": "n1"}
    site.dead.add("mn1")
    gate.open.set()
    told = Running(site.executor("mn1", gate), plan(holding("n2"))).end()
    assert outcome(told) is Outcome.OK
    assert not [each for each in told if isinstance(each, StepWaits)]


def test_a_step_in_the_database_waits_too_and_leaves_no_lock() -> None:
    site, gate, written = Site(), Gate(), Written()
    first = Running(site.executor("mn1", gate), plan(holding("n1")))
    assert gate.entered.acquire(timeout=LIMIT)
    second = Running(site.executor("mn2", written), plan(holding("n4", Written.kind)))
    assert second.until(StepWaits).holder == first.plan_id
    assert written.order == []
    gate.open.set()
    first.end()
    assert outcome(second.end(lambda: site.clock.advance(0.3))) is Outcome.OK
    assert site.locks() == {}
    assert written.order == ["n4"]


@pytest.mark.parametrize("end", ["close", "abandon", "claim", "undo"])
def test_no_lock_outlives_the_work_on_its_plan(end: str) -> None:
    site = Site()
    journal = site.executor("mn1").journal
    hold = journal.open_plan(plan(holding("n1")))
    with site.db.transaction(LOCKS) as transaction:
        lock = {"name": "nim:sn1", "plan": hold.plan_id, "lane": "n1", "step": "s", "since": "x"}
        transaction.insert(LOCKS, [lock, {**lock, "name": "other", "plan": "somebody else"}])
    site.dead.add("mn1")
    match end:
        case "close":
            journal.close(hold, Outcome.OK)
        case "abandon":
            journal.abandon(hold.plan_id)
        case "claim":
            journal.claim(hold.plan_id)
        case _:
            journal.open_plan(replace(plan(holding("n1")), undoes=hold.plan_id))
    assert list(site.locks()) == ["other"]


def test_two_plans_on_real_servers_wait_for_each_other(shared: tuple[Database, Database]) -> None:
    """Each with a connection to the server of its own, as two management nodes have."""
    site = Site(db=shared[0])
    gates = Gate(), Gate()
    first = Running(site.executor("mn1", gates[0]), plan(holding("n1")))
    assert gates[0].entered.acquire(timeout=LIMIT)
    executor = site.executor("mn2", gates[1], db=shared[1])
    second = Running(executor, plan(holding("n2")))
    assert second.until(StepWaits).holder == first.plan_id
    for gate in gates:
        gate.open.set()
    assert outcome(first.end()) is Outcome.OK
    assert outcome(second.end(lambda: site.clock.advance(0.3))) is Outcome.OK
    assert site.locks() == {}


def test_many_plans_on_real_servers_hold_one_lock_one_after_the_other(
    shared: tuple[Database, Database],
) -> None:
    site, gate = Site(db=shared[0]), Gate()
    gate.open.set()
    running = [
        Running(
            site.executor(f"mn{number}", gate, db=shared[number % 2]),
            plan(*(holding(f"{number}n{lane}") for lane in range(3))),
        )
        for number in range(4)
    ]
    for each in running:
        assert outcome(each.end(lambda: site.clock.advance(0.3))) is Outcome.OK, each.problems
    assert gate.most == 1
    assert len(gate.order) == 12
    assert site.locks() == {}


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def shared(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Any
) -> Iterator[tuple[Database, Database]]:
    from .rig import sqlite

    if request.param == "sqlite":
        first, second = sqlite(tmp_path), sqlite(tmp_path)
    else:
        location = servers.get(request.param).new()
        first, second = Database.open(location), Database.open(location)
        first.create_missing_tables((PLANS, EVENTS, LOCKS))
    yield first, second
    first.close()
    second.close()


class Refusing(Written):
    """``test.refusing@1``: a step in the database that is refused."""

    kind = "test.refusing@1"

    def write(self, task: Task, transaction: Transaction) -> Mapping[str, Any]:
        raise StepFailed("a value changed meanwhile")


class Vanishing(Gate):
    """``test.vanishing@1``: an effect of which nobody hears again."""

    kind = "test.vanishing@1"

    def effect(self, task: Task) -> Mapping[str, Any]:
        raise StepLost("no answer")


def test_a_refused_step_in_the_database_leaves_no_lock_of_the_step_before() -> None:
    site, first, other = Site(), Gate(), Gate()
    first.open.set()
    slow = type("Slow", (Gate,), {"kind": "test.slow@1"})()
    written = (Step("s", Gate.kind, holds=NIM), Step("w", Refusing.kind, holds=("db",)))
    lanes = Lane("a", written, subject="a"), holding("b", "test.slow@1", locks=())
    running = Running(site.executor("mn1", first, slow, Refusing()), plan(*lanes))
    assert running.until(LaneEnded).lane.id == "a"
    assert site.locks() == {}
    other.open.set()
    told = Running(site.executor("mn2", other), plan(holding("n2"))).end()
    assert outcome(told) is Outcome.OK
    assert not [each for each in told if isinstance(each, StepWaits)]
    slow.open.set()
    assert results(running.end()) == {"a": "partial", "b": "done"}


# What may still be at work


def stopped_at_work(site: Site) -> str:
    """A plan that was stopped, and whose job goes on at the agent; it holds a lock."""
    stop, (step,) = threading.Event(), steps("n1", 1)
    site.world.node("n1").hanging.add(step.kind)
    site.world.on_call = lambda _, call: stop.set() if call == "follow" else None
    lane = Lane("n1", (replace(step, holds=NIM),), subject="n1", target=Target("cn", "n1"))
    running = Running(site.executor("mn1", stop=stop), plan(lane))
    assert outcome(running.end(lambda: site.clock.advance(0.1))) is None
    assert site.locks() == {"nim:sn1": "n1"}
    return running.plan_id


def test_the_lock_of_a_job_that_may_be_at_work_stays_with_the_interrupted_plan() -> None:
    site, gate = Site(), Gate()
    left = stopped_at_work(site)
    gate.open.set()
    executor = site.executor("mn2", gate, timeout=60.0, grace=1e6)
    second = Running(executor, plan(holding("n2")))
    told = second.end(lambda: site.clock.advance(5.0))
    (end,) = [each for each in told if isinstance(each, StepEnded)]
    interrupted = f"which {left} holds, which was interrupted: resume it or give it up"
    assert interrupted in end.text
    assert gate.order == []
    # A claim that finds the step still in doubt does not lose it.
    journal = site.executor("mn1").journal
    journal.release(journal.claim(left).hold)
    assert site.locks() == {"nim:sn1": "n1"}


@pytest.mark.parametrize("end", ["resume", "abandon", "undo", "close"])
def test_what_settles_the_step_in_doubt_gives_its_lock_back(end: str) -> None:
    site, gate = Site(), Gate()
    left = stopped_at_work(site)
    executor = site.executor("mn1", gate)
    waiting = Running(site.executor("mn2", gate), plan(holding("n2")))
    assert waiting.until(StepWaits).holder == left
    match end:
        case "resume":
            site.world.node("n1").hanging.clear()
            site.world.node("n1").jobs.clear()
            assert outcome(Running(executor, executor.claim(left)).end()) is Outcome.OK
        case "abandon":
            executor.journal.abandon(left)
        case "undo":
            executor.journal.open_plan(replace(plan(holding("n1")), undoes=left))
        case _:
            executor.journal.close(executor.claim(left).hold, Outcome.PARTIAL)
    gate.open.set()
    assert outcome(waiting.end(lambda: site.clock.advance(0.3))) is Outcome.OK
    assert site.locks() == {}


def test_a_lane_of_the_same_plan_leaves_it_with_the_step_in_doubt() -> None:
    site, gate = Site(), Gate()
    slow = type("Slow", (Gate,), {"kind": "test.slow@1"})()
    gate.open.set()
    lanes = (
        holding("n1", Vanishing.kind),
        holding("n2"),
        holding("n3", "test.slow@1", locks=(), after=("n2",)),
    )
    running = Running(site.executor("mn1", gate, slow, Vanishing()), plan(*lanes))
    assert slow.entered.acquire(timeout=LIMIT)
    assert gate.order == ["n2"]
    assert list(site.locks()) == ["nim:sn1"]
    slow.open.set()
    assert outcome(running.end()) is Outcome.PARTIAL
    assert site.locks() == {}


# What waits in doubt, and what cannot be


def in_doubt(executor: Executor, *lanes: Lane) -> str:
    """A plan that was interrupted with all its steps under way, and whose locks were taken over since."""
    hold = executor.open(plan(*lanes)).hold
    begun = [Event(Word.INTENT, lane.id, "s", 1, f"job{lane.id}") for lane in lanes]
    executor.journal.record(hold, begun)
    executor.journal.release(hold)
    return hold.plan_id


def test_a_step_in_doubt_that_waits_in_vain_stays_in_doubt() -> None:
    """One lane asks and waits for another plan; the one behind it is never begun in this execution."""
    site, gate = Site(), Gate()
    executor = site.executor("mn2", Gate(), timeout=60.0, grace=1e6)
    left = in_doubt(executor, holding("n2"), holding("n3"))
    first = Running(site.executor("mn1", gate), plan(holding("n1")))
    assert gate.entered.acquire(timeout=LIMIT)
    second = Running(executor, executor.claim(left))
    told = second.end(lambda: site.clock.advance(5.0))
    assert second.problems == []
    assert outcome(told) is Outcome.PARTIAL
    state = executor.journal.load(left).state
    assert state.record("n2", "s").state is StepState.FAILED
    assert state.record("n3", "s").state is StepState.UNKNOWN
    assert f"waited for nim:sn1, which {first.plan_id} holds" in state.record("n3", "s").text
    gate.open.set()
    first.end()


def test_what_cannot_be_is_the_fault_of_its_lane_and_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site, gate = Site(), Gate()
    gate.open.set()

    def add(runner: LaneRunner, event: Event) -> None:
        if event.lane == "n1":
            event = replace(event, word=Word.RETRIED)
        else:
            runner.state.apply(event)
        runner._pending.append(event)

    monkeypatch.setattr(LaneRunner, "_add", add)
    executor = site.executor("mn1", gate)
    running = Running(executor, plan(holding("n1"), holding("n2")))
    told = running.end()
    assert running.problems == []
    assert results(told) == {"n1": "partial", "n2": "done"}
    state = executor.journal.load(running.plan_id).state
    assert state.record("n1", "s").state is StepState.UNKNOWN
    assert "internal error" in state.record("n1", "s").text
    assert "cannot be" in caplog.text
