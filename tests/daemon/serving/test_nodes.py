"""Nodes of a request: order, files, and what is read for a noderange."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
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
from xcatd.noderange import NoderangeError, NotAllowed
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


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that everybody may look into; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


def _write(path: Path, text: str = "n1\n", mode: int = 0o644) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_files_are_read_for_known_users_only(database: Database, public: Path) -> None:
    path = _write(public / "list", "n1\n# comment\nn2,secret\n")
    known = nodes.expand(database, f"^{path}")
    assert (known.nodes, known.missed) == (("n1",), (f"line 3 of {path} is no node",))
    for text in (f"^{path}", f"n1,-^{path}"):
        with pytest.raises(NotAllowed, match="files are read for known users only"):
            nodes.expand(database, text, rights=Rights(is_known=False))


@pytest.mark.parametrize("is_known", [True, False])
def test_plugins_read_files_for_known_users_only(
    database: Database, public: Path, is_known: bool
) -> None:
    path = _write(public / "list")
    no_agents: Any = None
    rights = Rights(is_known=is_known)
    context = Context(database, SystemClock(), no_agents, Event(), "", True, "mn", rights=rights)
    if is_known:
        assert context.expand(f"^{path}").nodes == ("n1",)
    else:
        with pytest.raises(NotAllowed):
            context.expand(f"^{path}")


def test_a_file_that_must_not_be_read_excludes_nobody_by_silence(
    database: Database, public: Path
) -> None:
    path = _write(public / "list", mode=0o600)
    with pytest.raises(NotAllowed, match=f"cannot read {path}: it cannot be read by others"):
        nodes.expand(database, f"n1,n2,-^{path}")
    assert nodes.expand(database, f"n1,n2,-^{public}/missing").nodes == ("n1", "n2")


def _is_refused(path: str) -> bool:
    try:
        nodes.read_file(path)
    except NotAllowed:
        return True
    return False


def test_only_regular_files_of_sane_size_are_read(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "_FILE_SIZE", 10)
    os.mkfifo(public / "fifo", 0o644)
    (public / "fifo").chmod(0o644)
    _write(public / "large", "x" * 11)
    _write(public / "small", "x" * 10)
    assert nodes.read_file(f"{public}/missing") is None
    for name in ("fifo", "large", ".", "", "a\0b", "../x", "small/x"):
        assert _is_refused(f"{public}/{name}")
    for path in (
        "/dev/zero",
        "/",
        "",
        "small",
        "relative/small",
        f"{public}/../{public.name}/small",
    ):
        assert _is_refused(path)
    assert nodes.read_file(f"{public}/small") == "x" * 10
    assert nodes.read_file(f"//{public}//small") == "x" * 10


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o000, 0o611])
def test_what_others_may_not_read_is_not_read(public: Path, mode: int) -> None:
    assert _is_refused(str(_write(public / "list", mode=mode)))


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o754, 0o744])
def test_nor_what_is_in_a_directory_that_others_may_not_search(public: Path, mode: int) -> None:
    below = public / "private" / "open"
    below.mkdir(parents=True)
    path = str(_write(below / "list"))
    assert nodes.read_file(path) == "n1\n"
    for directory in (below, below.parent):
        directory.chmod(mode)
        assert _is_refused(path)
        directory.chmod(0o755)


def test_links_are_not_followed(public: Path) -> None:
    (public / "real").mkdir(0o755)
    _write(public / "real" / "list")
    (public / "directory").symlink_to(public / "real")
    (public / "file").symlink_to(public / "real" / "list")
    assert nodes.read_file(f"{public}/real/list") == "n1\n"
    assert _is_refused(f"{public}/directory/list")
    assert _is_refused(f"{public}/file")


def test_a_link_put_there_after_the_look_is_not_followed(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = _write(public / "secret", "secret\n", 0o600)
    path = _write(public / "list")
    check = nodes._check

    def swapped(found: os.stat_result) -> None:
        check(found)
        if path.exists() and not path.is_symlink():
            path.unlink()
            path.symlink_to(secret)

    monkeypatch.setattr(nodes, "_check", swapped)
    assert _is_refused(str(path))


def test_files_of_one_noderange_are_bounded_and_read_once(
    database: Database, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read = nodes.read_file
    monkeypatch.setattr(nodes, "read_file", lambda path: (reads.append(path), read(path))[1])
    path = _write(public / "list", "n1\nn2\n")
    assert nodes.expand(database, f"^{path},n3,-^{path}").nodes == ("n3",)
    assert reads == [str(path)]
    other = _write(public / "other", "n4\nn5\n")
    monkeypatch.setattr(nodes, "_FILE_SIZE", 10)
    with pytest.raises(NoderangeError, match="its files have more than"):
        nodes.expand(database, f"^{path},^{other}")
    with pytest.raises(NoderangeError, match="100 files at most"):
        nodes.expand(database, ",".join(f"^/{number}" for number in range(101)))


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
