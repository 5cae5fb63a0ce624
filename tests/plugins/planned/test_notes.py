"""The toy plan, from its preview to its undo, by the commands that a user has."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from xcat_aix.plan.model import Plan
from xcat_aix.plan.reading import Tables
from xcat_aix_proto import operations
from xcat_aix_proto.messages import BEGIN
from xcatd.changes import Changes, Draft
from xcatd.messages import ASKS_ABOVE

from . import toy
from .stage import NODES, SERVED, Dying, Said, Site
from .toy import KeepNotes

KIND = KeepNotes.kind
BACK = dict.fromkeys(NODES)
NOTED = dict.fromkeys(NODES, "hello")


def keep(site: Site, *words: str, **more: Any) -> Said:
    return site.run("notes", "compute", "hello", *words, **more)


def notes(site: Site) -> dict[str, str]:
    """What the service nodes keep."""
    return {
        effect["nodes"][0]: effect["text"]
        for name in ("sn1", "sn2")
        for effect in site.world.node(name).effects.values()
        if effect["text"]
    }


def fail(site: Site, *nodes: str) -> None:
    for node in nodes:
        site.world.node(SERVED[node]).failing.add(f"{KIND} {node}")


def mend(site: Site) -> None:
    for node in site.world.nodes.values():
        node.failing.clear()


# Shown, and not done


def test_a_dry_run_shows_each_step_with_its_nodes_and_changes_nothing(site: Site) -> None:
    said = keep(site, "--dry-run")
    assert said.status == 0
    assert said.lines == [
        "Plan: notes, 5 nodes",
        "  n1,n2,n3,n4,n5",
        "Database: 5 cells in one transaction",
        "  n1,n2,n3,n4,n5",
        "      nodelist.comments: (none) -> hello",
        "On the service nodes, all in parallel, each in this order:",
        "  sn1",
        "      1. keep the note 'hello' for n1,n2,n3",
        "  sn2",
        "      1. keep the note 'hello' for n4,n5",
        "This is the plan only: nothing was changed.",
    ]
    assert site.comments() == BACK and site.plan_ids() == [] and notes(site) == {}


def test_the_same_as_json(site: Site) -> None:
    body = json.loads(keep(site, "--json").lines[0])
    assert body["nodes"] == list(NODES)
    assert [[step["title"] for step in lane["steps"]] for lane in body["lanes"]] == [
        ["keep the note 'hello'"],
        ["keep the note 'hello'"],
        ["write 5 cells in one transaction"],
    ]
    assert [lane["target"] for lane in body["lanes"]] == [["sn", "sn1"], ["sn", "sn2"], None]
    assert site.comments() == BACK and site.plan_ids() == []


def test_kept_and_applied_as_it_was_shown(site: Site) -> None:
    said = keep(site, "--out", "plan.txt")
    (saved,) = [reply.saved for reply in said if reply.saved]
    assert saved.text[0] == "Plan: notes, 5 nodes"
    assert site.comments() == BACK
    assert "Not begun" in site.run("plans", "--show", saved.id).text
    assert site.run("notes", "--apply", saved.id, "--digest", "0" * 64).status == 1
    applied = site.run("notes", "--apply", saved.id, "--digest", saved.sha256)
    assert applied.status == 0
    assert site.comments() == NOTED
    assert site.run("notes", "--apply", saved.id).status == 1


def test_a_kept_plan_is_refused_if_something_changed_since(site: Site) -> None:
    (saved,) = [reply.saved for reply in keep(site, "--out", "plan.txt") if reply.saved]
    with site.db.transaction("nodelist") as transaction:
        transaction.update("nodelist", {"node": "n4"}, {"comments": "mine"})
    said = site.run("notes", "--apply", saved.id)
    assert said.status == 1 and "n4" in said.text
    assert site.comments() == {**BACK, "n4": "mine"} and notes(site) == {}


def test_a_client_that_asks_gets_a_plan_to_confirm(site: Site) -> None:
    said = keep(site, environment={ASKS_ABOVE: "4"})
    (saved,) = [reply.saved for reply in said if reply.saved]
    assert saved.needs_confirmation and saved.nodes == 5
    assert site.comments() == BACK
    assert site.run("notes", *saved.keeps, "--apply", saved.id, "--yes").status == 0
    assert site.comments() == NOTED


# Done


def test_it_is_done_on_the_service_nodes_and_then_in_the_database(site: Site) -> None:
    said = keep(site)
    (plan,) = site.plan_ids()
    assert said.status == 0 and not said.errors
    assert said.lines == [
        "Done: n1,n2,n3,n4,n5",
        f"This plan can be taken back: notes --undo {plan}",
    ]
    assert site.comments() == notes(site) == NOTED
    assert site.roles == {("sn", "sn1"), ("sn", "sn2")}
    assert site.performed() == {(server, f"{KIND} {node}"): 1 for node, server in SERVED.items()}
    assert all(len(site.world.node(name).jobs) == 1 for name in ("sn1", "sn2"))
    assert site.db.select("aixlock") == []


def test_all_of_it_is_told_where_it_is_asked_for(site: Site) -> None:
    said = keep(site, "-V", environment={"XCAT_PROGRESS": "1"})
    assert "sn1: keep the note 'hello' for n1,n2,n3" in said.lines
    told = [line for reply in said for line in reply.sinfo]
    assert told == ["notes: 1 of 2 hosts done", "notes: 2 of 2 hosts done"]


def test_the_outcome_as_json(site: Site) -> None:
    fail(site, "n3")
    said = keep(site, "--json", "--yes")
    assert said.status == 2
    (text,) = said.lines
    body = json.loads(text)
    assert body["status"] == 2 and body["outcome"] == "partial" and body["command"] == "notes"
    assert {node: found["state"] for node, found in body["nodes"].items()} == {
        **dict.fromkeys(NODES, "done"),
        "n3": "failed",
    }
    assert body["errors"][0] == "n3: keep the note 'hello': the command failed"
    assert {lane["subject"]: lane["result"] for lane in body["lanes"].values()} == {
        "sn1": "partial", "sn2": "done", "database": "partial",
    }  # fmt: skip
    assert json.loads(keep(site, "--json", "--yes", "--fanout", "x").lines[0])["status"] == 1


def test_a_node_that_fails_stays_behind_and_the_others_are_written(site: Site) -> None:
    fail(site, "n3")
    said = keep(site)
    (plan,) = site.plan_ids()
    assert said.status == 2
    assert said.errors == [
        "n3: keep the note 'hello': the command failed",
        f"1 of 5 nodes not finished; to try again: notes --resume {plan}",
    ]
    assert said.lines == ["Done: n1,n2,n4,n5"]
    assert site.comments() == {**NOTED, "n3": None}
    listed = site.run("plans").text
    assert "4/5" in listed and "partial: some of it was done; not finished: n3" in listed
    assert listed == site.run("notes", "--list").text
    (entry,) = json.loads(site.run("plans", "--list", "--json").lines[0])
    assert entry["reasons"] == {"n3": "the command failed"}
    shown = site.run("plans", "--show", plan)
    assert "the command failed" in shown.text
    assert shown.lines[-1] == f"To go on: notes --resume {plan}"

    mend(site)
    again = site.run("plans", "--resume", plan)
    assert again.status == 0 and not again.errors
    assert site.comments() == notes(site) == NOTED
    assert set(site.performed().values()) == {1}
    assert site.run("plans", "--show", plan).lines[-1] == "All of it was done."
    assert site.run("notes", "--resume", plan).status == 1


def test_a_service_node_that_is_down_costs_its_nodes_only(site: Site) -> None:
    site.world.node("sn2").is_down = True
    said = keep(site)
    assert said.status == 2
    assert said.errors[0].startswith("sn2: keep the note 'hello' for n4,n5: ")
    assert said.errors[-1].startswith("2 of 5 nodes not finished")
    assert site.comments() == {**NOTED, "n4": None, "n5": None}
    site.world.node("sn2").is_down = False
    assert site.run("notes", "--resume", site.plan_ids()[0]).status == 0
    assert site.comments() == NOTED


def count_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan writes a row that is no node's, too."""
    made = toy.plan

    def plan(nodes: Iterable[str], text: str, tables: Tables) -> Plan:
        found = made(nodes, text, tables)
        draft = Draft()
        place = ("site", (("key", "notecount"),))
        draft.guard(place, "value", None)
        draft.set(place, "value", "1")
        (write,) = found.lanes[-1].steps
        more = replace(write, changes=(write.changes or Changes()) + draft.done())
        return replace(found, lanes=(*found.lanes[:-1], replace(found.lanes[-1], steps=(more,))))

    monkeypatch.setattr(toy, "plan", plan)


