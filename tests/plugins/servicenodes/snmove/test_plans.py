"""The journal in the hands of an administrator: list, show, resume, undo, give up, forget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xcat_aix.commands.planned.doing import journal_of
from xcat_aix.plan.model import Lane, Plan, Step
from xcat_aix.run.states import Outcome
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.operations import RepointClient

from .doubles import Names, World, errors, exit_status, lines, open_world, stored
from .test_command import ADDRESSES, MOVED, NODES, UNMOVED, agents, move_id, rows, servers


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path, rows(), Names(ADDRESSES), agents())


def partly_done(world: World) -> str:
    world.agents.failing["n2", RepointClient.kind] = AgentError(
        ErrorCode.NIM_REFUSED, "NIM says no"
    )
    id_ = move_id(world.snmove("-s", "sn1"))
    world.agents.failing.clear()
    return id_


def change(world: World, plan_id: str, **values: str) -> None:
    with world.db.transaction("aixplan") as transaction:
        transaction.update("aixplan", {"id": plan_id}, values)


def test_all_plans_are_listed_as_snmove_lists_its_moves(world: World) -> None:
    assert lines(world.plans()) == ["There are no plans in the journal."]
    assert lines(world.snmove("--list")) == ["There are no moves in the journal."]
    partly_done(world)
    (heading, *plans), (of_moves, *moves) = lines(world.plans()), lines(world.snmove("--list"))
    assert plans == moves and heading.startswith("PLAN ") and of_moves.startswith("MOVE ")
    assert lines(world.plans()) == lines(world.plans("--list"))
    assert lines(world.plans("--list", "--json")) == lines(world.snmove("--list", "--json"))


def test_show_tells_what_is_left_and_why(world: World) -> None:
    id_ = partly_done(world)
    shown = lines(world.plans("--show", id_))
    assert shown[0] == f"{id_}: partial: some of it was done"
    assert "  n2: NIM says no" in shown
    assert shown[-1] == f"To go on: snmove --resume {id_}"
    assert any("noderes.servicenode" in line for line in shown)
    assert not any("nothing was changed" in line for line in shown)
    (text,) = lines(world.plans("--show", id_, "--json"))
    found = json.loads(text)
    assert found["unfinished"] == ["n2"]
    assert found["lanes"]["node:n2"]["steps"]["repoint"] == {
        "state": "failed",
        "text": "NIM says no",
    }
    assert found["plan"]["command"] == "snmove"


def test_resume_and_undo_are_those_of_snmove(world: World) -> None:
    id_ = partly_done(world)
    assert exit_status(world.plans("--resume", id_)) == 0
    assert lines(world.plans("--show", id_))[-1] == "All of it was done."
    assert exit_status(world.plans("--undo", id_, "--dry-run")) == 0
    assert servers(world) == MOVED
    assert exit_status(world.plans("--undo", id_)) == 0
    assert servers(world) == UNMOVED


def test_a_plan_that_cannot_be_read_stops_no_list_and_can_be_given_up(world: World) -> None:
    id_ = move_id(world.snmove("-i", "n1"))
    world.snmove("-i", "n2")
    change(world, id_, body="{}", state="open", outcome="", closed="")
    (listed,) = [line for line in lines(world.snmove("--list")) if line.startswith(id_)]
    assert "interrupted" in listed
    for verb in ("--show", "--resume", "--undo"):
        (told,) = errors(world.plans(verb, id_))
        assert f"plans --abandon {id_} gives it up" in told
    (told,) = errors(world.snmove("-i", "n1", "-d", "sn1"))
    assert f"plans --abandon {id_}" in told
    assert exit_status(world.snmove("-i", "d1", "-d", "sn2")) == 0
    assert lines(world.plans("--abandon", id_)) == [
        f"Gave up {id_}: its nodes are free for other plans."
    ]
    assert exit_status(world.snmove("-i", "n1", "-d", "sn1")) == 0


def test_an_overtaken_move_is_superseded(world: World) -> None:
    old = partly_done(world)
    new = move_id(world.snmove("-i", "n1", "-d", "sn1"))
    (listed,) = [line for line in lines(world.plans()) if line.startswith(old)]
    assert f"superseded by {new}" in listed
    (told,) = errors(world.plans("--resume", old))
    assert f"superseded by {new}" in told
    assert "run the command again" not in told
    assert "To go on" not in "\n".join(lines(world.plans("--show", old)))
    assert exit_status(world.plans("--forget", old)) == 0
    assert old not in "\n".join(lines(world.plans()))


def test_an_undo_of_an_undo_finishes_the_nodes_too(world: World) -> None:
    old = partly_done(world)
    back = set(lines(world.plans())[1:])
    world.plans("--undo", old)
    (undone,) = [line.split()[0] for line in lines(world.plans())[1:] if line not in back][:1]
    assert servers(world) == UNMOVED
    done = len(world.agents.done)
    assert exit_status(world.plans("--undo", undone)) == 0
    assert servers(world) == MOVED
    again = {
        node for node, operation in world.agents.done[done:] if operation.kind == RepointClient.kind
    }
    assert "n2" in again  # the double finds that n1 was once made so


def test_a_kept_undo_is_refused_when_the_move_has_gone_on(world: World) -> None:
    id_ = partly_done(world)
    (undo,) = [each.saved for each in world.plans("--undo", id_, "--out", "u") if each.saved]
    assert exit_status(world.plans("--resume", id_)) == 0
    done = list(world.agents.done)
    replies = world.plans("--apply", undo.id)
    assert errors(replies) == [
        f"cannot undo {id_}: it went on after this undo was made; make the undo anew: plans --undo {id_}"
    ]
    assert exit_status(replies) == 1
    assert servers(world) == MOVED and world.agents.done == done
    assert exit_status(world.plans("--undo", id_)) == 0
    assert servers(world) == UNMOVED
    (listed,) = [line for line in lines(world.plans()) if line.startswith(id_)]
    assert listed.endswith("taken back")


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--out", "u"), ("--dry-run", "--json")])
def test_what_was_taken_back_is_not_shown_to_be_taken_back_again(
    world: World, options: tuple[str, ...]
) -> None:
    id_ = move_id(world.snmove("-s", "sn1"))
    assert exit_status(world.plans("--undo", id_)) == 0
    before = lines(world.plans())
    replies = world.plans("--undo", id_, *options)
    told = f"cannot undo {id_}: it was taken back already"
    if "--json" in options:
        assert json.loads(lines(replies)[0]) == {"status": 1, "errors": [told]}
    else:
        assert errors(replies) == [told]
    assert exit_status(replies) == 1 and lines(world.plans()) == before


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--out", "u")])
def test_what_is_being_taken_back_is_finished_by_the_same_undo(
    world: World, options: tuple[str, ...]
) -> None:
    id_ = move_id(world.snmove("-s", "sn1"))
    world.agents.failing["n2", RepointClient.kind] = AgentError(ErrorCode.NIM_REFUSED, "no")
    assert exit_status(world.plans("--undo", id_)) == 2
    (told,) = errors(world.plans("--undo", id_, *options))
    assert told.startswith(f"cannot undo {id_}: ") and "is taking it back already" in told


def test_a_failed_move_that_was_overtaken_offers_nothing(world: World) -> None:
    id_ = partly_done(world)
    change(world, id_, outcome="failed")
    assert lines(world.plans("--show", id_))[-1] == f"To go on: snmove --resume {id_}"
    new = move_id(world.snmove("-i", "n1", "-d", "sn1"))
    shown = lines(world.plans("--show", id_))
    assert shown[0] == f"{id_}: superseded by {new}"
    assert "To go on" not in "\n".join(shown)


def test_a_closed_one_that_cannot_be_read_is_forgotten(world: World) -> None:
    id_ = move_id(world.snmove("-i", "n1"))
    change(world, id_, body="{}")
    for verb in ("--show", "--resume", "--undo"):
        (told,) = errors(world.plans(verb, id_))
        assert f"plans --forget {id_} takes it out" in told and "--abandon" not in told
    assert exit_status(world.plans("--forget", id_)) == 0


@pytest.mark.parametrize("verb", ["--show", "--resume", "--undo"])
def test_an_event_nested_too_deep_makes_a_plan_unreadable(world: World, verb: str) -> None:
    id_ = move_id(world.snmove("-i", "n1"))
    with world.db.transaction("aixevent") as transaction:
        transaction.update("aixevent", {"plan": id_, "event": "closed"}, {"detail": "[" * 3000})
    (told,) = errors(world.plans(verb, id_))
    assert "is not readable" in told and f"plans --forget {id_}" in told


def test_an_undo_means_the_node_behind_a_long_name(tmp_path: Path) -> None:
    found = rows()
    for row in found["noderes"]:
        row["servicenode"] = "sn1.lab.example,sn2"
    addresses = {**ADDRESSES, "sn1.lab.example": ADDRESSES["sn1"]}
    world = open_world(tmp_path, found, Names(addresses), agents())
    before = stored(world.db, ["noderes"])
    id_ = move_id(world.snmove("compute"))
    replies = world.plans("--undo", id_)
    assert errors(replies) == []
    assert stored(world.db, ["noderes"]) == before
    assert {row["node"] for row in before["noderes"]} == set(NODES)


def test_a_plan_with_a_summary_of_another_kind_is_said_to_be_one(world: World) -> None:
    journal = journal_of(world)  # type: ignore[arg-type] # a double
    write = Lane("database", (Step("write", "database.write@2"),))
    hold = journal.open_plan(Plan("snmove", ("n1",), (write,), summary={"colour": "red"}))
    journal.close(hold, Outcome.PARTIAL)
    for verb in ("--show", "--undo", "--resume"):
        replies = world.plans(verb, hold.plan_id)
        assert exit_status(replies) == 1
        assert errors(replies)[-1].startswith("the plan is not readable as one of moves: ")
    assert "partial" in lines(world.plans())[1]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("n1",), "--list takes no 'n1'."),
        (("--show", "a", "--undo", "b"), "--show and --undo exclude each other."),
        (("--show", ""), "--show needs the id of a plan, see plans --list."),
        (("--abandon", "x", "--dry-run"), "--abandon has no option --dry-run."),
        (("--show", "x"), "cannot find x in the journal"),
        (("--forget", "x"), "cannot find x in the journal"),
        (("--fanout", "0"), "--list has no option --fanout."),
    ],
)
def test_what_makes_no_sense_is_refused(world: World, args: tuple[str, ...], text: str) -> None:
    replies = world.plans(*args)
    assert exit_status(replies) == 1
    assert errors(replies) == [text]


def test_usage_and_version(world: World) -> None:
    assert lines(world.plans("-h"))[1] == "Usage:"
    assert lines(world.plans("-v")) == [world.version]
