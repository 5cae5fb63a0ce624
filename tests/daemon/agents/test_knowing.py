"""What an agent lacks is said before anything is sent, with its version and what to do."""

from __future__ import annotations

import dataclasses

import pytest

from xcat_aix_proto import messages
from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcatd.agents.connection import AgentConnection

SERVER, ROUTE = proto.SetXcatServer("10.0.0.2"), proto.ChangeDefaultRoute("10.0.0.1", "10.0.0.2")
WELCOME = messages.Welcome(1, "0.9", "n1", "cn", ("host.facts@1", SERVER.kind), 2)


class Silent:
    """A link that must not be used."""

    def __init__(self, asked):
        self._asked = asked

    def call(self, method, *args, limit=None):
        self._asked.append(method)
        return {"job_id": "j", "kind": SERVER.kind, "state": "accepted"}

    def close(self):
        pass


@pytest.fixture
def asked():
    return []


@pytest.fixture
def agent(asked):
    with AgentConnection(lambda: (Silent(asked), WELCOME)) as connection:
        yield connection


def test_what_an_agent_knows_is_what_it_said(agent):
    assert agent.knows(SERVER.kind)
    assert not agent.knows(ROUTE.kind)
    assert not agent.knows(proto.Chain.kind)


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda agent: agent.submit("j", ROUTE, 5), ROUTE.kind),
        (lambda agent: agent.probe(ROUTE), ROUTE.kind),
        (lambda agent: agent.query(proto.NimSnapshot()), "nim.snapshot@1"),
        (lambda agent: agent.submit("j", proto.Chain.of([SERVER]), 5), "chain@1"),
        (lambda agent: agent.probe(proto.Chain.of([SERVER])), "chain@1"),
    ],
)
def test_what_it_lacks_is_not_sent(agent, asked, ask, kind):
    with pytest.raises(AgentError) as caught:
        ask(agent)
    text = f"its agent (version 0.9) does not know {kind}: update the agent"
    assert (caught.value.code, caught.value.message) == (ErrorCode.BAD_OPERATION, text)
    assert asked == []
    agent.submit("j", SERVER, 5)
    assert asked == ["submit"]


def test_a_chain_is_known_by_each_of_its_parts(asked):
    welcome = dataclasses.replace(WELCOME, operations=("chain@1", SERVER.kind))
    with AgentConnection(lambda: (Silent(asked), welcome)) as agent:
        agent.require(proto.Chain.of([SERVER]))
        with pytest.raises(AgentError, match=r"does not know client\.default_route@1: update"):
            agent.require(proto.Chain.of([SERVER, ROUTE]))


def test_after_a_reconnect_it_is_what_the_agent_says_then(asked):
    welcomes = [WELCOME, dataclasses.replace(WELCOME, version="1.0", operations=(ROUTE.kind,))]
    with AgentConnection(lambda: (Silent(asked), welcomes.pop(0))) as agent:
        agent.close()
        with pytest.raises(AgentError, match=r"version 1\.0\) does not know client\.xcatinfo@1"):
            agent.submit("j", SERVER, 5)
        assert asked == []
        agent.submit("j", ROUTE, 5)
