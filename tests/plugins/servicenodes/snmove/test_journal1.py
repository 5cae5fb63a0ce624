"""Journals that the version before wrote, with plans of format 1: read, gone on with, taken back and given up.

The files were written by that version itself: the tables with its journal, and what its agents had done.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.servicenodes.snbalance import test_command as balance

from xcat_aix.plan.model import FORMAT
from xcat_aix_proto import codec
from xcat_aix_proto.operations import BY_KIND, RepointClient

from . import test_command as move
from .doubles import Names, World, errors, exit_status, lines, open_world, stored
from .golden import load

DIRECTORY = Path(__file__).parents[3] / "golden" / "journal1"
CASES = ("balance", "interrupted", "partial", "undone")


def world_of(case: str, directory: Path) -> World:
    """The management node after the upgrade: its database, and agents that know what they did."""
    directory.mkdir(exist_ok=True)
    module: Any = balance if case == "balance" else move
    found = load(DIRECTORY / f"{case}.json")
    world = open_world(directory, {}, Names(module.ADDRESSES), module.agents())
    world.db.create_missing_tables(["aixplan", "aixevent"])
    for table, rows in found["rows"].items():
        with world.db.transaction(table) as transaction:
            transaction.insert(table, rows)
    world.agents.done += [
        (each["node"], codec.from_wire(BY_KIND[each["kind"]], each["args"]))
        for each in found["done"]
    ]
    return world


def newest(world: World) -> str:
    return lines(world.plans())[1].split()[0]


def newly_done(world: World, case: str) -> list[tuple[str, str]]:
    before = len(load(DIRECTORY / f"{case}.json")["done"])
    return [(node, operation.kind) for node, operation in world.agents.done[before:]]


def test_these_are_plans_of_the_format_before() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.json")} == set(CASES)
    for case in CASES:
        plans = load(DIRECTORY / f"{case}.json")["rows"]["aixplan"]
        assert {plan["format"] for plan in plans} == {"1"} != {str(FORMAT)}


@pytest.mark.parametrize("case", CASES)
def test_it_is_listed_and_shown(case: str, tmp_path: Path) -> None:
    world = world_of(case, tmp_path)
    listed = "\n".join(lines(world.plans()))
    assert "parked" not in listed
    for plan in load(DIRECTORY / f"{case}.json")["rows"]["aixplan"]:
        replies = world.plans("--show", plan["id"])
        assert exit_status(replies) == 0
        shown = "\n".join(lines(replies))
        assert "1. make it a NIM client of" in shown and "Database: " in shown
        (text,) = lines(world.plans("--show", plan["id"], "--json"))
        found = json.loads(text)["plan"]
        before = json.loads(plan["body"])
        titles = [[step["title"] for step in lane["steps"]] for lane in found["lanes"][2:]]
        assert titles == [
            [step["title"].removesuffix(" again") for step in lane["steps"]]
            for lane in before["lanes"][2:]
        ]


def test_what_is_left_is_said(tmp_path: Path) -> None:
    listed = "\n".join(lines(world_of("interrupted", tmp_path / "a").plans()))
    assert "interrupted; not finished: n1,n2" in listed
    listed = "\n".join(lines(world_of("partial", tmp_path / "b").plans()))
    assert "partial: some of it was done; not finished: n2" in listed
    listed = "\n".join(lines(world_of("balance", tmp_path / "c").plans()))
    assert "not finished: n3" in listed


def test_an_interrupted_plan_goes_on_where_it_was(tmp_path: Path) -> None:
    world = world_of("interrupted", tmp_path)
    replies = world.plans("--resume", newest(world))
    assert exit_status(replies) == 0 and errors(replies) == []
    assert move.servers(world) == move.MOVED
    done = newly_done(world, "interrupted")
    assert len(done) == len(set(done))
    assert ("n1", RepointClient.kind) not in done and ("n2", RepointClient.kind) in done
    assert "All of it was done." in lines(world.plans("--show", newest(world)))


@pytest.mark.parametrize("case", ["partial", "balance"])
def test_a_partly_done_plan_is_finished(case: str, tmp_path: Path) -> None:
    world = world_of(case, tmp_path)
    assert exit_status(world.plans("--resume", newest(world))) == 0
    assert {node for node, _ in newly_done(world, case)} == {"n2" if case == "partial" else "n3"}


@pytest.mark.parametrize("case", ["interrupted", "partial", "balance"])
def test_it_is_taken_back_by_a_plan_of_now(case: str, tmp_path: Path) -> None:
    world = world_of(case, tmp_path)
    old = newest(world)
    shown = lines(world.plans("--undo", old, "--dry-run"))
    assert any("servicenode: sn2,sn1 -> sn1,sn2" in line for line in shown)
    assert exit_status(world.plans("--undo", old)) == 0
    module: Any = balance if case == "balance" else move
    wanted = module.BEFORE if case == "balance" else module.UNMOVED
    assert module.servers(world) == wanted
    assert newest(world) != old
    assert stored(world.db, ["aixplan"])["aixplan"][-1]["format"] == str(FORMAT)
    (state,) = [line for line in lines(world.plans()) if line.startswith(old)]
    assert "taken back" in state


def test_an_undo_of_the_version_before_still_carries_what_was_not_finished(tmp_path: Path) -> None:
    world = world_of("undone", tmp_path)
    assert move.servers(world) == move.UNMOVED
    replies = world.plans("--undo", newest(world))
    assert exit_status(replies) == 0 and errors(replies) == []
    assert move.servers(world) == move.MOVED
    assert ("n2", RepointClient.kind) in newly_done(world, "undone")


def test_an_interrupted_plan_is_given_up(tmp_path: Path) -> None:
    world = world_of("interrupted", tmp_path)
    old = newest(world)
    assert old in errors(world.snmove("-i", "n2", "-d", "sn1"))[0]
    assert exit_status(world.plans("--abandon", old)) == 0
    assert exit_status(world.snmove("-i", "n2", "-d", "sn1")) == 0
    assert exit_status(world.plans("--forget", old)) == 0
