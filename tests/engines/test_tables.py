"""The table commands leave the same rows and say the same on every engine."""

from __future__ import annotations

import pytest
from tests.plugins.commands import replay
from tests.plugins.commands.test_recorded_tables import FILES, compare_output, tables_of
from tests.plugins.commands.test_recorded_writes import _changed

from xcatd.db import schema
from xcatd.db.database import Database

from .test_definitions import plain, refill, stored

#: Numbers given automatically go on from what was there before, and rows come in the order of keys.
OTHERS = ("auditlog", "eventlog", "-V")


def is_told(case):
    return not any(word.startswith(OTHERS) for word in case["argv"]) and not case.get("usage")


#: A part is enough to find what depends on the engine.
CASES = [case for case in FILES["example"]["cases"] if is_told(case)][::6]


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def database(request, servers):
    """One empty database of each engine, filled anew for every case that changed it."""
    found = Database.open(servers.get(request.param).new())
    found.create_missing_tables(schema.TABLES)
    yield found
    found.close()


def wanted(case):
    """What changes, where an empty cell is as good as none."""
    gone, new = plain(case, "gone"), plain(case, "new")
    found = {"gone": {}, "new": {}}
    for table in gone.keys() | new.keys():
        old, fresh = gone.get(table, []), new.get(table, [])
        for word, rows in (
            ("gone", [row for row in old if row not in fresh]),
            ("new", [row for row in fresh if row not in old]),
        ):
            if rows:
                found[word][table] = rows
    return found


def test_recorded_command_lines_leave_the_same_rows(database):
    context = replay.context_for(database)
    tables = tables_of("example")
    refill(database, tables, tuple(schema.TABLES))
    before = stored(database)
    differing = []
    for case in CASES:
        printed = replay.run(case["argv"], context, stdin=case.get("stdin"))
        changed = _changed(before, stored(database))
        if changed != wanted(case):
            differing.append((case["argv"], changed, wanted(case)))
        if names := tuple({*changed["gone"], *changed["new"]}):
            refill(database, tables, names)
        compare_output(printed, case)
    assert not differing


def test_numbered_records_are_pruned(database):
    context = replay.context_for(database)
    with database.transaction("eventlog") as transaction:
        transaction.clear("eventlog")
        transaction.insert("eventlog", [{"recid": str(n), "message": f"m{n}"} for n in range(1, 8)])
    printed = replay.run(["tabprune", "-V", "eventlog", "-n", "3"], context)
    assert [line.split(",")[0] for line in printed.stdout] == ["#recid", '"1"', '"2"', '"3"']
    assert replay.run(["tabprune", "eventlog", "-p", "50"], context).exit == 0
    left = database.read(["eventlog"]).to_rows()["eventlog"]
    assert [row["recid"] for row in left] == ["6", "7"]
    assert replay.run(["tabch", "recid=7", "eventlog.message=it's"], context).exit == 0
    assert replay.run(["gettab", "recid=7", "eventlog.message"], context).stdout == ["it's"]
    assert replay.run(["tabch", "-d", "recid=7", "eventlog"], context).exit == 0
    assert replay.run(["tabprune", "eventlog", "-a"], context).exit == 0
    assert database.read(["eventlog"]).to_rows()["eventlog"] == []
