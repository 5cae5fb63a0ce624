"""Items added to and taken from lists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.plan.definitions import itemlists

ITEM = st.text("abc", min_size=1)
LIST = st.lists(ITEM, min_size=1).map(",".join)


@given(LIST, LIST)
def test_adding_keeps_what_is_there_and_adds_each_item_once(text: str, more: str) -> None:
    found = itemlists.added(text, more)
    assert found.startswith(text)
    assert set(found.split(",")) == {*text.split(","), *more.split(",")}
    assert itemlists.added(found, more) == found


@given(LIST, LIST)
def test_nothing_of_what_was_removed_is_left(text: str, fewer: str) -> None:
    left = itemlists.split(itemlists.removed(text, fewer) or "")
    assert left == [item for item in text.split(",") if item not in fewer.split(",")]
    assert itemlists.missing(text, fewer) == [
        item for item in fewer.split(",") if item not in text.split(",")
    ]


def test_nothing_left_is_no_value() -> None:
    assert itemlists.removed("a,b", "b,a") is None


def test_adding_to_no_value_takes_the_text_as_it_is() -> None:
    assert itemlists.added(None, "a,a") == "a,a"


def test_another_separator() -> None:
    assert itemlists.added("a==1", "b==2,c", "::") == "a==1::b==2,c"
