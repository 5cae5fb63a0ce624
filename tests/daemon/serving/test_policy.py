"""The policy decision, row by row as the specification words it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.rights import EVERYTHING, Targets
from xcatd.serving.policy import (
    Decision,
    Query,
    Row,
    allows_everything,
    candidates,
    decide,
    perl_number,
    trusts,
)
from xcatd.text import perlre

#: Takes longer than anybody waits with sixty times the same letter.
COSTLY = ".*" * 900 + "[XY]"

GROUPS = {"a": {"n1", "n2"}, "b": {"n3"}, "all": {"n1", "n2", "n3"}, "none": set()}
REFUSED = Decision(is_allowed=False, priority=None)


@dataclass
class Looked:
    """What the policy may look at; counts what it did look at."""

    asked: frozenset[str]
    declared: Targets
    looks: int = 0

    @property
    def targets(self) -> Targets:
        self.looks += 1
        return self.declared

    def members(self, noderange: str) -> set[str]:
        self.looks += 1
        return GROUPS.get(noderange, {noderange})


def _row(rule: str | None = "allow", priority: str = "1", **columns: str) -> Row:
    return {"priority": priority, "rule": rule, **columns}


def _names(nodes: str | None) -> frozenset[str]:
    return frozenset(nodes.split(",")) if nodes else frozenset()


def _query(
    user: str | None = "root",
    host: str = "mn",
    command: str = "nodels",
    args: tuple[str, ...] = (),
    nodes: str | None = None,
    *,
    needs_everything: bool = False,
) -> Query:
    hosts = tuple(host.split(","))
    return Query(user, hosts, command, args, nodes is not None, needs_everything)


def _ask(*rows: Row, nodes: str | None = None, touches: Targets | None = None, **asked) -> Decision:
    """The decision about a request that touches the nodes it names, unless it says otherwise."""
    names = _names(nodes)
    found = candidates(rows, _query(nodes=nodes, **asked))
    if not found:
        return REFUSED
    return decide(found, Looked(names, Targets(names) if touches is None else touches))


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
    assert not _ask(*rows).is_allowed
    assert _ask(*rows[1:], _row(priority="2")).priority == "2"
    assert not _ask(*reversed(rows)).is_allowed


def test_rows_of_one_priority_keep_their_order() -> None:
    assert _ask(_row(), _row("deny")).is_allowed
    assert not _ask(_row("deny"), _row()).is_allowed


def test_allowing_rows_cover_the_nodes_together() -> None:
    rows = [_row(noderange="a"), _row(priority="2", noderange="b")]
    assert _ask(*rows, nodes="n1,n3").is_allowed
    assert _ask(*rows, nodes="n1,n3").nodes == {"n1", "n3"}
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


# -- what the command touches ----------------------------------------------------------------

A = _row(noderange="a")
NOT_B = _row("deny", priority="0", noderange="b")
ANYTHING = _row(priority="2")


@pytest.mark.parametrize(
    ("rows", "nodes", "touches", "allowed"),
    [
        ([A], "n1", Targets.of(["n1"]), True),
        ([A], "n1", Targets.of(["n2"]), True),
        ([A], "n1", Targets.of(["n3"]), False),
        ([A], "n1", Targets.of(["n1", "n3"]), False),
        ([A], "n1", Targets.of([]), True),
        ([A], "n1", EVERYTHING, False),
        ([A], None, Targets.of(["n1"]), False),  # xCAT refuses what brings no noderange
        ([A, _row(noderange="b")], "n1", Targets.of(["n3"]), True),
        ([NOT_B, ANYTHING], None, Targets.of(["n1"]), True),
        ([NOT_B, ANYTHING], None, Targets.of(["n3"]), False),
        ([NOT_B, ANYTHING], "n1", Targets.of(["n3"]), False),
        ([NOT_B, ANYTHING], "n3", Targets.of([]), False),
        ([NOT_B, ANYTHING], None, EVERYTHING, False),
        ([NOT_B, ANYTHING], None, Targets.of([]), True),
        ([_row("deny", priority="0", noderange="none"), ANYTHING], None, EVERYTHING, True),
        ([A, ANYTHING], "n1", EVERYTHING, True),
    ],
)
def test_rows_for_some_nodes_judge_what_is_touched(
    rows: list[Row], nodes: str | None, touches: Targets, allowed: bool
) -> None:
    assert _ask(*rows, nodes=nodes, touches=touches).is_allowed is allowed


def test_an_allowed_command_may_touch_what_was_judged_and_no_more() -> None:
    assert _ask(A, nodes="n1", touches=Targets.of(["n2"])).nodes == {"n1", "n2"}
    assert _ask(A, ANYTHING, nodes="n1", touches=EVERYTHING).nodes is None


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [_row("deny"), ANYTHING],
        [_row(name="alice")],
        [_row(commands="lsdef")],
        [_row(host="elsewhere")],
        [_row(parameters="^$")],
        [_row(noderange="a")],  # the request brings no nodes
        [_row("deny", noderange="a")],
    ],
)
def test_nothing_is_looked_at_for_whom_no_row_can_allow(rows: list[Row]) -> None:
    assert candidates(rows, _query(args=("x",))) == ()


def test_nothing_is_looked_at_where_no_row_is_for_some_nodes() -> None:
    looked = Looked(frozenset(), EVERYTHING)
    assert decide(candidates([_row(), A], _query(nodes="n1")), looked).is_allowed
    assert looked.looks == 0


# -- what is as good as being root -------------------------------------------------------------


@pytest.mark.parametrize(
    "columns",
    [
        {"commands": "nodels"},
        {"host": "mn"},
        {"noderange": "all"},
        {"parameters": "."},
        {"time": "Monday"},
    ],
)
def test_a_row_with_any_restriction_does_not_allow_everything(columns: dict[str, str]) -> None:
    rows = [_row(**columns)]
    asked = {"args": ("x",), "nodes": "n1"}
    assert _ask(*rows, **asked).is_allowed
    assert not allows_everything(rows, _query(**asked))
    assert not _ask(*rows, needs_everything=True, **asked).is_allowed
    assert _ask(*rows, ANYTHING, needs_everything=True, **asked).is_allowed


@pytest.mark.parametrize(
    ("rows", "everything"),
    [
        ([_row(name="root")], True),
        ([_row("trusted", name="*")], True),
        ([_row(commands="*", host="*", noderange="*", parameters="*", time="*")], True),
        ([_row("deny"), ANYTHING], False),
        ([_row("deny", noderange="none"), ANYTHING], False),
        ([_row("deny", commands="lsdef"), ANYTHING], True),
        ([_row(name="alice")], False),
    ],
)
def test_who_is_restricted_in_nothing(rows: list[Row], everything: bool) -> None:
    assert allows_everything(rows, _query()) is everything


# -- who may speak for others --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "trusted"),
    [
        ({"name": "mn"}, True),
        ({"name": "*"}, False),
        ({"name": "root"}, False),
        ({"name": "mn", "commands": "nodels,lsdef"}, True),
        ({"name": "mn", "commands": "lsdef"}, False),
        ({"name": "mn", "host": "mn"}, True),
        ({"name": "mn", "host": "elsewhere"}, False),
        ({"name": "mn", "parameters": "x"}, False),
    ],
)
def test_trust_is_for_what_the_row_covers(columns: dict[str, str], trusted: bool) -> None:
    rows = [_row(), _row("trusted", priority="2", **columns)]
    assert trusts(rows, _query(user="mn")) is trusted
    assert not trusts(rows, _query(user=None))
    assert not trusts([_row(**columns)], _query(user="mn"))


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


_TOUCHES = st.sampled_from([None, EVERYTHING, *map(Targets.of, (["n1"], ["n3"], ["n1", "n9"], []))])


def _as_xcat_decides(rows: list[Row], user: str | None, nodes: frozenset[str]) -> bool:
    """The specification's words, for rows with names, node ranges and rules."""
    left = nodes
    for row in sorted(rows, key=lambda row: float(row["priority"] or 0)):
        names = {"": True, "*": user is not None}
        if not names.get(row.get("name") or "", row.get("name") == user):
            continue
        permits = row["rule"] == "allow"
        if not row.get("noderange"):
            return permits
        covered = left & GROUPS[row["noderange"]]
        if not covered:
            continue
        if not permits or covered == left:
            return permits
        left -= covered
    return False


@given(_ROWS, st.sampled_from(["n1", "n1,n3", "n9", None]), _TOUCHES)
def test_nothing_is_allowed_that_xcat_refuses(
    rows: list[Row], nodes: str | None, touches: Targets | None
) -> None:
    if _ask(*rows, nodes=nodes, touches=touches).is_allowed:
        assert _as_xcat_decides(rows, "root", _names(nodes))


@given(_ROWS, st.sampled_from(["n1", "n1,n3", "n9", None]))
def test_what_touches_its_own_nodes_is_judged_as_in_xcat(
    rows: list[Row], nodes: str | None
) -> None:
    assert _ask(*rows, nodes=nodes).is_allowed is _as_xcat_decides(rows, "root", _names(nodes))


@given(_ROWS, st.sampled_from(["n1", "n1,n3", None]))
def test_an_allowing_row_at_the_end_only_adds(rows: list[Row], nodes: str | None) -> None:
    last = _row(priority="9", name="root")
    if _ask(*rows, nodes=nodes).is_allowed:
        assert _ask(*rows, last, nodes=nodes).is_allowed