def counted(site: Site) -> list[str | None]:
    return [row["value"] for row in site.db.select("site", {"key": "notecount"})]


def test_a_row_that_is_no_nodes_is_written_with_the_last_of_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_notes(monkeypatch)
    site.world.node("sn2").is_down = True
    assert keep(site).status == 2
    assert counted(site) == []
    (plan,) = site.plan_ids()
    site.world.node("sn2").is_down = False
    assert site.run("notes", "--resume", plan).status == 0
    assert site.comments() == NOTED and counted(site) == ["1"]
    assert site.run("notes", "--undo", plan).status == 0
    assert site.comments() == BACK and counted(site) != ["1"]


def test_a_row_that_was_not_written_is_not_taken_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_notes(monkeypatch)
    site.world.node("sn2").is_down = True
    keep(site)
    assert site.run("notes", "--undo", site.plan_ids()[0]).status == 0
    assert site.comments() == BACK and counted(site) == []


def test_where_all_fail_nothing_was_changed(site: Site) -> None:
    fail(site, *NODES)
    said = keep(site)
    assert said.status == 1
    assert said.errors[-1] == "nothing was changed: see above; run notes again"
    assert site.comments() == BACK


def test_a_lost_answer_and_a_dead_job_cost_nothing(site: Site) -> None:
    site.world.node("sn1").dying_half_way.add(KIND)
    site.world.node("sn2").lost_answers = 2
    said = keep(site)
    assert said.status == 2
    dead = "its job on the agent died before it was done: nothing of it is there"
    assert said.errors[:2] == [
        f"n2: keep the note 'hello': {dead}",
        f"n3: keep the note 'hello': {dead}",
    ]
    assert site.comments() == {**NOTED, "n2": None, "n3": None}
    site.world.node("sn1").dying_half_way.clear()
    assert site.run("notes", "--resume", site.plan_ids()[0]).status == 0
    assert set(site.performed().values()) == {1}


