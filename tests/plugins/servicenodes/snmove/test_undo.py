"""The way back, for every golden plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.kinds import KINDS

from xcat_aix.plan import explain
from xcat_aix.plan.model import Lane, Plan, Target
from xcat_aix.plan.servicenodes.meaning import MoveMeaning
from xcat_aix.plan.servicenodes.moves import MoveError
from xcat_aix.plan.servicenodes.nodesteps import DATABASE_LANE
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcat_aix.plan.servicenodes.undo import undo_move
from xcat_aix.plan.undo import Done
from xcat_aix_proto import codec
from xcat_aix_proto.operations import BY_KIND, ChangeDefaultRoute, Operation

from . import golden

PLANS = [
    path for path in golden.cases() if golden.load(path)["expect"].get("plan", {}).get("nodes")
]

WRITTEN: dict[str, dict[str, Any]] = {"write": {}}


def begun(lane: Lane, *steps: str) -> dict[str, dict[str, Any]]:
    """These steps of a lane, or all of them, without results."""
    return {step.id: {} for step in lane.steps if not steps or step.id in steps}


def everything(plan: Plan) -> dict[str, dict[str, dict[str, Any]]]:
    return {lane.id: begun(lane) for lane in plan.lanes}


def undo(plan: Plan, done: Done, plan_id: str, **more: Any) -> Plan:
    return undo_move(plan, done, plan_id, KINDS, **more)


def operations(plan: Plan) -> dict[tuple[str, str], Operation]:
    return {
        (lane.subject, step.id): codec.from_wire(BY_KIND[step.kind], step.args)
        for lane in plan.lanes
        if lane.target
        for step in lane.steps
    }


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_undo_of_everything(path: Path) -> None:
    plan = golden.plan_of(golden.load(path))
    back = undo(plan, everything(plan), "snmove-1")
    assert back.problems() == () and back.undoes == "snmove-1"
    there = [(cell.after, cell.before) for cell in plan.changes.cells()]
    assert [(cell.before, cell.after) for cell in back.changes.cells()] == there
    assert Plan.from_json(back.to_json()) == back
    assert explain.to_text(back, KINDS.title, MoveMeaning.of(back))
    forth = undo(back, everything(back), "snmove-2")
    assert [c[:5] for c in forth.changes.cells()] == [c[:5] for c in plan.changes.cells()]


def test_nodes_go_back_to_the_old_master() -> None:
    plan = golden.plan_of(golden.load(golden.DIRECTORY / "diskful_by_range.json"))
    there, back = operations(plan), operations(undo(plan, everything(plan), "x"))
    assert there.keys() == back.keys()
    texts = {word: str(operation) for (node, word), operation in back.items() if node == "n1"}
    assert "master='sn1b'" in texts["repoint"]
    assert "server='10.1.0.11'" in texts["xcatinfo"] and "server='10.1.0.11'" in texts["bootlist"]
    assert "gateway='10.1.255.254'" in texts["bootlist"]
    assert "master='sn1b'" in texts["postscripts"]


def test_an_undo_of_an_undo_does_what_the_move_had_left() -> None:
    plan = golden.plan_of(golden.load(golden.DIRECTORY / "diskful_by_range.json"))
    lanes = {lane.subject: lane for lane in plan.lanes if lane.target}
    whole, half, *_ = lanes.values()
    done = {
        DATABASE_LANE: WRITTEN,
        whole.id: begun(whole),
        half.id: begun(half, half.steps[0].id),
    }
    left = [lane.id for lane in lanes.values() if lane is not whole]
    back = undo(plan, done, "snmove-1", unfinished=left)
    assert {lane.subject for lane in back.lanes if lane.target} == {whole.subject, half.subject}
    back = Plan.from_json(back.to_json())
    forth = undo(back, everything(back), "snmove-2")
    assert operations(forth) == operations(plan)
    assert forth.problems() == ()


def test_the_node_behind_a_long_name_is_meant() -> None:
    plan = golden.plan_of(golden.load(golden.DIRECTORY / "diskful_by_range.json"))
    old = MoveSummary.of(plan).routes[0].old
    back = undo(plan, everything(plan), "x", behind={old: "behind"})
    routes = MoveSummary.of(back).routes
    assert {route.server for route in routes} == {"behind"}
    assert {lane.via for lane in back.lanes if lane.target} == {Target("sn", "behind")}
    assert {route.new for route in routes} == {old}


def test_a_move_of_an_older_version_is_taken_back_as_well() -> None:
    plan = golden.plan_of(golden.load(golden.DIRECTORY / "diskful_by_range.json"))
    args = {"scripts": ["syslog"], "environment": {"MASTER": "sn2", "NODE": "n1"}}
    lanes = tuple(
        replace(
            lane,
            steps=tuple(
                replace(step, kind="client.postscripts@1", args=args)
                if step.id == "postscripts"
                else step
                for step in lane.steps
            ),
        )
        for lane in plan.lanes
    )
    back = operations(undo(replace(plan, lanes=lanes), everything(plan), "x"))
    assert "master='sn1b', node='n1'" in str(back["n1", "postscripts"])


def test_routes_are_turned_round() -> None:
    plan = golden.plan_of(golden.load(golden.DIRECTORY / "diskless.json"))
    back = operations(undo(plan, everything(plan), "x"))
    assert back["n1", "route"] == ChangeDefaultRoute("10.1.0.12", "10.1.0.11")
    assert "gateway='10.1.0.11'" in str(back["n1", "bootlist"])


def test_only_what_was_begun_is_taken_back() -> None:
    plan = golden.plan_of(golden.load(golden.DIRECTORY / "diskful_by_range.json"))
    done = {DATABASE_LANE: WRITTEN, "node:n1": {"repoint": {}, "xcatinfo": {}}, "node:n2": {}}
    back = undo(plan, done, "x")
    assert set(operations(back)) == {("n1", "repoint"), ("n1", "xcatinfo")}
    assert back.nodes == plan.nodes and len(back.changes.rows) > 1


def test_a_move_that_wrote_nothing_cannot_be_undone() -> None:
    plan = golden.plan_of(golden.load(golden.DIRECTORY / "diskful_by_range.json"))
    with pytest.raises(MoveError, match="wrote nothing"):
        undo(plan, {DATABASE_LANE: {}}, "x")


def test_node_without_an_old_master_is_named() -> None:
    case = golden.load(golden.DIRECTORY / "diskful_by_range.json")
    for row in case["rows"]["noderes"]:
        del row["xcatmaster"]
    plan = golden.plan_of(case)
    back = undo(plan, everything(plan), "x")
    assert operations(back) == {}
    (note,) = back.notes
    assert note.subject == "n1,n2" and note.level == "warning"
    assert note.text == "left as it is, because its old xcatmaster is not known"
