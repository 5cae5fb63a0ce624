"""Answers recorded from xCAT's own Table.pm: table definitions, expression values, node look-ups."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.golden.cases import load

from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.db.schema import OWN_TABLES, TABLES
from xcatd.db.snapshot import Snapshot
from xcatd.db.values import expand

HERE = Path(__file__).parent


def _recorded(name):
    return load(HERE / name)


def test_tables_are_created_as_xcat_creates_them(tmp_path):
    recorded = _recorded("ddl.json")
    assert set(recorded) == set(TABLES)
    Database.open(Location("SQLite", tmp_path)).create_missing_tables(TABLES)
    for table, statement in recorded.items():
        with sqlite3.connect(tmp_path / f"{table}.sqlite") as connection:
            stored = connection.execute(
                "SELECT sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            ).fetchall()
        assert stored == [(statement,)]


def test_everything_is_created_with_the_journal(tmp_path):
    Database.open(Location("SQLite", tmp_path)).create_missing_tables()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{table}.sqlite" for table in TABLES} | {"aixjournal.sqlite"}
    with sqlite3.connect(tmp_path / "aixjournal.sqlite") as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        assert {name for (name,) in tables} >= set(OWN_TABLES)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_expression_values():
    cases = _recorded("recorded_values.json")["cases"]
    assert len(cases) > 500
    assert [[node, value, expand(value, node)] for node, value, _ in cases] == cases


@pytest.mark.parametrize("case", _recorded("recorded_lookups.json")["databases"])
def test_node_lookups(case):
    snapshot = Snapshot.from_rows(case["rows"])
    for answer in case["answers"]:
        table, columns, node = answer["table"], answer["columns"], answer["node"]
        found = snapshot.values_all(table, columns, [node])[node]
        rows = [
            {column: [value.text, ",".join(value.groups)] for column, value in row.items()}
            for row in found
        ]
        assert rows == answer["rows"]
        first = snapshot.values(table, columns, [node])[node]
        assert first == (found[0] if found else {})
        texts = snapshot.texts(table, columns, [node])[node]
        assert texts == {column: value.text for column, value in first.items()}
