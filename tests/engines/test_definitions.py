"""mkdef, chdef and rmdef leave the same rows and say the same on every engine.

Servers have no order of rows: what depends on it (which of several names comes first) is compared as sets.
"""

from __future__ import annotations

import pytest
from tests.commands import replay
from tests.commands.test_recorded_writes import FILES, _as_set, _changed, _compare_output, _tables

from xcatd.db import schema
from xcatd.db.database import Database

#: A part is enough to find what depends on the engine.
CASES = [case for case in FILES["example"]["cases"] if case.get("new") or case.get("gone")][::5]


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def database(request, servers):
    """One empty database of each engine, filled anew for every case."""
    found = Database.open(servers.get(request.param).new())
    found.create_missing_tables(schema.TABLES)
    yield found
    found.close()


def fill(database, tables):
    """Make these the only rows there are."""
    found = stored(database)
    with database.transaction(*schema.TABLES) as transaction:
        for table in schema.TABLES:
            keys = schema.table(table).keys
            gone = [tuple((key, row.get(key, "")) for key in keys) for row in found.get(table, ())]
            if gone:
                transaction.delete_rows(table, gone)
            if rows := tables.get(table):
                transaction.insert(table, rows)


def stored(database):
    """All rows without what servers add: empty keys, which SQLite leaves out."""
    rows = database.read(schema.TABLES).to_rows()
    return {
        table: [{column: text for column, text in row.items() if text != ""} for row in found]
        for table, found in rows.items()
    }


def plain(case, word):
    return {
        table: _as_set([{c: text for c, text in row.items() if text != ""} for row in rows])
        for table, rows in case.get(word, {}).items()
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case["steps"][0]["argv"])[:60])
def test_a_recorded_command_line_leaves_the_same_rows(database, case):
    context = replay.context_for(database)
    fill(database, _tables("example"))
    before = stored(database)
    printed = [
        replay.run(step["argv"], context, stdin=step.get("stdin", case.get("stdin")))
        for step in case["steps"]
    ]
    assert _changed(before, stored(database)) == {
        word: plain(case, word) for word in ("gone", "new")
    }
    for found, step in zip(printed, case["steps"], strict=True):
        _compare_output(found, step)
