"""What a lost line, a lost job and an interrupted attempt mean for a step."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from xcat_aix.plan.model import Step, Target
from xcat_aix.run.errors import StepFailed, StepLost, StepRefused, Unreachable
from xcat_aix.run.registry import Registry
from xcat_aix.run.task import BUSY_PAUSES, LaneLink, Task
from xcat_aix.run.testing import FakeConnection, FakeWorld, ManualClock
from xcat_aix.steps.agent import PAUSES, AgentStep, agent_steps
from xcat_aix_proto import operations
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import (
    JobEvent,
    JobOutcome,
    JobState,
    JobStatus,
    JobUpdate,
    Probe,
    Verdict,
)
from xcat_aix_proto.messages import BEGIN

from .rig import REPOINT, lane, plan

STEP = AgentStep(REPOINT, (0.0, 0.0), late=0.0)


class Desk:
    """One task at one node, and everything said and done."""

    def __init__(self, **task: Any) -> None:
        self.world = FakeWorld()
        self.world.hold.set()
        self.node = self.world.node("n1")
        self.node.lacking.add(BEGIN)  # one call for each thing, each of which can go wrong
        self.said: list[str] = []
        self.clock = ManualClock()
        here = lane("n1")
        given: dict[str, Any] = {
            "plan_id": "p",
            "plan": plan(["n1"]),
            "lane": here,
            "step": here.steps[0],
            "job_id": "p.n1.repoint.1",
            "earlier_job": "",
            "deadline": 100.0,
            "clock": self.clock,
            "stop": threading.Event(),
            "link": LaneLink(here, self.world.connect, threading.Event()),
            "report": self.said.append,
        }
        self.task = Task(**{**given, **task})

    def refuse(self, call: str, code: ErrorCode, times: int = 1000) -> None:
        left = [times]

        def refuse(name: str, called: str) -> None:
            if called == call and left[0]:
                left[0] -= 1
                raise AgentError(code, "the agent says no", "because")

        self.world.on_call = refuse

    def drop_line_at(self, call: str) -> None:
        """The node goes away for good when this is called."""

        def drop(name: str, called: str) -> None:
            self.node.is_down |= called == call

        self.world.on_call = drop


def test_every_operation_that_is_a_job_has_a_step_kind() -> None:
    kinds = {step.kind for step in agent_steps()}
    current = {k for k, op in operations.BY_KIND.items() if not op.is_query}
    assert kinds == current | set(operations.FORMER)
    assert not current & set(operations.FORMER)


def test_an_operation_without_words_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class New(operations.Operation):
        kind = "nim.new@1"

    monkeypatch.setitem(operations.BY_KIND, New.kind, New)
    with pytest.raises(ValueError, match=r"step kind 'nim\.new@1' has neither title nor reverse"):
        Registry(list(agent_steps()))


def test_arguments_that_cannot_be_read_leave_the_kinds_name() -> None:
    bad = Step("repoint", REPOINT, {})
    assert STEP.title(bad) == REPOINT
    assert STEP.title(lane("n1").steps[0]) == "make it a NIM client of sn2"


def test_a_step_of_an_older_plan_is_carried_out_as_it_is_now() -> None:
    args = {"scripts": ["syslog"], "environment": {"MASTER": "sn2", "NODE": "n1"}}
    old = replace(lane("n1").steps[0], kind="client.postscripts@1", args=args)
    desk = Desk(step=old)
    (step,) = [step for step in agent_steps((0.0,)) if step.kind == old.kind]
    assert step.effect(desk.task) is not None
    (job,) = desk.node.jobs.values()
    assert job.operation == operations.RunPostscripts(("syslog",), "sn2", "n1")


def test_what_a_job_tells_is_bounded() -> None:
    desk = Desk()
    status = JobStatus("p.n1.repoint.1", REPOINT, JobState.EXITED, 30_000, JobOutcome(ok=True))
    events = tuple(JobEvent(n, "x", "y\x1b" * 9_000) for n in range(1, 30_001))
    updates = [JobUpdate(replace(status, state=JobState.RUNNING, outcome=None), events[:9])] * 3
    updates.append(JobUpdate(status, events))

    class Talkative(FakeConnection):
        def follow(self, job_id: str, after_seq: int, wait: float) -> JobUpdate:
            return updates.pop(0) if len(updates) > 1 else updates[0]

    desk.world.hold.clear()
    desk.node.is_fast = False
    talkative = Talkative(desk.world, "n1", desk.node)
    desk.task.link._connection = talkative
    status_now = replace(status, state=JobState.RUNNING, outcome=None)
    talkative.begin = lambda *_: JobUpdate(status_now)  # type: ignore[method-assign]
    STEP.effect(desk.task)
    assert desk.said[-1] == "no more of what this job tells is kept"
    assert sum(map(len, desk.said)) < 2_200_000
    assert all(len(text) <= 4096 and text.isprintable() for text in desk.said)


def test_a_job_runs_reports_and_is_acknowledged_later() -> None:
    desk = Desk()
    assert STEP.probe(desk.task).verdict is Verdict.NOT_DONE
    assert STEP.effect(desk.task) == {"was": "done"}
    assert desk.said == [f"working on {REPOINT}"]
    assert not desk.node.acknowledged
    for call in desk.task.afterwards:
        call()
    desk.task.link.drop()
    assert desk.node.acknowledged == {"p.n1.repoint.1"}
    assert STEP.probe(desk.task).verdict is Verdict.DONE


def test_a_failed_job_tells_its_reason() -> None:
    desk = Desk()
    desk.node.failing.add(REPOINT)
    with pytest.raises(StepFailed) as caught:
        STEP.effect(desk.task)
    assert type(caught.value) is StepFailed
    assert (caught.value.message, caught.value.detail, caught.value.code) == (
        "the command failed", "0042-000 output", 401,
    )  # fmt: skip
    assert len(desk.task.afterwards) == 1


def test_a_job_that_ends_at_once_is_heard_too() -> None:
    desk = Desk()
    desk.node.is_fast = True
    assert STEP.effect(desk.task) == {"was": "done"}
    assert desk.said == [f"working on {REPOINT}"]
    assert desk.world.calls["follow"] == 1


def test_what_a_job_said_is_not_worth_a_failure() -> None:
    desk = Desk()
    desk.node.is_fast = True
    desk.drop_line_at("follow")
    assert STEP.effect(desk.task) == {"was": "done"}
    assert desk.said == []


@pytest.mark.parametrize("lost", [1, 2])
def test_lost_answers_are_asked_for_again_and_nothing_is_done_twice(lost: int) -> None:
    desk = Desk()
    STEP.probe(desk.task)
    desk.node.lost_answers = lost
    assert STEP.effect(desk.task) == {"was": "done"}
    assert desk.node.performed == {REPOINT: 1}
    assert desk.said == [f"working on {REPOINT}"]


def test_a_line_that_stays_away_leaves_doubt() -> None:
    desk = Desk()
    desk.drop_line_at("follow")
    with pytest.raises(StepLost, match="its job cannot be followed: its agent cannot be connected"):
        STEP.effect(desk.task)


def test_a_line_that_breaks_while_submitting_leaves_doubt() -> None:
    desk = Desk()
    desk.drop_line_at("submit")
    with pytest.raises(StepLost, match="the line was lost: its agent cannot be connected"):
        STEP.effect(desk.task)


def test_an_agent_that_was_never_reached_leaves_none() -> None:
    desk = Desk()
    desk.node.is_down = True
    for call in (STEP.probe, STEP.effect):
        with pytest.raises(Unreachable, match="its agent cannot be connected"):
            call(desk.task)


def test_a_peer_that_is_refused_was_sent_nothing() -> None:
    def refuse(target: Target, via: Target | None) -> FakeConnection:
        raise AgentError(ErrorCode.WRONG_PEER, "the peer is somebody else")

    here = lane("n1")
    desk = Desk(link=LaneLink(here, refuse, threading.Event()))
    with pytest.raises(StepFailed, match="somebody else") as caught:
        STEP.effect(desk.task)
    assert type(caught.value) is StepRefused
    assert caught.value.code == 203


class Pauses(threading.Event):
    """A stop button nobody presses, and how long it was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return self.is_set()


