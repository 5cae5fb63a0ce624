"""Every golden case, and what must be true of each plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.golden.cases import differences
from tests.kinds import KINDS
from tests.plugins.servicenodes.snmove.test_undo import everything

from xcat_aix.plan import explain
from xcat_aix.plan.model import Plan
from xcat_aix.plan.servicenodes.meaning import MoveMeaning
from xcat_aix.plan.servicenodes.nodesteps import DATABASE_LANE
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcat_aix.plan.servicenodes.undo import undo_move

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
    assert {cell.name for cell in plan.changes.cells()} == set(plan.nodes)
    assert all(cell.before != cell.after for cell in plan.changes.cells())
    summary = MoveSummary.of(plan)
    kept = set(summary.kept)
    moved = [node for route in summary.routes for node in route.nodes]
    assert sorted([*moved, *kept]) == sorted(plan.nodes)
    assert kept.isdisjoint(lane.subject for lane in plan.lanes)
    told = "\n".join(explain.to_text(plan, KINDS.title, MoveMeaning.of(plan)))
    assert all(note.text in told for note in plan.notes)
    shown = json.loads(explain.to_json(plan, KINDS.title))
    assert shown["summary"]["balance"] == plan.summary["balance"]


@pytest.mark.parametrize("path", PLANNED, ids=lambda path: path.stem)
def test_a_second_time_nothing_is_to_be_done(path: Path) -> None:
    case = golden.load(path)
    plan = golden.plan_of(case)
    rows = {row["node"]: row for row in case["rows"]["noderes"]}
    for cell in plan.changes.cells():
        if cell.table == "noderes":
            rows.setdefault(cell.name, {"node": cell.name})[cell.column] = cell.after
    case["rows"]["noderes"] = list(rows.values())
    again = golden.plan_of(case)
    assert again.nodes == again.lanes == ()
    now = [both[1] for line in MoveSummary.of(plan).balance for both in (line.primary, line.backup)]
    then = [
        both[0] for line in MoveSummary.of(again).balance for both in (line.primary, line.backup)
    ]
    assert [number for number in now if number] == [number for number in then if number]


@pytest.mark.parametrize("path", PLANNED, ids=lambda path: path.stem)
def test_undo_of_everything(path: Path) -> None:
    plan = golden.plan_of(golden.load(path))
    if not plan.nodes:
        return
    back = undo_move(plan, everything(plan), "snbalance-1", KINDS)
    assert back.problems() == ()
    turned = [(cell.after, cell.before) for cell in plan.changes.cells()]
    assert [(cell.before, cell.after) for cell in back.changes.cells()] == turned
    lines = zip(MoveSummary.of(plan).balance, MoveSummary.of(back).balance, strict=True)
    assert all(line.primary == there.primary[::-1] for there, line in lines)
    with_database_only = undo_move(plan, {DATABASE_LANE: {"write": {}}}, "snbalance-1", KINDS)
    assert not any(lane.target for lane in with_database_only.lanes)
