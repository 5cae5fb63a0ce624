"""The way back of any plan: also one about service nodes, and one that writes no database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.kinds import Begun, NoReverse
from xcat_aix.plan.model import Lane, Plan, Step, Target
from xcat_aix.plan.ordering import LaneOrder
from xcat_aix.plan.undo import LaneWay, undo
from xcatd import changes
from xcatd.changes import Change, ChangedRow, Changes

SN1, SN2 = Target("sn", "sn1"), Target("sn", "sn2")
NODES = ("n1", "n2", "n3")


def undefine(begun: Begun) -> Step | None:
    """Take away what the effect says that it made, and nothing that was there before."""
    made = [node for node in begun.step.about if node in begun.result.get("made", ())]
    if not made:
        return None
    return replace(begun.step, kind="toy.undefine@1", about=tuple(made))


class Kinds:
    """Made up: objects that are defined, names that are changed, a table that is rebuilt, a letter that is sent."""

    reverses: Mapping[str, Any] = {
        "toy.define@1": undefine,
        "toy.undefine@1": lambda it: replace(it.step, kind="toy.define@1"),
        "toy.name@1": lambda it: replace(it.step, args={"to": it.known}) if it.known else None,
        "toy.rebuild@1": lambda it: it.step,
        "toy.send@1": NoReverse("a letter that is sent is sent"),
    }

    def title(self, step: Step) -> str:
        return f"{step.kind} {step.id}"

    def reverse(self, begun: Begun) -> Step | NoReverse | None:
        found: Step | NoReverse | None = self.reverses[begun.step.kind](begun)
        return found


KINDS = Kinds()


def define(name: str = "define", about: tuple[str, ...] = NODES, **more: Any) -> Step:
    return Step(name, "toy.define@1", {"image": "std"}, about, **more)


def plan(*lanes: Lane, **more: Any) -> Plan:
    made = Plan("mktoy", NODES, lanes, **more)
    assert made.problems() == ()
    return made


def done(lanes: Iterable[Lane], made: Collection[str] = NODES) -> dict[str, dict[str, Any]]:
    return {lane.id: {step.id: {"made": list(made)} for step in lane.steps} for lane in lanes}


def test_lanes_of_service_nodes_are_taken_back_last_first() -> None:
    first = Lane("sn1", (define("a"), define("b", holds=("nim:sn1",), limit=9.0)), "sn1", SN1)
    second = Lane("sn2", (define("c"),), "sn2", SN2, via=SN1, needs=("sn1",))
    back = undo(plan(first, second), done([first, second]), "x", KINDS)
    assert back.problems() == () and (back.undoes, back.command) == ("x", "mktoy")
    assert [lane.id for lane in back.lanes] == ["sn2", "sn1"]
    assert back.lanes == (
        replace(second, steps=(replace(define("c"), kind="toy.undefine@1"),), needs=()),
        replace(
            first,
            steps=tuple(replace(step, kind="toy.undefine@1") for step in first.steps[::-1]),
            needs=("sn2",),
        ),
    )


def test_what_the_effect_returned_says_what_is_taken_back() -> None:
    lanes = Lane("sn1", (define(),), "sn1", SN1), Lane("sn2", (define(),), "sn2", SN2)
    found = {"sn1": {"define": {"made": ["n2"]}}, "sn2": {"define": {"made": []}}}
    back = undo(plan(*lanes), found, "x", KINDS)
    assert [(lane.id, lane.steps[0].about) for lane in back.lanes] == [("sn1", ("n2",))]
    assert back.notes == ()


def test_what_has_no_way_back_is_said_and_the_rest_is_done() -> None:
    steps = (define(), Step("send", "toy.send@1", about=("n1", "n2")), define("more"))
    lane = Lane("sn1", steps, "sn1", SN1)
    back = undo(plan(lane), done([lane]), "x", KINDS)
    assert [step.id for step in back.lanes[0].steps] == ["more", "define"]
    (note,) = back.notes
    assert (note.level, note.subject) == ("warning", "n1,n2")
    assert note.text == "not taken back: toy.send@1 send, because a letter that is sent is sent"


def test_a_plan_of_which_nothing_can_be_taken_back_is_refused() -> None:
    lane = Lane("sn1", (Step("send", "toy.send@1"),), "sn1", SN1)
    with pytest.raises(PlanError, match=r"cannot undo x: sn1: not taken back: .* is sent is sent"):
        undo(plan(lane), done([lane]), "x", KINDS)
    with pytest.raises(PlanError, match="cannot undo x: nothing was done that could be"):
        undo(plan(lane), {"sn1": {}}, "x", KINDS)


def test_a_command_says_what_it_knows_of_each_lanes_way() -> None:
    lanes = [
        Lane(node, (Step("name", "toy.name@1", {"to": "new"}),), node, Target("cn", node))
        for node in NODES
    ]

    def ways(lane: Lane) -> LaneWay | NoReverse:
        return NoReverse("its name is gone") if lane.id == "n3" else LaneWay(SN2, f"old-{lane.id}")

    back = undo(plan(*lanes), done(lanes), "x", KINDS, ways=ways, is_forward=True)
    assert [(lane.id, lane.via, lane.steps[0].args) for lane in back.lanes] == [
        ("n1", SN2, {"to": "old-n1"}),
        ("n2", SN2, {"to": "old-n2"}),
    ]
    (note,) = back.notes
    assert (note.subject, note.text) == ("n3", "left as it is, because its name is gone")


def test_what_is_done_again_comes_after_what_it_depends_on() -> None:
    name = Lane("name", (define(),), "sn1", SN1)
    rebuild = Lane("rebuild", (Step("rebuild", "toy.rebuild@1"),), needs=("name",))
    last = Lane(
        "last", (define(), Step("rebuild", "toy.rebuild@1")), "sn2", SN2, needs=("rebuild",)
    )
    lanes = name, rebuild, last
    back = {lane.id: lane for lane in undo(plan(*lanes), done(lanes), "x", KINDS).lanes}
    assert [step.id for step in back["last"].steps] == ["define", "rebuild"]
    assert set(back["rebuild"].needs) == {"name", "last"}
    assert back["name"].needs == ("last",) and back["last"].needs == ()


def test_an_undo_of_an_undo_does_all_that_was_not_finished() -> None:
    """What had waited for it, too: a report that came too early comes again."""
    whole = Lane("sn1", (define("a"),), "sn1", SN1)
    half = Lane("sn2", (define("b"), define("c")), "sn2", SN2)
    never = Lane("sn3", (define("d"),), "sn3", Target("sn", "sn3"))
    report = Lane("report", (define("e"),), after=("sn2", "sn3"))
    there = plan(whole, half, never, report)
    begun = done([whole, half, report])
    del begun["sn2"]["c"]
    back = undo(there, begun, "x", KINDS, unfinished=["sn2", "sn3"])
    assert {lane.id for lane in back.lanes} == {"sn1", "sn2", "report"}
    assert back.rest == (half, never, report)
    assert Plan.from_json(back.to_json()) == back and back.problems() == ()

    forth = undo(back, done(back.lanes), "y", KINDS)
    assert forth.problems() == ()
    lanes = {lane.id: lane for lane in forth.lanes}
    assert lanes.keys() == {"sn1", "sn2", "sn3", "report"}
    assert [lanes[lane.id].steps for lane in back.rest] == [lane.steps for lane in back.rest]
    assert set(lanes["report"].after) == {"sn2", "sn3"}
    assert lanes["sn1"].steps == whole.steps


def test_a_later_undo_carries_what_the_undo_did_not_finish() -> None:
    lanes = Lane("sn1", (define(),), "sn1", SN1), Lane("sn2", (define(),), "sn2", SN2)
    back = undo(plan(*lanes), done(lanes), "x", KINDS)
    forth = undo(back, done(back.lanes[:1]), "y", KINDS, unfinished=[back.lanes[1].id])
    assert [lane.id for lane in forth.lanes] == [back.lanes[0].id]
    assert forth.rest == (back.lanes[1],)


# Whatever the order of the lanes


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, set[str], set[str]]:
    """A plan, the lanes of which something was begun, and those of them that are done again."""
    names = [f"l{number}" for number in range(draw(st.integers(1, 8)))]
    lanes = []
    for place, name in enumerate(names):
        waits = draw(st.sets(st.sampled_from(names[:place]))) if place else set()
        needs = draw(st.sets(st.sampled_from(sorted(waits)))) if waits else set()
        kind = draw(st.sampled_from(["toy.define@1", "toy.rebuild@1"]))
        step = Step("s", kind, about=NODES)
        lanes.append(Lane(name, (step,), needs=tuple(needs), after=tuple(waits - needs)))
    begun = draw(st.sets(st.sampled_from(names), min_size=1))
    again = {lane.id for lane in lanes if lane.steps[0].kind == "toy.rebuild@1"} & begun
    return plan(*lanes), begun, again


def ancestors(lanes: Iterable[Lane]) -> dict[str, set[str]]:
    """Whom each lane waits for, by way of others too."""
    direct = {lane.id: {*lane.needs, *lane.after} for lane in lanes}
    found: dict[str, set[str]] = {}

    def all_of(name: str) -> set[str]:
        if name not in found:
            found[name] = direct[name].union(*(all_of(other) for other in direct[name]))
        return found[name]

    for name in direct:
        all_of(name)
    return found


@given(plans(), st.booleans())
def test_the_order_holds_over_what_is_left_out(
    case: tuple[Plan, set[str], set[str]], is_forward: bool
) -> None:
    there, begun, again = case
    made = done([lane for lane in there.lanes if lane.id in begun])
    back = undo(there, made, "x", KINDS, is_forward=is_forward)
    assert back.problems() == ()
    assert {lane.id for lane in back.lanes if lane.steps} == begun
    before, now = ancestors(there.lanes), ancestors(back.lanes)
    for lane in begun:
        for other in before[lane] & begun:
            if is_forward or lane in again:
                assert other in now[lane]
            else:
                assert lane in now[other]


def test_many_lanes_before_and_behind_are_not_told_of_each_other_one_by_one() -> None:
    first = [Lane(f"a{number}", ()) for number in range(300)]
    middle = Lane("middle", (define(),), "sn1", SN1, needs=tuple(lane.id for lane in first))
    last = [Lane(f"b{number}", (), needs=("middle",)) for number in range(300)]
    order = LaneOrder([*first, middle, *last])
    (empty,) = order.leave_out(["middle"])
    assert (empty.steps, empty.target) == ((), None)
    assert order.placed(last[0]).needs == ("middle",)
    assert len(order.placed(empty).needs) == 300


# What was begun for some nodes only, and what is carried along


def test_what_was_not_begun_for_a_node_is_not_taken_back_there() -> None:
    lane = Lane("sn1", (define("a"), define("b")), "sn1", SN1)
    back = undo(plan(lane), done([lane]), "x", KINDS, spared={"sn1": {"a": {"n2"}}})
    assert [(step.id, step.about) for step in back.lanes[0].steps] == [
        ("b", NODES), ("a", ("n1", "n3")),
    ]  # fmt: skip


def test_hosts_are_taken_back_only_if_the_database_was() -> None:
    """In the order of before it was only to come after them."""
    host = Lane("sn1", (define(),), "sn1", SN1)
    row = ChangedRow(Change(changes.Way.SET, "nodelist", ("node",), (("comments", "x"),)), ("n1",))
    write = Step("write", "toy.rebuild@1", about=NODES, changes=Changes((row,)))
    database = Lane("database", (write,), after=("sn1",))
    kinds = Kinds()
    kinds.reverses = {**Kinds.reverses, "toy.rebuild@1": lambda it: replace(it.step, id="back")}
    lanes = {
        lane.id: lane
        for lane in undo(plan(host, database), done([host, database]), "x", kinds).lanes
    }
    assert lanes["sn1"].needs == ("database",) and lanes["database"].needs == ()


@given(plans(), st.data())
def test_an_undo_of_an_undo_can_be_carried_out_whatever_was_left(
    case: tuple[Plan, set[str], set[str]], data: st.DataObject
) -> None:
    """What is done again comes after what it depends on, and what is carried along after what it waited for."""
    there, begun, _ = case
    made = done([lane for lane in there.lanes if lane.id in begun])
    names = st.sampled_from([lane.id for lane in there.lanes])
    back = undo(there, made, "x", KINDS, unfinished=data.draw(st.sets(names)))
    forth = undo(back, done(back.lanes), "y", KINDS)
    assert forth.problems() == ()
    assert {lane.id for lane in back.rest} <= {lane.id for lane in forth.lanes}
    carried, now = {lane.id for lane in back.rest}, ancestors(forth.lanes)
    if all(step.kind != "toy.rebuild@1" for lane in there.lanes for step in lane.steps):
        for lane in back.rest:
            assert {*lane.needs, *lane.after} & carried <= now[lane.id]


def test_what_is_written_after_hosts_is_known_beforehand() -> None:
    """But for what the plan itself wrote before, and where nothing is done on hosts without the database."""

    def writes(name: str, *nodes: str, **more: Any) -> Lane:
        change = Change(changes.Way.SET, "nodelist", ("node",), (("comments", name),))
        rows = Changes(tuple(ChangedRow(change, (node,)) for node in nodes))
        return Lane(name, (Step("write", "toy.rebuild@1", changes=rows),), **more)

    host = Lane("sn1", (define(),), "sn1", SN1)
    late = plan(host, writes("first", "n1", after=("sn1",)), writes("second", "n1", "n2"))
    assert [(row.change.after[0][1], row.key) for row in late.late_changes.rows] == [
        ("first", ("n1",)), ("second", ("n2",)),
    ]  # fmt: skip
    early = plan(writes("first", "n1"), replace(host, needs=("first",)))
    assert early.late_changes == Changes()