@pytest.mark.parametrize("busy", [1, 5, 6])
def test_an_agent_with_too_many_connections_is_asked_again(busy: int) -> None:
    left, pauses, world = [busy], Pauses(), FakeWorld()

    def connect(target: Target, via: Target | None) -> FakeConnection:
        left[0] -= 1
        if left[0] >= 0:
            raise AgentError(ErrorCode.BUSY, "too many connections")
        return world.connect(target, via)

    link = LaneLink(lane("n1"), connect, pauses)
    if busy > len(BUSY_PAUSES):
        with pytest.raises(StepFailed, match="too many connections"):
            link.get()
    else:
        assert link.get() is link.get()
    assert pauses.seconds == list(BUSY_PAUSES[:busy])


def test_a_busy_agent_is_not_waited_for_after_a_stop() -> None:
    def connect(target: Target, via: Target | None) -> FakeConnection:
        raise AgentError(ErrorCode.BUSY, "too many connections")

    stop = Pauses()
    stop.set()
    with pytest.raises(StepFailed, match="too many connections"):
        LaneLink(lane("n1"), connect, stop).get()
    assert len(stop.seconds) == 1


def test_the_probe_is_told_which_job_it_asks_about() -> None:
    asked: list[str] = []

    class Connection(FakeConnection):
        def probe(self, op: operations.Operation, job_id: str = "") -> Probe:
            asked.append(job_id)
            return super().probe(op, job_id)

    def connect(target: Target, via: Target | None) -> FakeConnection:
        return Connection(desk.world, target, desk.node)

    desk = Desk()
    desk.task.link = LaneLink(lane("n1"), connect, threading.Event())
    STEP.probe(desk.task)
    desk.node.dying_after.add(REPOINT)
    STEP.effect(desk.task)
    STEP.probe(replace(desk.task, earlier_job="p.n1.repoint.7"))
    assert asked == ["p.n1.repoint.1", "p.n1.repoint.1", "p.n1.repoint.7"]


