"""Outcomes per node of a step: nobody's is lost, none is taken for done that was not said to be, and what is
left is all that a later attempt works on."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcat_aix.plan.fold import fold, unfold
from xcat_aix.plan.model import Lane, Plan, Step
from xcat_aix.run import outcomes, stored
from xcat_aix.run.outcomes import NodeOutcomes
from xcat_aix.run.progress import Progress, StepEnded
from xcat_aix.run.registry import Registry
from xcat_aix.run.states import CorruptJournal, Event, LaneResult, Outcome, StepState, Word
from xcat_aix.run.story import PlanState
from xcat_aix.run.story import fold as fold_events
from xcat_aix.run.testing import FakeWork
from xcat_aix.steps.database import ONLY_DONE, DatabaseWrite
from xcatd.changes import Change, ChangedRow, Changes, Way

from .rig import Bomb, Killed, Rig, outcome, results

NODES = ("n1", "n2", "n3", "n4")


def serving(nodes: tuple[str, ...] = NODES, names: tuple[str, ...] = ("a", "b")) -> Plan:
    steps = tuple(Step(name, FakeWork.kind, about=nodes) for name in names)
    return Plan("test", nodes, (Lane("sn1", steps, subject="sn1"),))


class Serving(Rig):
    """A rig whose plan serves several nodes with each step."""

    def begin(self, work: FakeWork, plan: Plan | None = None, **more: Any) -> list[Progress]:
        executor = replace(self.executor(**more), registry=self.kinds(work))
        return list(executor.run(executor.open(plan or serving())))

    def go_on(self, work: FakeWork, **more: Any) -> list[Progress]:
        executor = replace(self.executor(**more), registry=self.kinds(work))
        return list(executor.run(executor.claim(self.only_plan())))

    def kinds(self, work: FakeWork) -> Registry:
        return Registry([DatabaseWrite(self.db), work])

    def state(self) -> PlanState:
        return self.journal().load(self.only_plan()).state


def test_a_lane_goes_on_for_the_nodes_that_are_well() -> None:
    rig, work = Serving(), FakeWork()
    work.fates = {"n2": "failed", "n4": "lost"}
    told = rig.begin(work)
    assert work.asked == [NODES, ("n1", "n3")]
    assert outcome(told) is Outcome.PARTIAL
    assert results(told) == {"sn1": "partial"}
    (first, second) = [each for each in told if isinstance(each, StepEnded)]
    assert (first.state, first.text) == (StepState.UNKNOWN, "n2: failed on n2")
    assert {node: (found.state.value, found.text) for node, found in first.nodes.items()} == {
        "n1": ("done", ""),
        "n2": ("failed", "failed on n2"),
        "n3": ("done", ""),
        "n4": ("unknown", "lost on n4"),
    }
    assert (second.state, second.nodes) == (StepState.DONE, {})
    assert {node: found.state.value for node, found in rig.state().nodes().items()} == {
        "n1": "done",
        "n2": "failed",
        "n3": "done",
        "n4": "unknown",
    }


def test_a_step_that_is_done_for_some_is_partial() -> None:
    rig, work = Serving(), FakeWork()
    work.fates = {"n2": "failed"}
    rig.begin(work)
    state = rig.state()
    assert state.record("sn1", "a").state is state.record("sn1", "b").state is StepState.PARTIAL
    assert state.trouble("sn1").text == "n2: failed on n2"  # type: ignore[union-attr] # there is one
    assert state.undone(["sn1"]) == {"n2"}


def test_a_retry_works_on_what_is_left_only() -> None:
    rig, work = Serving(), FakeWork()
    work.fates = {"n2": "failed", "n4": "lost", "n3": "broken"}
    rig.begin(work)
    work.fates, work.asked = {}, []
    told = rig.go_on(work)
    assert outcome(told) is Outcome.OK
    # n4 had been done, and its probe said so.
    assert work.asked == [("n2", "n3"), ("n2", "n3", "n4")]
    assert set(work.performed.values()) == {1}


def test_a_step_that_fails_for_all_stops_its_lane() -> None:
    rig, work = Serving(), FakeWork()
    work.fates = dict.fromkeys(NODES, "failed")
    told = rig.begin(work)
    assert len(work.asked) == 1
    assert outcome(told) is Outcome.FAILED
    assert results(told) == {"sn1": "undone"}


def test_what_is_not_yet_to_be_done_is_left_for_later() -> None:
    rig, work = Serving(), FakeWork()
    work.fates = {"n2": "not yet"}
    assert outcome(rig.begin(work)) is Outcome.PARTIAL
    assert rig.state().nodes()["n2"].state is StepState.TODO
    work.fates = {}
    assert outcome(rig.go_on(work)) is Outcome.OK
    assert set(work.performed.values()) == {1}


def test_a_step_about_other_nodes_goes_on_if_something_was_done() -> None:
    steps = (
        Step("a", FakeWork.kind, about=("n1", "n2")),
        Step("b", FakeWork.kind, about=("n2", "n3")),
        Step("c", FakeWork.kind),
    )
    rig, work = Serving(), FakeWork()
    work.fates = {"n2": "failed"}
    rig.begin(work, Plan("test", ("n1", "n2", "n3"), (Lane("sn1", steps),)))
    assert work.asked == [("n1", "n2"), ("n3",), ()]


_fates = st.dictionaries(
    st.sampled_from(NODES), st.sampled_from(["failed", "lost", "not yet", "silent", "broken"])
)


@settings(max_examples=60)
@given(st.lists(_fates, min_size=1, max_size=4))
def test_no_node_is_told_done_unless_its_effect_is_there(stories: list[dict[str, str]]) -> None:
    """And every node is accounted for, and a last attempt without trouble ends it all."""
    rig, work = Serving(fanout=1), FakeWork()
    is_over = False
    for number, fates in enumerate([*stories, {}, {}]):
        work.fates = fates
        if is_over:
            break
        told = rig.begin(work) if number == 0 else rig.go_on(work)
        state = rig.state()
        assert set(state.nodes()) == set(NODES)
        for (_, step), record in state.records():
            for node, found in record.nodes.items():
                there = work.world.get(f"{step}/{node}")
                assert found.state is not StepState.DONE or there == "done"
                assert found.state is not StepState.DOING
        is_over = outcome(told) is Outcome.OK
        assert is_over == all(f.state is StepState.DONE for f in state.nodes().values())
    assert is_over
    assert set(work.performed.values()) == {1}


@settings(max_examples=40)
@given(_fates, st.lists(st.integers(0, 25), max_size=3))
def test_killed_in_the_middle_the_probe_of_each_node_decides(
    fates: dict[str, str], crashes: list[int]
) -> None:
    rig, work = Serving(fanout=1), FakeWork()
    work.fates = fates
    begun = False
    for at in [*crashes, None, None, None]:
        try:
            told = rig.go_on(work, crash=Bomb(at)) if begun else rig.begin(work, crash=Bomb(at))
        except Killed:
            begun = begun or bool(rig.journal().list())
            continue
        begun = True
        if outcome(told) is Outcome.OK:
            break
        work.fates = {}
    assert set(rig.state().results().values()) == {LaneResult.DONE}
    assert work.performed == {f"{step}/{node}": 1 for step in "ab" for node in NODES}


# As events


_name = st.builds(
    lambda front, number, tail: f"{front}{number}{tail}",
    st.text(string.ascii_lowercase + "-_.", min_size=1, max_size=3),
    st.none() | st.integers(0, 120) | st.sampled_from(["007", "08", "00"]),
    st.sampled_from(["", "a", "-b"]),
).map(lambda name: name.replace("None", ""))


@given(st.lists(_name, unique=True, min_size=1, max_size=60))
def test_folded_names_unfold_to_the_same(names: list[str]) -> None:
    assert sorted(unfold(fold(names))) == sorted(names)


_verdicts = st.dictionaries(
    _name,
    st.tuples(
        st.sampled_from([Word.DONE, Word.FAILED, Word.LOST, Word.NOT_BEGUN, Word.PROBED_DONE]),
        st.sampled_from(["", "a", "b" * 1500]),
    ),
    min_size=2,
    max_size=40,
)


@given(_verdicts)
def test_folding_events_back_gives_the_same_state(
    verdicts: dict[str, tuple[Word, str]],
) -> None:
    shape = {"l": {"s": tuple(verdicts)}}
    events = [
        Event(Word.OPENED),
        Event(Word.INTENT, "l", "s", 1),
        Event(Word.BY_NODE, "l", "s", 1, detail={"nodes": outcomes.grouped(verdicts)}),
    ]
    kept = [stored.capped(event, "now") for event in events]
    read = [stored.read_event({**stored.event_row("p", each), "seq": "1"}) for each in kept]
    states = [fold_events(shape, story).record("l", "s").nodes for story in (kept, read)]
    assert states[0] == states[1]
    expected = {Word.FAILED: "failed", Word.LOST: "unknown", Word.NOT_BEGUN: "todo"}
    assert {node: found.state.value for node, found in states[0].items()} == {
        node: expected.get(word, "done") for node, (word, _) in verdicts.items()
    }


def test_ten_thousand_nodes_with_a_reason_each_fit() -> None:
    """What is said of them gets shorter, and no verdict is lost."""
    nodes = [f"node{number:05}" for number in range(10_000)]
    failed = {node: f"{node} says: {'x' * 1000}" for node in nodes[:-1]}
    verdicts = NodeOutcomes(nodes[-1:], failed).verdicts(nodes)
    event = Event(Word.BY_NODE, "l", "s", 1, detail={"nodes": outcomes.grouped(verdicts)})
    kept = stored.capped(event, "now")
    assert len(json.dumps(kept.detail)) <= outcomes.NODES_LIMIT + 100
    story = [Event(Word.OPENED), Event(Word.INTENT, "l", "s", 1), kept]
    found = fold_events({"l": {"s": nodes}}, story).record("l", "s").nodes
    states = [found[node].state for node in nodes]
    assert states == [StepState.FAILED] * 9_999 + [StepState.DONE]
    assert found["node00017"].text.startswith("node00017")


def test_names_alone_are_kept_in_any_case() -> None:
    nodes = [f"{number}{'x' * 60}" for number in range(20_000)]
    groups = outcomes.fitted([("failed", node, f"because of {node}") for node in nodes])
    assert {word for word, _, _ in groups} == {"failed"}
    assert {node for _, folded, _ in groups for node in unfold(folded)} == set(nodes)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([["done", "n9", ""]], "the step is not about n9"),
        ([["danced", "n1", ""]], "does not say what became of which node"),
        ("n1", "does not say what became of which node"),
        (None, "does not say what became of which node"),
        ([["probed-broken", "n1", ""]], "the step is doing for n1"),
    ],
)
def test_what_a_story_cannot_say_of_nodes_is_corrupt(nodes: object, reason: str) -> None:
    begun = [Event(Word.OPENED), Event(Word.INTENT, "l", "s", 1)]
    state = fold_events({"l": {"s": ("n1", "n2")}}, begun)
    with pytest.raises(CorruptJournal, match=reason):
        state.apply(Event(Word.BY_NODE, "l", "s", 1, detail={"nodes": nodes}))
    assert state.record("l", "s").state is StepState.DOING


# Rows for the nodes that are done


def test_the_database_is_written_for_the_nodes_that_are_done() -> None:
    change = Change(Way.SET, "noderes", ("node",), (("servicenode", "sn2"),), ())
    changes = Changes(tuple(ChangedRow(change, (node,)) for node in NODES))
    write = Step("write", DatabaseWrite.kind, {ONLY_DONE: True}, about=NODES, changes=changes)
    last = Lane("database", (write,), subject="database", after=("sn1",))
    plan = replace(serving(), lanes=(*serving().lanes, last))
    rig, work = Serving(), FakeWork()
    work.fates = {"n2": "failed", "n3": "lost"}
    told = rig.begin(work, plan)
    assert outcome(told) is Outcome.PARTIAL
    written = lambda: {n for n, sn in rig.servicenodes().items() if sn == "sn2"}  # noqa: E731 - short
    assert written() == {"n1", "n4"}
    assert rig.state().record("database", "write").nodes["n2"].state is StepState.TODO
    work.fates = {}
    assert outcome(rig.go_on(work)) is Outcome.OK
    assert written() == set(NODES)
