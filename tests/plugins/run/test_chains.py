"""Several steps as one job of their agent: what became of each, what is asked after a crash, what an agent lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from xcat_aix.plan.model import Lane, Target
from xcat_aix.run.lane_runner import Crash
from xcat_aix.run.progress import StepEnded, StepSaid
from xcat_aix.run.states import LaneResult, Outcome, StepState
from xcat_aix.steps.agent_jobs import JobFollower
from xcat_aix_proto.jobs import JobState
from xcat_aix_proto.operations import ChangeDefaultRoute, SetBootlist

from .rig import DATABASE, REPOINT, XCATINFO, Killed, Rig, lane, outcome, plan, results, steps

ROUTE, BOOTLIST = ChangeDefaultRoute.kind, SetBootlist.kind
NAMES = ["repoint", "xcatinfo", "route", "bootlist", "postscripts"]


def states(rig: Rig) -> dict[str, str]:
    state = rig.journal().load(rig.only_plan()).state
    return {step: record.state.value for step, record in state.lanes["n1"].items()}


def test_five_steps_are_one_job_and_one_call() -> None:
    rig = Rig()
    told = rig.run(plan(["n1"], count=5))
    assert outcome(told) is Outcome.OK
    assert rig.world.calls == {"begin": 1, "acknowledge": 1}
    said = [(each.step.id, each.text.split()[0]) for each in told if isinstance(each, StepSaid)]
    assert said == [(name, "working") for name in NAMES]
    events = rig.journal().load(rig.only_plan()).events
    parts = [event.detail.get("part") for event in events if event.job and event.lane == "n1"]
    assert parts == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert len({event.job for event in events if event.job}) == 1


def test_what_comes_behind_a_failure_is_not_begun_and_done_by_a_resume() -> None:
    rig = Rig()
    rig.world.node("n1").failing.add(ROUTE)
    rig.world.node("n1").effects[XCATINFO] = {"server": "10.0.0.2"}
    told = rig.run(plan(["n1"], count=5))
    assert states(rig) == dict(zip(NAMES, ["done", "done", "failed", "todo", "todo"], strict=True))
    ended = {e.step.id: e for e in told if isinstance(e, StepEnded) and e.lane.id == "n1"}
    assert list(ended) == ["repoint", "xcatinfo", "route"]
    assert ended["xcatinfo"].was_so and not ended["repoint"].was_so
    assert (ended["route"].text, ended["route"].code) == ("the command failed", 401)
    rig.world.node("n1").failing.clear()
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert set(rig.performed().values()) == {1}
    assert [job.split(".")[2:] for job in rig.world.node("n1").jobs] == [
        ["repoint", "1"],
        ["route", "2"],
    ]


@pytest.mark.parametrize(
    ("dying", "expected"),
    [
        ("dying_before", ["done", "done", "failed", "unknown", "unknown"]),
        ("dying_half_way", ["done", "done", "failed", "unknown", "unknown"]),
        ("dying_after", ["done", "done", "done", "failed", "unknown"]),
    ],
)
def test_a_job_that_dies_in_the_middle_leaves_the_rest_to_probes(
    dying: str, expected: list[str]
) -> None:
    rig = Rig()
    node = rig.world.node("n1")
    getattr(node, dying).add(ROUTE)
    told = rig.run(plan(["n1"], count=5))
    assert outcome(told) is Outcome.PARTIAL
    assert [*states(rig).values()] == expected
    getattr(node, dying).clear()
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert node.effects.keys() >= {REPOINT, XCATINFO, ROUTE, BOOTLIST}


def die_at(call: str, count: int) -> Callable[[str, str], None]:
    left = [count]

    def die(_name: str, called: str) -> None:
        if called == call:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

    return die


@pytest.mark.parametrize("followed", range(5))
def test_killed_while_the_job_is_in_the_middle(followed: int) -> None:
    """The job goes on at the agent: its record is asked once, for all steps, and nothing is done twice."""
    rig = Rig(fanout=1)
    node = rig.world.node("n1")
    node.is_slow = True
    rig.world.on_call = die_at("follow", followed)
    with pytest.raises(Killed):
        rig.run(plan(["n1"], count=5))
    before = len(node.jobs)
    rig.world.on_call = lambda *_: None
    rig.world.calls.clear()
    told = rig.resume(rig.only_plan())
    assert outcome(told) is Outcome.OK
    assert set(rig.performed().values()) == {1}
    assert rig.world.calls["probe"] == 0
    assert len(node.jobs) == before == 1
    assert node.acknowledged == set(node.jobs)


def test_killed_before_the_job_arrived_each_is_asked_for_and_they_go_together_again() -> None:
    rig = Rig(fanout=1)
    rig.world.on_call = die_at("begin", 0)
    with pytest.raises(Killed):
        rig.run(plan(["n1"], count=5))
    rig.world.on_call = lambda *_: None
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert rig.world.calls["probe"] == 5
    assert [job.split(".")[2:] for job in rig.world.node("n1").jobs] == [["repoint", "2"]]


def test_the_record_of_an_interrupted_job_that_failed_is_believed_where_it_says_done() -> None:
    rig = Rig(fanout=1)
    node = rig.world.node("n1")
    node.failing.add(ROUTE)
    with pytest.raises(Killed):
        rig.run(plan(["n1"], count=5), crash=_at("before-outcome"))
    node.failing.clear()
    rig.world.calls.clear()
    node.effects.clear()  # not looked at where the record knows
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert rig.world.calls["probe"] == 1
    assert set(node.performed.values()) == {1}


def _at(wanted: str) -> Crash:
    def crash(point: str, lane: str, _step: str) -> None:
        if point == wanted and lane == "n1":
            raise Killed

    return crash


def test_a_step_with_a_time_of_its_own_is_a_job_of_its_own() -> None:
    rig = Rig()
    first, second, third, fourth = steps("n1", 4)
    mixed = (first, second, replace(third, limit=5.0), fourth)
    lanes = [DATABASE, Lane("n1", mixed, target=Target("cn", "n1"), needs=("database",))]
    assert outcome(rig.run(plan(["n1"], lanes=lanes))) is Outcome.OK
    jobs = [job.split(".")[2] for job in rig.world.node("n1").jobs]
    assert jobs == ["repoint", "route", "bootlist"]


def test_a_step_has_no_more_time_than_its_own() -> None:
    rig = Rig()
    rig.world.hold.set()
    node = rig.world.node("n1")
    node.hanging.add(REPOINT)
    slow = replace(steps("n1", 1)[0], limit=5.0)
    lanes = [DATABASE, Lane("n1", (slow,), target=Target("cn", "n1"), needs=("database",))]
    rig.world.on_call = lambda _, call: rig.clock.advance(3 if call == "follow" else 0)
    told = rig.run(plan(["n1"], lanes=lanes), grace=1e6)
    assert results(told)["n1"] == "partial"
    assert rig.clock.monotonic() < 20


def test_equal_operations_are_not_one_job() -> None:
    rig = Rig()
    (first,) = steps("n1", 1)
    twice = (first, replace(first, id="again"))
    lanes = [DATABASE, Lane("n1", twice, target=Target("cn", "n1"), needs=("database",))]
    told = rig.run(plan(["n1"], lanes=lanes))
    assert outcome(told) is Outcome.OK
    (job,) = rig.world.node("n1").jobs.values()
    assert job.operation.kind == REPOINT
    assert [e.was_so for e in told if isinstance(e, StepEnded) and e.lane.id == "n1"] == [
        False,
        True,
    ]


@pytest.mark.parametrize("is_old", [True, False])
def test_what_an_agent_lacks_is_said_before_anything_is_begun(is_old: bool) -> None:
    rig = Rig()
    if is_old:
        rig.is_old()
    rig.world.node("n1").lacking.add(BOOTLIST)
    told = rig.run(plan(["n1", "n2"], count=5))
    assert results(told) == {"database": "done", "n1": "undone", "n2": "done"}
    (end,) = [e for e in told if isinstance(e, StepEnded) and e.lane.id == "n1"]
    assert end.text == f"its agent (version 0.9) does not know {BOOTLIST}: update the agent"
    assert "n1" not in {name for name, _ in rig.performed()}
    events = rig.journal().load(rig.only_plan()).events
    assert [event.word.value for event in events if event.lane == "n1"] == ["failed"]
    rig.world.node("n1").lacking.discard(BOOTLIST)
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK


def test_a_fault_in_the_middle_of_a_job_leaves_all_of_it_in_doubt() -> None:
    rig = Rig()

    def fault(_name: str, call: str) -> None:
        if call == "begin":
            raise ZeroDivisionError

    rig.world.on_call = fault
    told = rig.run(plan(["n1"], count=3))
    assert outcome(told) is Outcome.PARTIAL
    assert set(states(rig).values()) == {StepState.UNKNOWN.value}
    rig.world.on_call = lambda *_: None
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert set(rig.performed().values()) == {1}


def test_an_agent_that_was_updated_meanwhile_gets_the_rest_as_one_job() -> None:
    rig = Rig()
    rig.is_old()
    rig.world.node("n1").failing.add(XCATINFO)
    rig.run(plan(["n1"], count=5))
    node = rig.world.node("n1")
    node.failing.clear()
    node.lacking.clear()
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert [job.split(".")[2] for job in node.jobs] == ["repoint", "xcatinfo", "xcatinfo"]


def test_a_record_that_cannot_be_read_leaves_it_to_looking() -> None:
    rig = Rig(fanout=1)
    with pytest.raises(Killed):
        rig.run(plan(["n1"], count=3), crash=_at("before-outcome"))
    (job,) = rig.world.node("n1").jobs.values()
    assert job.outcome is not None and job.state is JobState.EXITED
    job.outcome = replace(job.outcome, result={"records": []}, ok=False)
    assert outcome(rig.resume(rig.only_plan())) is Outcome.OK
    assert set(rig.performed().values()) == {1}
    assert rig.journal().load(rig.only_plan()).state.lane_result("n1") is LaneResult.DONE


def test_a_lane_of_another_agent_has_jobs_of_its_own() -> None:
    rig = Rig()
    lanes = [DATABASE, lane("n1"), lane("n2")]
    assert outcome(rig.run(plan(lanes=lanes))) is Outcome.OK
    assert [len(rig.world.node(name).jobs) for name in ("n1", "n2")] == [1, 1]


@pytest.mark.parametrize("number", ["0", "3", "999"])
def test_a_line_that_names_no_part_is_not_taken_for_one(number: str) -> None:
    said: list[str] = []
    tasks: list[Any] = [
        SimpleNamespace(deadline=1.0, report=lambda text, part=part: said.append(f"{part}: {text}"))
        for part in (1, 2)
    ]
    JobFollower(tasks[0], "job", (), 0.0, tasks)._tell(f"[{number}/2] text")
    assert said == [f"1: [{number}/2] text"]