def test_a_refused_submit_is_a_failure() -> None:
    desk = Desk()
    desk.refuse("submit", ErrorCode.NOT_ALLOWED)
    with pytest.raises(StepFailed, match="the agent says no") as caught:
        STEP.effect(desk.task)
    assert type(caught.value) is StepRefused


@pytest.mark.parametrize("code", [ErrorCode.BUSY, ErrorCode.JOB_LIMIT])
def test_a_busy_agent_is_asked_again_for_a_while(code: ErrorCode) -> None:
    desk = Desk()
    desk.refuse("submit", code, times=2)
    assert STEP.effect(desk.task) == {"was": "done"}
    desk = Desk()
    desk.refuse("submit", code, times=3)
    with pytest.raises(StepFailed, match="the agent says no") as caught:
        STEP.effect(desk.task)
    assert type(caught.value) is StepRefused


def test_a_job_the_agent_forgot_leaves_doubt() -> None:
    desk = Desk()
    desk.refuse("follow", ErrorCode.JOB_UNKNOWN)
    with pytest.raises(StepLost, match="cannot be followed"):
        STEP.effect(desk.task)


@pytest.mark.parametrize("code", [ErrorCode.UNREACHABLE, ErrorCode.TIMED_OUT])
def test_a_probe_survives_one_broken_line(code: ErrorCode) -> None:
    desk = Desk()
    desk.refuse("probe", code, times=2)
    assert STEP.probe(desk.task).verdict is Verdict.NOT_DONE
    desk.refuse("probe", code)
    with pytest.raises(Unreachable):
        STEP.probe(desk.task)


def test_the_pauses_are_waited_for_at_the_stop_button() -> None:
    stop = Pauses()
    desk = Desk(stop=stop)
    desk.drop_line_at("follow")
    with pytest.raises(StepLost):
        AgentStep(REPOINT).effect(desk.task)
    assert stop.seconds == list(PAUSES)


def test_no_pause_once_time_is_up_or_a_stop_is_asked_for() -> None:
    desk = Desk()
    desk.drop_line_at("follow")
    desk.clock.advance(100)
    with pytest.raises(StepLost, match="the line is broken"):
        AgentStep(REPOINT, (60.0,)).effect(desk.task)
    desk = Desk()
    desk.drop_line_at("submit")
    desk.task.stop.set()
    with pytest.raises(StepLost, match="the line is broken"):
        AgentStep(REPOINT, (60.0,)).effect(desk.task)


def test_a_hanging_job_is_followed_until_its_time_is_up() -> None:
    desk = Desk()
    desk.node.hanging.add(REPOINT)

    def pass_time(name: str, call: str) -> None:
        desk.clock.advance(30 if call == "follow" else 0)

    desk.world.on_call = pass_time
    with pytest.raises(StepLost, match="no result within the time limit"):
        STEP.effect(desk.task)
    assert desk.world.calls["follow"] == 5


def test_a_stop_leaves_the_job_to_the_agent() -> None:
    desk = Desk()
    desk.node.hanging.add(REPOINT)
    desk.task.stop.set()
    with pytest.raises(StepLost, match="not waited for any longer"):
        STEP.effect(desk.task)
    assert not desk.task.afterwards


# A job whose process died


