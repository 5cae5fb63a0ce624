"""A cluster that is updated node by node: real agents, one of an earlier version."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon.agents.conftest import Cluster

from xcat_aix.commands.planned.plans import Plans
from xcat_aix.commands.servicenodes.snmove import Snmove
from xcat_aix_agent.serving.server import AgentServer
from xcat_aix_lab import agents
from xcat_aix_lab.directory import Size
from xcat_aix_lab.former import Former, FormerAgent
from xcat_aix_lab.lab import Lab
from xcat_aix_proto import operations
from xcat_aix_proto.identity import Role
from xcat_aix_proto.operations import RepointClient
from xcatd.agents import AgentConnection, AgentPool, Relay
from xcatd.api import Context, Request, SystemClock
from xcatd.db.database import Database
from xcatd.db.location import Location

from .stage import Said, Site
from .test_notes import BACK, KIND, NOTED, keep

RECORDED = Path(__file__).parents[2] / "daemon" / "agents" / "recorded" / "before_chains.json"


class Pool:
    """The way to the agents of a cluster, whatever address a node has."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.servers: dict[str, AgentServer] = {}

    def connect(
        self, node: str, role: Role, address: str, port: int, *, timeout: float = 3.0,
        via: Relay | None = None,
    ) -> AgentConnection:  # fmt: skip
        return self.cluster.connect(self.servers[node], node, role, timeout=timeout)


def test_a_plan_over_real_agents_of_two_versions(
    site: Site, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(cluster)
    monkeypatch.setattr(site, "connect", pool.connect)
    former = FormerAgent(Former.read(RECORDED), cluster.config("sn1"), runner="inline")
    former.start()
    cluster.servers.append(former)
    pool.servers = {"sn1": former, "sn2": cluster.start("sn2")}
    for server in pool.servers.values():
        (server.config.root / "etc/notes").mkdir()

    said = keep(site)
    lacking = f"its agent (version 0.1.0) does not know {KIND}: update the agent, or leave it behind by --force"
    assert said.status == 1 and said.errors == [f"sn1: {lacking}"]
    assert site.comments() == BACK
    assert not list((pool.servers["sn2"].config.jobs).iterdir())

    assert keep(site, "--force").status == 2
    assert site.comments() == {**BACK, "n4": "hello", "n5": "hello"}

    pool.servers["sn1"] = cluster.run(former.config)
    (plan,) = site.plan_ids()
    assert site.run("notes", "--resume", plan).status == 0
    assert site.comments() == NOTED
    kept = pool.servers["sn1"].config.root / "etc/notes"
    assert {path.name: path.read_text() for path in kept.iterdir()} == dict.fromkeys(
        ("n1", "n2", "n3"), "hello"
    )
    assert site.run("plans", "--undo", plan).status == 0
    assert list(kept.iterdir()) == [] and site.comments() == BACK


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """As if moving a client were new in this version, and the agent of n01 were of the one before."""
    made = Lab(tmp_path / "lab")
    made.make(Size(compute_nodes=2, service_nodes=2, diskful_percent=100))
    recorded = json.loads(RECORDED.read_text())
    (hello,) = [each["answer"]["ok"] for each in recorded["exchanges"] if each["method"] == "hello"]
    hello["version"] = "0.0.9"
    hello["operations"].remove(RepointClient.kind)
    agents.former_file(made.directory, "n01").write_text(json.dumps(recorded))
    made.up(in_process=True)
    yield made
    made.down()


def test_a_move_in_a_whole_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "LAST_VERSION", operations.LAST_VERSION - {RepointClient.kind})
    db = Database.open(Location("SQLite", lab.directory.database))
    context = Context(
        db, SystemClock(), AgentPool(lab.directory.confdir / "aix"), threading.Event(), "", True,
        "mn", runner=lambda _request, _context: iter(()),
    )  # fmt: skip

    def run(command: Snmove | Plans, *words: str) -> Said:
        return Said(command.handle(Request(command.page.name, words, user="root"), context))

    def served() -> dict[str, str]:
        snapshot = db.read(["noderes"])
        return {
            node: snapshot.value(node, "noderes", "servicenode").partition(",")[0]
            for node in ("n01", "n02")
        }

    before, masters = served(), lab.own_masters()
    to = "sn2" if before["n01"] == "sn1" else "sn1"
    said = run(Snmove(), "n01", "-d", to)
    assert said.status == 1
    assert said.errors == [
        "n01: its agent (version 0.0.9) does not know client.repoint@1: update the agent, or leave it behind by --force"
    ]
    assert served() == before and lab.own_masters() == masters
    assert run(Plans()).lines == ["There are no plans in the journal."]
    assert any(
        "warning: n01: its agent" in line
        for line in run(Snmove(), "n01", "-d", to, "--dry-run").lines
    )
    # The one that is updated is moved.
    other = "sn2" if before["n02"] == "sn1" else "sn1"
    assert run(Snmove(), "n02", "-d", other).status == 0
    assert lab.own_masters()["n02"] == other
    db.close()
