"""The object mapping: types, places, guards, and the tables an answer needs."""

from __future__ import annotations

import pytest

from xcatd import tablenames
from xcatd.db import schema
from xcatd.objects import descriptions, mapping
from xcatd.objects.mapping import TYPES, Condition


def test_every_entry_names_a_table_and_column_of_the_schema() -> None:
    for kind in TYPES.values():
        for entry in kind.entries:
            assert tablenames.has_column(entry.table, entry.column), entry


def test_every_row_key_is_a_column_of_its_table() -> None:
    for kind in TYPES.values():
        if kind.name == "firmware":
            continue  # keyed by a column that its table does not have; xCAT reads nothing either
        for entry in kind.entries:
            assert set(entry.row_columns) <= set(schema.table(entry.table).columns), entry


def test_groups_have_the_attributes_of_nodes_but_those_of_nodelist() -> None:
    node, group = (set(TYPES[kind].attributes) for kind in ("node", "group"))
    assert node - group == {
        *("node", "groups", "status", "statustime", "appstatus", "appstatustime", "primarysn"),
        *("hidden", "updatestatus", "updatestatustime", "zonename"),
    }
    assert group - node == {"groupname", "grouptype", "members", "membergroups", "wherevals"}


def test_a_later_place_comes_after_an_earlier_one() -> None:
    places = TYPES["node"].places("id")
    assert [(place.table, place.guard) for place in places] == [
        ("ppc", None),
        ("mp", Condition("mgt", ("blade",))),
    ]


def test_fixed_columns_tell_rows_of_one_object_apart() -> None:
    (place,) = TYPES["node"].places("passwd.HMC")
    assert place.row_columns == ("hcp", "username")
    assert place.fixed == (("username", "HMC"),)


@pytest.mark.parametrize(
    ("text", "passes"),
    [("ppc", True), ("ppc,osi", True), ("osi,ppc", True), ("ppc64", False), ("", False)],
)
def test_a_guard_wants_a_whole_word(text: str, passes: bool) -> None:
    assert Condition("nodetype", ("hmc", "ppc")).allows(text) is passes


def test_a_guard_on_nothing_fails() -> None:
    assert not Condition("mgt", ("hmc",)).allows(None)


def test_reading_an_attribute_reads_what_guards_it() -> None:
    def read_with(attribute: str) -> set[str]:
        return {entry.attribute for entry in TYPES["node"].readable({attribute})}

    assert read_with("bmc") == {"bmc", "mgt"}
    assert read_with("username") == {"username", "nodetype"}
    assert read_with("ip") == {"ip"}


def test_the_key_is_never_read() -> None:
    assert "node" not in {entry.attribute for entry in TYPES["node"].readable()}


def test_needed_tables_are_those_of_the_attributes_their_guards_and_names() -> None:
    assert mapping.tables(("node",), ("bmc",)) == {
        *("nodelist", "site", "ipmi", "openbmc", "nodehm")
    }
    assert mapping.tables(("monitoring",)) == {"monitoring", "monsetting"}
    assert {"nodegroup", "nodelist"} <= mapping.tables(("group",), ("members",))


def test_every_table_and_column_is_described() -> None:
    assert descriptions.tables().keys() == schema.TABLES.keys()
    for table in schema.TABLES.values():
        for column in table.columns:
            assert descriptions.column(table.name, column)


def test_columns_of_one_name_can_mean_different_things() -> None:
    assert descriptions.column("noderes", "tftpserver") != descriptions.column(
        "servicenode", "tftpserver"
    )


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_type_can_be_explained(kind: str) -> None:
    assert all(isinstance(text, str) for text in descriptions.type_help(kind, None))
