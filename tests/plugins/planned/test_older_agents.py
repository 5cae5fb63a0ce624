"""Agents one version older: what they lack is said for each node before anything is changed."""

from __future__ import annotations

import json

import pytest

from xcat_aix.commands.planned import lacking
from xcat_aix.commands.planned.agents import AgentCalls
from xcat_aix.plan.model import Lane, Target
from xcat_aix.plan.steps import operation_step
from xcat_aix_proto import operations

from .stage import Dying, Site
from .test_notes import BACK, KIND, NOTED, keep, notes
from .toy import KeepNotes

LACKING = (
    f"its agent (version 0.9) does not know {KIND}: update the agent, or leave it behind by --force"
)


@pytest.fixture
def older(site: Site) -> Site:
    """One of two service nodes is not updated yet."""
    site.world.node("sn2").lacking.add(KIND)
    return site


def update(site: Site) -> None:
    site.world.node("sn2").lacking.clear()


def untouched(site: Site) -> bool:
    return site.comments() == BACK and notes(site) == {} and not site.world.node("sn1").jobs


def test_a_new_plan_is_refused_with_a_line_for_each_node(older: Site) -> None:
    older.world.node("sn1").lacking.add(KIND)
    said = keep(older)
    assert said.status == 1
    assert said.errors == [f"sn1: {LACKING}", f"sn2: {LACKING}"]
    assert untouched(older) and older.plan_ids() == []


def test_the_same_as_json(older: Site) -> None:
    (line,) = keep(older, "--json", "--yes").lines
    assert json.loads(line) == {"status": 1, "errors": [f"sn2: {LACKING}"]}


def test_nobody_is_asked_to_confirm_what_cannot_be_done(older: Site) -> None:
    said = keep(older, environment={"XCAT_ASKS_ABOVE": "0"})
    assert said.errors == [f"sn2: {LACKING}"] and not [reply for reply in said if reply.saved]


def test_a_dry_run_warns(older: Site) -> None:
    said = keep(older, "--dry-run")
    assert said.status == 0
    assert said.lines[-3:] == [
        "Mind:", f"  warning: sn2: {LACKING}", "This is the plan only: nothing was changed.",
    ]  # fmt: skip
    body = json.loads(keep(older, "--json").lines[0])
    assert body["notes"] == [{"level": "warning", "text": LACKING, "subject": "sn2"}]
    # What is kept is the plan alone: an agent may be updated until it is applied.
    (saved,) = [reply.saved for reply in keep(older, "--out", "plan.txt") if reply.saved]
    assert any(LACKING in line for line in saved.text)
    assert LACKING not in older.run("plans", "--show", saved.id).text


def test_a_kept_plan_is_refused_until_the_agent_is_updated(older: Site) -> None:
    (saved,) = [reply.saved for reply in keep(older, "--out", "plan.txt") if reply.saved]
    said = older.run("notes", "--apply", saved.id)
    assert said.status == 1 and said.errors == [f"sn2: {LACKING}"]
    assert untouched(older)
    update(older)
    assert older.run("plans", "--apply", saved.id).status == 0
    assert older.comments() == NOTED


def test_by_force_it_is_done_for_the_others(older: Site) -> None:
    said = keep(older, "--force")
    assert said.status == 2
    assert "does not know" in said.errors[0] and said.errors[0].startswith("sn2: ")
    assert older.comments() == {**NOTED, "n4": None, "n5": None}
    (plan,) = older.plan_ids()
    refused = older.run("notes", "--resume", plan)
    assert refused.status == 1 and refused.errors == [f"sn2: {LACKING}"]
    assert older.run("notes", "--resume", plan, "--force").status == 2
    update(older)
    assert older.run("plans", "--resume", plan).status == 0
    assert older.comments() == NOTED


def test_a_plan_to_be_resumed_asks_for_what_is_left_only(site: Site) -> None:
    site.world.node("sn2").is_down = True
    keep(site)
    (plan,) = site.plan_ids()
    site.world.node("sn2").is_down = False
    site.world.node("sn1").lacking.add(KIND)  # it is done there
    site.roles.clear()
    assert site.run("notes", "--resume", plan).status == 0
    assert site.roles == {("sn", "sn2")}


def test_an_undo_asks_as_well(site: Site) -> None:
    keep(site)
    (plan,) = site.plan_ids()
    site.world.node("sn1").lacking.add(KIND)
    said = site.run("plans", "--undo", plan)
    assert said.status == 1 and said.errors == [f"sn1: {LACKING}"]
    assert site.comments() == NOTED and site.plan_ids() == [plan]


def test_who_gives_no_answer_is_left_to_the_lane(site: Site) -> None:
    site.world.node("sn1").is_down = True
    said = keep(site)
    assert said.status == 2
    assert "--force" not in said.text and "sn1: " in said.errors[0]
    assert site.comments()["n4"] == "hello"


def test_nobody_is_asked_for_what_the_last_version_knows(
    older: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "LAST_VERSION", operations.LAST_VERSION | {KIND})

    def ask_each(*_: object) -> None:
        raise AssertionError("an agent was asked")

    monkeypatch.setattr(AgentCalls, "ask_each", ask_each)
    assert keep(older, "--dry-run").status == 0
    assert keep(older).status == 2  # its lane says so


def test_who_has_no_direct_way_is_asked_through_the_relay(site: Site) -> None:
    step = operation_step("note", KeepNotes(("n1",), "hello"))
    lane = Lane("n1", (step,), "n1", Target("cn", "n1"), Target("sn", "sn1"))
    site.world.node("n1").is_cut_off = True
    site.world.node("n1").lacking.add(KIND)
    (note,) = lacking.notes([lane], site.context())
    assert (note.subject, note.text) == ("n1", LACKING)


def test_by_force_its_lane_fails_before_its_first_intent(older: Site, dying: Dying) -> None:
    fuse = dying()
    assert keep(older, "--force").status == 2
    assert not [point for point in fuse.points if "notes:sn2" in point]
