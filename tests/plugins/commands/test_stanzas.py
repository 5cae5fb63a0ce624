"""Stanza files: what counts as a header, a value, a default, and what is dropped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.commands.definitions import stanzas

NAMES = st.text("abcn019-_./", min_size=1).filter(lambda name: not name.startswith("default-"))
ATTRIBUTES = st.text("abcdefg.", min_size=1)
TEXTS = st.text(
    st.characters(blacklist_categories=("Cc", "Zs", "Zl", "Zp"), blacklist_characters='":#'),
)


@given(st.dictionaries(NAMES, st.dictionaries(ATTRIBUTES, TEXTS)))
def test_what_is_written_is_read_again(objects: dict[str, dict[str, str]]) -> None:
    lines = ["# <xCAT data object stanza file>"]
    for name, attributes in objects.items():
        lines += ["", f"{name}:", *(f"    {key}={text}" for key, text in attributes.items())]
    assert stanzas.parse("\n".join(lines)).objects == objects


def test_defaults_are_for_later_objects_of_their_type() -> None:
    text = (
        "a:\n objtype=node\ndefault-node:\n os=AIX\n arch=ppc64\n"
        "b:\n objtype=node\n os=own\nc:\n objtype=group\n"
    )
    found = stanzas.parse(text)
    assert found.objects == {
        "a": {"objtype": "node"},
        "b": {"objtype": "node", "os": "own", "arch": "ppc64"},
        "c": {"objtype": "group"},
    }
    assert found.kinds == ("node", "node", "group")


def test_one_pair_of_quotes_and_the_blanks_in_it_go() -> None:
    found = stanzas.parse('n:\n a = " x y "\n b=""q""\n c="\n')
    assert found.objects == {"n": {"a": "x y", "b": '"q"', "c": ""}}


def test_a_line_without_an_equals_sign_ends_its_stanza() -> None:
    found = stanzas.parse("n:\n a=1\n nonsense\n b=2\nm:\n b=3\n")
    assert found.objects == {"n": {"a": "1"}, "m": {"b": "3"}}


def test_a_value_that_ends_in_a_colon_ends_its_stanza() -> None:
    found = stanzas.parse("n:\n a=1\n b=2:\n c=3\nm:\n d=4\n")
    assert found.objects == {"n": {"a": "1"}, "m": {"d": "4"}}


def test_a_name_may_hold_colons() -> None:
    assert stanzas.parse("fd59::/64:\n net=x\n").objects == {"fd59::/64": {"net": "x"}}


def test_lines_before_the_first_header_are_dropped() -> None:
    assert stanzas.parse("a=1\n\nn:\n b=2").objects == {"n": {"b": "2"}}
