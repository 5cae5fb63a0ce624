"""Several operations as one: what can be a chain, and what its outcome tells of each."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_proto import codec, jobs, operations
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import JobOutcome, Record, RecordState
from xcat_aix_proto.operations import (
    MAX_CHAIN,
    Chain,
    HostFacts,
    Right,
    SetBootlist,
    SetXcatServer,
    to_wire,
)

PARTS = (SetXcatServer("10.1.0.2"), SetBootlist("10.1.0.9", "10.1.0.2"))
SERVER = to_wire(SetXcatServer("10.1.0.2"))


def read(*parts):
    return operations.from_wire({"kind": "chain@1", "args": {"operations": list(parts)}})


def test_round_trip():
    chain = Chain.of(PARTS)
    wire = json.loads(json.dumps(to_wire(chain)))
    assert wire["args"]["operations"] == [to_wire(part) for part in PARTS]
    assert operations.from_wire(wire) == chain
    assert operations.from_wire(wire).parts == PARTS


def test_an_operation_by_itself_is_its_only_part():
    assert PARTS[0].parts == (PARTS[0],)


def test_what_is_left_away_makes_no_other_chain():
    short = {"kind": "client.bootlist@1", "args": {"client": "10.1.0.9", "server": "10.1.0.2"}}
    assert read(SERVER, short) == Chain.of(PARTS)
    with pytest.raises(AgentError, match="operation 2 of 2 is there twice"):
        read(to_wire(PARTS[1]), short)


def test_the_right_is_the_greatest_of_its_parts(monkeypatch):
    assert Chain.of(PARTS).right is Right.OPERATE
    monkeypatch.setattr(SetBootlist, "right", Right.ADMIN)
    assert Chain.of(PARTS).right is Right.ADMIN
    assert Chain.of(PARTS[:1]).right is Right.OPERATE


@pytest.mark.parametrize(
    ("parts", "code", "text"),
    [
        ([], ErrorCode.BAD_OPERATION, "0 operations"),
        (
            [SERVER] * (MAX_CHAIN + 1),
            ErrorCode.BAD_OPERATION,
            "33 operations, and a chain has 1 to",
        ),
        ([SERVER] * 5000, ErrorCode.BAD_OPERATION, "5000 operations"),
        ([SERVER, to_wire(Chain.of(PARTS))], ErrorCode.BAD_OPERATION, "2 of 2: chain@1 cannot be"),
        ([{"kind": "chain@1"}], ErrorCode.BAD_OPERATION, "chain@1 cannot be part"),
        ([to_wire(HostFacts())], ErrorCode.BAD_OPERATION, "host.facts@1 cannot be part"),
        ([SERVER, SERVER], ErrorCode.BAD_OPERATION, "operation 2 of 2 is there twice"),
        ([{"kind": "client.new@1", "args": {}}], ErrorCode.BAD_OPERATION, "1 of 1: this version"),
        ([{"kind": "client.postscripts@1", "args": {}}], ErrorCode.BAD_OPERATION, "knows no"),
        ([{**SERVER, "args": {"server": "sn2"}}], ErrorCode.BAD_NAME, "1 of 1: 'sn2' is not an IP"),
        ([{**SERVER, "more": 1}], ErrorCode.BAD_MESSAGE, "must have 'kind' and 'args'"),
        ([{"kind": ["chain@1"], "args": {}}], ErrorCode.BAD_OPERATION, "knows no operation"),
        (["chain@1"], ErrorCode.BAD_MESSAGE, "must be an object"),
        ([None], ErrorCode.BAD_MESSAGE, "must be an object"),
    ],
)
def test_what_is_no_chain(parts, code, text):
    with pytest.raises(AgentError, match=text) as caught:
        read(*parts)
    assert caught.value.code is code


def test_nothing_of_a_chain_within_a_chain_is_read(monkeypatch):
    """However deep it is nested."""
    nested = to_wire(Chain.of(PARTS))
    for _ in range(10):
        nested = {"kind": "chain@1", "args": {"operations": [nested, SERVER]}}
    looked_at, look = [], operations._part
    monkeypatch.setattr(
        operations, "_part", lambda *args: looked_at.append(args[0]["kind"]) or look(*args)
    )
    with pytest.raises(AgentError, match="1 of 2: chain@1 cannot be part"):
        operations.from_wire(nested)
    assert looked_at == [Chain.kind]


_RECORDS = st.lists(
    st.builds(
        Record,
        state=st.sampled_from(RecordState),
        text=st.text(max_size=5),
        error=st.none() | st.just({"code": 401, "message": "x", "detail": ""}),
        result=st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    ),
    max_size=MAX_CHAIN,
).map(tuple)


@given(_RECORDS, st.none() | st.just(AgentError(ErrorCode.COMMAND_FAILED, "it failed", "why")))
def test_an_outcome_carries_the_records_whether_it_failed_or_not(records, error):
    wire = json.loads(json.dumps(codec.to_wire(jobs.with_records(records, error))))
    outcome = codec.from_wire(JobOutcome, wire)
    assert (outcome.ok, jobs.records(outcome, len(records))) == (error is None, records)
    failure = outcome.failure()
    assert (failure and failure.message) == (error and error.message)


@pytest.mark.parametrize(
    "result", [{}, {"records": 3}, {"records": []}, {"records": [{}, {}]}, {"records": [1, 2, 3]}]
)
def test_an_outcome_without_a_record_for_each(result):
    with pytest.raises(AgentError) as caught:
        jobs.records(JobOutcome(ok=True, result=result), 2)
    assert caught.value.code is ErrorCode.BAD_MESSAGE


def test_what_is_done_and_what_is_not():
    assert {state for state in RecordState if Record(state).is_done} == {
        RecordState.DONE,
        RecordState.WAS_SO,
    }
    assert Record(RecordState.LOST).failure() is None
    error = AgentError(ErrorCode.NIM_REFUSED, "no").to_wire()
    assert Record(RecordState.FAILED, error=error).failure().code is ErrorCode.NIM_REFUSED
