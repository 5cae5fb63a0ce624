"""Objects read in bulk from a snapshot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.db.snapshot import Snapshot
from xcatd.noderange.selection import Condition
from xcatd.objects import conditions, mapping, nics
from xcatd.objects.reader import ObjectReader, Places, attribute_lookup

ROWS = {
    "nodelist": [
        {"node": "n1", "groups": "blades,all"},
        {"node": "n2", "groups": "lpars,all"},
        {"node": "n3", "groups": "all", "comments": "spare"},
    ],
    "nodehm": [{"node": "blades", "mgt": "blade"}, {"node": "lpars", "mgt": "hmc"}],
    "ppc": [
        {"node": "all", "id": "7"},
        {"node": "n2", "id": "4", "pprofile": "p2", "parent": "frame1"},
        {"node": "n3", "pprofile": "never shown"},
    ],
    "mp": [{"node": "n1", "mpa": "mm1", "id": "13"}],
    "hosts": [{"node": "all", "ip": r"|\D+(\d+)|10.0.0.($1)|"}],
    "nodegroup": [
        {"groupname": "dyn", "grouptype": "dynamic", "wherevals": "mgt==hmc"},
        {"groupname": "bare", "grouptype": "static"},
    ],
    "ppcdirect": [
        {"hcp": "n2", "username": "HMC", "password": "old"},
        {"hcp": "n2", "username": "admin", "password": "adm"},
    ],
    "site": [{"key": "master", "value": "mn"}, {"key": "none", "value": ""}],
    "monitoring": [{"name": "rmcmon", "nodestatmon": "y"}, {"name": "quiet"}],
    "monsetting": [{"name": "rmcmon", "key": "rfanout", "value": "32"}],
}


@pytest.fixture
def reader() -> ObjectReader:
    return ObjectReader(Snapshot.from_rows(ROWS))


def test_values_are_effective_and_guards_decide_between_places(reader: ObjectReader) -> None:
    assert reader.read("node", ("n1", "n2", "n3")) == {
        "n1": {"groups": "blades,all", "mgt": "blade", "id": "13", "mpa": "mm1", "ip": "10.0.0.1"},
        "n2": {
            "groups": "lpars,all",
            "mgt": "hmc",
            "id": "4",
            "pprofile": "p2",
            "parent": "frame1",
            "ip": "10.0.0.2",
        },
        "n3": {"groups": "all", "id": "7", "ip": "10.0.0.3", "usercomment": "spare"},
    }


def test_groups_have_their_own_rows_as_stored(reader: ObjectReader) -> None:
    assert reader.read("group", ("all", "lpars")) == {
        "all": {"id": "7", "ip": r"|\D+(\d+)|10.0.0.($1)|"},
        "lpars": {"mgt": "hmc"},
    }


def test_rows_are_told_apart_by_further_columns() -> None:
    rows = {**ROWS, "nodehm": [{"node": "lpars", "mgt": "fsp"}]}
    (values,) = ObjectReader(Snapshot.from_rows(rows)).read("node", ("n2",)).values()
    assert values["passwd.HMC"] == "old"
    assert values["passwd.admin"] == "adm"
    assert "passwd.general" not in values


def test_unknown_names_come_back_without_own_values(reader: ObjectReader) -> None:
    assert reader.read("node", ("nosuch",)) == {"nosuch": {}}


def test_chosen_attributes_bring_their_guards_along(reader: ObjectReader) -> None:
    assert reader.read("node", ("n1",), ("id",)) == {"n1": {"id": "13", "mgt": "blade"}}


def test_places_tell_where_a_value_came_from(reader: ObjectReader) -> None:
    places: Places = {}
    reader.read("node", ("n1", "n2"), ("id",), places=places)
    assert places["n1"]["id"].table == "mp"
    assert places["n2"]["id"].table == "ppc"


def test_free_types_have_whatever_names_their_rows_hold(reader: ObjectReader) -> None:
    assert reader.read("site", reader.names("site")) == {"clustersite": {"master": "mn"}}
    assert reader.read("monitoring", reader.names("monitoring")) == {"rmcmon": {"rfanout": "32"}}


def test_names_of_groups_come_from_nodes_and_from_nodegroup(reader: ObjectReader) -> None:
    assert reader.names("group") == ("all", "bare", "blades", "dyn", "lpars")


@pytest.mark.parametrize(
    ("group", "kind", "where", "members"),
    [
        ("all", None, "", ("n1", "n2", "n3")),
        ("bare", "static", "", ()),
        ("dyn", "dynamic", "mgt==hmc", ("n2",)),
        ("x", "dynamic", "node=~n[13]::groups!=all", ("n1",)),
        ("x", "dynamic", "mgt!=hmc", ("n1",)),
        ("all", "weird", "", ()),
    ],
)
def test_members(
    reader: ObjectReader, group: str, kind: str | None, where: str, members: tuple[str, ...]
) -> None:
    assert reader.members(group, kind, where) == members


def test_attributes_of_single_nodes_for_dynamic_groups() -> None:
    attribute = attribute_lookup(Snapshot.from_rows(ROWS))
    assert attribute("n1", "node") == "n1"
    assert attribute("n1", "id") == "13"
    assert attribute("n3", "mgt") is None
    assert attribute("n1", "bogus") is None


def test_declared_tables_are_enough(reader: ObjectReader) -> None:
    whole = Snapshot.from_rows(ROWS)
    for kind in mapping.TYPES:
        needed = mapping.tables((kind,)) | {"nodelist", "site"}
        rows = whole.to_rows()
        part = {name: rows.get(name, []) for name in needed}
        again = ObjectReader(Snapshot.from_rows(part))
        names = reader.names(kind)
        assert again.names(kind) == names
        assert again.read(kind, names) == reader.read(kind, names)


@given(
    st.lists(
        st.tuples(
            st.text("abc019", min_size=1).filter(lambda text: text != "0"),
            st.text("xyz.|", min_size=1).filter(lambda text: text[0] != "|"),
        ),
        unique_by=lambda item: item[0],
    )
)
def test_adapters_read_back_what_was_written(items: list[tuple[str, str]]) -> None:
    text = ",".join(f"{adapter}!{value}" for adapter, value in items)
    assert list(nics.items(text, "node1")) == items


@pytest.mark.parametrize(
    ("text", "node", "expected"),
    [
        ("eth0!1.1.1.1|2.2.2.2,ib0!", "n1", [("eth0", "1.1.1.1|2.2.2.2")]),
        (r"eth0!|\D+(\d+)|10.0.0.($1)|", "n7", [("eth0", "10.0.0.7")]),
        (r"eth0!|\D+(\d+)|10.0.0.($1)|", None, [("eth0", r"|\D+(\d+)|10.0.0.($1)|")]),
        (r"|n(\d+)|eth5!10.5.0.($1)|", None, [("eth5", "10.5.0.($1)")]),
        ("plain", "n1", []),
        ("", "n1", []),
    ],
)
def test_adapters_of_odd_values(
    text: str, node: str | None, expected: list[tuple[str, str]]
) -> None:
    assert list(nics.items(text, node)) == expected


@pytest.mark.parametrize("text", ["nonsense", "a=", "a=b=c", ""])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(conditions.BadCondition):
        conditions.parse([text])


def test_the_last_condition_on_an_attribute_counts() -> None:
    assert conditions.parse(["a==1", "b=~/x/", "a!=2"]) == {
        "a": Condition("a", "!=", "2"),
        "b": Condition("b", "=~", "x"),
    }


def test_an_object_without_the_attribute_never_matches() -> None:
    tests = conditions.parse(["a!=1"])
    assert conditions.match_all(tests, {"a": "2"})
    assert not conditions.match_all(tests, {"b": "2"})
