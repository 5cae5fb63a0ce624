"""Expressions mean what they mean to Perl; what the library has beyond Perl never gets to it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.text import perlre, perlsyntax

CASES = json.loads((Path(__file__).parent / "perl.json").read_text("utf-8"))


def _answer(pattern, text):
    found = perlre.compile_pattern(pattern).search(text)
    return 0 if found is None else [found.start(), found.end(), *found.groups()]


def test_perl_answers_the_same():
    """What Perl 5.36 said to written and to random patterns: the match and its groups, nothing, or an error."""
    assert len(CASES) > 1400
    for case in CASES:
        if "error" in case or "refused" in case:
            with pytest.raises(perlre.BadPattern):
                perlre.compile_pattern(case["pattern"])
            continue
        assert _answer(case["pattern"], case["text"]) == case["perl"], case


@pytest.mark.parametrize(
    ("pattern", "text", "groups"),
    [
        (r"(?<rack>r\d+)(?<node>n\d+)\k<node>", "r1n2n2", ("r1", "n2")),
        (r"a++b|(?>a+)c", "aac", ()),
        (r"foo\Kbar", "foobar", ()),
        (r"^[[:alpha:]]+[[:digit:]]{2}\Z", "node12\n", ()),
        (r"n(\d+)\z", "n12", ("12",)),
    ],
)
def test_what_the_other_engine_lacked(pattern, text, groups):
    found = perlre.compile_pattern(pattern).search(text)
    assert found is not None
    assert found.groups() == groups


@pytest.mark.parametrize(
    "pattern",
    [
        "(?R)", "(?1)(a)", "(?&n)(?<n>a)", "(?|(a)|(b))", "(?{1})", "(??{1})", "(*FAIL)", "(?(R)a)", "(?(DEFINE)a)",
        r"\Qa\E", r"\La", r"\ma", r"\L<n>", r"\u0041", "(?e)a", "(?b)a", "(?r)a", "(?f)a", "(?V1)a", "(?w)a", "(?n)a",
        "(?<n>a)(?<n>b)", "(", ")", "[", "a**", "*", "a|*", "[b-a]", "[[:nope:]]", "[[=a=]]", "a{2,1}", "a{65535}",
        "x" * 4097, "(" * 101 + ")" * 101, "\\", r"\c", r"\x{110000}", r"\p{nope}", r"\2(a)",
    ],
)  # fmt: skip
def test_refused(pattern):
    with pytest.raises(perlre.BadPattern, match="not a usable regular expression"):
        perlre.compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("ab{e<=3}", "ab{e<=3}"), ("(?:ab){i}", "ab{i}"), ("a{s<1,d}", "a{s<1,d}"), ("[a&&b]+", "a&&b"),
        ("[a||b]+", "a||b"), ("[a~~b]+", "a~~b"), ("[[a]+", "[a"), (r"\<a\>", "<a>"),
    ],
)  # fmt: skip
def test_the_librarys_own_signs_are_plain(pattern, text):
    assert _answer(pattern, text) == [0, len(text)]


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:a?){60000}", "(?:^{1000}){1000}", "((a{500}){500}){500}", "(?:(?:a*){1000,}){1000,}",
        "(?:(?:ab?){1000}+){1000}+", "(?:[ab]{99}){99}",
    ],
)  # fmt: skip
def test_repetitions_that_would_be_written_out_are_bounded(pattern):
    with pytest.raises(perlre.BadPattern, match="written out"):
        perlre.compile_pattern(pattern)


SIGNS = st.sampled_from(
    [
        *"ab1.*+?|()[]{}^$\\-:<>=!#,&~ \n",
        "(?",
        "(?:",
        "(?i)",
        "(?x",
        "[:alpha:]",
        "{2,3}",
        r"\d",
        r"\b",
        r"\K",
        r"\N",
        "é",
    ]
)


@given(st.lists(SIGNS, max_size=25).map("".join), st.text("ab1 \n", max_size=8))
def test_any_text_is_an_expression_or_a_bad_one(pattern, text):
    try:
        perlre.compile_pattern(pattern).search(text)
    except perlre.BadPattern as bad:
        assert str(bad)


PLAIN = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", "^", "$", "1"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        inner.map(lambda one: f"({one})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{1,2}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=8,
)


@given(PLAIN, st.text("ab1", max_size=8))
def test_two_engines_agree_on_plain_expressions(pattern, text):
    found = re.compile(pattern, re.ASCII).search(text)
    ours = perlre.compile_pattern(pattern).search(text)
    assert (found and found.span()) == (ours and ours.span())


def test_all_that_is_put_together_is_known_to_the_library():
    """Each construct once, so that a version of it that takes one away shows here."""
    pattern = (
        r"(?i:a)(?-i:b)(?>c)(?=d)(?!e)(?<=f)(?<!g)(?P<n>h)(?P=n)(\1)(?(1)i|j)\p{L}\X\K[\x00-\x{10ffff}]"
        r"k*+l+?m{2,3}\A\Z\b\B"
    )
    translated = perlsyntax.translate(pattern)
    assert perlre.compile_pattern(pattern).search("") is None
    assert translated.items > 20
