"""Texts of the other end: cut, counted, and harmless to show."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_proto import bounds
from xcat_aix_proto.errors import AgentError, ErrorCode

ESC = "\x1b[2J\x9b\r\x00"


def test_longer_texts_are_cut_and_say_how_long_they_were():
    assert bounds.cut("x" * 30, 30) == "x" * 30
    assert bounds.cut("x" * 31, 30) == "x" * 13 + "… (31 characters)"
    assert bounds.cut(bounds.cut("x" * 99, 30), 30) == bounds.cut("x" * 99, 30)


def test_an_error_is_bounded_on_both_ends():
    huge = AgentError(ErrorCode.COMMAND_FAILED, "x" * 31_000_000, "y" * 31_000_000)
    for error in (
        huge.to_wire(),
        {**huge.to_wire(), "message": huge.message, "detail": huge.detail},
    ):
        read = AgentError.from_wire(error)
        assert len(read.message) < bounds.MAX_TEXT + 40
        assert len(read.detail) < bounds.MAX_DETAIL + 40
        assert read.message.endswith("x… (31000000 characters)")
        assert read.detail.endswith("y… (31000000 characters)")
        assert read.code is ErrorCode.COMMAND_FAILED


def test_control_characters_of_an_error_are_visible():
    read = AgentError.from_wire({"code": 401, "message": f"a\nb{ESC}", "detail": f"a\n\tb{ESC}"})
    assert read.message == "a b\\x1b[2J\\x9b\\r\\x00"
    assert read.detail == "a\n\tb\\x1b[2J\\x9b\\r\\x00"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=50)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=10), inner, max_size=5)
    ),
)


@given(JSON)
def test_nothing_that_moves_a_cursor_is_left_anywhere(data):
    def texts(value):
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            for item in value:
                yield from texts(item)
        elif isinstance(value, dict):
            for name, item in value.items():
                yield name
                yield from texts(item)

    for text in texts(bounds.bounded(data)):
        assert all(char.isprintable() or char in "\n\t" for char in text)


@given(st.recursive(st.text("abc ", max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_plain_short_data_stays_what_it_is(data):
    assert bounds.bounded({"a": data, "detail": data}) == {"a": data, "detail": data}


def test_long_texts_and_names_anywhere():
    data = bounds.bounded({"k" * 10**6: ["x" * 10**6], "detail": "d" * 10**6, "text": "a\nb"})
    assert max(map(len, data)) < bounds.MAX_TEXT + 40
    (name,) = (name for name in data if name.startswith("k"))
    assert len(data[name][0]) < bounds.MAX_TEXT + 40
    assert bounds.MAX_DETAIL - 40 < len(data["detail"]) < bounds.MAX_DETAIL + 40
    assert data["text"] == "a b"


def test_results_of_any_size():
    assert bounds.result({"changed": True}) == {"changed": True}
    assert bounds.result({"x": "y" * 10**6}) == {"left_out": "a result of 1000009 characters"}


def test_stories_end():
    story = bounds.Story()
    told = list(story.told(str(number) for number in range(3 * bounds.MAX_EVENTS)))
    assert len(told) == bounds.MAX_EVENTS + 1
    assert told[-1] == "no more of what this job tells is kept"
    assert list(story.told(["more"])) == []
    story = bounds.Story()
    told = list(story.told(["x" * 10_000] * 5000))
    assert sum(map(len, told)) < bounds.MAX_STORY + 5000
    assert told[-1] == "no more of what this job tells is kept"


def test_a_message_is_read_if_it_is_small_and_flat():
    assert bounds.parsed(b'{"a": [1, 0.5, true, null, "x"]}') == {"a": [1, 0.5, True, None, "x"]}
    text = json.dumps(["[,{" * 1000, "\\", '\\"', '"[,'] * 3).encode()
    assert bounds.parsed(text, 13) == json.loads(text)
    assert bounds.parsed(memoryview(b"[[[]]]"), 3) == [[[]]]


@pytest.mark.parametrize(
    ("text", "most"),
    [
        (b"[" + b"1," * 100 + b"1]", 100),
        (b"[" + b"{}," * 100 + b"1]", 100),
        (b"[" + b'"a,b",' * 100 + b"1]", 100),
        (b"[" + b'"\\\\\\"a",' * 100 + b"1]", 100),
        (b'"' * 5000, 100),
        (b'"\\"[' * 5000, 100),
        (b"[" * 41 + b"]" * 41, 100),
        (b'{"a":' * 41 + b"1" + b"}" * 41, 100),
        (b"[" * 90_000, 100_000),
        (b"9" * 41, 100),
        (b"1e999", 100),
        (b"NaN", 100),
        (b"-Infinity", 100),
        (b"[\xff]", 100),
        (b"", 100),
        (b"[1", 100),
    ],
)
def test_no_other_message_is_read(text, most):
    with pytest.raises(ValueError):
        bounds.parsed(text, most)


@given(JSON)
def test_what_is_within_the_bounds_is_read_as_it_is(data):
    assert bounds.parsed(json.dumps(data).encode()) == data


def test_bounding_makes_no_second_copy():
    data = {"a": [["x"]], "b\n": 1}
    inner = data["a"]
    assert bounds.bounded(data) is data
    assert data["a"] is inner
    assert set(data) == {"a", "b "}
