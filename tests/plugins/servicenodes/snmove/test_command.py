"""The command from arguments to replies, over a real database directory and scripted agents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from xcat_aix.plan.model import Target
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.facts import NimDatabase, NimObject
from xcat_aix_proto.operations import NimSnapshot, RepointClient, RunPostscripts, SetXcatServer

from .doubles import Agents, Names, World, errors, exit_status, lines, open_world, stored, warnings

NODES = ("n1", "n2", "d1")
N1, SN2 = Target("cn", "n1"), Target("sn", "sn2")
ADDRESSES = {
    "sn1": "10.0.0.11",
    "sn2": "10.0.0.12",
    "sn1b": "10.1.0.11",
    "n1": "10.1.1.1",
    "n2": "10.1.1.2",
    "d1": "10.1.1.3",
}


def rows() -> dict[str, list[dict[str, str]]]:
    return {
        "site": [{"key": "master", "value": "10.0.0.1"}],
        "nodelist": [{"node": "sn1", "groups": "service"}, {"node": "sn2", "groups": "service"}]
        + [{"node": node, "groups": "compute"} for node in NODES],
        "noderes": [
            {"node": node, "servicenode": "sn1,sn2", "xcatmaster": "sn1b", "nfsserver": "sn1b"}
            for node in NODES
        ],
        "nodehm": [{"node": "n1", "conserver": "sn1"}],
        "nodetype": [
            {"node": node, "os": "AIX", "provmethod": "dsk" if node == "d1" else "std"}
            for node in NODES
        ],
        "nimimage": [
            {"imagename": "std", "nimtype": "standalone", "spot": "spot1"},
            {"imagename": "dsk", "nimtype": "diskless", "spot": "spot1"},
        ],
        "networks": [{"net": "10.1.0.0", "mask": "255.255.0.0", "gateway": "<xcatmaster>"}],
        "postscripts": [{"node": "xcatdefaults", "postscripts": "syslog"}],
        "servicenode": [{"node": "service", "nimserver": "1"}],
    }


def nim(*missing: str) -> NimDatabase:
    names = {"spot1": "", "n1": "", "n2": "", "d1": "diskless or dataless boot is enabled"}
    return NimDatabase(
        is_master=True,
        objects=tuple(
            NimObject(name, (("Cstate", state),))
            for name, state in names.items()
            if name not in missing
        ),
    )


def agents(*missing: str) -> Agents:
    sides = {"sn1": ["10.0.0.11", "10.1.0.11"], "sn2": ["10.0.0.12", "10.1.0.12"]}
    return Agents({name: (addresses, nim(*missing)) for name, addresses in sides.items()})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path, rows(), Names(ADDRESSES), agents())


def servers(world: World) -> dict[str, str]:
    found = stored(world.db, ["noderes"])["noderes"]
    return {row["node"]: f"{row['servicenode']} {row['xcatmaster']}" for row in found}


MOVED = dict.fromkeys(NODES, "sn2,sn1 10.1.0.12")
UNMOVED = dict.fromkeys(NODES, "sn1,sn2 sn1b")


def move_id(replies: list[Any]) -> str:
    (found,) = set(
        re.findall(r"snmove-\d{8}-[0-9a-f]{4}", "\n".join(lines(replies) + errors(replies)))
    )
    return str(found)


def test_a_whole_move(world: World) -> None:
    replies = world.snmove("-s", "sn1")
    assert exit_status(replies) == 0 and errors(replies) == warnings(replies) == []
    assert servers(world) == MOVED
    said = lines(replies)
    assert said[:6] == [
        "Moving nodes to their backup service nodes.",
        "Setting new values in the xCAT database.",
        "Running makeconservercf n1",
        "Checking the default routes on the nodes.",
        "Updating the bootlist.",
        "Running postscripts on the nodes.",
    ]
    assert "Moved to sn2: d1,n1,n2" in said
    assert "to be network-booted from the new service node: rnetboot d1" in said
    assert world.ran == [("makeconservercf", ("n1",))]
    kinds = {node: [op.kind for at, op in world.agents.done if at == node] for node in NODES}
    assert kinds["n1"] == kinds["n2"] == ["client.repoint@1", *kinds["d1"]]
    assert RepointClient("n1", "10.1.0.12") in [op for at, op in world.agents.done if at == "n1"]


def test_verbose_tells_each_niminit(world: World) -> None:
    said = lines(world.snmove("n1,n2", "-V"))
    assert {"Running niminit on n1.", "Running niminit on n2."} <= set(said)


def test_database_only_touches_no_node(world: World) -> None:
    replies = world.snmove("-i", "compute")
    assert servers(world) == MOVED and world.agents.done == []
    assert exit_status(replies) == 0
    assert set(world.agents.asked) == {"sn2"}


def test_dry_run_changes_nothing(world: World) -> None:
    before = stored(world.db, rows())
    replies = world.snmove("-s", "sn1", "--dry-run")
    assert stored(world.db, rows()) == before and world.agents.done == world.ran == []
    assert lines(replies)[-1] == "This is the plan only: nothing was changed."
    assert "There are no moves in the journal." in lines(world.snmove("--list"))


def test_json_is_one_document_and_changes_nothing(world: World) -> None:
    (reply,) = world.snmove("-s", "sn1", "--json")
    (text,) = reply.data
    body = json.loads(str(text))
    assert body["nodes"] == ["d1", "n1", "n2"]
    assert body["cells"][0]["after"] == "sn2,sn1"
    assert servers(world) == UNMOVED


def test_failing_node_is_named_and_resumed(world: World) -> None:
    refusal = AgentError(
        ErrorCode.NIM_REFUSED, "niminit failed", "0042-001 niminit: no\n  0042-006 why"
    )
    world.agents.failing["n2", RepointClient.kind] = refusal
    replies = world.snmove("-s", "sn1")
    assert exit_status(replies) == 2
    first, last = errors(replies)
    assert first.startswith("n2: make it a NIM client of 10.1.0.12: niminit failed")
    assert "0042-006 why" in first
    assert last.startswith("1 of 3 nodes not finished")
    assert last.endswith(f"to try again: snmove --resume {move_id(replies)}")
    assert servers(world) == MOVED
    assert "Moved to sn2: d1,n1" in lines(replies)
    assert ("n2", SetXcatServer("10.1.0.12")) not in world.agents.done
    listed = "\n".join(lines(world.snmove("--list")))
    assert "2/3" in listed and "partial: some of it was done; not finished: n2" in listed
    found = json.loads(lines(world.snmove("--list", "--json"))[0])[0]
    assert (found["nodes"], found["done"], found["unfinished"]) == (3, 2, ["n2"])

    world.agents.failing.clear()
    before = list(world.agents.done)
    again = world.snmove("--resume", move_id(replies))
    assert exit_status(again) == 0
    assert {node for node, _ in world.agents.done[len(before) :]} == {"n2"}
    assert "3/3" in "\n".join(lines(world.snmove("--list")))
    assert exit_status(world.snmove("--resume", move_id(replies))) == 1


def test_the_same_command_again_does_not_say_that_unfinished_nodes_are_served(
    world: World,
) -> None:
    world.agents.failing["n2", RepointClient.kind] = AgentError(ErrorCode.NIM_REFUSED, "no")
    id_ = move_id(world.snmove("-s", "sn1"))
    wanted = f"n2: {id_} did not finish there; to go on: snmove --resume {id_}"

    by_range = world.snmove("compute", "-d", "sn2")
    assert "already served by sn2" in "\n".join(lines(by_range))
    assert errors(by_range) == [wanted] and exit_status(by_range) == 1
    assert errors(world.snmove("compute", "-d", "sn2", "--dry-run")) == [wanted]
    assert errors(world.snmove("n1", "-d", "sn2")) == []
    assert errors(world.snmove("n2", "-d", "sn2", "-i")) == []
    assert errors(world.snmove("-s", "sn1"))[1:] == [wanted]

    world.agents.failing.clear()
    world.snmove("--resume", id_)
    assert exit_status(world.snmove("compute", "-d", "sn2")) == 0
    assert len(errors(world.snmove("-s", "sn1"))) == 1


def test_a_later_move_finishes_what_an_earlier_one_did_not(world: World) -> None:
    world.agents.failing["n2", RepointClient.kind] = AgentError(ErrorCode.NIM_REFUSED, "no")
    world.snmove("-s", "sn1")
    world.agents.failing.clear()
    assert exit_status(world.snmove("n2", "-d", "sn1")) == 0
    assert exit_status(world.snmove("n2", "-d", "sn2")) == 0
    assert errors(world.snmove("n2", "-d", "sn2")) == []


def test_node_that_is_down(world: World) -> None:
    world.agents.down |= {"n1", "d1"}
    replies = world.snmove("-s", "sn1")
    assert exit_status(replies) == 2
    assert len(errors(replies)) == 2
    assert errors(replies)[0].startswith("n1: ")
    assert any(line.startswith("Skipped on the node itself: d1") for line in lines(replies))


def test_undo_takes_everything_back(world: World) -> None:
    before = stored(world.db, rows())
    id_ = move_id(world.snmove("-s", "sn1"))
    done = len(world.agents.done)
    shown = lines(world.snmove("--undo", id_, "--dry-run"))
    assert any("noderes.servicenode: sn2,sn1 -> sn1,sn2" in line for line in shown)
    replies = world.snmove("--undo", id_)
    assert exit_status(replies) == 0
    assert stored(world.db, rows()) == before
    assert ("n1", RepointClient("n1", "sn1b")) in world.agents.done[done:]
    assert "Moved to sn1: d1,n1,n2" in lines(replies)
    assert exit_status(world.snmove("--undo", id_)) == 1


def test_undo_takes_back_what_failed_half_way(world: World) -> None:
    """Scripts that ran before the one that failed have made the node look to where it was going."""
    world.agents.failing["n2", RunPostscripts.kind] = AgentError(ErrorCode.COMMAND_FAILED, "no")
    id_ = move_id(world.snmove("-s", "sn1"))
    world.agents.failing.clear()
    done = len(world.agents.done)
    assert exit_status(world.snmove("--undo", id_)) == 0
    back = [(node, op) for node, op in world.agents.done[done:] if isinstance(op, RunPostscripts)]
    assert {node: op.master for node, op in back} == dict.fromkeys(("d1", "n1", "n2"), "sn1b")


def test_undo_leaves_out_what_was_not_begun(world: World) -> None:
    world.agents.failing["n2", RepointClient.kind] = AgentError(ErrorCode.NIM_REFUSED, "no")
    id_ = move_id(world.snmove("-s", "sn1"))
    world.agents.failing.clear()
    done = len(world.agents.done)
    assert exit_status(world.snmove("--undo", id_)) == 0
    back = [op for node, op in world.agents.done[done:] if node == "n2"]
    assert back == [RepointClient("n2", "sn1b")]  # that failed; the others of its job had not begun


def test_undo_counts_the_nodes_without_steps_of_their_own(world: World) -> None:
    id_ = move_id(world.snmove("-s", "sn1"))
    world.agents.failing["n2", RepointClient.kind] = AgentError(ErrorCode.NIM_REFUSED, "no")
    last = errors(world.snmove("--undo", id_))[-1]
    assert last.startswith("1 of 3 nodes not finished")


def test_undo_is_refused_when_a_cell_changed_since(world: World) -> None:
    id_ = move_id(world.snmove("-i", "n1"))
    with world.db.transaction("noderes") as transaction:
        transaction.update("noderes", {"node": "n1"}, {"nfsserver": "nas"})
    replies = world.snmove("--undo", id_)
    assert exit_status(replies) == 1
    assert "nfsserver" in errors(replies)[0] and "nothing was changed" in errors(replies)[0]
    assert errors(replies)[0].endswith(
        "; an undo overwrites no later change: to move the nodes all the same, run snmove NODERANGE -d SN"
    )
    assert "again" not in errors(replies)[0]
    assert servers(world)["n1"] == MOVED["n1"]


def test_nim_that_hangs_hardly_delays_a_database_only_move(world: World) -> None:
    world.agents.seconds_to_look[NimSnapshot.kind] = 10.0
    replies = world.snmove("-i", "compute")
    assert "no answer in time; it was not checked" in warnings(replies)[0]
    assert servers(world) == MOVED
    world.agents.seconds_to_look[NimSnapshot.kind] = 100.0
    refused = world.snmove("compute", "-d", "sn1")
    assert "cannot move to sn1: the new service node must be running" in errors(refused)[0]
    world.agents.seconds_to_look[NimSnapshot.kind] = 10.0
    assert exit_status(world.snmove("compute", "-d", "sn1")) == 0


def test_agent_that_does_not_allow_it_is_not_called_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "xcat-aix:mn:mn needs the right read here and has nothing; allow it in /p.ini on sn1"

    def connect(*_: object, **__: object) -> None:
        raise AgentError(ErrorCode.NOT_ALLOWED, text)

    monkeypatch.setattr(world.agents, "connect", connect)
    (told,) = errors(world.snmove("compute", "-d", "sn1"))
    assert f"its agent does not allow this management node: {text} (--force" in told
    assert "gives no answer" not in told
    told = warnings(world.snmove("-i", "compute", "-d", "sn2", "-D", "sn2b"))[0]
    assert f"its agent does not allow this management node: {text}; it was not checked" in told


def test_undo_of_a_database_only_move_touches_no_node(world: World) -> None:
    id_ = move_id(world.snmove("-i", "compute"))
    world.snmove("--undo", id_)
    assert servers(world) == UNMOVED and world.agents.done == []


def test_row_changed_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from xcat_aix.commands.servicenodes import snmove

    plan_move = snmove.plan_move

    def late(*args: Any) -> Any:
        plan = plan_move(*args)
        with world.db.transaction("noderes") as transaction:
            transaction.update("noderes", {"node": "n2"}, {"servicenode": "sn1,sn3"})
        return plan

    monkeypatch.setattr(snmove, "plan_move", late)
    replies = world.snmove("-s", "sn1")
    assert exit_status(replies) == 1
    (message,) = errors(replies)
    assert "node=n2 servicenode" in message and message.startswith("nothing was changed")
    assert message.count("again") == 1
    assert servers(world) == {**UNMOVED, "n2": "sn1,sn3 sn1b"}
    assert world.agents.done == world.ran == []


def test_missing_makeconservercf_is_a_warning(world: World) -> None:
    world.offers = frozenset()
    replies = world.snmove("-i", "n1")
    assert exit_status(replies) == 0
    assert any(
        "no plugin offers makeconservercf" in line and "n1" in line for line in warnings(replies)
    )


def test_new_server_down(world: World) -> None:
    world.agents.servers = {}
    replies = world.snmove("-s", "sn1")
    assert exit_status(replies) == 1 and servers(world) == UNMOVED
    assert "the new service node must be running" in errors(replies)[0]
    world.names.of_nodes = {"sn2": ["10.1.0.12"]}
    forced = world.snmove("-s", "sn1", "--force")
    assert exit_status(forced) == 0 and servers(world) == MOVED
    assert any("no answer" in line for line in warnings(forced))


def test_readiness_warns_and_strict_stops(tmp_path: Path) -> None:
    world = open_world(tmp_path, rows(), Names(ADDRESSES), agents("n2", "d1", "spot1"))
    refused = world.snmove("-s", "sn1", "--strict")
    assert exit_status(refused) == 1 and servers(world) == UNMOVED
    text = "\n".join(errors(refused))
    assert "nimnodeset -b n2" in text and "mkdsklsnode -b d1" in text and "spot1" in text
    replies = world.snmove("-s", "sn1")
    assert exit_status(replies) == 3 and servers(world) == MOVED
    assert len(warnings(replies)) == 4
    assert errors(replies) == ["d1: moved, but cannot boot from there yet"]


def test_overlapping_moves(world: World) -> None:
    from xcat_aix.commands.planned.doing import journal_of
    from xcat_aix.plan.model import Lane, Plan, Step

    step = Step("write", "database.write@2")
    other = Plan("snmove", ("n2",), (Lane("database", (step,)),))
    hold = journal_of(world).open_plan(other, command="snmove n2", user="other")  # type: ignore[arg-type]
    replies = world.snmove("-s", "sn1")
    assert exit_status(replies) == 1 and servers(world) == UNMOVED
    assert hold.plan_id in errors(replies)[0] and "n2" in errors(replies)[0]


def test_already_served(world: World) -> None:
    world.snmove("-i", "compute")
    replies = world.snmove("-i", "compute", "-d", "sn2")
    assert exit_status(replies) == 0
    assert "n1,n2,d1" not in lines(replies)[0]
    assert any("already served by sn2" in line for line in lines(replies))
    assert len(lines(world.snmove("--list"))) == 2


def test_progress_only_when_the_client_draws_it(world: World) -> None:
    assert not any(reply.sinfo for reply in world.snmove("n1"))
    counted = [line for reply in world.snmove("n2", XCAT_PROGRESS="1") for line in reply.sinfo]
    assert counted == ["snmove: 1 of 1 node done"]


def test_help_and_version(world: World) -> None:
    assert exit_status(world.snmove("-h")) == exit_status(world.snmove("--version")) == 0
    assert lines(world.snmove("-v")) == [world.version]
    assert any("Usage" in line for line in lines(world.snmove("--help")))


@pytest.mark.parametrize(
    ("args", "message", "shows_usage"),
    [
        (("n1", "-i", "-P", "x"), "-P and -i flags cannot be specified at the same time.", False),
        (("n1", "n2"), "Too many paramters.", True),
        ((), "A node range or the source service node must be specified.", True),
        (("n1", "--nonsense"), "option --nonsense not recognized", True),
        (("n1", "-Z"), "option -Z not recognized", True),
        (("n1", "-d"), "option -d requires argument", True),
        (("zz1,n1,zz2",), "Invalid nodes in noderange:zz1,zz2", False),
        (("n1,(n2",), "Unbalanced parentheses in noderange", False),
        (
            ("n1", "-d", "sn99"),
            "cannot move n1 to sn99: sn99 is not a node of this cluster (see lsdef)",
            False,
        ),
        (("n1", "--fanout", "0"), "--fanout must be a number from 1 to 1000, not '0'.", False),
        (
            ("n1", "--timeout", "x"),
            "--timeout must be a number of seconds up to 86400, not 'x'.",
            False,
        ),
        (
            ("--resume", "snmove-1", "n1"),
            "--resume takes no 'n1'.",
            True,
        ),
        (
            ("--resume", "snmove-20260101-0000"),
            "cannot find snmove-20260101-0000 in the journal",
            False,
        ),
        (
            ("--undo", "snmove-20260101-0000"),
            "cannot find snmove-20260101-0000 in the journal",
            False,
        ),
        (("--list", "--undo", "x"), "--list and --undo exclude each other.", True),
    ],
)
def test_bad_input(world: World, args: tuple[str, ...], message: str, shows_usage: bool) -> None:
    replies = world.snmove(*args)
    assert errors(replies) == [message]
    assert exit_status(replies) == 1
    assert any("Usage" in line for line in lines(replies)) is shows_usage
    assert servers(world) == UNMOVED


def test_fix_is_not_in_this_version(world: World) -> None:
    replies = world.snmove("n1", "--fix")
    assert exit_status(replies) == 1
    assert "mkdsklsnode -b" in errors(replies)[0] and "nimnodeset -b" in errors(replies)[0]


def test_bundled_options(world: World) -> None:
    replies = world.snmove("-Vid", "sn2", "n1")
    assert exit_status(replies) == 0 and servers(world)["n1"] == MOVED["n1"]


def test_bad_port(world: World) -> None:
    with world.db.transaction("site") as transaction:
        transaction.insert("site", [{"key": "aixagentport", "value": "many"}])
    replies = world.snmove("n1")
    assert "site.aixagentport" in errors(replies)[0] and exit_status(replies) == 1


def test_a_command_that_was_interrupted_before_it_began_leaves_nothing(world: World) -> None:
    world.cancelled.set()
    replies = world.snmove("-s", "sn1")
    assert exit_status(replies) == 1
    assert lines(world.snmove("--list")) == ["There are no moves in the journal."]
    assert servers(world) == UNMOVED


@pytest.mark.parametrize("more", [(), ("--out", "x")])
def test_a_command_without_agents_that_was_given_up_opens_no_plan(
    world: World, more: tuple[str, ...]
) -> None:
    world.cancelled.set()
    replies = world.snmove("-i", "n1", "-d", "sn2", "-D", "sn2b", *more)
    assert errors(replies) == ["nothing was changed: the request was given up"]
    assert exit_status(replies) == 1 and not any(reply.extra for reply in replies)
    assert lines(world.snmove("--list")) == ["There are no moves in the journal."]
    assert servers(world) == UNMOVED


def test_stopped_move_can_be_resumed(world: World) -> None:
    connect = world.agents.connect

    def interrupted(node: str, role: Any, *words: Any, **how: Any) -> Any:
        if role.value == "cn":
            world.cancelled.set()
        return connect(node, role, *words, **how)

    world.agents.connect = interrupted  # type: ignore[method-assign]
    replies = world.snmove("-s", "sn1", "--fanout", "1")
    assert exit_status(replies) == 2 and "stopped" in errors(replies)[-1]
    assert "interrupted" in "\n".join(lines(world.snmove("--list")))
    world.agents.connect = connect  # type: ignore[method-assign]
    world.cancelled.clear()
    assert exit_status(world.snmove("--resume", move_id(replies))) == 0
    assert servers(world) == MOVED


def test_linux_nodes_need_no_agent(tmp_path: Path) -> None:
    tables = rows()
    tables["nodetype"] = [{"node": "compute", "os": "rhels9.4", "provmethod": "netboot"}]
    names = Names(ADDRESSES, {"sn2": ["10.0.0.12", "10.1.0.12"]})
    world = open_world(tmp_path, tables, names, agents())
    replies = world.snmove("-s", "sn1")
    assert exit_status(replies) == 0 and servers(world) == MOVED
    assert world.agents.asked == []
    assert any("nodeset d1,n1,n2 netboot" in line for line in warnings(replies))


def test_statelite_keys_are_noderanges(tmp_path: Path) -> None:
    tables = rows()
    tables["statelite"] = [
        {"node": "n[1-2]", "statemnt": "sn1b:/data"},
        {"node": "(", "statemnt": "sn1b:/x"},
    ]
    world = open_world(tmp_path, tables, Names(ADDRESSES), agents())
    found = [line for line in warnings(world.snmove("-s", "sn1")) if "statelite row" in line]
    assert len(found) == 1 and found[0].startswith("n1,n2: the statelite row n[1-2]")
    assert stored(world.db, ["statelite"])["statelite"] == tables["statelite"]


def test_disabled_row_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    tables = rows()
    tables["noderes"][1]["disable"] = "1"
    tables["noderes"].append({"node": "compute", "servicenode": "sn1,sn2", "xcatmaster": "sn1b"})
    world = open_world(tmp_path, tables, Names(ADDRESSES), agents())
    assert exit_status(world.snmove("compute", "--dry-run")) == 1
    replies = world.snmove("compute")
    assert exit_status(replies) == 2
    assert errors(replies)[0].startswith("n2: cannot move: its row in table noderes is disabled")
    assert servers(world)["n1"] == MOVED["n1"] and servers(world)["n2"] == UNMOVED["n2"]


@pytest.mark.parametrize("role", ["cn", "sn", "mn"])
def test_lanes_are_connected_by_the_role_of_their_agent(world: World, role: str) -> None:
    from xcat_aix.commands.planned.agents import AgentCalls as AgentLinks

    asked: list[tuple[str, str]] = []

    class Listening(Agents):
        def connect(self, node: str, role: Any, *_: Any, **__: Any) -> Any:
            asked.append((node, role.value))

    world.agents = Listening()
    AgentLinks(world, ADDRESSES, 3009).connect(Target(role, "sn1"), SN2)  # type: ignore[arg-type]
    assert asked == [("sn1", role)]


@pytest.mark.parametrize("relay_answers", [True, False])
def test_nodes_are_reached_by_way_of_the_new_server(world: World, relay_answers: bool) -> None:
    from xcat_aix.commands.planned.agents import AgentCalls as AgentLinks

    ways: list[Any] = []

    class Relayed(Agents):
        def connect(self, node: str, role: Any, address: str, port: int, **how: Any) -> Any:
            ways.append(how["via"])
            if how["via"] is None or not relay_answers:
                raise AgentError(
                    ErrorCode.UNREACHABLE, "no way" if how["via"] is None else "nor here"
                )
            return super().connect(node, role, address, port)

    world.agents = Relayed()
    links = AgentLinks(world, ADDRESSES, 3009)  # type: ignore[arg-type]
    if relay_answers:
        assert links.connect(N1, SN2) is not None
    else:
        with pytest.raises(AgentError, match="no way; nor here"):
            links.connect(N1, SN2)
    assert ways[0] is None and (ways[1].node, ways[1].address) == ("sn2", "10.0.0.12")
    with pytest.raises(AgentError, match="no way"):
        links.connect(N1, None)
    with pytest.raises(AgentError, match="n9 has no address"):
        links.connect(Target("cn", "n9"), SN2)


@pytest.mark.parametrize(
    ("of_relay", "told"),
    [
        (ErrorCode.BUSY, ErrorCode.BUSY),
        (ErrorCode.NOT_ALLOWED, ErrorCode.UNREACHABLE),
        (ErrorCode.UNREACHABLE, ErrorCode.UNREACHABLE),
    ],
)
def test_a_busy_relay_is_no_unreachable_node(
    world: World, of_relay: ErrorCode, told: ErrorCode
) -> None:
    from xcat_aix.commands.planned.agents import AgentCalls as AgentLinks

    class Refusing(Agents):
        def connect(self, node: str, *_: Any, **how: Any) -> Any:
            raise AgentError(of_relay if how["via"] else ErrorCode.UNREACHABLE, "no")

    world.agents = Refusing()
    with pytest.raises(AgentError) as caught:
        AgentLinks(world, ADDRESSES, 3009).connect(N1, SN2)  # type: ignore[arg-type]
    assert caught.value.code is told


def test_refused_connection_is_not_tried_by_another_way(world: World) -> None:
    from xcat_aix.commands.planned.agents import AgentCalls as AgentLinks

    class Refusing(Agents):
        def connect(self, node: str, *_: Any, **__: Any) -> Any:
            self.asked.append(node)
            raise AgentError(ErrorCode.NOT_ALLOWED, "not allowed")

    world.agents = Refusing()
    with pytest.raises(AgentError, match="not allowed"):
        AgentLinks(world, ADDRESSES, 3009).connect(N1, SN2)  # type: ignore[arg-type]
    assert world.agents.asked == ["n1"]
