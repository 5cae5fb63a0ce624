"""A move while the cluster is updated node by node: one agent is of the version before chains."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.cluster import Cluster, wait_for

from xcat_aix_proto.operations import Chain

RECORDED = Path(__file__).parents[1] / "daemon" / "agents" / "recorded" / "before_chains.json"


def jobs(cluster: Cluster, node: str) -> dict[Path, str]:
    """The kind of each job that the node's agent keeps, by its directory."""
    directory = cluster.lab.directory.node(node) / "jobs"
    return {
        path: json.loads((path / "spec.json").read_text())["operation"]["kind"]
        for path in directory.iterdir()
    }


def test_it_is_moved_step_by_step_and_the_other_in_one_job(tmp_path):
    cluster = Cluster(tmp_path / "lab", former={"n01": RECORDED})
    try:
        cluster.lab.kill("sn1")
        done = cluster.run("snmove", "n01,n02", "-d", "sn2")
        assert "Moved to sn2: n01,n02" in done.text
        former, updated = jobs(cluster, "n01"), jobs(cluster, "n02")
        assert len(former) >= 4
        assert Chain.kind not in former.values()
        assert list(updated.values()) == [Chain.kind]
        # The last of each connection is sent without waiting for an answer.
        wait_for(
            lambda: all((path / "acknowledged").exists() for path in (*former, *updated)),
            "an agent was not told that the outcomes are known",
        )
    finally:
        cluster.lab.down()
