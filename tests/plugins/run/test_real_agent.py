"""The executor with real agents over mTLS on loopback: what the fake agent promises must hold there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from xcat_aix.plan.model import Lane, Plan, Target
from xcat_aix.run.states import Outcome
from xcat_aix.run.testing import ManualClock
from xcat_aix_agent.config import AgentConfig
from xcat_aix_agent.serving.server import AgentServer
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcat_aix_proto.operations import SetXcatServer
from xcatd.agents import AgentPool
from xcatd.pki.authority import Authority

from .rig import Bomb, Killed, Rig, outcome, plan, results, step

NODES = ("n1", "n2")


class Agents:
    """Two compute nodes with agents, and the management node's pool."""

    def __init__(self, path: Path) -> None:
        now = datetime.now(UTC)
        authority = Authority.create("agents", now, 10)
        (path / "ca.pem").write_bytes(authority.certificate_pem)
        (path / "mn-cred.pem").write_bytes(authority.issue(Identity(Role.MN, "mn1"), now, 5).pem)
        (path / "policy").write_text("[xcat-aix:mn:mn1]\nallow = operate\n")
        self.pool = AgentPool(path)
        self.servers: dict[str, AgentServer] = {}
        self.roots = {node: path / node for node in NODES}
        self.configs: dict[str, AgentConfig] = {}
        for node, root in self.roots.items():
            (root / "etc").mkdir(parents=True)
            (root / "cert.pem").touch(0o600)
            (root / "cert.pem").write_bytes(authority.issue(Identity(Role.CN, node), now, 5).pem)
            self.configs[node] = AgentConfig(
                node=node,
                role=Role.CN,
                certificate=root / "cert.pem",
                ca=path / "ca.pem",
                policy=path / "policy",
                jobs=root / "jobs",
                root=root,
                listen=("127.0.0.1",),
                port=0,
                path=os.environ["PATH"],
            )

    def start(self, node: str) -> None:
        self.servers[node] = AgentServer(self.configs[node], runner="inline")
        self.servers[node].start()

    def stop(self, node: str) -> None:
        self.servers.pop(node).stop()

    def connect(self, target: Target, via: Target | None) -> Any:
        if target.node not in self.servers:
            raise AgentError(ErrorCode.UNREACHABLE, "nobody listens")
        return self.pool.connect(
            target.node, Role(target.role), *self.servers[target.node].addresses[0]
        )

    def xcatinfo(self) -> dict[str, str]:
        return {
            node: (root / "etc/xcatinfo").read_text()
            for node, root in self.roots.items()
            if (root / "etc/xcatinfo").exists()
        }

    def jobs(self, node: str) -> list[str]:
        with self.connect(Target("cn", node), None) as connection:
            return [status.job_id for status in connection.jobs()]


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[Agents]:
    made = Agents(tmp_path)
    for node in NODES:
        made.start(node)
    yield made
    for node in list(made.servers):
        made.stop(node)


def moves() -> Plan:
    steps = (step("xcatinfo", SetXcatServer("10.0.0.2")), step("again", SetXcatServer("10.0.0.3")))
    return plan(
        NODES, lanes=[Lane(node, steps, subject=node, target=Target("cn", node)) for node in NODES]
    )


WANTED = dict.fromkeys(NODES, "XCATSERVER=10.0.0.3\n")


def test_a_plan_is_carried_out_by_real_agents(agents: Agents) -> None:
    rig = Rig(clock=ManualClock())
    told = rig.run(moves(), connect=agents.connect)
    assert outcome(told) is Outcome.OK
    assert agents.xcatinfo() == WANTED
    plan_id = rig.only_plan()
    assert agents.jobs("n1") == [f"{plan_id}.n1.xcatinfo.1"]


def test_a_dead_agent_is_named_and_its_node_resumed(agents: Agents) -> None:
    rig = Rig()
    agents.stop("n2")
    told = rig.run(moves(), connect=agents.connect)
    assert results(told) == {"n1": "done", "n2": "undone"}
    assert list(agents.xcatinfo()) == ["n1"]
    agents.start("n2")
    assert outcome(rig.resume(rig.only_plan(), connect=agents.connect)) is Outcome.OK
    assert agents.xcatinfo() == WANTED
    assert len(agents.jobs("n1")) == 1


@pytest.mark.parametrize("boundary", range(2, 14, 2))
def test_killed_and_resumed_no_job_is_done_twice(agents: Agents, boundary: int) -> None:
    rig = Rig(fanout=1)
    with pytest.raises(Killed):
        rig.run(moves(), connect=agents.connect, crash=Bomb(boundary))
    assert outcome(rig.resume(rig.only_plan(), connect=agents.connect)) is Outcome.OK
    assert agents.xcatinfo() == WANTED
    for node in NODES:
        assert [job.split(".")[2] for job in agents.jobs(node)] == ["xcatinfo"]
