"""What recorded runs cannot show: reads, pieces, cancelling, our own refusals, files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from xcatd.api import DatabaseError, Reply, Request
from xcatd.db.location import Location
from xcatd.text import perlre

from . import replay
from .replay import FixedDatabase

NODES = 450

TABLES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "nodelist": [{"node": f"n{i:03}", "groups": "all"} for i in range(NODES)],
    "nodehm": [{"node": "all", "mgt": "hmc"}],
    "nodegroup": [{"groupname": "broken", "grouptype": "dynamic", "wherevals": "mgt=~("}],
    "site": [{"key": "master", "value": "mn"}],
}


@pytest.fixture
def database() -> FixedDatabase:
    return FixedDatabase(TABLES)


def answers(database: FixedDatabase, *argv: str, **changes: Any) -> list[Reply]:
    return list(replay.replies(argv, replay.context_for(database, **changes)))


def test_lsdef_reads_every_table_once_however_many_nodes(database: FixedDatabase) -> None:
    answers(database, "lsdef", "-l")
    assert len(database.reads) == 1


def test_lsdef_of_one_attribute_reads_few_tables(database: FixedDatabase) -> None:
    answers(database, "lsdef", "-i", "mgt")
    assert database.reads == [{"nodelist", "site", "nodehm", "postscripts"}]


def test_lsdef_answers_in_pieces(database: FixedDatabase) -> None:
    sizes = [len(reply.info) for reply in answers(database, "lsdef", "-l")]
    assert sizes == [600, 600, 150]  # header, groups and mgt for each of 200 nodes


def test_nodels_without_a_noderange_sends_one_reply_per_node(database: FixedDatabase) -> None:
    replies = answers(database, "nodels")
    assert len(replies) == NODES
    assert all(len(reply.nodes) == 1 for reply in replies)


def test_nodels_reads_only_what_it_was_asked_for(database: FixedDatabase) -> None:
    request = Request("nodels", ("mgt",), nodes=("n001",))
    list(replay.Nodels().handle(request, replay.context_for(database)))
    assert database.reads == [{"nodelist", "site", "nodehm"}]


def test_a_cancelled_lsdef_stops_at_the_next_type(database: FixedDatabase) -> None:
    cancelled = threading.Event()
    cancelled.set()
    lines = [
        line
        for reply in answers(database, "lsdef", "-a", "-l", cancelled=cancelled)
        for line in reply.info
    ]
    assert not any("clustersite" in line for line in lines)


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("lsdef", "(n001"), "Unbalanced parentheses in noderange"),
        (("lsdef", "-w", "mgt=~(", "n001"), "Incorrect selection string specified with -w flag."),
        (("nodels", "n001", "mgt=~("), "cannot use the criterion:"),
        (("lsdef", "-t", "group", "broken"), "cannot list the members of group broken:"),
        (("tabdump", "-w", "bogus==1", "site"), 'No column "bogus" in table "site"'),
        (("lsdef", "-t", "auditlog", "9"), "Could not get xCAT object definitions."),
    ],
)
def test_bad_input_is_a_clear_error(
    database: FixedDatabase, argv: tuple[str, ...], text: str
) -> None:
    printed = replay.run(argv, replay.context_for(database))
    assert printed.stderr[0].startswith(f"Error: {text}")
    assert printed.exit == 1


#: Takes longer than anybody waits with sixty times the same letter.
COSTLY = ".*" * 900 + "[XY]"
LONG = "n" * 60


@pytest.fixture
def costly() -> Iterator[FixedDatabase]:
    """Short times, and a value and a dynamic group that need longer ones."""
    tables = {
        **TABLES,
        "nodelist": [
            {"node": "n001", "groups": "all", "comments": LONG},
            {"node": LONG, "groups": "bad"},
        ],
        "nodehm": [{"node": "all", "mgt": "hmc"}, {"node": "bad", "mgt": f"|{COSTLY}|a|"}],
        "nodegroup": [{"groupname": "dyn", "grouptype": "dynamic", "wherevals": f"node=~{COSTLY}"}],
    }
    with perlre.budget(0.6):
        yield FixedDatabase(tables)


PLACE = "no value for table nodehm, row bad, column mgt: the expression "


@pytest.mark.parametrize(
    ("argv", "out", "text"),
    [
        (("lsdef", "-i", "mgt"), "    mgt=hmc", PLACE),
        (("lsdef", "-w", "mgt==hmc"), "n001  (node)", PLACE),
        (("nodels", "all,bad", "nodehm.mgt"), "n001: hmc", PLACE),
        (("nodels", "all,bad", "nodehm.mgt==hmc"), "n001", PLACE),
        (("lsdef", "-w", f"usercomment=~{COSTLY}"), None, "the expression "),
        (("nodels", "all,bad", f"nodelist.node=~{COSTLY}"), None, "cannot use the criterion: "),
        (("lsdef", "-t", "group", "-o", "dyn"), "    grouptype=dynamic", "cannot list the members of group dyn: "),
    ],
)  # fmt: skip
def test_what_takes_too_long_is_named_and_the_others_are_shown(
    costly: FixedDatabase, argv: tuple[str, ...], out: str | None, text: str
) -> None:
    printed = replay.run(argv, replay.context_for(costly))
    assert out is None or out in printed.stdout
    assert printed.stderr[0].startswith(f"Error: {text}")
    assert "took longer than" in printed.stderr[0]
    assert printed.exit == 1


def test_a_command_that_writes_does_not_go_on_without_the_value(costly: FixedDatabase) -> None:
    context = replay.context_for(costly)
    with pytest.raises(DatabaseError, match="row bad, column mgt"):
        list(replay.replies(("nodech", "all,bad", "nodehm.mgt==hmc", "nodehm.power=x"), context))


def test_tabdumps_patterns_have_one_way() -> None:
    rows = [{"key": "a", "value": "a" * 3000}, {"key": "b", "value": "xAbc"}]
    context = replay.context_for(FixedDatabase({"site": rows}))
    with perlre.budget(1.0):
        printed = replay.run(("tabdump", "-w", "value=~" + "%a" * 100 + "%X", "site"), context)
        assert len(printed.stdout) == 1
        printed = replay.run(("tabdump", "-w", "value=~%a_c", "site"), context)
        assert printed.stdout[1:] == ['"b","xAbc",,']
    printed = replay.run(("tabdump", "-w", "value=~" + "%" * 500, "site"), context)
    assert printed.stderr[0].startswith("Error: cannot use the text of -w: ")


def test_an_object_of_two_types_is_listed_as_both(database: FixedDatabase) -> None:
    tables = {**TABLES, "nodelist": [{"node": "same", "groups": "same"}]}
    printed = replay.run(("lsdef", "-t", "node,group"), replay.context_for(FixedDatabase(tables)))
    assert "same  (node)" in printed.stdout
    assert "same  (group)" in printed.stdout


def test_a_repeated_monitoring_setting_is_shown_once() -> None:
    settings = [{"name": name, "key": "port", "value": "1"} for name in ("a", "b")]
    tables = {"monitoring": [{"name": "a"}, {"name": "b"}], "monsetting": settings}
    printed = replay.run(
        ("lsdef", "-t", "monitoring", "-l"), replay.context_for(FixedDatabase(tables))
    )
    assert printed.stdout == ["Object name: a", "    port=1", "Object name: b", "    port=1"]


def test_tabdump_into_a_file_is_relative_to_the_user(
    database: FixedDatabase, tmp_path: Path
) -> None:
    request = Request("tabdump", ("-f", "out.csv", "site"), cwd=str(tmp_path))
    assert list(replay.Tabdump().handle(request, replay.context_for(database))) == []
    assert (tmp_path / "out.csv").read_text() == '#key,value,comments,disable\n"master","mn",,\n'


def test_tabdump_reads_the_database_there_is(tmp_path: Path) -> None:
    database = replay.open_database(tmp_path, {"site": TABLES["site"]})
    printed = replay.run(("tabdump", "site"), replay.context_for(database))
    assert printed.stdout == ["#key,value,comments,disable", '"master","mn",,']
    database.close()


@pytest.mark.parametrize("command", ["lsdef", "nodels", "tabdump", "lsxcatd"])
def test_every_command_tells_the_version(database: FixedDatabase, command: str) -> None:
    printed = replay.run((command, "-v"), replay.context_for(database))
    assert printed.stdout[0].endswith(replay.VERSION)


@pytest.mark.parametrize(
    ("is_mn", "text"), [(True, "This is a Management Node"), (False, "This is a Service Node")]
)
def test_lsxcatd_tells_the_kind_of_machine(database: FixedDatabase, is_mn: bool, text: str) -> None:
    printed = replay.run(("lsxcatd", "-t"), replay.context_for(database, is_mn=is_mn))
    assert printed.stdout == [text]


def _lsxcatd(database: FixedDatabase, user: str | None, *words: str) -> list[str]:
    context = replay.context_for(database)
    request = Request("lsxcatd", words, user=user)
    replies = replay.Lsxcatd().handle(request, context)
    return [line for reply in replies for line in reply.data if isinstance(line, str)]


def test_lsxcatd_shows_where_the_database_is_but_no_password(database: FixedDatabase) -> None:
    database.location = Location("Pg", None, "dbname=xcatdb;host=db1", "xcatadm", "secret")
    assert _lsxcatd(database, "root", "-a") == [
        replay.VERSION,
        "This is a Management Node",
        "cfgloc=Pg:dbname=xcatdb;host=db1|xcatadm",
        "dbengine=Pg",
        "dbname=xcatdb",
        "dbhost=db1",
        "dbadmin=xcatadm",
    ]


@pytest.mark.parametrize("option", ["-a", "-d", "--database"])
def test_lsxcatd_tells_nobody_the_databases_host_and_user(
    database: FixedDatabase, option: str
) -> None:
    database.location = Location("Pg", None, "dbname=xcatdb;host=db1", "xcatadm", "secret")
    told = _lsxcatd(database, None, option)
    assert told[-1] == "dbengine=Pg"
    assert not any(word in " ".join(told) for word in ("db1", "xcatadm", "xcatdb", "secret"))
