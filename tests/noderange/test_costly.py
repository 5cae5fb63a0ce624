"""Regular expressions that could stop the daemon are refused; those that people write are not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.db import values
from xcatd.text import perlre
from xcatd.text.costly import is_costly


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$", "(a*)*$", "(a|aa)+$", "(a|a?)+$", r"(\w+\s*)*$", "(.*a){20}", "(x+x+)+y", "((a+)b?)*c",
        "(?:a+)+$", "(?P<name>[a-z]+)*$", "(a?a?)*$", "((a|b)+)+$", "x(?=(a+)+b)", "(a[a-z]+)*$", "(a{1,9}){9}b",
        "(?i)(a+)+b", "(?i:a+)+b", "(?i)([a-z]+A)*$", "(?#why)(a+)+", r"(a)(?(1)(b+)+|c)", r"(a\w*)(?P<n>x*\1)*",
    ],
)  # fmt: skip
def test_costly_ones(pattern):
    assert is_costly(pattern)
    with pytest.raises(perlre.BadPattern, match="several ways"):
        perlre.compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "", "node", r"\D+(\d+)", r"\D+(\d+)\D+(\d+)", r"(\d+)-(\d+).*$", r"^([a-z]+\d+)+$", r"(\.\d+)*$",
        r"(\d{1,3}\.){3}\d{1,3}", "([0-9a-f]{2}:){5}[0-9a-f]{2}", "(rack|cec)+", "(node|nic)*", "(a|b|c)+",
        "^(n1|n2|rack.*)$", ".*foo.*bar.*", "(a+)?", "(a+b)?c", "((ab))+", r"(\d+,)*\d+", "(?:-[a-z]+)+",
        "[(+)]+", r"\(a+\)+", "a{2}", "(?=a+)b", r"[\D0]*(\d+)[\D0]*(\d+).*$", "(?P<n>a)(?P=n)", "(?i)a+b", "(?i:a+)?", "(?#why)a", r"(a)(?(1)b|c)", r"(ab)\1",
    ],
)  # fmt: skip
def test_others(pattern):
    assert not is_costly(pattern)


def test_a_table_value_that_would_take_for_ever_gives_nothing():
    begin = time.process_time()
    assert values.expand("|(a+)+$|x|", "a" * 60 + "!") is None
    assert time.process_time() - begin < 1


pieces = st.sampled_from(
    [
        "a",
        "b",
        "[ab]",
        ".",
        "a*",
        "b+",
        "a?",
        "(a+b)*",
        "(ab)+",
        "(a|b)*",
        "(a+)*",
        "(b?a)+",
        "(a.)*",
    ]
)
patterns = st.recursive(
    st.lists(pieces, min_size=1, max_size=3).map("".join),
    lambda inner: st.tuples(inner, st.sampled_from(["*", "+", "", "{3}"])).map(
        lambda pair: f"({pair[0]}){pair[1]}"
    ),
    max_leaves=3,
)


@given(patterns)
def test_what_passes_is_quick(pattern):
    if not is_costly(pattern):
        begin = time.process_time()
        perlre.compile_pattern(f"^(?:{pattern})!").search("ab" * 15 + "a" * 30)
        assert time.process_time() - begin < 2
