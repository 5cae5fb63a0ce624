"""What the words of the table commands mean, and what they leave behind, whatever the texts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.plan.nodetables import nodeedits, nodewords
from xcat_aix.plan.nodetables.nodewords import NOTHING, ColumnEdit
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.noderange import abbreviation
from xcatd.rows import rowedits

from . import replay

ITEM = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1)
#: To Perl a lone 0 is no list at all, so it is replaced.
ITEMS = st.lists(ITEM, min_size=1, max_size=4, unique=True).filter(lambda items: items != ["0"])
ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(ANY)
def test_any_text_is_an_assignments_value(text):
    edit = rowedits.read_edit(f"site.value={text}")
    assert edit.table == "site"
    assert "+=" in f"value={text}" or (edit.column, edit.text) == ("value", text)


@given(ITEMS, ITEMS)
def test_items_are_put_before_a_list_once_and_taken_out_again(present, more):
    text = ",".join(present)
    added = nodeedits._changed([ColumnEdit(",", ",".join(more))], text)
    assert (added or text).split(",") == [
        *reversed([i for i in more if i not in present]),
        *present,
    ]
    left = nodeedits._changed([ColumnEdit("^", ",".join(more))], added or text)
    assert left == ",".join(item for item in present if item not in more)


@given(ITEMS)
def test_a_list_is_left_alone_by_no_items(present):
    text = ",".join(present)
    assert nodeedits._changed([ColumnEdit("^", NOTHING)], text) is None
    assert nodeedits._changed([ColumnEdit(",", NOTHING)], text) is None


@given(st.text())
def test_any_word_is_read_or_refused(word):
    try:
        found = nodewords.parse([word], lambda _: None)
    except nodewords.WrongWordError:
        return
    assert found.remarks


@given(
    st.sets(st.integers(0, 9)),
    st.dictionaries(st.text("abc", min_size=1), st.sets(st.integers(0, 9)), max_size=5),
)
def test_an_abbreviation_names_just_these_nodes(numbers, groups):
    nodes = {f"n{number}" for number in numbers}
    members = {name: tuple(f"n{i}" for i in sorted(group)) for name, group in groups.items()}
    named = set(filter(None, abbreviation.abbreviate(nodes, members).split(",")))
    expanded = {node for name in named for node in members.get(name, (name,))}
    assert expanded == nodes


@pytest.fixture
def database(tmp_path):
    rows = {
        "nodelist": [{"node": "n1", "groups": "all"}, {"node": "n2", "groups": "all"}],
        "nodehm": [{"node": "all", "mgt": "hmc"}],
    }
    return replay.open_database(tmp_path, rows)


def stored(database: Database, table: str) -> list[dict[str, str]]:
    return database.read([table]).to_rows()[table]


def run(database: Database, *argv: str) -> replay.Printed:
    return replay.run(argv, replay.context_for(database))


def test_no_item_of_two_writers_is_lost(database, tmp_path: Path):
    """Each adds its own items to the same list; a plan made from an old list is made again."""

    def add(letter: str) -> None:
        own = Database.open(Location("SQLite", tmp_path))
        for number in range(5):
            assert run(own, "nodech", "n1", f"groups,={letter}{number}").exit == 0
        own.close()

    writers = [threading.Thread(target=add, args=(letter,)) for letter in "xy"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    row = next(row for row in stored(database, "nodelist") if row["node"] == "n1")
    expected = {"all", *(f"{letter}{number}" for letter in "xy" for number in range(5))}
    assert set(row["groups"].split(",")) == expected


def test_a_table_that_is_refused_keeps_the_others_as_they_are(database):
    run(database, "tabch", "node=n1", "mac.mac=aa")
    printed = run(database, "tabch", "mac.node=n2", "nodelist.node=n1")
    assert printed.exit == 4
    assert [row["node"] for row in stored(database, "mac")] == ["n1"]


def test_an_administrators_own_table_is_changed_like_any_other(database, tmp_path: Path):
    database.add_columns("mine", ("node", "colour"))
    assert run(database, "tabch", "mine.node=n1", "mine.colour=it's red").exit == 0
    assert run(database, "gettab", "node=n1", "mine.colour").stdout == ["it's red"]
    assert run(database, "tabgrep", "n1").stdout == ["mine", "nodehm", "nodelist"]
    assert run(database, "chtab", "node=n1", "mine.colour+=blue").exit == 0
    assert stored(database, "mine") == [{"node": "n1", "colour": "it's red,blue"}]
    assert run(database, "noderm", "n1").exit == 0
    assert stored(database, "mine") == []


def test_our_own_tables_are_nobodys_to_change(database):
    assert run(database, "tabch", "id=1", "aixplan.id=2").stdout == [
        "Table aixplan does not exist.\n"
    ]
    assert run(database, "gettab", "id=1", "aixplan.id").exit == 1
    assert run(database, "tabprune", "aixplan", "-a").exit == 5


def test_nodes_are_named_by_groups(database):
    context = replay.context_for(database)
    request = replay.Request("rnoderange", nodes=("n1", "n2"))
    replies = list(replay.PLUGINS["rnoderange"]().handle(request, context))
    assert [reply.data for reply in replies] == [("all",)]


def test_pruning_services_asks_dhcp_first(database):
    asked = []

    def runner(request, _):
        asked.append((request.command, request.args, request.nodes))
        return iter(())

    for value, times in (("n", 0), ("NO", 0), ("yes", 1)):
        run(database, "tabch", "key=pruneservices", f"site.value={value}")
        run(database, "nodeadd", "n9", "groups=all")
        context = replay.context_for(database, runner=runner)
        assert replay.run(["noderm", "n9"], context) == replay.Printed()
        assert len(asked) == times
    assert asked == [("makedhcp", ("-d",), ("n9",))]


def test_chtab_names_what_is_missing(tmp_path: Path):
    database = replay.open_database(tmp_path, {})
    assert run(database, "chtab", "key=a", "nosuch.x=1").stdout == ["Table nosuch does not exist."]
    printed = run(database, "chtab", "key=a", "site.bogus=1")
    assert (printed.stderr, printed.exit) == (['chtab: No column "bogus" in table "site"'], 1)
