"""Loading plugins, and choosing among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from xcatd.api import Context, DatabaseError, Reply, Request
from xcatd.plugins import Dispatch, PluginHost


class Fake:
    def __init__(self, **commands: str | tuple[str, ...]) -> None:
        self.commands = commands

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        yield Reply(info=(",".join(request.nodes),))


class Broken:
    commands = ("broken",)

    def __init__(self) -> None:
        raise RuntimeError("cannot be made")


class Route:
    def __init__(self, values: Mapping[str, Mapping[str, str]], **site: str) -> None:
        self.site = site
        self._values = values

    def lookup(
        self, table: str, columns: Sequence[str], nodes: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        assert table == "nodehm"
        return {
            node: {column: row[column] for column in columns if column in row}
            for node, row in self._values.items()
            if node in nodes
        }


NODEHM = {
    "n1": {"mgt": "ipmi"},
    "n2": {"mgt": "hmc", "power": "ipmi"},
    "n3": {"mgt": "hmc"},
    "n4": {},
}
NODES = tuple(NODEHM)


def _runs(choice: Dispatch) -> dict[str, tuple[str, ...]]:
    return {handler.name: nodes for handler, nodes in choice.runs}


def test_a_plain_plugin_takes_every_node() -> None:
    host = PluginHost({"one": Fake(do="one")})
    assert host.commands == {"do"}
    assert _runs(host.choose("do", NODES, Route({}))) == {"one": NODES}
    assert _runs(host.choose("do", (), Route({}))) == {"one": ()}
    assert host.choose("other", NODES, Route({})).runs == ()


def test_several_plugins_run_in_the_order_of_their_names() -> None:
    host = PluginHost({"b": Fake(do="b"), "a": Fake(do="a")})
    assert list(_runs(host.choose("do", (), Route({})))) == ["a", "b"]


def test_a_table_gives_each_node_to_its_plugin() -> None:
    spec = "nodehm:power,mgt"
    host = PluginHost({"ipmi": Fake(rpower=spec), "hmc": Fake(rpower=spec)})
    choice = host.choose("rpower", NODES, Route(NODEHM))
    assert _runs(choice) == {"ipmi": ("n1", "n2"), "hmc": ("n2", "n3")}
    assert choice.unclaimed == ("n4",)
    assert choice.specs == (spec,)
    assert host.tables("rpower") == {"nodehm"}


def test_without_nodes_tables_do_not_count() -> None:
    host = PluginHost({"ipmi": Fake(rpower="nodehm:mgt"), "usage": Fake(rpower="usage")})
    assert _runs(host.choose("rpower", (), Route(NODEHM))) == {"usage": ()}


def test_a_general_plugin_gets_the_rest() -> None:
    host = PluginHost({"ipmi": Fake(rpower="nodehm:mgt"), "usage": Fake(rpower="usage")})
    choice = host.choose("rpower", NODES, Route(NODEHM))
    assert _runs(choice) == {"ipmi": ("n1",), "usage": ("n2", "n3", "n4")}


def test_a_pattern_chooses_too() -> None:
    host = PluginHost({"any": Fake(rpower="nodehm:mgt=hmc|ipmi")})
    assert _runs(host.choose("rpower", NODES, Route(NODEHM))) == {"any": ("n1", "n2", "n3")}


def test_the_site_can_name_the_plugin() -> None:
    host = PluginHost({"isc": Fake(makedhcp="site:dhcp"), "other": Fake(makedhcp="other")})
    assert _runs(host.choose("makedhcp", ("n1",), Route({}, dhcp="isc"))) == {"isc": ("n1",)}
    assert _runs(host.choose("makedhcp", (), Route({}))) == {"other": ()}


def _run(host: PluginHost, command: str, route: Route) -> list[Reply]:
    context: Any = None
    return list(host.run(host.choose(command, NODES, route), Request(command), context))


def test_nodes_nobody_takes_are_named() -> None:
    host = PluginHost({"x": Fake(rpower=("nodehm:power,mgt", "nodehm:mgt=x"))})
    reply = _run(host, "rpower", Route({}))[0]
    assert [node.name for node in reply.nodes] == list(NODES)
    assert reply.nodes[0].error == (
        "Unable to identify plugin for this command, check relevant tables:"
        " nodehm.power,mgt;nodehm.mgt=x"
    )
    assert reply.nodes[0].errorcode == 1


def test_a_crash_stops_neither_its_replies_nor_the_next_plugin() -> None:
    class Crashing(Fake):
        def handle(self, request: Request, context: Context) -> Iterator[Reply]:
            yield Reply(info=("first",))
            raise ValueError

    host = PluginHost({"a": Crashing(do="a"), "b": Fake(do="b")})
    first, crash, last = _run(host, "do", Route({}))
    assert first.info == ("first",)
    assert crash.errors == ("a: ValueError [nodes: n1,n2,n3,n4]",)
    assert crash.errorcode == 1
    assert last.info == ("n1,n2,n3,n4",)


def test_a_plugin_that_cannot_be_loaded_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    points = [
        EntryPoint("gone", "no.such.module:Thing", "xcatd.plugins"),
        EntryPoint("broken", f"{__name__}:Broken", "xcatd.plugins"),
        EntryPoint("counter", "collections:Counter", "xcatd.plugins"),
    ]
    host = PluginHost.load(points)
    assert host.commands == frozenset()
    for name in ("gone", "broken", "counter"):
        assert f"plugin {name} cannot be loaded" in caplog.text


class Failing:
    commands = ("fails",)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        yield from ()
        raise DatabaseError("cannot read /etc/xcat/site.sqlite")


@pytest.mark.parametrize("tells_why", [True, False])
def test_a_failure_in_words_is_for_known_users_too(tells_why: bool) -> None:
    host = PluginHost({"failing": Failing()})
    choice = host.choose("fails", (), Route({}))
    context: Any = None
    (reply,) = host.run(choice, Request("fails"), context, tells_why=tells_why)
    assert ("/etc/xcat" in reply.errors[0]) is tells_why
    assert reply.errorcode == 1
