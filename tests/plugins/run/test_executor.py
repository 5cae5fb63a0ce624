from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xcat_aix.plan.model import Lane, Step, Target
from xcat_aix.run import execution
from xcat_aix.run.errors import LeaseLost, NothingToResume, Overlap, Parked, StepFailed
from xcat_aix.run.executor import Executor
from xcat_aix.run.progress import LaneEnded, PlanEnded, StepEnded, StepSaid, StepStarted
from xcat_aix.run.registry import AnyKind, Registry
from xcat_aix.run.states import Outcome, StepState
from xcat_aix.run.task import Task
from xcat_aix.run.testing import FakeConnection, MemoryDatabase
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import Probe, Verdict
from xcatd.api import DatabaseError, SystemClock

from .rig import (
    DATABASE,
    REPOINT,
    XCATINFO,
    Killed,
    Rig,
    lane,
    noderes,
    outcome,
    plan,
    results,
    sqlite,
    steps,
)
from .worded import Worded


def words(rig: Rig, plan_id: str | None = None) -> list[str]:
    events = rig.journal().load(plan_id or rig.only_plan()).events
    return [f"{e.word.value} {e.lane}/{e.step}" if e.lane else e.word.value for e in events]


def ended(told: list[Any], name: str, step: str) -> StepEnded:
    (found,) = [
        each
        for each in told
        if isinstance(each, StepEnded) and (each.lane.id, each.step.id) == (name, step)
    ]
    return found


def test_a_plan_from_end_to_end() -> None:
    rig = Rig(fanout=1)
    told = rig.run(plan(["n1"]))
    assert [type(each).__name__ for each in told] == [
        "StepStarted", "StepEnded", "LaneEnded",
        "StepStarted", "StepSaid", "StepStarted", "StepSaid", "StepEnded", "StepEnded", "LaneEnded",
        "PlanEnded",
    ]  # fmt: skip
    assert outcome(told) is Outcome.OK
    assert results(told) == {"database": "done", "n1": "done"}
    assert ended(told, "database", "write").result == {"cells": 1}
    assert ended(told, "n1", "repoint").result == {"was": "done"}
    assert rig.servicenodes()["n1"] == "sn2,sn1"
    assert rig.servicenodes()["n2"] == "sn1,sn2"
    assert words(rig) == [
        "opened",
        "intent database/write", "done database/write",
        "intent n1/repoint", "intent n1/xcatinfo",
        "progress n1/repoint", "progress n1/xcatinfo", "done n1/repoint", "done n1/xcatinfo",
        "closed",
    ]  # fmt: skip
    node = rig.world.node("n1")
    assert list(node.jobs) == [f"{rig.only_plan()}.n1.repoint.1"]
    assert node.acknowledged == set(node.jobs)
    assert rig.world.open_connections == 0
    assert rig.world.calls == {"begin": 1, "acknowledge": 1}


def test_an_agent_without_chains_gets_one_job_after_the_other() -> None:
    rig = Rig(fanout=1)
    rig.is_old()
    told = rig.run(plan(["n1"]))
    assert [type(each).__name__ for each in told] == [
        "StepStarted", "StepEnded", "LaneEnded",
        "StepStarted", "StepSaid", "StepEnded", "StepStarted", "StepSaid", "StepEnded", "LaneEnded",
        "PlanEnded",
    ]  # fmt: skip
    assert words(rig) == [
        "opened",
        "intent database/write", "done database/write",
        "intent n1/repoint", "progress n1/repoint", "done n1/repoint",
        "intent n1/xcatinfo", "progress n1/xcatinfo", "done n1/xcatinfo",
        "closed",
    ]  # fmt: skip
    node = rig.world.node("n1")
    plan_id = rig.only_plan()
    assert list(node.jobs) == [f"{plan_id}.n1.repoint.1", f"{plan_id}.n1.xcatinfo.1"]
    assert node.acknowledged == set(node.jobs)


@pytest.mark.parametrize("is_old", [True, False])
def test_every_effect_has_its_committed_intent_before_it(is_old: bool) -> None:
    rig = Rig()
    if is_old:
        rig.is_old()
    seen: list[int] = []

    def look(name: str, call: str) -> None:
        if call in {"submit", "begin"}:
            state = rig.journal().load(rig.only_plan()).state
            seen.append(
                sum(record.state is StepState.DOING for record in state.lanes[name].values())
            )

    rig.world.on_call = look
    rig.run(plan(["n1", "n2", "n3"]))
    assert seen == [1] * 6 if is_old else [2] * 3


