"""mkdef, chdef and rmdef leave the same rows and say the same on every engine.

Servers have no order of rows: what depends on it (which of several names comes first) is compared as sets.
"""

from __future__ import annotations

import pytest
from tests.plugins.commands import replay
from tests.plugins.commands.test_recorded_writes import (
    FILES,
    _as_set,
    _changed,
    _compare_output,
    _tables,
)

from xcatd.db import schema
from xcatd.db.database import Database

#: A part is enough to find what depends on the engine.
CASES = [case for case in FILES["example"]["cases"] if case.get("new") or case.get("gone")][::5]


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def sample(request, servers):
    """The sample cluster on each engine, and its rows as they are read back."""
    database = Database.open(servers.get(request.param).new())
    database.create_missing_tables(schema.TABLES)
    refill(database, _tables("example"), schema.TABLES)
    yield database, stored(database)
    database.close()


def refill(database, tables, names):
    """Make these tables as they were."""
    with database.transaction(*names) as transaction:
        for name in names:
            transaction.clear(name)
            transaction.insert(name, tables.get(name, []))


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
def test_a_recorded_command_line_leaves_the_same_rows(sample, case):
    database, before = sample
    context = replay.context_for(database)
    printed = [
        replay.run(step["argv"], context, stdin=step.get("stdin", case.get("stdin")))
        for step in case["steps"]
    ]
    changed = _changed(before, stored(database))
    refill(database, _tables("example"), {*changed["gone"], *changed["new"]})
    assert changed == {word: plain(case, word) for word in ("gone", "new")}
    for found, step in zip(printed, case["steps"], strict=True):
        _compare_output(found, step)
