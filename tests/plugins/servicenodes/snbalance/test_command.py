"""The command from arguments to replies, over a real database directory and scripted agents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.servicenodes.snmove.doubles import (
    Agents,
    Names,
    World,
    errors,
    exit_status,
    lines,
    open_world,
    stored,
    warnings,
)

from xcat_aix.commands.planned.doing import journal_of
from xcat_aix.commands.servicenodes import snbalance as command
from xcat_aix.commands.servicenodes.snbalance import Snbalance
from xcat_aix.plan.model import Lane, Plan, Step
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.facts import NimDatabase, NimObject
from xcat_aix_proto.operations import RepointClient
from xcatd.api import Reply, Request

NODES = ("d1", "n1", "n2", "n3")
SERVERS = ("sn1", "sn2", "sn3")
ADDRESSES = {
    **{name: f"10.0.0.1{name[-1]}" for name in SERVERS},
    **{f"{name}b": f"10.1.0.1{name[-1]}" for name in SERVERS},
    **{node: f"10.1.1.{number}" for number, node in enumerate(NODES, 1)},
}


def rows() -> dict[str, list[dict[str, str]]]:
    return {
        "site": [{"key": "master", "value": "10.0.0.1"}],
        "nodelist": [{"node": name, "groups": "service"} for name in SERVERS]
        + [{"node": node, "groups": "compute"} for node in NODES],
        "noderes": [
            {"node": node, "servicenode": "sn1,sn2", "xcatmaster": "sn1b"} for node in NODES
        ],
        "nodehm": [{"node": node, "conserver": "sn1"} for node in NODES],
        "nodetype": [
            {"node": node, "os": "AIX", "provmethod": "dsk" if node == "d1" else "std"}
            for node in NODES
        ],
        "nimimage": [
            {"imagename": "std", "nimtype": "standalone", "spot": "spot1"},
            {"imagename": "dsk", "nimtype": "diskless", "spot": "spot1"},
        ],
        "networks": [{"net": "10.1.0.0", "mask": "255.255.0.0", "gateway": "<xcatmaster>"}],
        "servicenode": [{"node": "service", "nimserver": "1"}],
    }


def nim() -> NimDatabase:
    states = {
        "spot1": "",
        "d1": "diskless or dataless boot is enabled",
        "n1": "",
        "n2": "",
        "n3": "",
    }
    objects = (NimObject(name, (("Cstate", state),)) for name, state in states.items())
    return NimDatabase(is_master=True, objects=tuple(objects))


def agents() -> Agents:
    return Agents(
        {name: ([f"10.0.0.1{name[-1]}", f"10.1.0.1{name[-1]}"], nim()) for name in SERVERS}
    )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path, rows(), Names(ADDRESSES), agents())


def snbalance(world: World, *args: str, noderange: str | None = None) -> list[Reply]:
    request = Request("snbalance", args, noderange=noderange, user="admin")
    return list(Snbalance().handle(request, world))  # type: ignore[arg-type]


def servers(world: World) -> dict[str, str]:
    found = stored(world.db, ["noderes"])["noderes"]
    return {row["node"]: f"{row.get('servicenode')} {row.get('xcatmaster')}" for row in found}


def repointed(world: World) -> set[str]:
    return {node for node, op in world.agents.done if isinstance(op, RepointClient)}


def plan_id(replies: list[Any]) -> str:
    text = "\n".join(lines(replies) + errors(replies))
    (found,) = set(re.findall(r"snbalance-\d{8}-[0-9a-f]{4}", text))
    return str(found)


BEFORE = dict.fromkeys(NODES, "sn1,sn2 sn1b")
HALVES = {**BEFORE, "n2": "sn2,sn1 10.1.0.12", "n3": "sn2,sn1 10.1.0.12"}


def test_half_of_the_nodes_move(world: World) -> None:
    replies = snbalance(world, "compute", "sn1,sn2")
    assert exit_status(replies) == 0 and errors(replies) == warnings(replies) == []
    assert servers(world) == HALVES
    said = lines(replies)
    assert said[:3] == [
        "Balancing nodes over their service nodes.",
        "Setting new values in the xCAT database.",
        "Running makeconservercf n2,n3",
    ]
    assert "Moved to sn2: n2,n3" in said
    assert said[-1] == f"This move can be taken back: snbalance --undo {plan_id(replies)}"
    assert repointed(world) == {"n2", "n3"} == {node for node, _ in world.agents.done}
    assert world.ran == [("makeconservercf", ("n2", "n3"))]


def test_a_second_time_nothing_changes(world: World) -> None:
    snbalance(world, "compute", "sn1,sn2")
    done = list(world.agents.done)
    replies = snbalance(world, "compute", "sn1,sn2")
    assert lines(replies) == ["Balancing nodes over their service nodes.", "Nothing to change."]
    assert exit_status(replies) == 0 and servers(world) == HALVES and world.agents.done == done
    assert len(lines(world.snmove("--list"))) == 2


def test_a_third_service_node_takes_its_part(world: World) -> None:
    replies = snbalance(world, "compute", "sn1,sn2,sn3", "--weights", "sn1=2,sn3=1")
    assert exit_status(replies) == 0
    assert servers(world) == {
        "d1": "sn1,sn2 sn1b",
        "n1": "sn1,sn3 sn1b",
        "n2": "sn2,sn1 10.1.0.12",
        "n3": "sn3,sn1 10.1.0.13",
    }
    assert {"Moved to sn2: n2", "Moved to sn3: n3", "Changed without a move: n1"} <= set(
        lines(replies)
    )
    assert repointed(world) == {"n2", "n3"}
    listed = stored(world.db, ["nodehm"])["nodehm"]
    assert [row["conserver"] for row in listed] == ["sn1", "sn1", "sn2", "sn3"]


def test_database_only(world: World) -> None:
    replies = snbalance(world, "-i", "compute", "sn1,sn2")
    assert exit_status(replies) == 0 and servers(world) == HALVES
    assert world.agents.done == []


def test_dry_run_changes_nothing(world: World) -> None:
    before = stored(world.db, rows())
    shown = lines(snbalance(world, "compute", "sn1,sn2", "--dry-run"))
    assert stored(world.db, rows()) == before and world.agents.done == world.ran == []
    assert "  sn1           1       4 -> 2      0 -> 2" in shown
    assert "  sn2           1       0 -> 2      4 -> 2" in shown
    assert shown[-1] == "This is the plan only: nothing was changed."
    assert lines(world.snmove("--list")) == ["There are no moves in the journal."]


def test_json_is_one_document_and_changes_nothing(world: World) -> None:
    (reply,) = snbalance(world, "compute", "sn1,sn2", "--json")
    body = json.loads(str(reply.data[0]))
    assert body["command"] == "snbalance" and body["nodes"] == ["n2", "n3"]
    assert body["summary"]["balance"][0] == {
        "server": "sn1",
        "weight": 1,
        "primary": [4, 2],
        "backup": [0, 2],
    }
    assert servers(world) == BEFORE


def test_snmove_resumes_what_failed(world: World) -> None:
    refusal = AgentError(ErrorCode.NIM_REFUSED, "niminit failed", "0042-001 niminit: no")
    world.agents.failing["n3", RepointClient.kind] = refusal
    replies = snbalance(world, "compute", "sn1,sn2")
    assert exit_status(replies) == 2 and servers(world) == HALVES
    assert errors(replies)[0].startswith("n3: make it a NIM client of 10.1.0.12: niminit failed")
    assert errors(replies)[1].endswith(f"to try again: snbalance --resume {plan_id(replies)}")
    assert "1/2" in "\n".join(lines(world.snmove("--list")))
    world.agents.failing.clear()
    assert exit_status(world.snmove("--resume", plan_id(replies))) == 0
    assert repointed(world) == {"n2", "n3"}
    listed = "\n".join(lines(world.snmove("--list")))
    assert "2/2" in listed and "snbalance compute sn1,sn2" in listed


def test_a_node_that_is_not_finished_is_named_and_left_to_its_move(world: World) -> None:
    world.agents.failing["n3", RepointClient.kind] = AgentError(ErrorCode.NIM_REFUSED, "no")
    id_ = plan_id(snbalance(world, "compute", "sn1,sn2"))
    named = f"n3: {id_} did not finish there; to go on: snmove --resume {id_}"
    again = snbalance(world, "compute", "sn1,sn2")
    assert errors(again) == [named] and exit_status(again) == 1
    assert "Nothing to change." in lines(again)
    words = ("compute", "sn1,sn2,sn3", "--weights", "sn3=0")  # its backup would be another one
    refused = snbalance(world, *words)
    assert errors(refused)[0] == named and errors(refused)[1].startswith("nothing was changed")
    assert exit_status(refused) == 1 and servers(world) == HALVES
    (spoken,) = snbalance(world, *words, "--yes", "--json")
    assert json.loads(str(spoken.data[0])) == {"status": 1, "errors": errors(refused)}
    shown = snbalance(world, *words, "--dry-run")
    assert errors(shown) == [named] and exit_status(shown) == 1
    world.agents.failing.clear()
    assert exit_status(world.snmove("--resume", id_)) == 0
    assert exit_status(snbalance(world, *words)) == 0
    assert servers(world)["n3"] == "sn2,sn3 10.1.0.12"


def test_snmove_takes_it_back(world: World) -> None:
    before = stored(world.db, rows())
    id_ = plan_id(snbalance(world, "compute", "sn1,sn2,sn3"))
    assert servers(world) != BEFORE
    shown = lines(world.snmove("--undo", id_, "--dry-run"))
    assert "  sn1           1       2 -> 4      2 -> 0" in shown
    replies = world.snmove("--undo", id_)
    assert exit_status(replies) == 0
    assert stored(world.db, rows()) == before
    assert ("n3", RepointClient("n3", "sn1b")) in world.agents.done


def test_a_row_changed_meanwhile_stops_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_balance = command.plan_balance

    def late(*args: Any) -> Plan:
        plan = plan_balance(*args)
        with world.db.transaction("noderes") as transaction:
            transaction.update("noderes", {"node": "n3"}, {"servicenode": "sn1,sn3"})
        return plan

    monkeypatch.setattr(command, "plan_balance", late)
    replies = snbalance(world, "compute", "sn1,sn2")
    assert exit_status(replies) == 1
    (message,) = errors(replies)
    assert message.startswith("nothing was changed") and "node=n3 servicenode" in message
    assert message.endswith("run the command again")
    assert servers(world) == {**BEFORE, "n3": "sn1,sn3 sn1b"} and world.agents.done == []


def test_overlapping_moves_are_refused(world: World) -> None:
    other = Plan("snmove", ("n2",), (Lane("database", (Step("write", "database.write@2"),)),))
    hold = journal_of(world).open_plan(other, command="snmove n2", user="other")  # type: ignore[arg-type]
    replies = snbalance(world, "compute", "sn1,sn2")
    assert exit_status(replies) == 1 and servers(world) == BEFORE
    assert hold.plan_id in errors(replies)[0] and "n2" in errors(replies)[0]


def test_a_receiver_that_is_down_stops_it(world: World) -> None:
    world.agents.servers = {k: v for k, v in world.agents.servers.items() if k != "sn2"}
    world.names.of_nodes = {"sn2": ["10.1.0.12"]}
    replies = snbalance(world, "compute", "sn1,sn2")
    assert exit_status(replies) == 1 and servers(world) == BEFORE
    assert "the new service node must be running" in errors(replies)[0]
    forced = snbalance(world, "compute", "sn1,sn2", "--force")
    assert exit_status(forced) == 0 and servers(world) == HALVES
    assert any("no answer" in line for line in warnings(forced))


def test_an_old_server_that_is_dead_does_not_stop_it(world: World) -> None:
    world.agents.servers = {k: v for k, v in world.agents.servers.items() if k != "sn1"}
    replies = snbalance(world, "compute", "sn2,sn3")
    assert exit_status(replies) == 0 and warnings(replies) == []
    assert sorted(value.split()[0] for value in servers(world).values()) == [
        *("sn2,sn3", "sn2,sn3", "sn3,sn2", "sn3,sn2")
    ]
    assert repointed(world) == {"n1", "n2", "n3"}
    assert "to be network-booted from the new service node: rnetboot d1" in lines(replies)


def test_nodes_without_a_service_node_need_not_be_up(tmp_path: Path) -> None:
    tables = {**rows(), "noderes": []}
    world = open_world(tmp_path, tables, Names(ADDRESSES), agents())
    world.agents.down |= {"n1", "n2", "d1"}
    replies = snbalance(world, "compute", "sn1,sn2")
    assert exit_status(replies) == 0
    assert sorted(servers(world).values()) == [
        *["sn1,sn2 10.1.0.11"] * 2,
        *["sn2,sn1 10.1.0.12"] * 2,
    ]
    assert repointed(world) == {"n3"}
    skipped = [line for line in lines(replies) if line.startswith("Skipped on the node itself")]
    assert any("n1,n2" in line and "when it is installed" in line for line in skipped)


def test_linux_nodes_need_no_agent(tmp_path: Path) -> None:
    tables = rows()
    tables["nodetype"] = [{"node": "compute", "os": "rhels9.4", "provmethod": "netboot"}]
    sides = {name: [f"10.0.0.1{name[-1]}", f"10.1.0.1{name[-1]}"] for name in SERVERS}
    world = open_world(tmp_path, tables, Names(ADDRESSES, sides), agents())
    replies = snbalance(world, "compute", "sn1,sn2")
    assert exit_status(replies) == 0 and servers(world) == HALVES
    assert world.agents.asked == []
    assert any("nodeset n2,n3 netboot" in line for line in warnings(replies))


def test_service_nodes_are_asked_once_each(world: World) -> None:
    snbalance(world, "compute", "sn1,sn2,sn3", "--dry-run")
    assert sorted(world.agents.asked) == ["sn1", "sn2", "sn3"]


def test_ranges_and_groups(world: World) -> None:
    snbalance(world, "n1-n3,-n2", "sn2,sn1", "-i")
    assert servers(world) == {**BEFORE, "n3": "sn2,sn1 10.1.0.12"}


def test_a_disabled_row_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    tables = rows()
    tables["noderes"][3]["disable"] = "1"
    tables["noderes"].append({"node": "compute", "servicenode": "sn1,sn2", "xcatmaster": "sn1b"})
    world = open_world(tmp_path, tables, Names(ADDRESSES), agents())
    replies = snbalance(world, "compute", "sn1,sn2")
    assert exit_status(replies) == 2
    assert errors(replies)[0].startswith("n3: cannot move: its row in table noderes is disabled")
    assert servers(world)["n2"] == HALVES["n2"] and servers(world)["n3"] == BEFORE["n3"]


def test_a_client_that_takes_the_noderange_out_of_the_words(world: World) -> None:
    replies = snbalance(world, "-i", "sn1,sn2", noderange="compute")
    assert exit_status(replies) == 0 and servers(world) == HALVES


def test_help_and_version(world: World) -> None:
    assert exit_status(snbalance(world, "-h")) == exit_status(snbalance(world, "--version")) == 0
    assert lines(snbalance(world, "-v")) == [world.version]
    assert any("Usage" in line for line in lines(snbalance(world, "--help")))


OPERANDS = "A node range and the service nodes to balance it over must be specified."
WEIGHTS = "--weights must be like sn1=2,sn2=1 with numbers from 0 to 1000, not '{}'."


@pytest.mark.parametrize(
    ("args", "message", "shows_usage"),
    [
        ((), OPERANDS, True),
        (("compute",), OPERANDS, True),
        (("", "sn1,sn2"), OPERANDS, True),
        (("compute", "sn1"), "At least two service nodes must be specified, not only 'sn1'.", True),
        (
            ("compute", ",sn1,"),
            "At least two service nodes must be specified, not only ',sn1,'.",
            True,
        ),
        (
            ("compute", "sn1,", "sn2"),
            "Too many arguments: one noderange and one list of service nodes, without blanks.",
            True,
        ),
        (("compute", "sn1,sn2", "--nonsense"), "option --nonsense not recognized", True),
        (("compute", "sn1,sn2", "-s", "sn1"), "option -s not recognized", True),
        (("compute", "sn1,sn2", "--weights"), "option --weights requires argument", True),
        (("compute", "sn1,sn2", "--weights", "sn1"), WEIGHTS.format("sn1"), False),
        (("compute", "sn1,sn2", "--weights", "sn1=x"), WEIGHTS.format("sn1=x"), False),
        (("compute", "sn1,sn2", "--weights", "sn1=-1"), WEIGHTS.format("sn1=-1"), False),
        (("compute", "sn1,sn2", "--weights", "sn1=1001"), WEIGHTS.format("sn1=1001"), False),
        (("compute", "sn1,sn2", "--weights", "sn1=\u0662"), WEIGHTS.format("sn1=\u0662"), False),
        (("compute", "sn1,sn2", "--weights", "=1"), WEIGHTS.format("=1"), False),
        (("compute", "sn1,sn2", "--weights", ""), WEIGHTS.format(""), False),
        (
            ("compute", "sn1,sn2", "--weights", "sn1=1,sn1=2"),
            "--weights gives sn1 two weights.",
            False,
        ),
        (
            ("compute", "sn1,sn2", "--weights", "sn3=1"),
            "cannot give sn3 a weight: it is not one of the service nodes sn1,sn2",
            False,
        ),
        (
            ("compute", "sn1,sn2", "--weights", "sn1=0,sn2=0"),
            "cannot balance: every service node has weight 0, so none can be a primary",
            False,
        ),
        (
            ("compute", "sn1,sn2", "--backups", "2"),
            "--backups must be a number from 0 to 1, one less than the service nodes, not '2'.",
            False,
        ),
        (
            ("compute", "sn1,sn2", "-P", "x", "-i"),
            "-P and -i flags cannot be specified at the same time.",
            False,
        ),
        (
            ("compute", "sn1,sn2", "--fanout", "0"),
            "--fanout must be a number from 1 to 1000, not '0'.",
            False,
        ),
        (("zz1,n1,zz2", "sn1,sn2"), "Invalid nodes in noderange:zz1,zz2", False),
        (("n1,(n2", "sn1,sn2"), "Unbalanced parentheses in noderange", False),
        (
            ("compute", "sn1,sn99"),
            "cannot balance over sn99: it is not a node of this cluster (see lsdef)",
            False,
        ),
        (
            ("compute", "sn1,sn1"),
            "cannot balance over sn1: that is one service node, named twice",
            False,
        ),
        (
            ("compute", "sn1,10.0.0.11"),
            "cannot balance over sn1 and 10.0.0.11: that is one service node, named twice",
            False,
        ),
        (("sn1,sn3", "sn1,sn2"), "cannot move sn1,sn3: service nodes are not moved", False),
        (("compute,-compute", "sn1,sn2"), "the noderange names no node: nothing to move", False),
    ],
)
def test_bad_input(world: World, args: tuple[str, ...], message: str, shows_usage: bool) -> None:
    replies = snbalance(world, *args)
    assert errors(replies) == [message]
    assert exit_status(replies) == 1
    assert any("Usage" in line for line in lines(replies)) is shows_usage
    assert servers(world) == BEFORE and world.agents.done == []
