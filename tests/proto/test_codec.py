"""The codec: what one end sends is what the other end gets, and nothing else is let through."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Mapping, Optional, Set, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_proto import codec, facts, jobs, messages
from xcat_aix_proto.errors import AgentError, ErrorCode


@dataclass(frozen=True)
class Inner:
    word: str
    flag: bool = False


@dataclass(frozen=True)
class Sample:
    name: str
    count: int
    share: float
    maybe: Optional[str]
    inner: Inner
    many: Tuple[Inner, ...] = ()
    pair: Tuple[str, int] = ("a", 1)
    table: Mapping[str, int] = field(default_factory=dict)
    state: jobs.JobState = jobs.JobState.ACCEPTED


inners = st.builds(Inner, st.text(), st.booleans())
samples = st.builds(
    Sample,
    st.text(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.text(),
    inners,
    st.lists(inners).map(tuple),
    st.tuples(st.text(), st.integers()),
    st.dictionaries(st.text(), st.integers()),
    st.sampled_from(jobs.JobState),
)


@given(samples)
def test_round_trip_through_json(sample):
    assert codec.from_wire(Sample, json.loads(json.dumps(codec.to_wire(sample)))) == sample


GOOD = codec.to_wire(Sample("n", 1, 0.5, None, Inner("w")))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": 3}, "Sample.name must be str"),
        ({"count": True}, "Sample.count must be int"),
        ({"count": "1"}, "Sample.count must be int"),
        ({"share": "x"}, "Sample.share must be float"),
        ({"maybe": 4}, "Sample.maybe must be str"),
        ({"inner": []}, "Inner must be an object"),
        ({"inner": {"word": "w", "flag": 1}}, "Inner.flag must be bool"),
        ({"many": {}}, "Sample.many must be a list"),
        ({"pair": ["a"]}, "Sample.pair must have 2 items"),
        ({"table": []}, "Sample.table must be an object"),
        ({"state": "asleep"}, "Sample.state cannot be 'asleep'"),
        ({"extra": 1}, "Sample has no field 'extra'"),
    ],
)
def test_what_does_not_fit_is_named(change, complaint):
    with pytest.raises(AgentError) as caught:
        codec.from_wire(Sample, {**GOOD, **change})
    assert caught.value.code is ErrorCode.BAD_MESSAGE
    assert caught.value.message == complaint


def test_a_missing_field_is_named():
    with pytest.raises(AgentError, match="Sample lacks the field 'count'"):
        codec.from_wire(Sample, {k: v for k, v in GOOD.items() if k != "count"})


def test_fields_with_a_default_may_be_absent():
    assert codec.from_wire(Inner, {"word": "w"}) == Inner("w")


def test_an_integer_is_taken_where_a_float_is_meant():
    assert codec.from_wire(Sample, {**GOOD, "share": 2}).share == 2.0


def test_a_type_the_codec_does_not_know_is_a_programming_error():
    @dataclass(frozen=True)
    class Odd:
        value: Set[int]

    with pytest.raises(TypeError, match="does not know the type"):
        codec.from_wire(Odd, {"value": [1]})


def test_nim_objects_keep_order_and_repetition():
    database = facts.NimDatabase(
        True, (facts.NimObject("master", (("serves", "a"), ("serves", "b"), ("type", "master"))),)
    )
    again = codec.from_wire(facts.NimDatabase, codec.to_wire(database))
    assert again.by_name()["master"].attributes[1] == ("serves", "b")
    assert again.by_name()["master"].get("serves") == "a"
    assert again.by_name()["master"].get("nothing") is None


def test_envelopes():
    assert messages.unwrap(messages.ok([1])) == [1]
    with pytest.raises(AgentError) as caught:
        messages.unwrap(messages.failed(AgentError(ErrorCode.NIM_REFUSED, "no", "0042-053")))
    assert (caught.value.code, caught.value.detail) == (ErrorCode.NIM_REFUSED, "0042-053")
    for odd in (None, 3, {}, {"ok": 1, "error": {}}, {"error": "text"}):
        with pytest.raises(AgentError, match="not an envelope"):
            messages.unwrap(odd)


@pytest.mark.parametrize("code", [99999, -1, 10**30])
def test_an_unknown_error_number_is_internal(code):
    assert AgentError.from_wire({"code": code, "message": "m"}).code is ErrorCode.INTERNAL


@pytest.mark.parametrize("code", [None, "x", "401", [1], True, 401.0, float("inf"), float("nan")])
def test_an_error_number_of_another_type_is_a_bad_message(code):
    assert AgentError.from_wire({"code": code, "message": "m"}).code is ErrorCode.BAD_MESSAGE


@pytest.mark.parametrize("field", ["message", "detail"])
@pytest.mark.parametrize("text", [None, 1, ["x"], {"a": "b"}])
def test_a_text_of_another_type_is_a_bad_message(field, text):
    error = AgentError.from_wire({"code": 401, "message": "m", field: text})
    assert error.code is ErrorCode.BAD_MESSAGE


def test_an_outcome_gives_its_failure_as_exception():
    failure = AgentError(ErrorCode.TIMED_OUT, "too slow")
    outcome = jobs.JobOutcome(False, error=failure.to_wire())
    assert jobs.JobOutcome(True).failure() is None
    assert outcome.failure().code is ErrorCode.TIMED_OUT


def test_over_means_exited_or_lost():
    assert {s for s in jobs.JobState if s.is_over} == {jobs.JobState.EXITED, jobs.JobState.LOST}


def test_a_number_too_large_for_a_float_is_a_bad_message():
    @dataclass(frozen=True)
    class Timed:
        seconds: float

    codec._fields(Timed)
    for number in (10**400, -(10**400)):
        with pytest.raises(AgentError, match="must be float") as caught:
            codec.from_wire(Timed, {"seconds": number})
        assert caught.value.code is ErrorCode.BAD_MESSAGE
