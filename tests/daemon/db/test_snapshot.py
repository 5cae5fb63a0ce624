"""Reading rules over a snapshot: disabled rows, inheritance, several rows, immutability."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.db.errors import DatabaseError
from xcatd.db.lookup import Rules
from xcatd.db.schema import TABLES
from xcatd.db.snapshot import Snapshot, Value


def _nodes(**groups):
    return [{"node": node, "groups": text} for node, text in groups.items()]


def _texts(snapshot, table, columns, node):
    return {c: v.text for c, v in snapshot.values(table, columns, [node])[node].items()}


def _origin(snapshot, table, column, node):
    return snapshot.values(table, [column], [node])[node][column].groups


GA = {"node": "ga", "mgt": "A", "power": "PA"}
GB = {"node": "gb", "mgt": "B", "cons": "CB"}
COLUMNS = ("mgt", "power", "cons")


def test_groups_are_asked_in_listed_order_column_by_column():
    snapshot = Snapshot.from_rows({"nodelist": _nodes(n="ga,gb", m="gb,ga"), "nodehm": [GA, GB]})
    assert _texts(snapshot, "nodehm", COLUMNS, "n") == {"mgt": "A", "power": "PA", "cons": "CB"}
    assert _texts(snapshot, "nodehm", COLUMNS, "m") == {"mgt": "B", "power": "PA", "cons": "CB"}
    assert _origin(snapshot, "nodehm", "cons", "n") == ("gb",)


@pytest.mark.parametrize("disable", [None, "0", "no", "NO", "No", "nO"])
def test_live_rows(disable):
    rows = {
        "nodelist": _nodes(n="ga"),
        "nodehm": [{"node": "n", "mgt": "X", "disable": disable}, GA],
    }
    assert Snapshot.from_rows(rows).value("n", "nodehm", "mgt") == "X"


@pytest.mark.parametrize("disable", ["", "1", "yes", "nO ", "false", "00"])
def test_hidden_rows_let_the_group_through(disable):
    hidden = {"node": "n", "mgt": "X", "disable": disable}
    snapshot = Snapshot.from_rows({"nodelist": _nodes(n="ga"), "nodehm": [hidden, GA]})
    assert snapshot.value("n", "nodehm", "mgt") == "A"
    assert snapshot.own("nodehm", "n") is None
    assert snapshot.stored("nodehm", "n")["mgt"] == "X"
    assert len(snapshot.rows("nodehm")) == 1
    assert len(snapshot.rows("nodehm", include_disabled=True)) == 2


def test_a_disabled_node_does_not_exist():
    rows = {"nodelist": [{"node": "n", "groups": "ga", "disable": "1"}], "nodehm": [GA]}
    snapshot = Snapshot.from_rows(rows)
    assert (snapshot.nodes, snapshot.groups("n"), snapshot.members) == ((), (), {})
    assert snapshot.value("n", "nodehm", "mgt") is None


def test_an_empty_own_text_falls_through_and_an_expression_can_say_none():
    rows = {
        "nodelist": _nodes(n="ga", m="ga"),
        "nodehm": [{"node": "n", "mgt": ""}, {"node": "m", "mgt": "|^.*$||"}, GA],
    }
    snapshot = Snapshot.from_rows(rows)
    assert snapshot.value("n", "nodehm", "mgt") == "A"
    assert snapshot.value("m", "nodehm", "mgt") is None
    assert snapshot.own("nodehm", "m")["mgt"] == "|^.*$||"


def test_an_inherited_expression_is_worked_out_for_each_node():
    rows = {
        "nodelist": _nodes(n1="g", n2="g"),
        "hosts": [{"node": "g", "ip": "|10.0.0.($1)|"}],
    }
    values = Snapshot.from_rows(rows).values("hosts", ["ip"])
    assert values["n2"]["ip"] == Value("10.0.0.2", ("g",), "|10.0.0.($1)|")
    assert values["n1"]["ip"].text == "10.0.0.1"


def test_next_record_joins_without_a_separator():
    rows = {
        "nodelist": _nodes(n="ga"),
        "nodehm": [{"node": "n", "mgt": "x+=NEXTRECORD"}, GA],
    }
    snapshot = Snapshot.from_rows(rows)
    assert snapshot.value("n", "nodehm", "mgt") == "xA"
    assert _origin(snapshot, "nodehm", "mgt", "n") == ("n", "ga")


def test_next_record_without_a_next_one_is_not_shown():
    rows = {"nodelist": _nodes(n=""), "nodehm": [{"node": "n", "mgt": "x+=NEXTRECORD"}]}
    assert Snapshot.from_rows(rows).value("n", "nodehm", "mgt") == "x"


def test_hierarchical_columns_collect_everything_once():
    rows = {
        "nodelist": _nodes(n="g1,g2"),
        "site": [{"key": "hierarchicalattrs", "value": " postscripts ,vlan:;"}],
        "postscripts": [
            {"node": "n", "postscripts": "n"},
            {"node": "g1", "postscripts": "a,b"},
            {"node": "g2", "postscripts": "b,c"},
        ],
    }
    snapshot = Snapshot.from_rows(rows)
    assert snapshot.value("n", "postscripts", "postscripts") == "n,a,b,c"
    assert _origin(snapshot, "postscripts", "postscripts", "n") == ("n", "g1", "g2")


def test_nodelist_never_inherits():
    rows = {"nodelist": [*_nodes(n="ga"), {"node": "ga", "status": "booted"}]}
    assert Snapshot.from_rows(rows).value("n", "nodelist", "status") is None


def test_several_rows_come_in_the_order_of_their_key():
    rows = {
        "nodelist": _nodes(n=""),
        "switch": [
            {"node": "n", "switch": "s2", "port": "1"},
            {"node": "n", "switch": "s1", "port": "9"},
        ],
    }
    snapshot = Snapshot.from_rows(rows)
    every = snapshot.values_all("switch", ["switch", "port"])["n"]
    assert [(row["switch"].text, row["port"].text) for row in every] == [("s1", "9"), ("s2", "1")]
    assert snapshot.value("n", "switch", "port") == "9"
    assert snapshot.own("switch", "n")["port"] == "9"


def test_site_holds_live_values():
    rows = {
        "site": [
            {"key": "master", "value": "10.0.0.1"},
            {"key": "domain", "value": ""},
            {"key": "old", "value": "x", "disable": "1"},
        ]
    }
    assert Snapshot.from_rows(rows).site == {"master": "10.0.0.1"}


def test_members_and_has_node():
    snapshot = Snapshot.from_rows({"nodelist": _nodes(n1="a,b,a,,", n2="b")})
    assert snapshot.members == {"a": ("n1",), "b": ("n1", "n2")}
    assert snapshot.groups("n1") == ("a", "b", "a")
    assert snapshot.has_node("n1")
    assert not snapshot.has_node("a")


def test_unknown_things_are_errors():
    snapshot = Snapshot.from_rows({})
    assert snapshot.rows("noderes") == []
    with pytest.raises(KeyError):
        snapshot.rows("nosuch")
    with pytest.raises(KeyError):
        Snapshot.from_rows({"nosuch": []})
    with pytest.raises(LookupError, match="no column 'nosuch'"):
        snapshot.values("noderes", ["nosuch"])
    with pytest.raises(LookupError, match="no node column"):
        snapshot.values("site", ["key"])


def test_extra_columns_stay_with_the_row():
    snapshot = Snapshot.from_rows({"nodehm": [{"node": "n", "olden": "kept"}]})
    assert snapshot.rows("nodehm")[0]["olden"] == "kept"
    assert snapshot.rows("nodehm")[0]["mgt"] is None


def test_rows_and_snapshots_travel():
    rows = {"nodelist": _nodes(n="ga"), "nodehm": [GA, GB]}
    snapshot = Snapshot.from_rows(rows)
    assert snapshot.site == {}
    again = pickle.loads(pickle.dumps(snapshot))  # noqa: S301 - our own bytes
    assert again.to_rows()["nodehm"] == snapshot.to_rows()["nodehm"] == [GA, GB]
    assert again.value("n", "nodehm", "mgt") == "A"


@pytest.mark.parametrize(
    ("setting", "joined"),
    [
        ("", {}),
        ("a", {"a": ","}),
        ("a:;,b, c : | ", {"a": ";", "b": ",", "c": "|"}),
        (" ,:x,", {}),
    ],
)
def test_the_site_setting_of_hierarchical_columns(setting, joined):
    assert Rules.from_site(setting).joined == joined


@pytest.mark.parametrize("groups", [4, 40])
def test_groups_that_multiply_rows_are_bounded(groups):
    """Seven groups with ten rows each would make ten million of one node."""
    names = [f"g{number}" for number in range(groups)]
    switch = [
        {"node": name, "switch": f"s{row}", "port": str(row), "vlan": "x+=NEXTRECORD"}
        for name in names
        for row in range(10)
    ]
    rows = {"nodelist": [{"node": "n1", "groups": ",".join(names)}, {"node": "n2", "groups": "g0"}]}
    snapshot = Snapshot.from_rows({**rows, "switch": switch})
    with pytest.raises(DatabaseError, match="groups multiply its rows too often"):
        snapshot.values_all("switch", ("vlan",), ["n1"])
    assert len(snapshot.values_all("switch", ("vlan",), ["n2"])["n2"]) == 10


cell = st.one_of(st.none(), st.sampled_from(["", "x", "y,z", "q+=NEXTRECORD"]))
hm_rows = st.dictionaries(
    st.sampled_from(["n1", "n2", "ga", "gb", "gc"]),
    st.fixed_dictionaries(
        {"mgt": cell, "cons": cell, "disable": st.sampled_from([None, "1", "no"])}
    ),
)


@given(hm_rows, st.lists(st.sampled_from(["ga", "gb", "gc"]), unique=True), st.booleans())
def test_reading_one_node_at_a_time_or_all_at_once_is_the_same(rows, groups, joined):
    site = [{"key": "hierarchicalattrs", "value": "mgt"}] if joined else []
    snapshot = Snapshot.from_rows(
        {
            "nodelist": _nodes(n1=",".join(groups), n2="gb"),
            "nodehm": [{"node": node, **row} for node, row in rows.items()],
            "site": site,
        }
    )
    together = snapshot.values("nodehm", ["mgt", "cons"])
    every = snapshot.values_all("nodehm", ["mgt", "cons"])
    texts = snapshot.texts("nodehm", ["mgt", "cons"])
    for node in snapshot.nodes:
        assert every[node] == ([together[node]] if together[node] else [])
        assert texts[node] == {column: value.text for column, value in together[node].items()}
        for column in ("mgt", "cons"):
            value = together[node].get(column)
            assert snapshot.value(node, "nodehm", column) == (value.text if value else None)


def test_facts_of_the_schema():
    assert TABLES["ppcdirect"].node_column == "hcp"
    assert TABLES["site"].node_column is None
    assert TABLES["networks"].keys == ("net", "mask")
    assert TABLES["zvm"].columns[-4:] == ("comments", "disable", "discovered", "status")
    assert TABLES["taskstate"].columns[-1] == "disable"
    assert TABLES["osimage"].types == {"osupdatename": "VARCHAR(1024)"}
    assert TABLES["litefile"].required == {"image", "file"}
    assert len(TABLES) == 73
