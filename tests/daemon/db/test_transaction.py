"""Guarded writes of cells, and the journal's rows."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.drafts import Read, Write, made

from xcatd.changes import Draft
from xcatd.db import ChangedMeanwhile, DatabaseError
from xcatd.db.database import Database
from xcatd.db.location import Location


@pytest.fixture
def database(tmp_path):
    return Database.open(Location("SQLite", tmp_path))


def _write(node, column, after, *, table="noderes"):
    return Write(table, "node", node, column, after)


def _guard(node, column, value, *, table="noderes"):
    return Read(table, "node", node, column, value)


def _fill(database, table, *rows):
    with database.transaction(table) as transaction:
        transaction.insert(table, rows)


def _stored(database, table):
    return database.read([table]).to_rows()[table]


def test_cells_are_updated_and_everything_else_stays(database):
    other = {"node": "n2", "servicenode": "a", "comments": "mine"}
    _fill(database, "noderes", {"node": "n1", "servicenode": "a", "netboot": "nimol"}, other)
    with database.transaction("noderes") as transaction:
        transaction.apply(
            made(
                [_write("n1", "servicenode", "b"), _write("n1", "xcatmaster", None)],
                [_guard("n1", "servicenode", "a"), _guard("n1", "xcatmaster", None)],
            )
        )
    assert _stored(database, "noderes") == [
        {"node": "n1", "servicenode": "b", "netboot": "nimol"},
        other,
    ]


def test_a_missing_row_is_inserted_with_its_other_keys_empty(database):
    with database.transaction("switch") as transaction:
        transaction.apply(
            made(
                [_write("n1", "vlan", "7", table="switch")],
                [_guard("n1", "vlan", None, table="switch")],
            )
        )
    assert _stored(database, "switch") == [{"node": "n1", "switch": "", "port": "", "vlan": "7"}]


def test_a_row_that_would_hold_nothing_is_not_inserted(database):
    with database.transaction("noderes") as transaction:
        transaction.apply(
            made([_write("n1", "servicenode", None), _write("n1", "tftpdir", "")], [])
        )
    assert _stored(database, "noderes") == []


def test_a_disabled_row_is_updated_not_doubled(database):
    _fill(database, "noderes", {"node": "n1", "servicenode": "a", "disable": "1"})
    with database.transaction("noderes") as transaction:
        transaction.apply(
            made([_write("n1", "servicenode", "b")], [_guard("n1", "servicenode", "a")])
        )
    assert _stored(database, "noderes") == [{"node": "n1", "servicenode": "b", "disable": "1"}]


def test_all_rows_of_a_key_are_updated_and_the_first_live_one_is_guarded(database):
    rows = [
        {"node": "n1", "switch": "s1", "port": "1", "vlan": "1", "disable": "yes"},
        {"node": "n1", "switch": "s3", "port": "1", "vlan": "3"},
        {"node": "n1", "switch": "s2", "port": "1", "vlan": "2"},
    ]
    _fill(database, "switch", *rows)
    assert database.read(["switch"]).own("switch", "n1")["vlan"] == "2"
    with database.transaction("switch") as transaction:
        transaction.apply(
            made(
                [_write("n1", "vlan", "9", table="switch")],
                [_guard("n1", "vlan", "2", table="switch")],
            )
        )
    assert [row["vlan"] for row in _stored(database, "switch")] == ["9", "9", "9"]


def test_every_change_is_named_and_nothing_is_written(database):
    _fill(database, "noderes", {"node": "n1", "servicenode": "b", "netboot": ""}, {"node": "n2"})
    cells = [_write("n1", "servicenode", "x"), _write("n9", "servicenode", "x")]
    guards = [
        _guard("n1", "servicenode", "a"),
        _guard("n1", "netboot", None),
        _guard("n2", "servicenode", None),
        _guard("n9", "servicenode", "z"),
    ]
    before = _stored(database, "noderes")
    with pytest.raises(ChangedMeanwhile) as caught, database.transaction("noderes") as transaction:
        transaction.apply(made(cells, guards))
    assert caught.value.cells == (
        "noderes node=n1 servicenode: read 'a', now 'b'",
        "noderes node=n1 netboot: read None, now ''",
        "noderes node=n9 servicenode: read 'z', now None",
    )
    assert "Nothing was written" in str(caught.value)
    assert _stored(database, "noderes") == before


def test_a_thousand_changes_make_a_short_message():
    error = ChangedMeanwhile(tuple(f"cell {number}" for number in range(1000)))
    assert "and 994 more" in str(error)
    assert len(error.cells) == 1000


def _write_and_fail(database):
    with database.transaction("noderes", "nodelist", "aixplan") as transaction:
        transaction.apply(made([_write("n1", "servicenode", "b")], []))
        transaction.insert("nodelist", [{"node": "n1"}])
        transaction.insert("aixplan", [{"id": "p1"}])
        raise RuntimeError


def test_an_exception_undoes_all_files(database):
    _fill(database, "noderes", {"node": "n1", "servicenode": "a"})
    with pytest.raises(RuntimeError):
        _write_and_fail(database)
    assert _stored(database, "noderes") == [{"node": "n1", "servicenode": "a"}]
    assert _stored(database, "nodelist") == []
    assert database.select("aixplan") == []


def test_cells_of_several_tables_and_another_key_column(database):
    _fill(database, "site", {"key": "master", "value": "old"})
    with database.transaction("site", "noderes") as transaction:
        transaction.apply(
            made(
                [
                    Write("site", "key", "master", "value", "new"),
                    Write("site", "key", "domain", "value", "clu"),
                    _write("n1", "xcatmaster", "a'b\""),
                ],
                [Read("site", "key", "master", "value", "old")],
            )
        )
    assert database.read(["site"]).site == {"master": "new", "domain": "clu"}
    assert _stored(database, "noderes") == [{"node": "n1", "xcatmaster": "a'b\""}]


def test_a_required_column_left_out_is_an_error_for_people(database):
    with (
        pytest.raises(DatabaseError, match=r"statelite.*NOT NULL"),
        database.transaction("statelite") as transaction,
    ):
        transaction.apply(made([_write("n1", "mntopts", "x", table="statelite")], []))


def test_a_column_that_is_not_on_disk(database, tmp_path):
    connection = sqlite3.connect(tmp_path / "noderes.sqlite")
    connection.execute("CREATE TABLE noderes (node VARCHAR(128), servicenode TEXT)")
    connection.close()
    with (
        pytest.raises(DatabaseError, match="'xcatmaster': table noderes has no such column"),
        database.transaction("noderes") as transaction,
    ):
        transaction.apply(made([_write("n1", "xcatmaster", "x")], []))


def test_a_table_outside_the_transaction(database):
    with (
        pytest.raises(DatabaseError, match="not part of this transaction"),
        database.transaction("noderes") as transaction,
    ):
        transaction.rows("site")


class TestJournal:
    def test_events_are_numbered_and_found(self, database):
        with database.transaction("aixevent") as transaction:
            transaction.insert("aixevent", [{"plan": "p", "attempt": n} for n in range(12)])
            transaction.insert("aixevent", [{"plan": "q", "detail": None}])
            found = transaction.select("aixevent", {"plan": "p"}, above={"seq": 9}, order=["seq"])
            assert [row["seq"] for row in found] == ["10", "11", "12"]
        latest = database.select("aixevent", columns=["seq", "plan"], order=["-seq"], limit=2)
        assert [dict(row) for row in latest] == [
            {"seq": "13", "plan": "q"},
            {"seq": "12", "plan": "p"},
        ]
        assert len(database.select("aixevent", {"plan": ("p", "q")})) == 13
        assert [row["plan"] for row in database.select("aixevent", {"attempt": None})] == ["q"]

    def test_plans_change_and_go(self, database):
        with database.transaction("aixplan") as transaction:
            transaction.insert("aixplan", [{"id": "a", "format": 1, "state": "open"}, {"id": "b"}])
            assert transaction.update("aixplan", {"id": "a", "owner": None}, {"owner": "mn1"}) == 1
            assert transaction.update("aixplan", {"id": "a", "owner": None}, {"owner": "mn2"}) == 0
            assert transaction.delete("aixplan", {"id": "b"}) == 1
            with pytest.raises(ValueError, match="empty the table"):
                transaction.delete("aixplan", {})
            (row,) = transaction.rows("aixplan")
        assert (row["format"], row["owner"], row["body"]) == ("1", "mn1", None)

    def test_a_journal_that_does_not_exist_is_empty(self, database, tmp_path):
        assert database.select("aixplan", {"state": "open"}) == []
        assert list(tmp_path.iterdir()) == []

    def test_the_same_plan_twice_is_an_error(self, database):
        with (
            pytest.raises(DatabaseError, match="UNIQUE"),
            database.transaction("aixplan") as transaction,
        ):
            transaction.insert("aixplan", [{"id": "a"}, {"id": "a"}])


texts = st.one_of(st.none(), st.text(max_size=6))


@settings(max_examples=25)
@given(
    stored=st.dictionaries(st.sampled_from(["n1", "n2", "n3"]), st.tuples(texts, texts)),
    changes=st.dictionaries(
        st.tuples(st.sampled_from(["n1", "n2", "n4"]), st.sampled_from(["servicenode", "tftpdir"])),
        texts,
    ),
)
def test_writing_and_writing_back_restores_every_cell(tmp_path_factory, stored, changes):
    database = Database.open(Location("SQLite", tmp_path_factory.mktemp("db")))
    rows = [{"node": node, "servicenode": a, "tftpdir": b} for node, (a, b) in stored.items()]
    _fill(database, "noderes", *rows)

    def cell(node, column):
        return dict(zip(("servicenode", "tftpdir"), stored.get(node, (None, None)), strict=True))[
            column
        ]

    draft = Draft()
    for (node, column), after in changes.items():
        place = ("noderes", (("node", node),))
        draft.set(place, column, after)
        draft.guard(place, column, cell(node, column))
    forward = draft.done()
    with database.transaction("noderes") as transaction:
        transaction.apply(forward)
    now = database.read(["noderes"])
    for change in forward.cells():
        row = now.stored("noderes", change.name)
        written = row[change.column] if row else None
        assert written == change.after or (not written and not change.after)
    # a new row that would hold nothing is not made, so there is nothing to take back
    assume(not any(_is_left_out(row, stored) for row in forward.rows))
    with database.transaction("noderes") as transaction:
        transaction.apply(forward.reversed())
    after = {
        row["node"]: (row["servicenode"], row["tftpdir"])
        for row in database.read(["noderes"]).rows("noderes")
    }
    assert {node: cells for node, cells in after.items() if node in stored} == stored
    assert all(cells == (None, None) for node, cells in after.items() if node not in stored)


def _is_left_out(row, stored):
    return row.node not in stored and not any(text for _, text in row.change.after)