def test_what_is_so_already_is_not_done_again() -> None:
    rig = Rig()
    rig.world.node("n1").effects[XCATINFO] = {"server": "10.0.0.2"}
    told = rig.run(plan(["n1"]))
    assert ended(told, "n1", "xcatinfo").was_so
    assert not ended(told, "n1", "repoint").was_so
    assert rig.performed() == {("n1", REPOINT): 1}


def test_a_failing_lane_stops_itself_only() -> None:
    rig = Rig()
    rig.world.node("n1").failing.add(REPOINT)
    told = rig.run(plan(["n1", "n2"]))
    assert outcome(told) is Outcome.PARTIAL
    assert results(told) == {"database": "done", "n1": "undone", "n2": "done"}
    failed = ended(told, "n1", "repoint")
    assert (failed.state, failed.text, failed.detail, failed.code) == (
        StepState.FAILED, "the command failed", "0042-000 output", 401,
    )  # fmt: skip
    (end,) = [each for each in told if isinstance(each, LaneEnded) and each.lane.id == "n1"]
    assert end.text == "the command failed"
    assert not [e for e in told if isinstance(e, StepStarted) and e.step.id == "xcatinfo" and e.lane.id == "n1"]  # fmt: skip


def test_resume_repeats_exactly_what_failed() -> None:
    rig = Rig()
    rig.world.node("n1").failing.add(XCATINFO)
    assert outcome(rig.run(plan(["n1", "n2"]))) is Outcome.PARTIAL
    rig.world.node("n1").failing.clear()
    told = rig.resume(rig.only_plan())
    assert outcome(told) is Outcome.OK
    started = [(e.lane.id, e.step.id, e.attempt) for e in told if isinstance(e, StepStarted)]
    assert started == [("n1", "xcatinfo", 2)]
    assert set(rig.performed().values()) == {1}
    with pytest.raises(NothingToResume):
        rig.resume(rig.only_plan())


def test_without_retry_what_failed_stays_failed() -> None:
    rig = Rig()
    rig.world.node("n1").failing.add(REPOINT)
    rig.run(plan(["n1"]))
    rig.world.node("n1").failing.clear()
    executor = rig.executor()
    told = list(executor.run(executor.claim(rig.only_plan()), retry=False))
    assert outcome(told) is Outcome.PARTIAL
    assert not rig.performed()


def test_a_dead_node_fails_at_once_and_is_resumed_when_it_is_back() -> None:
    rig = Rig()
    rig.world.node("n1").is_down = True
    told = rig.run(plan(["n1", "n2"]))
    assert results(told) == {"database": "done", "n1": "undone", "n2": "done"}
    failed = ended(told, "n1", "repoint")
    assert (failed.text, failed.code) == ("its agent cannot be connected", 407)
    assert "intent n1/repoint" not in words(rig)
    rig.world.node("n1").is_down = False
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK


def test_a_lane_is_reached_through_its_relay() -> None:
    rig = Rig()
    rig.world.node("n1").is_cut_off = True
    told = rig.run(plan(["n1"], lanes=[DATABASE, lane("n1", via=Target("sn", "sn2"))]))
    assert outcome(told) is Outcome.OK


def test_an_agent_that_need_not_be_there_is_skipped() -> None:
    rig = Rig()
    rig.world.node("n1").is_down = True
    skipping = lane("n1", if_unreachable="skip", skip_note="takes it at the next network boot")
    told = rig.run(plan(["n1"], lanes=[DATABASE, skipping]))
    assert outcome(told) is Outcome.OK
    assert results(told)["n1"] == "skipped"
    (end,) = [each for each in told if isinstance(each, LaneEnded) and each.lane.id == "n1"]
    assert end.text == "takes it at the next network boot"


def test_an_agent_that_went_away_in_the_middle_is_not_skipped() -> None:
    rig = Rig()
    rig.is_old()

    def go_down(name: str, call: str) -> None:
        rig.world.node(name).is_down |= call == "probe" and rig.world.calls[call] == 1

    rig.world.on_call = go_down
    told = rig.run(plan(["n1"], lanes=[DATABASE, lane("n1", if_unreachable="skip")]))
    assert outcome(told) is Outcome.PARTIAL
    assert results(told)["n1"] == "partial"


