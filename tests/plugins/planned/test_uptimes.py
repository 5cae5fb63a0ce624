"""The toy question: 300 agents at once, each with its answer or why there is none."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.daemon.agents.conftest import Cluster

from xcat_aix.commands.planned.agents import MOST_AT_ONCE, AgentCalls
from xcat_aix.plan.model import Target
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Role
from xcat_aix_proto.jobs import NodesProbe, NodesResult, Verdict

from .stage import Site
from .toy import SECONDS, KeepNotes, Up, Uptime

NODES = tuple(f"n{number}" for number in range(1, 301))


def large(tmp_path: Path) -> Site:
    site = Site.new(tmp_path / "db", dict.fromkeys(NODES, "sn1"))
    for seconds, node in enumerate(NODES):
        site.world.node(node).answers[Uptime.kind] = Up(seconds)
    return site


def test_each_node_answers_or_says_why_not(tmp_path: Path) -> None:
    site = large(tmp_path)
    site.world.node("n7").is_down = True
    site.world.node("n300").answers[Uptime.kind] = AgentError(ErrorCode.COMMAND_FAILED, "not here")
    site.world.node("n9").lacking.add(Uptime.kind)
    said = site.run("uptimes", "compute")
    assert sorted(node.name for node in said.nodes) == sorted(NODES)
    errors = {node.name: node.error for node in said.nodes if node.error}
    assert errors == {
        "n7": "its agent cannot be connected",
        "n9": f"its agent (version 0.9) does not know {Uptime.kind}: update the agent",
        "n300": "not here",
    }
    assert [node.data for node in said.nodes if node.name == "n42"] == ["up 41 s"]
    assert said.status == 1 and site.world.open_connections == 0
    assert site.roles == {("cn", node) for node in NODES}


def test_many_are_asked_at_once_up_to_a_bound(tmp_path: Path) -> None:
    """Each waits until as many as may are there."""
    site = large(tmp_path)
    together = threading.Barrier(MOST_AT_ONCE, timeout=20)
    asked = NODES[: 4 * MOST_AT_ONCE]
    site.world.on_call = lambda _node, _call: together.wait() and None
    agents = AgentCalls.of(asked, site.context())
    found = agents.ask([Target("cn", node) for node in asked], lambda agent: agent.query(Uptime()))
    assert {target.node for target, answer in found.items() if isinstance(answer, Up)} == set(asked)
    assert site.world.most_connections == MOST_AT_ONCE


def test_when_it_is_given_up_nobody_else_is_asked(tmp_path: Path) -> None:
    site = large(tmp_path)
    site.world.on_call = lambda _node, _call: site.cancelled.set()
    said = site.run("uptimes", "compute")
    left = [node.name for node in said.nodes if node.error and "given up" in node.error]
    assert len(left) >= len(NODES) - MOST_AT_ONCE
    assert len(said.nodes) == len(NODES)


# By real agents


def test_real_agents_answer_and_keep_notes(cluster: Cluster) -> None:
    """The operations as they are entered in the agent: a query, a job with a word for each node, its probe."""
    server = cluster.start("sn1")
    (server.config.root / "proc").mkdir()
    (server.config.root / "proc/uptime").write_text("42")
    place = server.config.root / "etc/notes"
    place.mkdir()
    (place / "n2").mkdir()
    wanted = KeepNotes(("n1", "n2", "n3"), "hello")
    with cluster.connect(server, role=Role.SN) as agent:
        assert agent.query(Uptime(), SECONDS) == Up(42)
        update = agent.begin("j", wanted, 30.0, 10.0)
        assert update.status.outcome is not None and update.status.outcome.ok
        result = NodesResult.of(update.status.outcome.result)
        assert result.done == ("n1", "n3")
        assert (
            list(result.failed) == ["n2"] and "cannot write the note of n2" in result.failed["n2"]
        )
        assert any(event.text.startswith("n2: failed: ") for event in update.events)
        probe = agent.probe(wanted, "j")
        assert isinstance(probe, NodesProbe) and probe.verdict is Verdict.NOT_DONE
        assert {node: each.verdict for node, each in probe.nodes.items()} == {
            "n1": Verdict.DONE, "n2": Verdict.NOT_DONE, "n3": Verdict.DONE,
        }  # fmt: skip
        assert agent.probe(wanted.only(["n1", "n3"]), "j").verdict is Verdict.DONE
        try:
            agent.query(wanted)
        except AgentError as refused:
            assert refused.code is ErrorCode.BAD_OPERATION
        else:
            raise AssertionError("a job is no query")
    assert (place / "n1").read_text() == "hello"
