"""Files in noderanges: the client reads them, with the user's rights, and sends what stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcatd import noderange
from xcatd.client import commands, main, nodefiles
from xcatd.db.snapshot import Snapshot

LINES = "#c\nn1   # x\nn3:y\n-n1\n^/foo\nn5-n6\n\n'n7'\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list").write_text(LINES)
    Path("list").chmod(0o600)
    Path("empty").write_text("# nobody\n")
    Path("several").write_text("n1,n2\nall,-n3\n")


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("n1,n2,,", "n1,n2"),
        ("nodehm.mgt=~^i", "nodehm.mgt=~^i"),
        ("^list", "n1,n3,n5-n6,n7"),
        ("x[1,2],^list,y", "x[1,2],n1,n3,n5-n6,n7,y"),
        ("all,-^list", "all,-n1,-n3,-n5-n6,-n7"),
        ("all@^list", "all@n1,all@n3,all@n5-n6,all@n7"),
        ("all,@^list@b", "all,@(n1,n3,n5-n6,n7)@b"),
        ("x,(^list)@b", "x,(n1,n3,n5-n6,n7)@b"),
        ("^several", "(n1,n2),(all,-n3)"),
        ("all,-^empty", "all"),
        ("all,@^empty", "all,@()"),
        ("^empty", ","),
        ("^empty@^list", ","),
        ("^list@^empty", ","),
    ],
)
def test_the_lines_take_the_files_place(text: str, sent: str) -> None:
    assert nodefiles.put_in(text) == sent


@pytest.mark.parametrize(
    "text",
    [
        *("^list", "n2,^list", "all,-^list", "all@^list", "g1,@^list", "^empty", "all,@^empty"),
        *("g1@^list,n2", "^several", "g1,^empty@g1", "n9,-^several", "(^list),n2"),
    ],
)
def test_the_daemon_finds_what_it_would_have_read(text: str, tmp_path: Path) -> None:
    groups = {"n1": "all,g1", "n2": "all", "n3": "all,g1", "n9": "all"}
    rows = [
        {"node": node, "groups": groups.get(node, "all")}
        for node in map("n{}".format, range(1, 10))
    ]
    snapshot = Snapshot.from_rows({"nodelist": rows})
    files = {path.name: path.read_text() for path in tmp_path.iterdir()}
    read_there = noderange.expand(text, noderange.Cluster(snapshot, read_file=files.get))
    read_here = noderange.expand(nodefiles.put_in(text), noderange.Cluster(snapshot))
    assert read_here == read_there


def test_a_file_that_is_not_here_may_be_there(tmp_path: Path) -> None:
    sent = nodefiles.put_in("n1,-^gone,^/no/such/file,x@^gone@y")
    assert sent == f"n1,-^{tmp_path}/gone,^/no/such/file,x@^{tmp_path}/gone@y"


def test_one_that_cannot_be_read_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "directory").mkdir()
    environ = {"TERM": "x", "SHELL": "/bin/sh"}
    assert main.run("nodels", ["^directory"], environ) == 1
    said = capsys.readouterr().err
    assert said == f"xcatclient: cannot read {tmp_path}/directory: Is a directory\n"
    monkeypatch.setattr(nodefiles, "LARGEST", 10)
    with pytest.raises(nodefiles.FileError, match="list has more than"):
        nodefiles.put_in("^list")


@pytest.mark.parametrize(
    ("command", "args", "sent"),
    [
        ("nodels", ["-x", "^list", "^list"], ["-x", "^list"]),
        ("lsdef", ["-t", "node", "-o", "^list", "a=^list"], ["-t", "node", "-o", "n1,n3,n5-n6,n7", "a=^list"]),
        ("snmove", ["^list", "-d", "sn2"], ["n1,n3,n5-n6,n7", "-d", "sn2"]),
        ("nodeadd", ["^list", "groups=all"], ["n1,n3,n5-n6,n7", "groups=all"]),
        ("tabdump", ["^list"], ["^list"]),
    ],
)  # fmt: skip
def test_where_a_noderange_is_expected(command: str, args: list[str], sent: list[str]) -> None:
    assert commands.build(command, args, cwd="/", stdin=[], environ={})["arg"] == sent


def test_the_noderange_itself() -> None:
    tree = commands.build("nodels", ["^list", "groups"], cwd="/", stdin=[], environ={})
    assert tree["noderange"] == ["n1,n3,n5-n6,n7"]
