"""tabrestore stores every line or none."""

from __future__ import annotations

import pytest

from xcatd.db.database import Database

from . import replay

HEADER = "#key,value,comments,disable\n"


@pytest.fixture
def database(tmp_path):
    return replay.open_database(tmp_path, {"site": [{"key": "master", "value": "10.0.0.1"}]})


def restore(database: Database, table: str, text: str, *options: str) -> replay.Printed:
    return replay.run(
        ["tabrestore", *options, f"{table}.csv"], replay.context_for(database), stdin=text
    )


def rows(database: Database, table: str = "site") -> list[dict[str, str]]:
    return database.read([table]).to_rows()[table]


def test_every_wrong_line_is_named_and_nothing_is_stored(database):
    printed = restore(database, "site", HEADER + 'a,1\nb,2,,,,3\na,4\n"c"d,5\n')
    assert printed.stderr == [
        "Error: Too many fields on line 1: b,2,,,,3 | ,3",
        "Error: DB error UNIQUE constraint failed: site.key with line 2: a,4",
        'Error: CSV unescaped " in record on line 3, character 0: "c"d,5',
    ]
    assert printed.exit == 4
    assert rows(database) == [{"key": "master", "value": "10.0.0.1"}]


def test_a_table_that_was_dumped_is_restored(database):
    odd = {"key": 'a"b', "value": "x\ny;'%\t☃,", "comments": "z" * 10_000, "disable": "1"}
    with database.transaction("site") as transaction:
        transaction.insert("site", [odd])
    before = rows(database)
    dumped = replay.run(["tabdump", "site"], replay.context_for(database)).stdout
    assert restore(database, "site", "\n".join(dumped) + "\n") == replay.Printed()
    assert rows(database) == before


def test_a_row_that_is_there_may_be_added_again(database):
    assert restore(database, "site", "#key,value\nmaster,10.0.0.1\n", "-a").exit == 0
    assert len(rows(database)) == 1


def test_our_own_tables_are_not_restored(database):
    printed = restore(database, "aixplan", "#id\n1\n")
    assert printed.stderr == ["Error: Unable to open aixplan"]
    assert printed.exit == 4


def test_without_a_table_or_lines_nothing_is_done(database):
    assert restore(database, "", "#key\na\n").stderr == ["Error: Unable to open "]
    assert restore(database, "site", "").exit == 1
    assert rows(database)
