"""What a command writes, as a value: stored, cut into parts, turned round, and carried out."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcat_aix.run.testing import MemoryDatabase
from xcatd.changes import Change, ChangedRow, Changes, Draft, Way
from xcatd.db import ChangedMeanwhile
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.rights import NotPermittedError, Rights

NAMES = ["n1", "n2", "n3"]
TEXTS = st.sampled_from([None, "", "a", "b", "NULL"])
COLUMNS = {"nodehm": ("cons", "mgt"), "ppcdirect": ("password", "comments")}


def place(table, name):
    if table == "nodehm":
        return table, (("node", name),)
    return table, (("hcp", name), ("username", name.upper()))


@st.composite
def drafts(draw):
    draft = Draft(draw(st.sampled_from([Way.SET, Way.TYPED])))
    for table, columns in COLUMNS.items():
        for name in NAMES:
            here = place(table, name)
            what = draw(st.sampled_from(["nothing", "set", "delete", "replace", "read", "insert"]))
            cells = {column: draw(TEXTS) for column in columns}
            if what in {"delete", "replace"}:
                draft.delete(here, cells if draw(st.booleans()) else None)
            if what in {"set", "replace"}:
                draft.set_row(here, cells)
            if what == "insert":
                draft.insert(here, cells)
            if what == "read" or (what == "set" and draw(st.booleans())):
                for column in columns:
                    draft.guard(here, column, draw(TEXTS))
                    draft.see(here, column, draw(TEXTS))
    return draft


@given(drafts())
def test_changes_survive_being_stored(draft):
    changes = draft.done()
    stored = json.loads(json.dumps(changes.to_json()))
    assert Changes.from_json(stored) == changes
    assert Changes.from_json(stored).to_json() == changes.to_json() == stored


@given(drafts())
def test_equal_changes_are_stored_alike_however_they_were_made(draft):
    changes = draft.done()
    apart = Changes(tuple(ChangedRow(Change(*row.change), row.key) for row in changes.rows))
    assert apart.to_json() == changes.to_json()


@given(drafts(), st.sets(st.sampled_from(["nodehm", "ppcdirect"])))
def test_parts_of_tables_are_everything_once(draft, some):
    changes = draft.done()
    others = set(changes.tables) - some
    parts = (*changes.of_tables(some).rows, *changes.of_tables(others).rows)
    assert Counter(parts) == Counter(changes.rows)


@given(drafts(), st.sets(st.sampled_from(NAMES)))
def test_of_some_nodes_nothing_is_written_for_others(draft, some):
    changes = draft.done()
    part = changes.of_nodes(some)
    written = [row for row in changes.rows if row.change.writes]
    assert [row for row in part.rows if row.change.writes] == [
        row for row in written if row.node is None or row.node in some
    ]
    left_out = {row.node for row in written} - some - {None}
    assert not any(row.node in left_out for row in part.rows)
    assert changes.of_nodes(NAMES) == changes


def test_what_was_read_of_groups_is_compared_for_every_node():
    draft = Draft()
    for name in NAMES:
        draft.set(place("nodehm", name), "mgt", "x")
    draft.guard(place("nodehm", "all"), "mgt", "hmc")
    (row, guard) = draft.done().of_nodes(["n2"]).rows
    assert (row.node, guard.node) == ("n2", "all")


def opened(tmp_path):
    database = Database.open(Location("SQLite", tmp_path))
    database.create_missing_tables(COLUMNS)
    return database


def fill(database, rows):
    for table, some in rows.items():
        with database.transaction(table) as transaction:
            transaction.insert(table, some)


def stored(database):
    """The rows of every table, NULL left out."""
    return {
        table: sorted(
            sorted((c, t) for c, t in row.items() if t is not None)
            for row in database.select(table)
            if any(row.values())
        )
        for table in COLUMNS
    }


class Readable:
    """The database, with the tables of xCAT as rows."""

    def __init__(self, database):
        self._database = database
        self.transaction = database.transaction

    def select(self, table):
        return self._database.read([table]).rows(table, include_disabled=True)


@st.composite
def contents(draw):
    rows = {table: [] for table in COLUMNS}
    for table, columns in COLUMNS.items():
        for name in NAMES:
            if draw(st.booleans()):
                key = dict(place(table, name)[1])
                rows[table].append(key | {column: draw(TEXTS) for column in columns})
    return rows


def attempt(database, changes):
    try:
        with database.transaction(*COLUMNS) as transaction:
            transaction.apply(changes)
    except ChangedMeanwhile as changed:
        return sorted(changed.cells)
    return []


def has_twice(changes, rows):
    """Whether a row would be added where there is one: only tables without keys take it."""
    there = {(t, tuple(r[c] for c, _ in place(t, "")[1])) for t, some in rows.items() for r in some}
    gone = {(r.change.table, r.key) for r in changes.rows if r.change.way is Way.DELETE}
    new = [(r.change.table, r.key) for r in changes.rows if r.change.way is Way.INSERT]
    return any(key in there - gone for key in new)


@settings(max_examples=60, deadline=None)
@given(draft=drafts(), rows=contents())
def test_the_double_does_what_the_database_does(tmp_path_factory, draft, rows):
    changes = draft.done()
    if has_twice(changes, rows):
        changes = Changes(tuple(r for r in changes.rows if r.change.way is not Way.INSERT))
    database, memory = opened(tmp_path_factory.mktemp("db")), MemoryDatabase(rows)
    fill(database, rows)
    assert attempt(database, changes) == attempt(memory, changes)
    assert stored(Readable(database)) == stored(memory)


@st.composite
def sound(draw):
    """Changes of given rows with everything read: sets, deletions and new rows."""
    rows = draw(contents())
    draft = Draft()
    for table, columns in COLUMNS.items():
        there = {dict(place(table, n)[1])[place(table, n)[1][0][0]]: n for n in NAMES}
        now = {there[row[place(table, "")[1][0][0]]]: row for row in rows[table]}
        for name in NAMES:
            here, row = place(table, name), now.get(name)
            what = draw(st.sampled_from(["nothing", "set", "delete", "replace"]))
            cells = {column: draw(st.sampled_from(["a", "b", "NULL"])) for column in columns}
            if row is not None and what in {"delete", "replace"}:
                draft.delete(here, {column: row.get(column) for column in columns})
            if what == "replace" or (what == "set" and row is None):
                draft.insert(here, cells) if row is None else draft.set_row(here, cells)
            if what == "set" and row is not None:
                draft.set_row(here, cells)
                for column in columns:
                    draft.guard(here, column, row.get(column))
    return rows, draft.done()


@settings(max_examples=60, deadline=None)
@given(sound())
def test_what_is_reversed_takes_everything_back(given_):
    rows, changes = given_
    memory = MemoryDatabase(rows)
    before = stored(memory)
    assert attempt(memory, changes) == []
    after = stored(memory)
    assert attempt(memory, changes.reversed()) == []
    assert stored(memory) == before
    again = changes.reversed().reversed()
    assert attempt(memory, again) == []
    assert stored(memory) == after


def test_nothing_is_taken_back_over_what_somebody_else_wrote(tmp_path):
    database = opened(tmp_path)
    fill(database, {"nodehm": [{"node": "n1", "mgt": "hmc"}]})
    draft = Draft()
    draft.set(place("nodehm", "n1"), "mgt", "ipmi")
    draft.guard(place("nodehm", "n1"), "mgt", "hmc")
    changes = draft.done()
    assert attempt(database, changes) == []
    assert attempt(database, changes) == ["nodehm node=n1 mgt: read 'hmc', now 'ipmi'"]
    with database.transaction("nodehm") as transaction:
        transaction.update("nodehm", {"node": "n1"}, {"mgt": "mine"})
    assert attempt(database, changes.reversed()) == ["nodehm node=n1 mgt: read 'ipmi', now 'mine'"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda d: d.set(place("nodehm", "n1"), "mgt", "x"), "nodehm: mgt was not read before"),
        (lambda d: d.delete(place("nodehm", "n1")), "nodehm: what it held is not known"),
        (lambda d: d.insert(("auditlog", ()), {"userid": "x"}), "auditlog: it has no key"),
    ],
)
def test_what_was_not_read_cannot_be_taken_back(make, text):
    draft = Draft()
    make(draft)
    with pytest.raises(ValueError, match=f"of table {text}"):
        draft.done().reversed()


def test_a_cell_with_a_key_of_two_columns_is_named_by_both(tmp_path):
    database = opened(tmp_path)
    draft = Draft()
    draft.guard(place("ppcdirect", "f1"), "password", "x")
    assert attempt(database, draft.done()) == [
        "ppcdirect hcp=f1,username=F1 password: read 'x', now None"
    ]


def test_rights_reach_to_the_nodes_of_the_request(tmp_path):
    database = opened(tmp_path).limited(Rights(frozenset(["n1"])))
    own, other, renamed = Draft(), Draft(), Draft()
    own.set(place("nodehm", "n1"), "mgt", "x")
    own.guard(place("nodehm", "n2"), "mgt", None)
    assert attempt(database, own.done()) == []
    other.delete(place("nodehm", "n2"))
    renamed.set(place("nodehm", "n1"), "node", "n2")
    for draft in (other, renamed):
        with pytest.raises(NotPermittedError, match="n2"):
            attempt(database, draft.done())
        with pytest.raises(NotPermittedError, match="n2"):
            database.check_writing(draft.done())


def test_ten_thousand_nodes_are_stored_in_less_than_their_cells():
    """As a list of cells, and of what was only read, the same is 40 times as long."""
    draft = Draft()
    for number in range(10_000):
        here = ("noderes", (("node", f"n{number:05}"),))
        for column in ("servicenode", "xcatmaster", "nfsserver", "tftpserver", "monserver"):
            draft.set(here, column, "sn2")
            draft.guard(here, column, "sn1")
    assert len(json.dumps(draft.done().to_json())) < 11 * 10_000