def test_an_agent_that_refuses_is_a_failure_even_if_it_need_not_be_there() -> None:
    rig = Rig()
    lanes = [DATABASE, replace(lane("n1", if_unreachable="skip"), target=None)]
    told = rig.run(plan(["n1"], lanes=lanes))
    assert ended(told, "n1", "repoint").text == "cannot be sent to an agent: its lane names none"
    assert results(told)["n1"] == "undone"


def test_a_peer_that_is_refused_is_a_failure_even_if_it_need_not_be_there() -> None:
    def refuse(target: Target, via: Target | None) -> FakeConnection:
        raise AgentError(ErrorCode.WRONG_PEER, "the peer is somebody else")

    rig = Rig()
    lanes = [DATABASE, lane("n1", if_unreachable="skip")]
    told = rig.run(plan(["n1"], lanes=lanes), connect=refuse)
    failed = ended(told, "n1", "repoint")
    assert (failed.state, failed.text) == (StepState.FAILED, "the peer is somebody else")
    assert results(told)["n1"] == "undone"


def test_a_step_in_doubt_stays_so_while_its_agent_cannot_be_asked() -> None:
    rig = Rig()
    with pytest.raises(Killed):
        rig.run(plan(["n1"]), crash=_kill_in_the_middle)
    rig.world.node("n1").is_down = True
    for _ in range(2):
        told = rig.resume(rig.only_plan())
        assert outcome(told) is Outcome.PARTIAL
        doubt = ended(told, "n1", "repoint")
        assert (doubt.state, doubt.text) == (StepState.UNKNOWN, "its agent cannot be connected")
    rig.world.node("n1").is_down = False
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert set(rig.performed().values()) == {1}


def test_a_step_found_half_done_is_left_so_without_retry() -> None:
    rig = Rig()
    with pytest.raises(Killed):
        rig.run(plan(["n1"]), crash=_kill_in_the_middle)
    rig.world.node("n1").effects[REPOINT] = None
    rig.world.node("n1").jobs.clear()
    executor = rig.executor()
    told = list(executor.run(executor.claim(rig.only_plan()), retry=False))
    broken = ended(told, "n1", "repoint")
    assert (broken.state, broken.text) == (StepState.FAILED, "half of it is there")
    assert results(told)["n1"] == "partial"
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert rig.world.state()["n1"][REPOINT] == {"nim_name": "n1", "master": "sn2"}


def test_lanes_wait_for_what_they_need_and_are_held_without_it() -> None:
    rig = Rig()
    last = Lane("last", steps("n3", 1), target=Target("cn", "n3"), needs=("n1", "n2"))
    after = Lane("after", steps("n4", 1), target=Target("cn", "n4"), needs=("last",))
    wanted = plan(["n1", "n2", "n3", "n4"], lanes=[DATABASE, lane("n1"), lane("n2"), last, after])
    rig.world.node("n2").failing.add(REPOINT)
    told = rig.run(wanted)
    assert results(told) == {
        "database": "done", "n1": "done", "n2": "undone", "last": "undone", "after": "undone",
    }  # fmt: skip
    texts = {each.lane.id: each.text for each in told if isinstance(each, LaneEnded)}
    assert texts["last"] == texts["after"] == "n2 was not done"
    said = words(rig)
    assert said[-1] == "closed"
    # n1 may still be at work when n2's failure holds the lanes that need both.
    assert [word for word in said if word.startswith("held")] == [
        "held last/repoint",
        "held after/repoint",
    ]
    rig.world.node("n2").failing.clear()
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert set(rig.performed().values()) == {1}


def test_a_changed_row_stops_everything_and_is_named() -> None:
    rig = Rig()
    with rig.db.transaction("noderes") as transaction:
        transaction.update("noderes", {"node": "n2"}, {"servicenode": "sn9"})
    told = rig.run(plan(["n1", "n2"]))
    assert outcome(told) is Outcome.FAILED
    text = ended(told, "database", "write").text
    assert "noderes node=n2 servicenode: read 'sn1,sn2', now 'sn9'" in text
    assert rig.servicenodes()["n1"] == "sn1,sn2"
    assert not rig.world.calls
    assert results(told) == {"database": "undone", "n1": "undone", "n2": "undone"}
    with rig.db.transaction("noderes") as transaction:
        transaction.update("noderes", {"node": "n2"}, {"servicenode": "sn1,sn2"})
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK


