"""The one question: may this identity, by this protocol, have this?  Every combination has an answer."""

from __future__ import annotations

import pytest

from xcat_aix_agent.clock import SystemClock
from xcat_aix_agent.serving.grants import Grants
from xcat_aix_agent.serving.policy import CALLS, OPENING, Policy, RemoteCall
from xcat_aix_agent.serving.rights import PolicyFile
from xcat_aix_agent.serving.standing import Standing
from xcat_aix_proto import ALPN_RELAY, ALPN_RPC, ALPN_TAKE, messages
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcat_aix_proto.messages import Grant, RelayRequest, TakeRequest, What
from xcat_aix_proto.operations import (
    Chain,
    HostFacts,
    Operation,
    Right,
    SetBootlist,
    SetXcatServer,
)

READER, OPERATOR, NOBODY = (Identity(Role.MN, name) for name in ("reader", "operator", "nobody"))
SN, OTHER_SN, CN = Identity(Role.SN, "sn2"), Identity(Role.SN, "sn3"), Identity(Role.CN, "n1")
WHAT, DIGEST = What("tree", "t"), "0" * 64
RELAY, TAKE = RelayRequest("n1", "10.0.0.1", 3009), TakeRequest(WHAT, DIGEST)
JOB, QUERY = SetXcatServer("10.0.0.1"), HostFacts()
READING = [
    RemoteCall("hello"),
    RemoteCall("query", QUERY),
    RemoteCall("probe", JOB),
    RemoteCall("follow"),
    RemoteCall("jobs"),
]
CHANGING = [
    RemoteCall("submit", JOB),
    RemoteCall("begin", JOB),
    *map(RemoteCall, ("acknowledge", "cancel", "lodge", "withdraw")),
]
EVERYBODY = [READER, OPERATOR, NOBODY, SN, OTHER_SN, CN]
EVERYTHING = [OPENING, *READING, *CHANGING, RELAY, TAKE]
PROTOCOLS = [ALPN_RPC, ALPN_RELAY, ALPN_TAKE, "", "http/1.1"]

ALLOWED = {
    *((READER, ALPN_RPC, asked) for asked in [OPENING, *READING]),
    *((OPERATOR, ALPN_RPC, asked) for asked in [OPENING, *READING, *CHANGING]),
    *((OPERATOR, ALPN_RELAY, asked) for asked in [OPENING, RELAY]),
    *((SN, ALPN_TAKE, asked) for asked in [OPENING, TAKE]),
}


@pytest.fixture
def asked_of():
    """The machines whose addresses were looked up."""
    return []


@pytest.fixture
def policy(tmp_path, asked_of):
    path = tmp_path / "policy"
    path.write_text(f"[{READER}]\nallow = read\n[{OPERATOR}]\nallow = operate\n")
    rights, clock = PolicyFile(path), SystemClock()
    grants = Grants(clock, lambda who: who == OPERATOR)
    grants.lodge(Grant(str(SN), WHAT, DIGEST), Standing(OPERATOR, 1, 0.0, (), ALPN_RPC), 600)

    def clients(node):
        asked_of.append(node)
        return frozenset({"10.0.0.1"}) if node == "n1" else frozenset()

    return Policy("sn1", rights, clients, frozenset({3009}), grants, clock)


def is_allowed(policy, who, protocol, asked):
    try:
        policy.check(who, protocol, asked)
    except AgentError as error:
        assert error.code in {ErrorCode.NOT_ALLOWED, ErrorCode.WRONG_PEER, ErrorCode.BAD_MESSAGE}
        return False
    return True


def test_exactly_these_are_allowed(policy):
    allowed = {
        (who, protocol, asked)
        for who in EVERYBODY
        for protocol in PROTOCOLS
        for asked in EVERYTHING
        if is_allowed(policy, who, protocol, asked)
    }
    assert allowed == ALLOWED


def test_every_call_has_its_right():
    assert set(CALLS) == set(messages.METHODS)
    assert {call.method for call in (*READING, *CHANGING)} == set(CALLS)


def test_call_for_an_operation_without_one_needs_the_most(policy):
    assert not is_allowed(policy, OPERATOR, ALPN_RPC, RemoteCall("submit"))


def test_of_a_chain_each_operation_is_judged(policy, monkeypatch):
    chain = Chain.of([JOB, SetBootlist("10.0.0.9", "10.0.0.1")])
    for method in ("submit", "begin"):
        assert is_allowed(policy, OPERATOR, ALPN_RPC, RemoteCall(method, chain))
        assert not is_allowed(policy, READER, ALPN_RPC, RemoteCall(method, chain))
    assert is_allowed(policy, READER, ALPN_RPC, RemoteCall("probe", chain))
    monkeypatch.setattr(SetBootlist, "right", Right.ADMIN)
    for method in ("submit", "begin"):
        assert not is_allowed(policy, OPERATOR, ALPN_RPC, RemoteCall(method, chain))


def test_operation_without_a_right_of_its_own_needs_the_most(policy):
    assert not is_allowed(policy, OPERATOR, ALPN_RPC, RemoteCall("submit", Operation()))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"port": 22}, "port 22 is not relayed to"),
        ({"address": "10.0.0.9"}, "10.0.0.9 is not an address of a machine n1 in NIM here"),
        ({"node": "n2"}, "10.0.0.1 is not an address of a machine n2 in NIM here"),
    ],
)
def test_where_a_relay_may_lead(policy, change, text):
    target = {"node": "n1", "address": "10.0.0.1", "port": 3009, **change}
    with pytest.raises(AgentError, match=text):
        policy.check(OPERATOR, ALPN_RELAY, RelayRequest(**target))


def test_nim_is_not_asked_for_who_may_not_or_where_no_agent_is(policy, asked_of):
    for who, target in (
        (READER, RELAY),
        (SN, RELAY),
        (OPERATOR, RelayRequest("n1", "10.0.0.1", 22)),
    ):
        assert not is_allowed(policy, who, ALPN_RELAY, target)
    assert asked_of == []
