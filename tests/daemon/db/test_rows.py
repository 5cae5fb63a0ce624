"""Rows written and deleted by keys of one or several columns."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from xcatd.changes import Draft, Way
from xcatd.db.database import Database
from xcatd.db.location import Location


class Write(NamedTuple):
    key: tuple[tuple[str, str], ...]
    values: dict[str, str | None]


@pytest.fixture
def database(tmp_path):
    found = Database.open(Location("SQLite", tmp_path))
    found.create_missing_tables(("nodelist", "ppcdirect", "switch"))
    return found


def rows(database, table):
    return database.read((table,)).to_rows()[table]


def write(database, table, *writes):
    draft = Draft(Way.TYPED)
    for key, values in writes:
        draft.set_row((table, key), values)
    with database.transaction(table) as transaction:
        transaction.apply(draft.done())


def delete(database, table, *keys):
    draft = Draft()
    for key in keys:
        draft.delete((table, key))
    with database.transaction(table) as transaction:
        transaction.apply(draft.done())


def direct(name, user):
    return (("hcp", name), ("username", user))


def test_a_key_of_two_columns_finds_its_row(database):
    write(
        database,
        "ppcdirect",
        Write(direct("f1", "HMC"), {"password": "a"}),
        Write(direct("f1", "admin"), {"password": "b"}),
    )
    write(database, "ppcdirect", Write(direct("f1", "admin"), {"password": "c"}))
    assert rows(database, "ppcdirect") == [
        {"hcp": "f1", "username": "HMC", "password": "a"},
        {"hcp": "f1", "username": "admin", "password": "c"},
    ]


def test_all_rows_with_the_key_are_written_and_disabled_ones_too(database):
    with database.transaction("switch") as transaction:
        for port, disable in (("1", None), ("2", "1")):
            row = {"node": "n", "switch": "s", "port": port, "disable": disable}
            transaction.insert("switch", [row])
    write(database, "switch", Write((("node", "n"),), {"vlan": "7"}))
    assert [row["vlan"] for row in rows(database, "switch")] == ["7", "7"]


def test_missing_keys_of_a_new_row_are_empty_texts(database):
    write(database, "switch", Write((("node", "n"),), {"vlan": "7"}))
    assert rows(database, "switch") == [{"node": "n", "switch": "", "port": "", "vlan": "7"}]


def test_a_row_that_would_hold_nothing_is_not_made(database):
    write(database, "nodelist", Write((("node", "n"),), {"groups": "", "status": None}))
    assert rows(database, "nodelist") == []


def test_the_word_for_no_value_counts_in_rows_that_are_there_only(database):
    write(database, "nodelist", Write((("node", "n"),), {"groups": "all", "status": "NULL"}))
    assert rows(database, "nodelist")[0]["status"] == "NULL"
    write(database, "nodelist", Write((("node", "n"),), {"status": "NULL"}))
    assert rows(database, "nodelist") == [{"node": "n", "groups": "all"}]


@pytest.mark.parametrize("count", [1, 2, 700])
def test_many_rows_with_equal_and_with_different_values(database, count):
    names = [f"n'{i}" for i in range(count)]
    write(database, "osimage", *(Write((("imagename", n),), {"groups": "all"}) for n in names))
    write(database, "osimage", *(Write((("imagename", n),), {"profile": "same"}) for n in names))
    write(database, "osimage", *(Write((("imagename", n),), {"comments": n}) for n in names))
    assert rows(database, "osimage") == [
        {"imagename": n, "groups": "all", "profile": "same", "comments": n} for n in names
    ]
    delete(database, "osimage", *((("imagename", n),) for n in names[1:]))
    assert [row["imagename"] for row in rows(database, "osimage")] == names[:1]


def test_the_key_itself_can_be_written(database):
    write(database, "nodelist", Write((("node", "old"),), {"groups": "all"}))
    write(database, "nodelist", Write((("node", "old"),), {"node": "new"}))
    assert rows(database, "nodelist") == [{"node": "new", "groups": "all"}]


def test_a_delete_by_two_columns_takes_both(database):
    for user in ("HMC", "admin"):
        write(database, "ppcdirect", Write(direct("f1", user), {"password": user}))
    delete(database, "ppcdirect", direct("f1", "HMC"), direct("f2", "admin"))
    assert [row["username"] for row in rows(database, "ppcdirect")] == ["admin"]


def test_no_key_is_refused(database):
    with pytest.raises(ValueError, match="whole table"):
        delete(database, "nodelist", ())
