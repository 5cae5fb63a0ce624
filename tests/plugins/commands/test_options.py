"""Options as xCAT's commands read them."""

from __future__ import annotations

import getopt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.commands import options
from xcat_aix.commands.options import flag, value

OPTIONS = (
    flag("a", "all"),
    value("i"),
    flag("l", "long"),
    value("w"),
    flag("v", "version"),
    flag("V", "verbose"),
    flag("?", "h", "help"),
    flag("osimage"),
)


def parse(*words: str) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    arguments = options.parse(words, OPTIONS)
    return arguments.options, arguments.operands


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("n1 -l n2", ({"l": ("",)}, ("n1", "n2"))),
        ("-al -i mgt", ({"a": ("",), "l": ("",), "i": ("mgt",)}, ())),
        ("-imgt", ({"i": ("mgt",)}, ())),
        ("-i=mgt x", ({"i": ("=mgt",)}, ("x",))),
        ("-i -l", ({"i": ("-l",)}, ())),
        ("--w q --w=r", ({"w": ("q", "r")}, ())),
        ("-w a==b -w=c", ({"w": ("a==b", "=c")}, ())),
        ("--lo --os", ({"l": ("",), "osimage": ("",)}, ())),
        ("-vV", ({"v": ("",), "V": ("",)}, ())),
        ("-? --help", ({"?": ("", "")}, ())),
        ("x -- -l", ({}, ("x", "-l"))),
        ("x - y", ({}, ("x", "-", "y"))),
    ],
)
def test_words_become_options_and_operands(words: str, expected: object) -> None:
    assert parse(*words.split()) == expected


@pytest.mark.parametrize("words", ["-A", "--ver", "--bogus", "-i", "--all=3", "-long"])
def test_what_does_not_parse_is_an_error(words: str) -> None:
    with pytest.raises(options.OptionError):
        parse(*words.split())


def test_an_operand_can_end_the_options() -> None:
    arguments = options.parse(["-l", "site", "-a"], OPTIONS, operands_end_options=True)
    assert arguments.operands == ("site", "-a")
    assert arguments.has("l")
    assert not arguments.has("a")


def test_the_last_value_counts_where_one_is_wanted() -> None:
    arguments = options.parse(["-i", "a", "-i", "b"], OPTIONS)
    assert arguments.value("i") == "b"
    assert arguments.values("i") == ("a", "b")
    assert arguments.value("w", "none") == "none"


WORDS = st.sampled_from(
    [
        "-a",
        "-al",
        "-i",
        "-ix",
        "-li",
        "--all",
        "--lo",
        "--v",
        "--ver",
        "--w",
        "--w=x",
        "--osimage=1",
        "-",
        "--",
        "-i--",
        "n1",
        "-x",
        "--zz",
        "-?",
    ]
)


@given(st.lists(WORDS, max_size=7))
def test_many_words_are_split_as_getopt_splits_them(words: list[str]) -> None:
    short = "ai:lw:vV?h"
    names = ["all", "i=", "long", "w=", "version", "verbose", "help", "osimage", "a", "l", "v", "V"]
    try:
        found, operands = getopt.gnu_getopt(words, short, [*names, "?", "h"])
    except getopt.GetoptError as error:
        with pytest.raises(options.OptionError) as caught:
            parse(*words)
        assert str(caught.value) == error.msg
        return
    given_options, given_operands = parse(*words)
    assert given_operands == tuple(operands)
    assert sum(map(len, given_options.values())) == len(found)
