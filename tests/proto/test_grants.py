"""What is said about grants: the same on either end, and within the bounds of a line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_proto import MAX_RELAY_LINE, codec, messages, names
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.messages import Grant, TakeRequest, What

LABELS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
DIGESTS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)


@given(LABELS, LABELS, DIGESTS)
def test_round_trip_in_one_line(kind, name, digest):
    request = TakeRequest(What(kind, name), digest)
    grant = Grant("xcat-aix:sn:sn2", request.what, digest)
    for value in (request, grant):
        text = json.dumps(codec.to_wire(value))
        assert codec.from_wire(type(value), json.loads(text)) == value
        assert len(text) < MAX_RELAY_LINE


@given(st.text())
def test_a_label_is_no_path_and_one_line(text):
    try:
        label = names.label(text)
    except AgentError as error:
        assert error.code is ErrorCode.BAD_NAME
    else:
        assert label.isprintable()
        assert not set("/\\ ~$`'\"") & set(label)
        assert label not in {".", ".."}


@pytest.mark.parametrize(
    "digest", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n", None]
)
def test_what_is_no_digest(digest):
    with pytest.raises(AgentError):
        names.digest(digest)


@pytest.mark.parametrize("to", ["", "sn2", "xcat-aix:sn:", "xcat-aix:mn:mn1", "xcat-aix:cn:n1"])
def test_only_a_service_node_may_be_meant(to):
    with pytest.raises(AgentError) as caught:
        Grant(to, What("tree", "t"), "0" * 64)
    assert caught.value.code is ErrorCode.BAD_NAME


def test_the_calls_stand_in_the_table():
    for method in messages.METHODS:
        assert f"``{method}``" in messages.__doc__