def test_an_agent_without_chains_does_it_as_well(site: Site) -> None:
    for name in ("sn1", "sn2"):
        site.world.node(name).lacking |= {operations.Chain.kind, BEGIN}
    assert keep(site).status == 0
    assert site.comments() == NOTED


# Taken back, and given up


def test_it_is_taken_back(site: Site) -> None:
    keep(site)
    (plan,) = site.plan_ids()
    shown = site.run("notes", "--undo", plan, "--dry-run")
    assert "      1. take the note away for n1,n2,n3" in shown.lines
    assert "      nodelist.comments: hello -> (none)" in shown.lines
    assert site.comments() == NOTED
    said = site.run("plans", "--undo", plan)
    assert said.status == 0
    assert site.comments() == BACK and notes(site) == {}
    undo = site.plan_ids()[0]
    assert undo.startswith("notes-") and site.run("plans", "--undo", undo).status == 0
    assert site.comments() == notes(site) == NOTED


def test_what_failed_half_way_for_a_node_is_taken_back_there_too(site: Site) -> None:
    fail(site, "n3")
    keep(site)
    # The job had come so far when it failed.
    site.world.node("sn1").effects[f"{KIND} n3"] = {"nodes": ["n3"], "text": "hel"}
    mend(site)
    (plan,) = site.plan_ids()
    shown = site.run("notes", "--undo", plan, "--dry-run")
    assert "      1. take the note away for n1,n2,n3" in shown.lines
    assert "Database: 4 cells in one transaction" in shown.lines  # n3's was not written
    assert site.run("notes", "--undo", plan).status == 0
    assert site.comments() == BACK and notes(site) == {}
    # Forth again it goes for all.
    assert site.run("notes", "--undo", site.plan_ids()[0]).status == 0
    assert site.comments() == notes(site) == NOTED


