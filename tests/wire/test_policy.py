"""The policy decision, row by row as the specification words it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.serving.policy import Decision, Query, Row, decide, perl_number
from xcatd.text import perlre

#: Takes longer than anybody waits with sixty times the same letter.
COSTLY = ".*" * 900 + "[XY]"

GROUPS = {"a": {"n1", "n2"}, "b": {"n3"}, "all": {"n1", "n2", "n3"}, "none": set()}


def _row(rule: str | None = "allow", priority: str = "1", **columns: str) -> Row:
    return {"priority": priority, "rule": rule, **columns}


def _ask(
    *rows: Row,
    user: str | None = "root",
    host: str = "mn",
    command: str = "nodels",
    args: tuple[str, ...] = (),
    nodes: str | None = None,
) -> Decision:
    members = frozenset() if nodes is None else frozenset(nodes.split(","))
    query = Query(user, tuple(host.split(",")), command, args, members)
    return decide(rows, query, lambda text: GROUPS.get(text, {text}))


def test_nothing_matches_nothing_is_allowed() -> None:
    assert not _ask().is_allowed
    assert _ask().priority is None


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ("allow", True),
        ("Accept", True),
        ("TRUSTED", True),
        ("allowed by the boss", True),
        ("deny", False),
        ("anything", False),
        ("", False),
        (None, False),
    ],
)
def test_the_rule_decides(rule: str | None, allowed: bool) -> None:
    assert _ask(_row(rule)).is_allowed is allowed


@pytest.mark.parametrize(
    ("columns", "asked", "matches"),
    [
        ({"name": "root"}, {}, True),
        ({"name": "root"}, {"user": "alice"}, False),
        ({"name": "root"}, {"user": None}, False),
        ({"name": "ro.*"}, {}, False),
        ({"name": "*"}, {}, True),
        ({"name": "*"}, {"user": None}, False),
        ({"name": ""}, {"user": None}, True),
        ({}, {"user": None}, True),
        ({"host": "mn"}, {}, True),
        ({"host": "sn"}, {}, False),
        ({"host": "*"}, {"host": "x"}, True),
        ({"host": "sn"}, {"host": "x,sn"}, True),
        ({"host": "mn,sn"}, {}, False),
        ({"commands": "nodels"}, {}, True),
        ({"commands": "lsdef,nodels"}, {}, True),
        ({"commands": "lsdef, nodels"}, {}, False),
        ({"commands": "node"}, {}, False),
        ({"commands": "*"}, {}, True),
        ({"parameters": "-v"}, {"args": ("-v",)}, True),
        ({"parameters": "a b"}, {"args": ("a", "b")}, True),
        ({"parameters": "^b"}, {"args": ("a", "b")}, False),
        ({"parameters": "b$"}, {"args": ("a", "b")}, True),
        ({"parameters": "x"}, {}, False),
        ({"parameters": "^[[:alpha:]]+$"}, {"args": ("ab",)}, True),
        ({"parameters": "^[[:alpha:]]+$"}, {"args": ("a1",)}, False),
        ({"parameters": r"-f\Z"}, {"args": ("x", "-f\n")}, True),
        ({"parameters": r"-f\z"}, {"args": ("x", "-f\n")}, False),
        ({"parameters": r"\bdel(?i)ete"}, {"args": ("x", "delETE")}, True),
        ({"parameters": r"^\w+$"}, {"args": ("é",)}, False),
        ({"parameters": "^$"}, {}, True),
        ({"parameters": "*"}, {"args": ("z",)}, True),
        ({"time": "Monday"}, {}, True),
        ({"noderange": "a"}, {"nodes": "n1"}, True),
        ({"noderange": "a"}, {"nodes": "n1,n2"}, True),
        ({"noderange": "a"}, {"nodes": "n1,n3"}, False),
        ({"noderange": "a"}, {"nodes": "n3"}, False),
        ({"noderange": "a"}, {}, False),
        ({"noderange": "*"}, {}, True),
        ({"noderange": "*"}, {"nodes": "n9"}, True),
    ],
)
def test_every_column_must_match(
    columns: dict[str, str], asked: dict[str, str], matches: bool
) -> None:
    assert _ask(_row(**columns), **asked).is_allowed is matches  # type: ignore[arg-type]


def test_an_expression_that_cannot_be_read_opens_nothing() -> None:
    assert not _ask(_row(parameters="(")).is_allowed
    assert not _ask(_row("deny", parameters="("), _row(priority="2")).is_allowed


@pytest.mark.parametrize("parameters", ["(", "(?{1})", "(?R)", "[[:nope:]]", "x" * 5000, COSTLY])
def test_one_that_cannot_be_judged_refuses_wherever_it_stands(parameters: str) -> None:
    args = ("n" * 60,)
    with perlre.budget(0.6):
        assert not _ask(_row(parameters=parameters), args=args).is_allowed
        denying = _row("deny", parameters=parameters)
        assert not _ask(denying, _row(priority="2"), args=args).is_allowed
        assert _ask(_row(parameters=parameters), _row(priority="2"), args=args).is_allowed


def test_nor_one_after_the_time_is_over() -> None:
    with perlre.budget(0.0):
        assert not _ask(_row(parameters="a"), args=("a",)).is_allowed
        assert not _ask(_row("deny", parameters="b"), _row(priority="2"), args=("a",)).is_allowed
    assert _ask(_row(parameters="a"), args=("a",)).is_allowed


def test_the_lowest_number_decides() -> None:
    rows = [_row(priority="10"), _row("deny", priority="9.5"), _row(priority="100")]
    assert _ask(*rows) == Decision(is_allowed=False, priority="9.5")
    assert _ask(*reversed(rows)).priority == "9.5"


def test_rows_of_one_priority_keep_their_order() -> None:
    assert _ask(_row(), _row("deny")).is_allowed
    assert not _ask(_row("deny"), _row()).is_allowed


def test_allowing_rows_cover_the_nodes_together() -> None:
    rows = [_row(noderange="a"), _row(priority="2", noderange="b")]
    assert _ask(*rows, nodes="n1,n3").is_allowed
    refused = _ask(*rows, nodes="n1,n9")
    assert refused == Decision(is_allowed=False, priority=None, open_nodes=frozenset({"n9"}))


def test_a_refusing_row_needs_one_node_only() -> None:
    rows = [_row("deny", noderange="b"), _row(priority="2")]
    assert not _ask(*rows, nodes="n1,n3").is_allowed
    assert _ask(*rows, nodes="n1").is_allowed


def test_nodes_that_are_settled_are_not_asked_again() -> None:
    rows = [
        _row(noderange="a"),
        _row("deny", priority="2", noderange="a"),
        _row(priority="3", noderange="b"),
    ]
    assert _ask(*rows, nodes="n1,n3").is_allowed


def test_any_trusting_row_lets_the_user_be_named() -> None:
    rows = [_row(), _row("trusted", priority="2", name="mn")]
    assert _ask(*rows, user="mn").is_trusted
    assert not _ask(*rows, user="root").is_trusted
    assert not _ask(*rows, user=None).is_trusted


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.2", 1.2), ("10", 10), (" 3x", 3), ("x", 0), ("", 0), (None, 0), ("-1", -1), (".5", 0.5)],
)
def test_numbers_are_read_as_perl_does(text: str | None, number: float) -> None:
    assert perl_number(text) == number


_ROWS = st.lists(
    st.builds(
        _row,
        st.sampled_from(["allow", "deny", ""]),
        st.sampled_from(["1", "2", "3"]),
        name=st.sampled_from(["", "*", "root", "alice"]),
        noderange=st.sampled_from(["", "a", "b", "all", "none"]),
    ),
    max_size=5,
)


@given(_ROWS, st.sampled_from(["n1", "n1,n3", "n2,n1", "n9", None]))
def test_deciding_node_by_node_is_never_more_generous(rows: list[Row], nodes: str | None) -> None:
    """What is allowed for several nodes is allowed for each of them."""
    if nodes and _ask(*rows, nodes=nodes).is_allowed:
        assert all(_ask(*rows, nodes=node).is_allowed for node in nodes.split(","))


@given(_ROWS, st.sampled_from(["n1", "n1,n3", None]))
def test_an_allowing_row_at_the_end_only_adds(rows: list[Row], nodes: str | None) -> None:
    last = _row(priority="9", name="root")
    if _ask(*rows, nodes=nodes).is_allowed:
        assert _ask(*rows, last, nodes=nodes).is_allowed