def test_the_real_database_is_written_exactly(tmp_path: Path) -> None:
    rig = Rig(db=sqlite(tmp_path, ["n1", "n2", "n3"]))
    assert outcome(rig.run(plan(["n1", "n2"]))) is Outcome.OK
    assert rig.servicenodes() == {"n1": "sn2,sn1", "n2": "sn2,sn1", "n3": "sn1,sn2"}
    with rig.db.transaction("noderes") as transaction:
        transaction.update("noderes", {"node": "n3"}, {"servicenode": "x"})
    told = rig.run(plan(["n3"]))
    assert outcome(told) is Outcome.FAILED
    assert "node=n3 servicenode: read 'sn1,sn2', now 'x'" in ended(told, "database", "write").text
    rig.db.close()


# Time


def test_a_hung_node_holds_up_nobody_and_is_in_doubt() -> None:
    rig = Rig(fanout=2)
    rig.world.node("n1").hanging.add(REPOINT)
    nodes = [f"n{number}" for number in range(1, 10)]
    told = rig.run(plan(nodes), clock=SystemClock(), timeout=0.4)
    lost = ended(told, "n1", "repoint")
    assert lost.state is StepState.UNKNOWN
    assert lost.text == "no result within the time limit; its job may go on at the agent"
    ends = [each.lane.id for each in told if isinstance(each, LaneEnded)]
    assert ends[-1] == "n1"
    assert set(results(told).values()) == {"done", "partial"}
    assert outcome(told) is Outcome.PARTIAL
    # The job ends after all; the resumed move takes its result and starts no second one.
    node = rig.world.node("n1")
    node.hanging.clear()
    finish_job(rig, "n1")
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert node.performed[REPOINT] == 0
    assert len([job for job in node.jobs if "repoint" in job]) == 1


def finish_job(rig: Rig, name: str) -> None:
    from xcat_aix_proto.jobs import JobOutcome, JobState

    (job,) = rig.world.node(name).jobs.values()
    job.state, job.outcome = JobState.EXITED, JobOutcome(ok=True)


def test_no_step_is_begun_after_the_time_limit() -> None:
    rig = Rig()
    rig.is_old()

    def pass_time(name: str, call: str) -> None:
        if (name, call) == ("n1", "follow"):
            rig.clock.advance(601)

    rig.world.on_call = pass_time
    told = rig.run(plan(["n1"]), grace=10_000.0)
    assert ended(told, "n1", "repoint").state is StepState.DONE
    late = ended(told, "n1", "xcatinfo")
    assert late.text == "the time limit of 600 s was over before this step"
    assert results(told)["n1"] == "partial"
    assert rig.performed() == {("n1", REPOINT): 1}


class Stuck(Worded):
    """A handler that does not come back: what must not be, and is survived."""

    kind = "test.stuck@1"

    def __init__(self) -> None:
        self.release = threading.Event()
        self.tried_to_report: list[BaseException] = []

    def probe(self, task: Task) -> Probe:
        return Probe(Verdict.NOT_DONE)

    def effect(self, task: Task) -> Mapping[str, Any]:
        self.release.wait(30)
        try:
            task.report("too late")
        except BaseException as problem:
            self.tried_to_report.append(problem)
            raise
        return {}


def test_a_worker_that_never_returns_is_given_up() -> None:
    rig, stuck = Rig(fanout=1), Stuck()
    lanes = [
        Lane("stuck", (Step("s", stuck.kind),)),
        Lane("n1", steps("n1"), target=Target("cn", "n1")),
    ]
    executor = Executor(
        rig.journal(),
        Registry([stuck, *kinds(rig)]),
        SystemClock(),
        rig.world.connect,
        fanout=1,
        timeout=0.3,
        grace=0.1,
    )
    before = set(threading.enumerate())
    told = list(executor.run(executor.open(plan(["n1"], lanes=lanes))))
    assert results(told) == {"stuck": "partial", "n1": "done"}
    assert ended(told, "stuck", "s").text == "gave no sign of life for 0.3 s"
    stuck.release.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert len(stuck.tried_to_report) == 1
    assert "progress stuck/s" not in words(rig)


def kinds(rig: Rig) -> list[AnyKind]:
    registry = rig.executor().registry
    return [registry[name] for name in registry.kinds]


# Stopping


def test_stopped_on_request_it_stays_open_and_goes_on_later() -> None:
    rig, stop = Rig(fanout=1), threading.Event()

    def press(name: str, call: str) -> None:
        if (name, call) == ("n2", "begin"):
            stop.set()

    rig.world.on_call = press
    nodes = ["n1", "n2", "n3"]
    told = rig.run(plan(nodes), stop=stop)
    assert outcome(told) is None
    assert results(told)["n1"] == "done" and results(told)["n3"] == "undone"
    (summary,) = rig.journal().list()
    assert summary.is_interrupted
    with pytest.raises(Overlap, match="was interrupted"):
        rig.run(plan(["n1"]))
    rig.world.on_call = lambda *_: None
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert set(rig.performed().values()) == {1}


