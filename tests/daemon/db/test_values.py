"""Expression values: the specification's examples, bounds, and that nothing ever gets out."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xcatd.db import arithmetic, values
from xcatd.db.errors import BrokenValue
from xcatd.db.snapshot import Snapshot
from xcatd.text import perlre


@pytest.mark.parametrize(
    ("node", "value", "expected"),
    [
        ("node5", r"|node(\d+)|10.0.0.($1+100)|", "10.0.0.105"),
        ("node5", "|10.0.0.($1+100)|", "10.0.0.105"),
        ("node007", "|x($1)|", "x7"),
        ("node5", r"|\D+(\d+)|10.0.(($1-1)/2).(($1-1)%2+1)|", "10.0.2.1"),
        ("r1n03", r"|\D+(\d+)\D+(\d+)|c(dim2idx($1,10,$2))|", "c3"),
        ("node20", '|10.1.0.(skip($1,"3:2"))|', "10.1.0.18"),
        ("node300", "|(ipadd(10,0,0,0,$1,0,0))|", "10.0.1.44"),
        ("node5", "/node/host/", "host5"),
        ("node5", "||x($1)|", "node5"),
        ("node5", "|||", "node5"),
        ("node5", "//x/", "node5"),
        ("node5", "|x(10.$1)|", "x"),
        ("node5", "|x(10.+$1)|", "x15"),
        ("node5", "|x(10 .$1)|", "x105"),
        ("n", r"|node(\d+)|x($1)|", "n"),
        ("r2n13", "|10.($1).0.($2)|", "10.2.0.13"),
        ("node5", r"|node(\d+)|bmc$1|", "bmc$1"),
        ("node5", "|^.*$||", None),
        ("node5", "", None),
        ("node5", "plain", "plain"),
        ("node5", "/only/two", "/only/two"),
        ("node5", "|", "|"),
        ("node5", "|x(system('id'))|", "x"),
        ("node5", "|x(1/0)|", "x"),
        ("node5", "|node(|x|", None),
        ("node5", '|(sprintf("%03d",$1))|', "005"),
        ("node5", '|(sprintf("%9999999d",$1))|', "%9999999d"),
        ("node5", "|(2**62)|", str(2**62)),
        ("node5", "|x(2**999999999)|", "x"),
        ("node5", "|x(10**10**10)|", "x"),
        ("node5", "|x(1<2<3)|", "x"),
        ("node5", "|(9223372036854775807+1)|", "-9223372036854775808"),
    ],
)
def test_worked_examples(node, value, expected):
    assert values.expand(value, node) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 100 + "1" + ")" * 100,
        "-" * 200 + "1",
        "1?" * 100 + "1" + ":1" * 100,
        "1+" * 5000 + "1",
    ],
)
def test_deep_or_long_expressions_are_refused(expression):
    with pytest.raises(arithmetic.CannotEvaluate):
        arithmetic.evaluate(expression, ())


@pytest.mark.parametrize(
    "expression", ["$1", "($1)", "open('/etc/passwd')", "__import__('os')", "$1.__class__", "`id`"]
)
def test_nothing_of_the_machine_can_be_reached(expression):
    assert values.expand(f"|x({expression})|", "node5") in ("x5", "x", "x5__class__")


def test_results_are_bounded():
    twenty_times = '|x("' + "$1" * 20 + '")|'
    assert values.expand(twenty_times, "n" + "1" * 100) == "x" + "1" * 2000
    assert values.expand(twenty_times, "n" + "1" * 250) == "x"
    assert values.expand("|x($1)|", "n" * 300) is None
    assert values.expand("|" + "($1)" * 65 + "|", "n1") is None


@pytest.mark.parametrize(
    "value",
    [
        "|.*|" + '("a"x4000)' * 64 + "|",
        "|.*|" + "a" * 9000 + "|",
        "|.*|(9**9**9)|",
        "|.*|(2**64)|",
        "|.*|(1" + "0" * 900 + ")|",
        "|.*|" + "(" * 60 + "1" + ")" * 60 + "|",
        "|.*|(" + "-" * 900 + "1)|",
        "|.*|(sprintf('" + "%s" * 200 + "'," + ",".join(["'x' x 4000"] * 60) + "))|",
        "|.*|(ipadd('a' x 4000,'b' x 4000,1,2,3,0,0))|",
    ],
)
def test_what_grows_is_nothing(value):
    assert values.expand(value, "n1") is None


def test_numbers_stay_numbers():
    factors = ",".join(["999999999999999999"] * 50)
    assert abs(int(values.expand(f"|.*|(dim2idx({factors}))|", "n1"))) < 2**63


COSTLY = "|<" + ".*" * 900 + "[XY]|a|"
LONG = "n" * 60


def _snapshot():
    return Snapshot.from_rows(
        {
            "nodelist": [{"node": "n1", "groups": "plain"}, {"node": "<" + LONG, "groups": "bad"}],
            "nodehm": [
                {"node": "plain", "mgt": "hmc"},
                {"node": "bad", "mgt": COSTLY, "power": "ipmi"},
            ],
        }
    )


def test_a_value_that_takes_too_long_is_known_by_its_place():
    with perlre.budget(0.6):
        with pytest.raises(BrokenValue) as caught:
            _snapshot().values("nodehm", ("mgt",))
        assert str(caught.value).startswith(
            "no value for table nodehm, row bad, column mgt: the expression "
        )
        assert _snapshot().values("nodehm", ("mgt",), ("n1",))["n1"]["mgt"].text == "hmc"
        assert _snapshot().values("nodehm", ("power",))["<" + LONG]["power"].text == "ipmi"


def test_who_shows_what_there_is_gets_the_others():
    broken = []
    with perlre.budget(0.6):
        snapshot = _snapshot().with_gaps(broken)
        assert snapshot.texts("nodehm", ("mgt", "power")) == {
            "n1": {"mgt": "hmc"},
            "<" + LONG: {"power": "ipmi"},
        }
        assert [len(rows) for rows in snapshot.values_all("nodehm", ("mgt",)).values()] == [1, 0]
    assert len(broken) == 1
    assert "table nodehm, row bad, column mgt" in broken[0]


def test_working_out_counts_like_matching():
    value = "|.*|" + "(" + "+".join(["1"] * 400) + ")|"
    with perlre.budget(0.02), pytest.raises(perlre.TooCostly, match="took longer than"):
        _expand_often(value)


def _expand_often(value):
    for number in range(10_000):
        values.expand(value, f"n{number}")


@example("|(.)|", "node5")
@example("|($1|", "n")
@given(
    st.text("|/()$123+-*%x.\\d?:\"',a[]{}<>=!~&^ ", max_size=40),
    st.sampled_from(["node5", "r1n03", ""]),
)
def test_no_text_raises(text, node):
    for value in (text, f"|{text}|", f"/{text}/", f"|\\D+(\\d+)|({text})|"):
        found = values.expand(value, node)
        assert found is None or (found and isinstance(found, str))


numbers = st.integers(-(2**40), 2**40)


@given(numbers, numbers.filter(bool))
def test_division_is_cs(a, b):
    quotient = int(arithmetic.evaluate(f"({a})/({b})", ()))
    remainder = int(arithmetic.evaluate(f"({a})%({b})", ()))
    assert quotient * b + remainder == a
    assert abs(remainder) < abs(b)
    assert remainder == 0 or (remainder < 0) == (a < 0)
