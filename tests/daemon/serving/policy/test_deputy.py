"""A request that does another command's work is judged as that command on those nodes, too."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from functools import reduce
from operator import or_

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.daemon.serving.conftest import PATIENT, Authority, Cluster, Sample, _prepare
from tests.daemon.serving.policy.conftest import TABLES, fill
from tests.daemon.serving.policy.test_order import DENIED, ask

from xcatd.api import EVERYTHING, NOTHING, Context, Reply, Request, Targets, info
from xcatd.main import Daemon, Machine
from xcatd.plugins import PluginHost
from xcatd.rights import ALL, AsCommand, Rights
from xcatd.serving.judging import Judge
from xcatd.serving.policy import Query

#: Stored plans: the command, its arguments, its nodes.
PLANS = {
    "p1": ("move", ("n1", "-d", "sn2"), ("n1",)),
    "p2": ("move", ("n2", "-d", "sn2"), ("n2",)),
    "p12": ("move", ("n1,n2", "-d", "sn2"), ("n1", "n2")),
    "shift": ("shift", (), ("n1",)),
    "root": ("powerful", (), ("n1",)),
}


class Stored:
    """Acts for whatever command a stored plan is of."""

    commands = ("stored", "move")

    def acts_for_another(self, request: Request) -> bool:
        return request.command == "stored" and request.words[0] != "list"

    def targets(self, request: Request, context: Context) -> Targets:
        if request.command == "move":
            return Targets.of(request.nodes)
        match request.words[0]:
            case "list":
                return NOTHING
            case "crash":
                raise KeyError("unreadable")
            case "all":
                return EVERYTHING
        plans = [PLANS[name] for name in request.words if name in PLANS]
        return reduce(or_, (Targets.of(nodes, command, words) for command, words, nodes in plans))

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        if request.words[0] != "list":
            with context.db.transaction("nodetype") as transaction:
                node = "n9" if "beyond" in request.words else "n1"
                transaction.insert("nodetype", [{"node": node, "arch": "x"}])
        for name, (command, words, nodes) in PLANS.items():
            if context.may(Targets.of(nodes, command, words)):
                yield info(f"plan:{name}")


class Powerful:
    """As good as being root."""

    commands = ("powerful",)

    def needs_everything(self, request: Request) -> bool:
        return True

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        yield from ()


ROWS = [
    {"priority": "1", "name": "root", "rule": "allow"},
    {"priority": "2", "name": "all", "commands": "stored,move", "rule": "allow"},
    {"priority": "3", "name": "plans", "commands": "stored", "rule": "allow"},
    {"priority": "4", "name": "some", "commands": "stored", "rule": "allow"},
    {
        "priority": "4.1",
        "name": "some",
        "commands": "move",
        "noderange": "n1",
        "rule": "allow",
    },
    {
        "priority": "5",
        "name": "exact",
        "commands": "move",
        "parameters": "^n1 -d sn2$",
        "rule": "allow",
    },
    {"priority": "5.1", "name": "exact", "commands": "stored", "rule": "allow"},
    {
        "priority": "6",
        "name": "but",
        "commands": "move",
        "noderange": "n2",
        "rule": "deny",
    },
    {"priority": "6.1", "name": "but", "rule": "allow"},
]


@pytest.fixture
def cluster(tmp_path, authority: Authority, filled) -> Iterator[Cluster]:
    directory = _prepare(tmp_path / "top", authority, filled)
    fill(directory / "db", {**TABLES, "policy": ROWS, "nodetype": []})
    machine = Machine("mn", {"XCATCFG": f"SQLite:{directory / 'db'}"}, directory / "mn")
    plugins = PluginHost({"stored": Stored(), "powerful": Powerful()})
    daemon = Daemon(machine, plugins=plugins)
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = daemon.server([sock], PATIENT, 64)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()

    def stop() -> None:
        server.stop()
        thread.join(20)
        daemon.close()

    yield Cluster(directory, authority, daemon, server, Sample(), sock.getsockname()[1], stop)
    stop()


@pytest.mark.parametrize(
    ("user", "plans", "allowed"),
    [
        ("root", "p12", True),
        ("root", "root", True),
        ("root", "all", True),
        ("root", "crash", True),
        ("all", "p12", True),
        ("all", "shift", False),
        ("all", "root", False),
        ("all", "all", False),
        ("all", "crash", False),
        ("plans", "p1", False),
        ("plans", "shift", False),
        ("some", "p1", True),
        ("some", "p2", False),
        ("some", "p12", False),
        ("some", "p1 p2", False),
        ("exact", "p1", True),
        ("exact", "p2", False),
        ("exact", "p1 p2", False),
        ("but", "p1", True),
        ("but", "p12", False),
        ("but", "shift", True),
        ("but", "root", True),
        ("but", "all", False),
        ("stranger", "p1", False),
    ],
)
def test_it_must_be_allowed_in_both_names(
    cluster: Cluster, user: str, plans: str, allowed: bool
) -> None:
    said = ask(cluster, user, "stored", *plans.split())
    assert (DENIED not in said) is allowed
    assert bool(cluster.rows("nodetype")) is allowed


def test_what_it_writes_is_limited_to_what_the_other_command_may(cluster: Cluster) -> None:
    said = ask(cluster, "some", "stored", "p1", "beyond")
    assert DENIED not in said
    assert "Permission denied for n9" in said
    assert cluster.rows("nodetype") == []
    ask(cluster, "all", "stored", "p1", "beyond")
    assert [row["node"] for row in cluster.rows("nodetype")] == ["n9"]


@pytest.mark.parametrize(
    ("user", "seen"),
    [
        ("root", {"p1", "p2", "p12", "shift", "root"}),
        ("all", {"p1", "p2", "p12"}),
        ("plans", set()),
        ("some", {"p1"}),
        ("exact", {"p1"}),
        ("but", {"p1", "shift", "root"}),
    ],
)
def test_a_list_has_only_what_its_user_might_do(
    cluster: Cluster, user: str, seen: set[str]
) -> None:
    said = ask(cluster, user, "stored", "list")
    assert DENIED not in said
    assert {name for name in PLANS if f"plan:{name}<" in said} == seen


# -- pure ------------------------------------------------------------------------------------------

GROUPS = {"a": ("n1", "n2"), "b": ("n2", "n3"), "n1": ("n1",)}
_RULES = st.sampled_from(["allow", "deny"])
_COMMANDS = st.sampled_from([None, "plans", "move", "shift", "plans,move"])
_POLICY = st.lists(
    st.fixed_dictionaries(
        {
            "rule": _RULES,
            "commands": _COMMANDS,
            "noderange": st.sampled_from([None, None, *GROUPS]),
            "parameters": st.sampled_from([None, None, "^x$"]),
        }
    ),
    max_size=5,
).map(lambda rows: [{**row, "priority": str(at)} for at, row in enumerate(rows)])
_OTHERS = st.builds(
    AsCommand,
    st.sampled_from(["move", "shift", ""]),
    st.sampled_from([(), ("x",)]),
    st.frozensets(st.sampled_from(["n1", "n2", "n3"])),
)


def _judge(rows, calls: list[str] | None = None) -> Judge:
    def members(text: str) -> tuple[str, ...]:
        if calls is not None:
            calls.append(text)
        return GROUPS[text]

    query = Query("anna", ("mn",), "plans")
    return Judge(rows, query, members, lambda command, _args: command == "shift")


@given(_POLICY, st.lists(_OTHERS, max_size=3))
def test_all_names_must_be_allowed_and_the_least_counts(rows, others: list[AsCommand]) -> None:
    judge = _judge(rows)
    together = judge.rights_as(Targets(commands=tuple(others)))
    alone = [judge.rights_as(Targets(commands=(other,))) for other in others]
    if together is None:
        assert None in alone
        return
    assert None not in alone
    for other, rights in zip(others, alone, strict=True):
        assert rights is not None
        assert together.is_unrestricted <= rights.is_unrestricted
        assert together.selects <= rights.selects
        if rights.nodes is not None:
            assert rights.nodes == other.nodes
            assert together.nodes is not None
            assert together.nodes >= rights.nodes
    touched = frozenset[str]().union(*(other.nodes for other in others))
    assert together.nodes is None or together.nodes <= touched


@given(_POLICY, st.lists(_OTHERS, max_size=3))
def test_what_nobody_can_name_is_for_the_unrestricted(rows, others: list[AsCommand]) -> None:
    judge = _judge(rows)
    unnamed = judge.rights_as(EVERYTHING)
    assert unnamed is None or unnamed == ALL
    if unnamed is not None:
        assert any(row["rule"] == "allow" and row["commands"] is None for row in rows)


def test_a_rows_nodes_are_looked_up_once_for_a_whole_list() -> None:
    calls: list[str] = []
    rows = [{"priority": "1", "commands": "move", "noderange": "a", "rule": "allow"}]
    judge = _judge(rows, calls)
    for node in ("n1", "n2", "n3", "n1"):
        judge.may(Targets.of([node], "move"), Rights())
    assert calls == ["a"]


def test_own_limits_count_as_well() -> None:
    judge = _judge([{"priority": "1", "rule": "allow"}])
    limited = Rights(nodes=frozenset(["n1"]))
    assert judge.may(Targets.of(["n1"], "move"), limited)
    assert not judge.may(Targets.of(["n2"], "move"), limited)
    assert not judge.may(EVERYTHING, limited)
    assert judge.may(EVERYTHING, ALL)


def test_targets_join_with_their_commands() -> None:
    first, second = Targets.of(["n1"], "move", ["x"]), Targets.of(["n2"], "shift")
    both = first | second | first
    assert both.nodes == {"n1", "n2"}
    assert [other.command for other in both.commands] == ["move", "shift"]
    assert Targets.of(["n1"]).commands == ()