def test_a_dead_job_that_had_done_its_work_is_done() -> None:
    desk = Desk()
    desk.node.dying_after.add(REPOINT)
    assert STEP.effect(desk.task) == {}


@pytest.mark.parametrize("kind", ["dying_before", "dying_half_way"])
def test_a_dead_job_that_had_not_is_a_failure(kind: str) -> None:
    desk = Desk()
    getattr(desk.node, kind).add(REPOINT)
    with pytest.raises(
        StepFailed, match=r"died before it was done: (nothing|half) of it"
    ) as caught:
        STEP.effect(desk.task)
    assert type(caught.value) is StepFailed


def test_a_dead_job_that_cannot_be_asked_about_leaves_doubt() -> None:
    desk = Desk()
    desk.node.dying_after.add(REPOINT)
    desk.refuse("probe", ErrorCode.INTERNAL)
    with pytest.raises(StepLost, match="the agent says no"):
        STEP.effect(desk.task)


@pytest.mark.parametrize("outcome", [JobOutcome(ok=False), None])
def test_an_end_without_reason_is_no_success(outcome: JobOutcome | None) -> None:
    desk = Desk()
    STEP.effect(desk.task)
    desk.node.effects.clear()
    desk.node.jobs["p.n1.repoint.1"].outcome = outcome
    with pytest.raises(StepFailed):
        STEP.effect(desk.task)


# An interrupted attempt


def interrupted(**job: Any) -> Desk:
    """The first attempt's job is at the agent, its step is in doubt."""
    desk = Desk()
    STEP.effect(desk.task)
    for name, value in job.items():
        setattr(desk.node.jobs["p.n1.repoint.1"], name, value)
    desk.said.clear()
    desk.task = replace(desk.task, earlier_job="p.n1.repoint.1", job_id="", afterwards=[])
    return desk


def test_the_job_of_an_interrupted_attempt_is_believed() -> None:
    desk = interrupted()
    desk.node.effects.clear()
    assert STEP.probe(desk.task).verdict is Verdict.DONE
    assert len(desk.task.afterwards) == 1
    assert desk.said == []


def test_a_running_job_of_an_interrupted_attempt_is_waited_for() -> None:
    desk = interrupted(state=JobState.RUNNING)

    def finish(name: str, call: str) -> None:
        if desk.world.calls["follow"] == 4:
            desk.node.jobs["p.n1.repoint.1"].state = JobState.EXITED

    desk.world.on_call = finish
    assert STEP.probe(desk.task).verdict is Verdict.DONE
    assert desk.world.calls["submit"] == 1


def test_a_job_that_does_not_end_keeps_the_doubt() -> None:
    desk = interrupted(state=JobState.RUNNING)
    desk.clock.advance(100)
    with pytest.raises(StepLost, match="no result within the time limit"):
        STEP.probe(desk.task)


@pytest.mark.parametrize(
    "job",
    [
        {"state": JobState.LOST, "outcome": None},
        {"outcome": JobOutcome(ok=False, error={"code": 401, "message": "x", "detail": ""})},
    ],
)
@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_job_that_tells_nothing_leaves_it_to_the_probe(
    job: dict[str, Any], verdict: Verdict
) -> None:
    desk = interrupted(**job)
    match verdict:
        case Verdict.NOT_DONE:
            desk.node.effects.clear()
        case Verdict.BROKEN:
            desk.node.effects[REPOINT] = None
        case Verdict.DONE:
            pass
    assert STEP.probe(desk.task).verdict is verdict


def test_a_job_that_never_arrived_leaves_it_to_the_probe() -> None:
    desk = Desk(earlier_job="p.n1.repoint.7")
    assert STEP.probe(desk.task).verdict is Verdict.NOT_DONE


def test_an_unreachable_agent_cannot_be_asked() -> None:
    desk = Desk(earlier_job="p.n1.repoint.7")
    desk.node.is_down = True
    with pytest.raises(Unreachable):
        STEP.probe(desk.task)


def test_an_acknowledgement_that_fails_does_no_harm() -> None:
    desk = Desk()
    STEP.effect(desk.task)
    desk.node.is_down = True
    for _ in range(2):
        for call in desk.task.afterwards:
            call()


def test_arguments_that_are_no_operation_fail_the_step() -> None:
    desk = Desk()
    desk.task.step = replace(desk.task.step, args={"nim_name": "a b", "master": "sn2"})
    with pytest.raises(StepFailed, match="'a b' is not a valid NIM object name"):
        STEP.effect(desk.task)