def test_a_hung_step_is_left_soon_when_stopped() -> None:
    rig, stop = Rig(), threading.Event()
    rig.world.node("n1").hanging.add(REPOINT)
    rig.world.hold.set()

    def press(name: str, call: str) -> None:
        if call == "follow":
            stop.set()

    rig.world.on_call = press
    told = rig.run(plan(["n1"]), stop=stop)
    assert outcome(told) is None
    assert ended(told, "n1", "repoint").text.startswith("not waited for any longer")


def test_a_caller_who_goes_away_leaves_a_plan_to_resume() -> None:
    rig = Rig(fanout=1)
    executor = rig.executor()
    told = executor.run(executor.open(plan(["n1", "n2", "n3"])))
    for each in told:
        if isinstance(each, StepSaid):
            break
    told.close()
    (summary,) = rig.journal().list()
    assert summary.is_interrupted
    assert words(rig)[-1] == "released"
    assert outcome(rig.resume(summary.id)) is Outcome.OK
    assert set(rig.performed().values()) == {1}


def test_a_caller_may_go_away_after_the_last_word() -> None:
    rig = Rig()
    executor = rig.executor()
    told = executor.run(executor.open(plan(["n1"])))
    for each in told:
        if isinstance(each, PlanEnded):
            told.close()
    assert rig.journal().list()[0].outcome is Outcome.OK


# Trouble


def test_a_database_that_fails_stops_everything_and_lets_go() -> None:
    rig = Rig()
    calls: list[int] = []

    class Failing(MemoryDatabase):
        def transaction(self, *tables: str) -> Any:
            calls.append(1)
            if len(calls) == 4:
                raise DatabaseError("cannot write: the disk is full")
            return rig.db.transaction(*tables)

    executor = rig.executor()
    journal = replace(executor.journal, db=Failing())
    executor = replace(executor, journal=journal)
    claimed = executor.open(plan(["n1", "n2"]))
    with pytest.raises(DatabaseError, match="the disk is full"):
        list(executor.run(claimed))
    (summary,) = rig.journal(alive=True).list()
    assert summary.is_interrupted
    assert outcome(rig.resume(summary.id)) is Outcome.OK
    assert set(rig.performed().values()) == {1}


def test_a_stop_before_the_start_begins_nothing() -> None:
    rig, stop = Rig(), threading.Event()
    stop.set()
    assert outcome(rig.run(plan(), stop=stop)) is None
    assert words(rig) == ["opened", "released"]


class Buggy(Worded):
    kind = "test.buggy@1"

    def probe(self, task: Task) -> Probe:
        raise ZeroDivisionError("a fault of the program")

    def effect(self, task: Task) -> Mapping[str, Any]:
        raise AssertionError


class BuggyEffect(Buggy):
    def probe(self, task: Task) -> Probe:
        return Probe(Verdict.NOT_DONE)

    def effect(self, task: Task) -> Mapping[str, Any]:
        raise OverflowError("cannot convert float infinity to integer")


@pytest.mark.parametrize("kind", [Buggy, BuggyEffect])
def test_a_fault_of_the_program_ends_its_lane_and_no_other(kind, caplog) -> None:
    rig = Rig(fanout=2)
    lanes = [
        Lane(
            "bad",
            (*steps("n2", 1), Step("s", Buggy.kind), *steps("n2")[1:]),
            target=Target("cn", "n2"),
        ),
        lane("n1", needs=()),
    ]
    executor = replace(rig.executor(), registry=Registry([kind(), *kinds(rig)]))
    told = list(executor.run(executor.open(plan(["n1", "n2"], lanes=lanes))))
    assert outcome(told) is Outcome.PARTIAL
    assert results(told) == {"bad": "partial", "n1": "done"}
    stored = rig.journal().load(rig.only_plan())
    assert stored.state.record("bad", "repoint").state is StepState.DONE
    record = stored.state.record("bad", "s")
    assert (record.state, record.text) == (StepState.UNKNOWN, execution.FAULT)
    assert stored.state.record("bad", "xcatinfo").state is StepState.TODO
    assert ended(told, "bad", "s").state is StepState.UNKNOWN
    assert f"internal error in the lane bad of {rig.only_plan()}" in caplog.text


