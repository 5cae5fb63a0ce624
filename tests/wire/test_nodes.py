"""Nodes of a request: order, files, and what is read for a noderange."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd import nodes
from xcatd.api import Context, SystemClock
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.db.snapshot import Snapshot
from xcatd.rights import Rights


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["n10", "n9", "n2"], ["n2", "n9", "n10"]),
        (["b1", "a1", "c"], ["c", "a1", "b1"]),
        (["r2n1", "r1n9", "r1n1"], ["r1n1", "r1n9", "r2n1"]),
        (["n1", "n1"], ["n1"]),
        ([], []),
    ],
)
def test_plugins_get_nodes_by_number_then_name(names: list[str], ordered: list[str]) -> None:
    assert list(nodes.in_plugin_order(names)) == ordered


@given(st.lists(st.from_regex(r"[a-c]{0,2}[0-9]{0,3}", fullmatch=True)))
def test_the_order_depends_on_the_names_only(names: list[str]) -> None:
    assert nodes.in_plugin_order(names) == nodes.in_plugin_order(reversed(names))


@pytest.fixture
def database(filled: Path) -> Any:
    found = Database.open(Location("SQLite", filled))
    yield found
    found.close()


def test_files_are_read_for_known_users_only(database: Database, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("n1\n# comment\nn2,secret\n")
    known = nodes.expand(database, f"^{tmp_path}/list")
    assert (known.nodes, known.missed) == (("n1", "n2"), ("secret",))
    nobody = nodes.expand(database, f"^{tmp_path}/list", rights=Rights(reads_files=False))
    assert (nobody.nodes, nobody.missed) == ((), ())


def test_only_regular_files_of_sane_size_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "_FILE_SIZE", 10)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_text("x" * 11)
    (tmp_path / "small").write_text("x" * 10)
    for name in ("fifo", "large", "missing", ".", "a\0b"):
        assert nodes.read_file(f"{tmp_path}/{name}") is None
    assert nodes.read_file("/dev/zero") is None
    assert nodes.read_file(f"{tmp_path}/small") == "x" * 10


def test_conditions_read_the_tables_they_need(database: Database) -> None:
    assert (
        nodes.expand(database, "nodelist.groups=~compute").nodes
        == nodes.expand(database, "all").nodes
    )
    assert nodes.expand(database, "nodehm.mgt==hmc").nodes == ()


def test_dynamic_groups_are_expanded(database: Database) -> None:
    snapshot = Snapshot.from_rows(
        {
            "nodelist": [{"node": "n1", "groups": "all"}, {"node": "n2", "groups": "all"}],
            "nodehm": [{"node": "n2", "mgt": "hmc"}],
            "nodegroup": [{"groupname": "byhmc", "grouptype": "dynamic", "wherevals": "mgt==hmc"}],
        }
    )
    assert nodes.expand(database, "byhmc", snapshot=snapshot).nodes == ("n2",)


def test_a_context_expands_with_the_daemons_prefix(database: Database) -> None:
    agents: Any = None
    context = Context(
        db=database,
        clock=SystemClock(),
        agents=agents,
        cancelled=Event(),
        version="x",
        is_mn=True,
        hostname="mn",
        environ={"XCAT_NODE_PREFIX": "n"},
    )
    assert context.expand("3").nodes == ("n3",)
    snapshot = database.read(["site"])
    assert context.expand("n1,n2", snapshot=snapshot).nodes == ("n1", "n2")
    with pytest.raises(LookupError, match="no plugin host"):
        context.run("lsdef")
