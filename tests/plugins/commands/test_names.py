"""No command gives a node or group a name that could be more than a name elsewhere."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drafts import Write, made

from xcatd import chtab
from xcatd.db import schema
from xcatd.db.database import Database
from xcatd.db.errors import BadNameError
from xcatd.db.location import Location
from xcatd.objects import object_names

from . import replay

BAD = [
    *("$(id)", "a;b", "../../etc/x", "..", "/etc/x", "a b", "a\nb", "a\n", "-a", "--", ".a"),
    *(
        "x" * 300,
        "a\0b",
        "nöde",
        "`id`",
        "a|b",
        "a&b",
        "a'b",
        'a"b',
        "a>b",
        "a\\b",
        "a\x1b[2J",
        "a\tb",
    ),
]

#: Every table in which a row is known by the name of a node or group.
TABLES = sorted(name for name, table in schema.TABLES.items() if table.name_column)

BEFORE: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "nodelist": [{"node": "n1", "groups": "all"}],
    "nodehm": [{"node": "n1", "mgt": "hmc"}],
    "nodegroup": [{"groupname": "g", "grouptype": "static", "members": "static"}],
}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return replay.open_database(tmp_path, BEFORE)


def everything(database: Database, *names: str) -> dict[str, Any]:
    wanted = names or (*BEFORE, "ppchcp", "hosts")
    return {name: rows for name, rows in database.read(wanted).to_rows().items() if rows}


def names_in(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> set[str]:
    return {
        row[column]
        for name, rows in tables.items()
        if (column := schema.TABLES[name].name_column)
        for row in rows
    }


def commands(bad: str) -> list[tuple[tuple[str, ...], str | None]]:
    """Each way in: a command line and its standard input."""
    quoted = bad.replace('"', '""')
    stanza = f"{bad}:\n  objtype=node\n  groups=all\n"
    return [
        (("nodeadd", bad, "groups=all"), None),
        (("mkdef", "-t", "node", "-o", bad, "groups=all"), None),
        (("mkdef", "-t", "group", "-o", bad, "mgt=hmc"), None),
        (("mkdef", "-t", "group", "-d", "-o", bad, "-w", "os==AIX"), None),
        (("mkdef", "-z"), stanza),
        (("chdef", "-t", "node", "-o", bad, "groups=all"), None),
        (("chdef", "-t", "group", "-o", bad, "mgt=hmc"), None),
        (("chdef", "-z"), stanza),
        (("chdef", "-t", "node", "-o", "n1", "-n", bad), None),
        (("chdef", "-t", "group", "-o", "g", "-n", bad), None),
        (("nodech", "n1", f"nodelist.node={bad}"), None),
        (("nodech", "n1", f"nodehm.node={bad}"), None),
        (("nodegrpch", bad, "nodehm.mgt=hmc"), None),
        (("nodegrpch", "g", f"nodehm.node={bad}"), None),
        (("tabch", f"node={bad}", "nodelist.groups=all"), None),
        (("tabch", "node=n1", f"nodelist.node={bad}"), None),
        (("tabch", f"hcp={bad}", "ppchcp.username=x"), None),
        (("tabch", f"groupname={bad}", "nodegroup.grouptype=static"), None),
        (("tabrestore", "nodelist"), f'#node,groups\n"{quoted}","all"\n'),
        (("tabrestore", "-a", "nodehm"), f'#node,mgt\n"{quoted}","x"\n'),
    ]


WAYS = len(commands(""))


@pytest.mark.parametrize("way", range(WAYS), ids=lambda way: " ".join(commands("X")[way][0]))
def test_bad_names_are_refused_and_nothing_is_written(way: int, database: Database) -> None:
    before = everything(database)
    for bad in BAD:
        argv, stdin = commands(bad)[way]
        printed = replay.run(argv, replay.context_for(database), stdin=stdin)
        after = everything(database)
        if _means_another(argv, bad):  # to a noderange or a stanza file, this is something else
            assert all(map(schema.is_key, names_in(after))), bad
            _restore(database, before)
        else:
            assert after == before, bad
            assert printed.exit, bad
            assert printed.stderr or printed.stdout, bad


def _means_another(argv: Sequence[str], bad: str) -> bool:
    is_range = argv[0] == "nodeadd" or (argv[0] in {"mkdef", "chdef"} and "node" in argv)
    is_stanza = "-z" in argv and "\n" in bad
    is_option = argv[0] == "nodegrpch" and bad == "--"
    return is_stanza or is_option or (is_range and any(sign in bad for sign in "()'\""))


def _restore(database: Database, before: Mapping[str, Any]) -> None:
    for name in everything(database):
        with database.transaction(name) as transaction:
            transaction.clear(name)
            transaction.insert(name, before.get(name, []))


@pytest.mark.parametrize("bad", BAD)
def test_chtab_takes_none_either(bad: str, tmp_path: Path, database: Database) -> None:
    before = everything(database)
    for words in (
        (f"node={bad}", "nodelist.groups=all"),
        ("node=n1", f"nodelist.node={bad}"),
        (f"nodelist.node={bad}", "nodelist.groups=all"),
    ):
        out, err = io.StringIO(), io.StringIO()
        opened = Database.open(Location("SQLite", tmp_path))
        assert chtab.run(words, lambda made=opened: made, out, err) == 1
        assert err.getvalue() or out.getvalue()
        assert everything(database) == before


@pytest.mark.parametrize("name", TABLES)
def test_no_table_of_nodes_takes_such_a_name_whoever_writes(name: str, database: Database) -> None:
    column = schema.TABLES[name].name_column or ""
    other = next(c for c in schema.TABLES[name].columns if c != column)
    database.create_missing_tables([name])
    with database.transaction(name) as transaction:
        transaction.clear(name)
        others = dict.fromkeys(schema.TABLES[name].columns, "1")
        transaction.insert(name, [{**others, column: "n1", "disable": None}])
    for bad in BAD:
        for write in (
            lambda t, bad=bad: t.insert(name, [{column: bad}]),
            lambda t, bad=bad: t.update(name, {column: "n1"}, {column: bad}),
            lambda t, bad=bad: t.apply(made([Write(name, column, bad, other, "1")], [])),
            lambda t, bad=bad: t.apply(made([Write(name, column, "n1", column, bad)], [])),
        ):
            with (
                pytest.raises(BadNameError, match="cannot store"),
                database.transaction(name) as transaction,
            ):
                write(transaction)
    assert [row[column] for row in database.read([name]).to_rows()[name]] == ["n1"]


@given(st.text())
def test_what_is_taken_is_a_name_and_nothing_else(text: str) -> None:
    for kind in ("node", "group"):
        if object_names.is_valid(kind, text):
            assert schema.is_key(text)
    if schema.is_key(text):
        assert text.isascii()
        assert text.isprintable()
        assert set(text).isdisjoint(" /\\$`;|&<>()[]{}'\"*?!~#=,^@%+")
        assert text[0] not in "-.:"


@pytest.mark.parametrize("good", ["n1", "n-1_b", "N1", "10.1.2.3", "xcatdefaults", "a.example.org"])
def test_ordinary_names_are_taken(good: str, database: Database) -> None:
    context = replay.context_for(database)
    assert replay.run(("nodeadd", good, "groups=all", "nodehm.mgt=hmc"), context).exit == 0
    assert {"node": good, "mgt": "hmc"} in everything(database)["nodehm"]


def test_rows_with_odd_names_of_old_can_be_changed_and_deleted(database: Database) -> None:
    with database.transaction("nodelist") as transaction:
        transaction.apply(made([Write("nodelist", "node", "a b", "groups", "all")]), any_names=True)
    context = replay.context_for(database)
    assert replay.run(("tabch", "node=a b", "nodelist.groups=x"), context).exit == 0
    assert {"node": "a b", "groups": "x"} in everything(database)["nodelist"]
    assert replay.run(("tabch", "-d", "node=a b", "nodelist"), context).exit == 0
    assert everything(database) == BEFORE


def test_values_are_no_names(database: Database) -> None:
    context = replay.context_for(database)
    value = r"|n(\d+)|10.0.0.($1)|"
    assert replay.run(("tabch", "node=g", f"hosts.ip={value}"), context).exit == 0
    assert everything(database)["hosts"] == [{"node": "g", "ip": value}]


@pytest.mark.parametrize("name", sorted(schema.TABLES))
def test_only_tables_of_mere_records_are_emptied(name: str, tmp_path: Path) -> None:
    table = schema.TABLES[name]
    row = {column: "1" for column in table.columns if column != "disable"}
    database = replay.open_database(tmp_path, {name: [row]})
    printed = replay.run(("tabprune", name, "-a"), replay.context_for(database))
    if name in {"auditlog", "discoverydata", "eventlog", "performance"}:
        assert (printed.exit, everything(database, name)) == (0, {})
        return
    assert printed.exit == 1
    assert f"Table {name} cannot be pruned" in printed.stdout[0]
    assert "auditlog, discoverydata, eventlog, performance" in printed.stdout[0]
    assert everything(database, name)[name] == [row]