def test_a_fault_before_a_step_is_begun_fails_it(caplog) -> None:
    rig = Rig(fanout=2)
    connect = rig.world.connect

    def faulty(target: Target, via: Target | None) -> FakeConnection:
        if target.node == "n1":
            raise RecursionError
        return connect(target, via)

    lanes = [lane("n1", needs=()), lane("n2", needs=())]
    told = rig.run(plan(lanes=lanes), connect=faulty)
    assert results(told) == {"n1": "undone", "n2": "done"}
    assert ended(told, "n1", "repoint").state is StepState.FAILED
    assert "RecursionError" in caplog.text
    told = rig.resume(rig.only_plan())
    assert outcome(told) is Outcome.OK


def test_a_fault_while_an_interrupted_step_is_asked_about_leaves_it_in_doubt() -> None:
    rig = Rig(fanout=2)
    lanes = [Lane("bad", (Step("s", Buggy.kind),)), lane("n1", needs=())]
    registry = Registry([Buggy(), *kinds(rig)])
    executor = replace(rig.executor(), registry=registry)
    list(executor.run(executor.open(plan(["n1"], lanes=lanes))))
    told = list(executor.run(executor.claim(rig.only_plan())))
    assert outcome(told) is Outcome.PARTIAL
    assert words(rig)[-2:] == ["probed-unreachable bad/s", "closed"]


def test_an_executor_that_lost_its_claim_stops_without_another_effect() -> None:
    rig = Rig(fanout=1)

    def steal(name: str, call: str) -> None:
        if call == "begin":
            rig.journal().claim(rig.only_plan())

    rig.world.on_call = steal
    with pytest.raises(LeaseLost):
        rig.run(plan(["n1", "n2"]))
    assert {node for node, _ in rig.performed()} == {"n1"}
    rig.world.on_call = lambda *_: None
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert set(rig.performed().values()) == {1}


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    rig = Rig(fanout=8)
    rig.run(plan([f"n{number}" for number in range(1, 10)]))
    with pytest.raises(Killed):
        Rig().run(plan(), crash=_kill_in_the_middle)
    assert threading.active_count() == before


def _kill_in_the_middle(point: str, lane: str, step: str) -> None:
    if point == "after-effect":
        raise Killed


def test_an_unknown_kind_is_refused_before_anything_is_stored() -> None:
    rig = Rig()
    with pytest.raises(Parked, match=r"knows no step kind test\.stuck@1"):
        rig.run(plan(lanes=[Lane("a", (Step("s", Stuck.kind),))]))
    assert rig.journal().list() == ()


def test_a_stored_plan_of_an_unknown_kind_is_left_alone() -> None:
    rig = Rig()
    rig.journal().open_plan(plan(lanes=[Lane("a", (Step("s", Stuck.kind),))]))
    with pytest.raises(Parked, match=f"cannot execute {rig.only_plan()}"):
        rig.resume(rig.only_plan())
    assert words(rig) == ["opened"]


class Talkative(Worded):
    kind = "test.talk@1"

    def probe(self, task: Task) -> Probe:
        return Probe(Verdict.NOT_DONE)

    def effect(self, task: Task) -> Mapping[str, Any]:
        for number in range(1000):
            task.report(f"line {number}")
        raise StepFailed("said enough")


def test_all_progress_is_told_and_little_of_it_is_kept() -> None:
    rig = Rig()
    executor = replace(rig.executor(), registry=Registry([Talkative()]))
    wanted = plan(lanes=[Lane("a", (Step("s", Talkative.kind),))])
    told = list(executor.run(executor.open(wanted)))
    said = [each.text for each in told if isinstance(each, StepSaid)]
    assert said == [f"line {number}" for number in range(1000)]
    assert words(rig).count("progress a/s") == execution.PROGRESS_ROWS


def test_an_empty_plan_is_done_at_once() -> None:
    assert outcome(Rig().run(plan([], lanes=[]))) is Outcome.OK


# Many


def test_memory_and_commits_are_bounded_by_the_fanout() -> None:
    nodes = [f"n{number}" for number in range(300)]
    db = MemoryDatabase({"noderes": noderes(nodes)})
    rig = Rig(db=db, fanout=32)
    told = rig.run(plan(nodes, count=5))
    assert outcome(told) is Outcome.OK
    assert rig.world.most_connections <= 32
    assert len(rig.performed()) == 1500
    # 3000 intents and outcomes; each wait for a commit is shared by the lanes that run.
    assert db.commits < 600
