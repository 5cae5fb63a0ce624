"""Management node and agents of two versions: an agent of before chains, as it was recorded, and a lab with one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.agent.conftest import RawClient
from tests.daemon.agents.conftest import carry_out

from xcat_aix_lab import agents
from xcat_aix_lab.directory import Size
from xcat_aix_lab.former import Former, FormerAgent
from xcat_aix_lab.lab import Lab
from xcat_aix_proto import codec, messages
from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Role
from xcat_aix_proto.jobs import Verdict, records
from xcatd.agents import AgentPool

RECORDED = Path(__file__).with_name("recorded") / "before_chains.json"
EXCHANGES = json.loads(RECORDED.read_text())["exchanges"]
SERVER, OTHER = proto.SetXcatServer("10.0.0.1"), proto.SetXcatServer("10.0.0.2")
CHAIN = proto.Chain.of((SERVER, proto.RunPostscripts(("syslog",), "10.0.0.1", "n01")))
REFUSED = r"its agent \(version 0\.1\.0\) does not know chain@1: update the agent"


@pytest.fixture
def former(cluster, programs):
    server = FormerAgent(
        Former.read(RECORDED), cluster.config("sn1"), commands=programs, runner="inline"
    )
    server.start()
    cluster.servers.append(server)
    return server


@pytest.fixture
def raw(cluster, former):
    """Speaks to the agent byte by byte."""
    import socket

    context = cluster.pool._credentials.contexts().rpc
    with context.wrap_socket(socket.create_connection(former.addresses[0], 10)) as secure:
        yield RawClient(secure)


def test_the_double_answers_as_the_agent_of_then_did(raw):
    for exchange in EXCHANGES:
        ask = (exchange["method"], *exchange["params"])
        if exchange["answer"] is None:
            with pytest.raises(EOFError):
                raw.call(*ask)
        else:
            assert raw.call(*ask) == exchange["answer"]


def test_what_it_lacks_is_not_asked_of_it(cluster, former, caplog):
    with cluster.connect(former) as agent:
        for ask in (
            lambda: agent.submit("j", CHAIN, 5),
            lambda: agent.begin("j", CHAIN, 5, 1.0),
            lambda: agent.probe(CHAIN, "j"),
        ):
            with pytest.raises(AgentError, match=REFUSED) as caught:
                ask()
            assert caught.value.code is ErrorCode.BAD_OPERATION
        assert agent.jobs() == []
    assert "refused" not in caplog.text


def test_one_by_one_it_does_as_ever(cluster, former):
    with cluster.connect(former) as agent:
        assert agent.knows(messages.GRANTS)
        assert not agent.knows(messages.BEGIN)
        assert not agent.begin("j", SERVER, 30, 10.0).events
        assert carry_out(agent, "j", SERVER).outcome.ok
        assert agent.probe(SERVER, "j").verdict is Verdict.DONE
        agent.acknowledge("j")


def test_an_older_management_node_can_read_what_this_agent_says(cluster):
    """It reads strictly: a field more, and it would talk to no updated agent."""
    server = cluster.start("sn1")
    with cluster.connect(server) as agent:
        welcome = codec.to_wire(agent.welcome)
        (then,) = [each["answer"]["ok"] for each in EXCHANGES if each["method"] == "hello"]
        assert list(welcome) == list(then)
        assert set(then["operations"]) <= set(welcome["operations"])
        status = codec.to_wire(carry_out(agent, "c", proto.Chain.of((SERVER, OTHER))))
        assert list(status) == ["job_id", "kind", "state", "last_seq", "outcome"]
        assert list(status["outcome"]) == ["ok", "result", "error"]
        probe = codec.to_wire(agent.probe(OTHER))
        assert list(probe) == ["verdict", "text"]


def test_a_cluster_in_which_one_node_is_not_updated_yet(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.make(Size(compute_nodes=2, service_nodes=2, diskful_percent=100))
    agents.former_file(lab.directory, "n01").write_text(RECORDED.read_text())
    lab.up(in_process=True)
    try:
        pool = AgentPool(lab.directory.confdir / "aix")
        places = {node.name: node for node in lab.directory.cluster.with_agent}
        found = {}
        for name in ("n01", "n02"):
            address = places[name].interfaces[0].address
            port = lab.directory.settings.agentport
            with pool.connect(name, Role.CN, address, port) as agent:
                found[name] = agent.knows(proto.Chain.kind)
                if not found[name]:
                    with pytest.raises(AgentError, match=REFUSED):
                        agent.begin("c", CHAIN, 30, 10.0)
                    for place, part in enumerate(CHAIN.parts):
                        assert carry_out(agent, f"c.{place}", part).outcome.ok
                else:
                    outcome = carry_out(agent, "c", CHAIN).outcome
                    assert [one.is_done for one in records(outcome, 2)] == [True, True]
            text = (lab.directory.node(name) / "root/etc/xcatinfo").read_text()
            assert "XCATSERVER=10.0.0.1" in text
        assert found == {"n01": False, "n02": True}
    finally:
        lab.down()