def test_what_was_not_begun_is_not_taken_back(site: Site) -> None:
    site.world.node("sn1").is_down = True
    keep(site)
    (plan,) = site.plan_ids()
    shown = site.run("notes", "--undo", plan, "--dry-run")
    assert "      1. take the note away for n4,n5" in shown.lines
    assert not [line for line in shown.lines if "n1" in line and "note" in line]
    assert site.run("notes", "--undo", plan).status == 0  # nothing is asked of sn1
    assert site.comments() == BACK and notes(site) == {}


def test_what_others_wrote_since_is_not_taken_back(site: Site) -> None:
    keep(site)
    with site.db.transaction("nodelist") as transaction:
        transaction.update("nodelist", {"node": "n4"}, {"comments": "mine"})
    said = site.run("notes", "--undo", site.plan_ids()[0])
    assert said.status == 1 and "n4" in said.text
    assert site.comments() == {**NOTED, "n4": "mine"} and notes(site) == NOTED


def test_two_plans_do_not_share_a_node_and_an_interrupted_one_can_be_given_up(
    site: Site, dying: Dying
) -> None:
    dying(point="after-intent")
    assert site.attempt("notes", "compute", "hello") is None
    dying()
    (plan,) = site.plan_ids()
    again = keep(site)
    assert again.status == 1 and plan in again.text
    assert "interrupted" in site.run("plans").text
    assert site.run("notes", "--abandon", plan).status == 0
    assert keep(site).status == 0


def test_a_plan_whose_undo_was_overtaken_is_not_stuck(site: Site) -> None:
    """A later plan worked on the nodes that the undo had left: it cannot be gone on with, and nothing waits for it."""
    keep(site)
    (plan,) = site.plan_ids()
    fail(site, "n3")
    assert site.run("plans", "--undo", plan).status == 2
    undo = site.plan_ids()[0]
    held = site.run("plans", "--forget", plan)
    (told,) = held.errors
    assert told == (
        f"cannot forget {plan}: {undo} is taking it back already; resume that one, or forget it:"
        f" plans --forget {undo}"
    )
    assert f"{undo} is taking it back already" in site.run("plans", "--undo", plan).text
    mend(site)
    assert site.run("notes", "compute", "later").status == 0
    assert "superseded" in site.run("plans", "--resume", undo).text
    refused = site.run("plans", "--undo", plan)
    assert refused.status == 1 and "changed meanwhile" in refused.text
    assert set(notes(site).values()) == {"later"}
    assert site.run("plans", "--forget", plan).status == 0
    assert site.run("plans", "--forget", undo).status == 0
    assert not {plan, undo}.intersection(site.plan_ids())


def test_an_undo_of_an_undo_leaves_alone_what_a_later_plan_made(site: Site) -> None:
    """It would go to the hosts first."""
    keep(site)
    assert site.run("plans", "--undo", site.plan_ids()[0]).status == 0
    undo = site.plan_ids()[0]
    assert site.run("notes", "compute", "later").status == 0
    said = site.run("plans", "--undo", undo)
    assert said.status == 1 and "changed meanwhile" in said.text
    assert set(notes(site).values()) == {"later"}


def test_its_list_shows_its_own_plans_only(site: Site) -> None:
    keep(site)
    (plan,) = site.plan_ids()
    other = "toy-" + plan.partition("-")[2]
    with site.db.transaction("aixplan") as transaction:
        transaction.insert("aixplan", [{**row, "id": other} for row in site.db.select("aixplan")])
    assert (
        plan in site.run("notes", "--list").text and other not in site.run("notes", "--list").text
    )
    assert plan in site.run("plans", "--list").text and other in site.run("plans", "--list").text
