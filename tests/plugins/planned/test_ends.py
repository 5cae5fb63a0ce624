"""How a planned command ends: one status, in its last reply, and the same for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from tests.plugins.servicenodes.snmove.doubles import World, errors, exit_status, lines, warnings
from tests.plugins.servicenodes.snmove.test_command import MOVED, UNMOVED, move_id, nim, servers

from xcat_aix.commands.planned.ending import together
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.operations import RepointClient
from xcatd.api import Reply

Replies = list[Reply]


def break_n2(world: World) -> None:
    world.agents.failing["n2", RepointClient.kind] = AgentError(ErrorCode.NIM_REFUSED, "no")


def unready(world: World) -> None:
    """The new service node does not know d1."""
    addresses, _ = world.agents.servers["sn2"]
    world.agents.servers = {**world.agents.servers, "sn2": (addresses, nim("d1"))}


def nobody_answers(world: World) -> None:
    world.agents.servers = {}


def without_backup(world: World) -> None:
    with world.db.transaction("noderes") as transaction:
        transaction.update("noderes", {"node": "n1"}, {"servicenode": "sn1"})


def everything(world: World) -> None:
    break_n2(world)
    unready(world)


def nothing(world: World) -> None:
    del world


def codes(replies: Iterable[Reply]) -> list[int]:
    """All of them, those of nodes too."""
    found = [reply.errorcode or 0 for reply in replies]
    found += [node.errorcode or 0 for reply in replies for node in reply.nodes]
    return [code for code in found if code]


def document(replies: Replies) -> dict[str, Any]:
    """The one JSON document, and nothing beside it for people."""
    assert errors(replies) == warnings(replies) == []
    (text,) = lines(replies)
    found: dict[str, Any] = json.loads(text)
    return found


WAYS: list[tuple[Callable[[World], None], tuple[str, ...], int]] = [
    (nothing, ("-s", "sn1"), 0),
    (nothing, ("-i", "compute"), 0),
    (nobody_answers, ("-s", "sn1"), 1),
    (nobody_answers, ("-s", "sn1", "--strict"), 1),
    (nothing, ("nosuch",), 1),
    (nothing, ("n1", "-d", "nosuch"), 1),
    (nothing, ("n1", "n2"), 1),
    (without_backup, ("-s", "sn1"), 1),
    (break_n2, ("-s", "sn1"), 2),
    (break_n2, ("n2",), 2),
    (unready, ("-s", "sn1"), 3),
    (unready, ("-i", "d1"), 3),
    (unready, ("n1",), 0),
    (unready, ("-s", "sn1", "--strict"), 1),
    (everything, ("-s", "sn1"), 2),
]


@pytest.mark.parametrize(("prepare", "args", "status"), WAYS)
def test_the_last_reply_has_the_status(
    world: World, prepare: Callable[[World], None], args: tuple[str, ...], status: int
) -> None:
    prepare(world)
    replies = world.snmove(*args)
    assert codes(replies) == ([status] if status else [])
    assert (replies[-1].errorcode or 0) == status
    assert exit_status(replies) == status
    is_said = bool(errors(replies))
    assert is_said is bool(status)


@pytest.mark.parametrize(("prepare", "args", "status"), WAYS)
def test_programs_get_the_same_as_json(
    world: World, prepare: Callable[[World], None], args: tuple[str, ...], status: int
) -> None:
    prepare(world)
    replies = world.snmove(*args, "--json", "--yes")
    found = document(replies)
    assert found["status"] == exit_status(replies) == status
    assert codes(replies) == ([status] if status else [])
    assert bool(found["errors"]) is bool(status)
    if status == 1:
        assert servers(world)["n2"] == UNMOVED["n2"]
    else:
        assert set(found) == {
            *("plan", "command", "status", "outcome", "nodes", "lanes", "cannot_boot"),
            *("errors", "warnings"),
        }


@pytest.mark.parametrize("way", ["keep", "apply", "resume", "undo", "show", "list"])
def test_what_stands_against_it_is_json_too(world: World, way: str) -> None:
    words = {
        "keep": ("nosuch", "--out", "x", "--json"),
        "apply": ("--apply", "nosuch", "--json"),
        "resume": ("--resume", "nosuch", "--yes", "--json"),
        "undo": ("--undo", "nosuch", "--yes", "--json"),
        "show": ("--show", "nosuch", "--json"),
        "list": ("--list", "nosuch", "--json"),
    }[way]
    for command in (world.snmove, world.plans):
        replies = command(*words)
        found = document(replies)
        assert set(found) == {"status", "errors"}
        assert found["status"] == exit_status(replies) == 1
        assert "nosuch" in found["errors"][0]


def test_usage_errors_are_json_without_the_usage(world: World) -> None:
    for words in (("--json",), ("n1", "--json", "--nonsense"), ("--json", "-d"), ("--js", "-Z")):
        replies = world.snmove(*words)
        if "--json" in words:
            assert document(replies)["status"] == exit_status(replies) == 1
        else:
            assert exit_status(replies) == 1


def test_a_run_in_json_has_every_node(world: World) -> None:
    everything(world)
    found = document(world.snmove("-s", "sn1", "--yes", "--json"))
    assert {node: each["state"] for node, each in found["nodes"].items()} == {
        "d1": "waits_for_boot",
        "n1": "done",
        "n2": "failed",
    }
    assert found["nodes"]["n2"]["text"] == "no"
    assert found["cannot_boot"] == ["d1"]
    assert found["outcome"] == "partial"
    assert any("mkdsklsnode -b d1" in line for line in found["warnings"])
    assert found["errors"][0].startswith("n2: make it a NIM client of 10.1.0.12: no")
    id_ = found["plan"]

    world.agents.failing.clear()
    again = document(world.plans("--resume", id_, "--yes", "--json"))
    assert (again["plan"], again["status"], again["outcome"]) == (id_, 3, "ok")
    assert again["errors"] == ["d1: moved, but cannot boot from there yet"]
    assert servers(world) == MOVED

    back = document(world.plans("--undo", id_, "--yes", "--json"))
    assert (back["status"], back["outcome"], back["cannot_boot"]) == (0, "ok", [])
    assert back["plan"] != id_ and servers(world) == UNMOVED
    shown = document(world.plans("--show", back["plan"], "--json"))
    assert shown["plan"]["undoes"] == id_


def test_an_applied_plan_ends_in_json(world: World) -> None:
    (plan,) = [reply.saved for reply in world.snmove("n1", "--out", "x") if reply.saved]
    found = document(world.snmove("--apply", plan.id, "--json"))
    assert (found["plan"], found["status"]) == (plan.id, 0)
    assert document(world.snmove("--apply", plan.id, "--json"))["status"] == 1


def test_what_changed_nothing_cannot_boot_nobody(world: World) -> None:
    unready(world)
    (plan,) = [reply.saved for reply in world.snmove("d1", "--out", "x") if reply.saved]
    with world.db.transaction("noderes") as transaction:
        transaction.update("noderes", {"node": "d1"}, {"servicenode": "sn1,sn3"})
    found = document(world.snmove("--apply", plan.id, "--json"))
    assert (found["status"], found["outcome"], found["cannot_boot"]) == (1, "failed", [])
    assert found["errors"][-1].startswith("nothing was changed: ")


def test_nothing_to_do_is_json(world: World) -> None:
    world.snmove("-i", "compute")
    found = document(world.snmove("-i", "compute", "-d", "sn2", "--yes", "--json"))
    assert (found["plan"], found["status"], found["outcome"]) == (None, 0, "nothing to do")


def test_nodes_that_an_earlier_move_left_count_in_json(world: World) -> None:
    break_n2(world)
    id_ = move_id(world.snmove("-s", "sn1"))
    wanted = f"n2: {id_} did not finish there; to go on: snmove --resume {id_}"
    replies = world.snmove("compute", "-d", "sn2", "--yes", "--json")
    assert document(replies)["errors"] == [wanted]
    assert document(replies)["status"] == exit_status(replies) == 1
    shown = world.snmove("compute", "-d", "sn2", "--json")
    assert document(shown)["errors"] == [wanted] and exit_status(shown) == 1


def test_a_move_of_some_beside_nodes_that_were_left_is_a_part(world: World) -> None:
    break_n2(world)
    world.snmove("n2")
    for more in ((), ("--yes", "--json")):
        replies = world.snmove("n1,n2", "-d", "sn2", *more)
        assert codes(replies) == [2] and exit_status(replies) == 2
        world.snmove("-i", "n1", "-d", "sn1")


def test_a_list_has_reasons(world: World) -> None:
    break_n2(world)
    id_ = move_id(world.snmove("-s", "sn1"))
    (entry,) = json.loads(lines(world.snmove("--list", "--json"))[0])
    assert (entry["id"], entry["reasons"]) == (id_, {"n2": "no"})
    shown = document(world.snmove("--show", id_, "--json"))
    assert shown["reasons"] == {"n2": "no"}
    assert shown["node_states"]["n1"] == {"state": "done", "text": ""}
    assert shown["plan"]["command"] == "snmove"


@pytest.mark.parametrize("more", [(), ("--yes", "--json")])
def test_a_run_that_is_interrupted_is_a_part_and_goes_on(
    world: World, more: tuple[str, ...]
) -> None:
    told: Replies = []
    for reply in world.telling("-s", "sn1", *more):
        told.append(reply)
        if reply.extra:  # it has begun
            world.cancelled.set()
    assert exit_status(told) in {1, 2} and len(codes(told)) == 1
    (begun,) = [reply.extra["begunplan"] for reply in told if reply.extra]
    if more:
        assert document(told[1:] if told[0].extra else told)["outcome"] == "stopped"
    else:
        assert errors(told)[-1].endswith(f"to go on: snmove --resume {begun[0]}")
    world.cancelled.clear()
    assert exit_status(world.snmove("--resume", begun[0])) == 0
    assert servers(world) == MOVED


def test_what_is_told_at_each_step_is_told_only_if_wished(world: World) -> None:
    quiet, loud = lines(world.snmove("n1")), lines(world.snmove("n2", "-V"))
    assert any(line.startswith("This move is snmove-") for line in loud)
    assert any(line.startswith("n2: set XCATSERVER=10.1.0.12") for line in loud)
    assert not any(line.startswith("n1: ") for line in quiet)


@pytest.mark.parametrize(
    ("found", "has_changed", "status"),
    [
        ({1}, False, 1),
        ({1}, True, 2),
        ({2}, True, 2),
        ({3}, True, 3),
        ({1, 3}, True, 2),
        ({2, 3}, True, 2),
        ({1, 2, 3}, True, 2),
    ],
)
def test_a_part_wins(found: set[int], has_changed: bool, status: int) -> None:
    assert together(found, has_changed=has_changed) == status
