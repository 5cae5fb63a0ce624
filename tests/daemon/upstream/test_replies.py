"""Replies are cut where documents end, and never changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.messages import Contents, NodeReply
from xcatd.upstream.replies import LARGEST_HELD, ReplyReader, reply_of
from xcatd.wire.stream import ResponseReader
from xcatd.wire.tree import MalformedError

from .conftest import GOLDEN, LAST, info

_STREAMS = [file.read_bytes() for file in GOLDEN]


def fed(data, sizes, largest=LARGEST_HELD):
    """The pieces that come of ``data`` in chunks of these sizes, then in one."""
    reader = ReplyReader(largest)
    pieces = []
    for size in (*sizes, len(data)):
        if data:
            pieces += reader.feed(data[:size])
            data = data[size:]
    return reader, pieces


@given(st.sampled_from(_STREAMS), st.lists(st.integers(1, 200)))
def test_recorded_replies_go_on_byte_for_byte_in_any_chunking(data, sizes):
    reader, pieces = fed(data, sizes)
    assert b"".join(piece.data for piece in pieces).rstrip() == data.rstrip()
    assert [piece.ends for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert reader.has_ended


@given(st.sampled_from(_STREAMS), st.lists(st.integers(1, 40)))
def test_every_piece_ends_with_whole_documents(data, sizes):
    for piece in fed(data, sizes)[1]:
        assert piece.data.rstrip().endswith(b"</xcatresponse>")


@given(st.integers(200, 3000), st.lists(st.integers(1, 300)))
def test_a_document_too_large_to_hold_flows_and_keeps_its_closing_tag_whole(length, sizes):
    data = info("first") + info("x" * length) + LAST
    reader, pieces = fed(data, sizes, largest=100)
    assert b"".join(piece.data for piece in pieces).rstrip() == data.rstrip()
    assert reader.has_ended
    assert not reader.is_flowing
    closing = [piece.data.count(b"</xcatresponse>") for piece in pieces]
    assert sum(closing) == 3


def test_an_end_within_a_large_document_counts():
    large = (
        b"<xcatresponse><serverdone></serverdone><info>" + b"x" * 500 + b"</info></xcatresponse>"
    )
    reader, pieces = fed(large, [50] * 20, largest=100)
    assert reader.has_ended and pieces[-1].ends


def test_the_word_deeper_inside_or_in_a_text_is_no_end():
    data = b"<xcatresponse><data><serverdone></serverdone></data></xcatresponse>" + info(
        "serverdone"
    )
    reader, pieces = fed(data, [])
    assert not reader.has_ended
    assert not any(piece.ends for piece in pieces)


def test_the_end_may_ride_with_other_things_and_what_follows_is_dropped():
    last = b"<xcatresponse><error>e</error><serverdone/></xcatresponse>\n"
    _, pieces = fed(last + info("after"), [])
    assert [tuple(piece) for piece in pieces] == [(last, True)]


def test_escape_characters_pass():
    last = b"<xcatresponse><info>\x1b[1m</info><serverdone></serverdone></xcatresponse>"
    assert fed(last, [])[1][-1] == (last, True)


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n", b"\x15\x03", b"<html>", b"<?xml version='1.0'?>"]
)
def test_what_is_no_reply_is_refused_at_once(data):
    with pytest.raises(MalformedError):
        list(ReplyReader().feed(data))


def test_a_broken_last_document_is_refused():
    with pytest.raises(MalformedError):
        list(ReplyReader().feed(b"<xcatresponse><serverdone></info></xcatresponse>"))


def _replies(name):
    data = next(file for file in GOLDEN if file.stem == name).read_bytes()
    return [reply_of(tree) for tree in ResponseReader().feed(data)]


def test_a_recorded_reply_as_a_plugin_sees_it():
    shapes, other, last = _replies("every-shape")
    assert shapes.errors == ("e",)
    assert shapes.info == ('a <b> & "c"', "", "0")
    assert shapes.data == ("x", "", Contents("c", "d"))
    assert shapes.nodes[:2] == (
        NodeReply("n1", data=Contents("c", "d")),
        NodeReply("n2", error="bad", errorcode=2),
    )
    assert (shapes.errorcode, shapes.source) == (4, "mn")
    assert shapes.flags == {"NoErrorPrefix"}
    assert shapes.extra["numofnodes"] == ("3",)
    assert other.source == "sn9"
    assert last == reply_of({})


def test_codes_of_one_document_are_joined():
    assert reply_of({"errorcode": ["1", "4", None, "x"]}).errorcode == 5
