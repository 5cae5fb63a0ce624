"""Every golden case, and what must be true of each plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.golden.cases import differences

from xcat_aix.plan.model import Plan
from xcat_aix.plan.servicenodes import explain
from xcat_aix.plan.servicenodes.nodesteps import DATABASE_LANE
from xcat_aix.plan.servicenodes.undo import undo

from . import golden

CASES = golden.cases()
PLANNED = [path for path in CASES if "plan" in golden.load(path)["expect"]]


def test_the_cases_are_there() -> None:
    assert len(CASES) >= 40 and len(PLANNED) >= 25


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = golden.load(path)
    assert golden.impossible(case) == []
    assert differences(case["expect"], golden.outcome(case)) == []
    assert path.read_text() == golden.text(case)


@pytest.mark.parametrize("path", PLANNED, ids=lambda path: path.stem)
def test_plan_is_sound(path: Path) -> None:
    plan = golden.plan_of(golden.load(path))
    assert plan.problems() == () and plan.command == "snbalance"
    assert Plan.from_json(json.loads(plan.text())) == plan
    assert {cell.key for cell in plan.cells} == set(plan.nodes)
    assert all(cell.before != cell.after for cell in plan.cells)
    kept = set(plan.summary["kept"])
    moved = [node for route in plan.summary["routes"] for node in route["nodes"]]
    assert sorted([*moved, *kept]) == sorted(plan.nodes)
    assert kept.isdisjoint(lane.subject for lane in plan.lanes)
    told = "\n".join(explain.to_text(plan))
    assert all(note.text in told for note in plan.notes)
    assert json.loads(explain.to_json(plan))["summary"]["balance"] == plan.summary["balance"]


@pytest.mark.parametrize("path", PLANNED, ids=lambda path: path.stem)
def test_a_second_time_nothing_is_to_be_done(path: Path) -> None:
    case = golden.load(path)
    plan = golden.plan_of(case)
    rows = {row["node"]: row for row in case["rows"]["noderes"]}
    for cell in plan.cells:
        if cell.table == "noderes":
            rows.setdefault(cell.key, {"node": cell.key})[cell.column] = cell.after
    case["rows"]["noderes"] = list(rows.values())
    again = golden.plan_of(case)
    assert again.nodes == again.cells == again.lanes == ()
    now = [line[what][1] for line in plan.summary["balance"] for what in ("primary", "backup")]
    then = [line[what][0] for line in again.summary["balance"] for what in ("primary", "backup")]
    assert [number for number in now if number] == [number for number in then if number]


@pytest.mark.parametrize("path", PLANNED, ids=lambda path: path.stem)
def test_undo_of_everything(path: Path) -> None:
    plan = golden.plan_of(golden.load(path))
    if not plan.nodes:
        return
    done = {lane.id: [step.id for step in lane.steps] for lane in plan.lanes}
    back = undo(plan, done, "snbalance-1")
    assert back.problems() == ()
    assert [(c.before, c.after) for c in back.cells] == [(c.after, c.before) for c in plan.cells]
    for there, line in zip(plan.summary["balance"], back.summary["balance"], strict=True):
        assert line["primary"] == there["primary"][::-1]
    with_database_only = undo(plan, {DATABASE_LANE: ["write"]}, "snbalance-1")
    assert not any(lane.target for lane in with_database_only.lanes)
