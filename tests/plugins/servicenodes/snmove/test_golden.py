"""Every golden case: request + tables + world -> plan and its text, or the refusal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.golden.cases import differences
from tests.kinds import KINDS

from xcat_aix.plan import explain
from xcat_aix.plan.model import Plan
from xcat_aix.plan.servicenodes.meaning import MoveMeaning
from xcat_aix.plan.servicenodes.writes import _COLUMNS

from . import golden

CASES = golden.cases()


def test_the_cases_are_there() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = golden.load(path)
    assert golden.impossible(case) == []
    assert differences(case["expect"], golden.outcome(case)) == []
    assert path.read_text() == golden.text(case)


PLANNED = [path for path in CASES if "plan" in golden.load(path)["expect"]]


@pytest.mark.parametrize("path", PLANNED, ids=lambda path: path.stem)
def test_plan_is_sound(path: Path) -> None:
    plan = golden.plan_of(golden.load(path))
    assert plan.problems() == ()
    assert Plan.from_json(json.loads(plan.text())) == plan
    read = [guard[:3] for guard in plan.changes.guards()]
    written = [cell[:3] for cell in plan.changes.cells()]
    assert len({*read, *written}) == len(read) + len(written)
    for node in plan.nodes:
        for table, columns in {**_COLUMNS, "nodelist": ("groups",)}.items():
            for column in columns:
                assert (table, (("node", node),), column) in {*read, *written}
    assert all(cell.before != cell.after for cell in plan.changes.cells())
    assert {cell.name for cell in plan.changes.cells()} == set(plan.nodes)


@pytest.mark.parametrize("path", PLANNED, ids=lambda path: path.stem)
def test_explanation_leaves_nothing_out(path: Path) -> None:
    plan = golden.plan_of(golden.load(path))
    lines = explain.to_text(plan, KINDS.title, MoveMeaning.of(plan))
    text = "\n".join(lines)
    assert all(line.strip() for line in lines)
    for cell in plan.changes.cells():
        assert f"{cell.table}.{cell.column}: " in text
        assert f"-> {cell.after}" in text
    for lane in plan.lanes:
        if lane.target:
            assert all(KINDS.title(step) in text for step in lane.steps)
    for note in plan.notes:
        assert note.text in text
    shown = json.loads(explain.to_json(plan, KINDS.title))
    assert shown["nodes"] == list(plan.nodes)
    titles = [[step["title"] for step in lane["steps"]] for lane in shown["lanes"]]
    assert titles == [[KINDS.title(step) for step in lane.steps] for lane in plan.lanes]
