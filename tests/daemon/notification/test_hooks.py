"""Who is told of a change, and in which words; recorded from what real hooks of xCAT got."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.db.watching import RowChange
from xcatd.notification.hooks import Hooks, as_text


def row(filename: str, tables: str = "nodelist", tableops: str = "a,d,u", **more: str | None):
    return {"filename": filename, "tables": tables, "tableops": tableops, "disable": None, **more}


def test_the_rows_say_who_is_told_of_what():
    hooks = Hooks.of([row("/x", "nodelist,site", "a,d"), row("/y", "site", "u"), row("/z", "", "")])
    assert hooks.watched == {"nodelist": frozenset("ad"), "site": frozenset("adu")}
    assert hooks.files["site", "u"] == ("/y",)
    assert hooks.files["site", "a"] == ("/x",)


@pytest.mark.parametrize(
    ("disable", "is_told"),
    [(None, True), ("", True), ("0", True), ("1", False), ("yes", False), ("no", False)],
)
def test_any_truth_disables_a_hook(disable: str | None, is_told: bool):
    assert bool(Hooks.of([row("/x", disable=disable)]).watched) is is_told


ADDED = RowChange("a", "nodelist", new={"node": "nA", "comments": 'a "b",c', "groups": "all"})
UPDATED = RowChange(
    "u",
    "mac",
    ("node", "interface", "mac", "comments", "disable"),
    (("n1", None, "aa", None, None), ("n2", "", "bb", "x\ny", None)),
    {"node": "n1", "mac": None},
)
DELETED = RowChange("d", "site", ("key", "value"), (("domain", "example.org"),))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            ADDED,
            'a\nnodelist\n[old data]\n[new data]\nnode,comments,groups\nnA,a "b",c,all\n',
        ),
        (
            UPDATED,
            (
                "u\nmac\n[old data]\nnode,interface,mac,comments,disable\nn1,,aa,,\nn2,,bb,x\ny,\n"
                "[new data]\nnode,mac\nn1,\n"
            ),
        ),
        (DELETED, "d\nsite\n[old data]\nkey,value\ndomain,example.org\n[new data]\n"),
    ],
)
def test_a_command_reads_what_xcat_gives_it(change: RowChange, text: str):
    assert as_text(change) == text


@pytest.mark.parametrize("filename", ["/bin/x", "/opt/my-site/sbin/a_b.sh", "/a@b/c+d%e,f:g=h"])
def test_a_registered_command_is_one_path(filename: str):
    hooks = Hooks.of([row(filename)])
    (call,) = hooks.calls(ADDED, "/opt/xcat")
    assert (call.argv, call.path) == ((filename,), Path(filename))
    assert not hooks.refused


@pytest.mark.parametrize(
    "filename",
    [
        *(
            "/bin/x one",
            "/bin/x 'open",
            " ",
            "\\",
            "/bin/x; rm",
            "/bin/x|y",
            "/bin/$HOME",
            "/bin/`x`",
        ),
        *(
            '"/opt/a b/x"',
            "bin/x",
            "x",
            "./x",
            "../x.pm",
            "/opt/../x",
            "/a//b",
            "/bin/x/",
            "/bin/x\n",
        ),
        *(
            "/bin/x\0y",
            "/bin/é",
            "/" + "x" * 2000,
            "/opt/a-b.pm",
            "a-b.pm",
            "sub/m.pm",
            "~/x",
            "/x>y",
        ),
    ],
)
def test_what_is_no_path_is_not_called_and_keeps_nobody_else_from_being_called(filename: str):
    hooks = Hooks.of([row(filename), row("/y")])
    assert [call.filename for call in hooks.calls(ADDED, "/opt/xcat")] == ["/y"]
    (told,) = hooks.refused
    assert "as a notification hook: " in told
    assert len(told) < 400


@given(st.dictionaries(st.text(min_size=1), st.text() | st.none(), min_size=1), st.text(min_size=1))
def test_no_value_reaches_a_command_line(new: dict[str, str | None], text: str):
    change = RowChange("u", "nodelist", ("node",), ((text,),), new)
    for call in Hooks.of([row("/bin/x"), row("m.pm")]).calls(change, "/opt/xcat"):
        argv = ("/bin/x",) if call.filename == "/bin/x" else call.argv
        assert call.argv == argv
        assert argv == tuple(next(iter(_calls_for_nothing(call.filename))).argv)


def _calls_for_nothing(filename: str):
    return Hooks.of([row(filename)]).calls(RowChange("u", "nodelist"), "/opt/xcat")


@pytest.mark.parametrize(
    ("filename", "path"),
    [
        ("my.pm", "/opt/xcat/lib/perl/xCAT_monitoring/my.pm"),
        ("/usr/lib/my.pm", "/usr/lib/my.pm"),
    ],
)
def test_a_perl_module_is_called_by_perl(filename: str, path: str):
    (call,) = Hooks.of([row(filename, "mac")]).calls(UPDATED, "/opt/xcat")
    assert call.argv[:4] == ("perl", "-I", "/opt/xcat/lib/perl", "-e")
    assert call.argv[5:] == (path, "my")
    told = json.loads(call.stdin)
    assert (told["action"], told["table"], told["new"]) == ("u", "mac", {"node": "n1", "mac": None})
    assert told["old"] == [list(UPDATED.columns), *map(list, UPDATED.old)]
