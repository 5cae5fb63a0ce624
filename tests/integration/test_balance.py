"""A balance from end to end, watched on the nodes themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from .cluster import Cluster, wait_for

pytestmark = pytest.mark.timeout(180)

RANGE = "n01-n06"
BALANCE = ("snbalance", RANGE, "sn1,sn2")
DISKFUL = ("n01", "n02", "n03", "n04")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("balance") / "lab")
    try:
        yield cluster
    finally:
        cluster.lab.down()


@pytest.fixture
def lopsided(shared: Cluster) -> Cluster:
    """Everything is served by sn2, as after the loss of sn1."""
    shared.run("snmove", RANGE, "-d", "sn2")
    assert first_servers(shared) == {"sn2": 6}
    return shared


def first_servers(cluster: Cluster) -> Counter[str]:
    out = cluster.run("lsdef", RANGE, "-c", "-i", "servicenode").out
    return Counter(line.partition("=")[2].split(",")[0] for line in out.splitlines() if "=" in line)


def masters(cluster: Cluster) -> dict[str, str]:
    found = cluster.masters()
    return {node: found[node] for node in DISKFUL}


def expect_halves(cluster: Cluster) -> None:
    assert first_servers(cluster) == {"sn1": 3, "sn2": 3}
    out = cluster.run("lsdef", RANGE, "-c", "-i", "servicenode").out
    servers = dict(line.split(": servicenode=") for line in out.splitlines() if "=" in line)
    assert set(servers.values()) == {"sn1,sn2", "sn2,sn1"}
    assert masters(cluster) == {node: servers[node].split(",")[0] for node in DISKFUL}


def test_half_of_the_nodes_move_and_go_back(lopsided: Cluster) -> None:
    before = lopsided.state()
    plan = lopsided.run(*BALANCE, "--dry-run")
    assert "sn1           1       0 -> 3" in plan.out
    assert lopsided.state() == before
    lopsided.run(*BALANCE)
    expect_halves(lopsided)
    balanced = lopsided.state()
    assert "Nothing to change." in lopsided.run(*BALANCE).out
    assert lopsided.state() == balanced
    lopsided.run("snmove", "--undo", lopsided.newest())
    assert lopsided.tables() == before[0]
    assert set(masters(lopsided).values()) == {"sn2"}


def test_a_node_that_fails_is_finished_by_resume(lopsided: Cluster) -> None:
    lopsided.lab.fault("n04", ["fail", "niminit", "53", "there is no NIM object"])
    done = lopsided.run(*BALANCE, status=2)
    move = lopsided.newest()
    assert "0042-053" in done.err
    assert f"snbalance --resume {move}" in done.err
    assert masters(lopsided)["n04"] == "sn2"
    lopsided.lab.fault("n04", ["clear"])
    lopsided.run("snmove", "--resume", move)
    expect_halves(lopsided)


def test_a_killed_daemon_loses_nothing(lopsided: Cluster) -> None:
    start = lopsided.journal_length()
    with lopsided.begin(*BALANCE) as client:
        wait_for(
            lambda: lopsided.journal_length() >= start + 4 or client.poll() is not None,
            "the balance does not begin",
        )
        lopsided.kill_process("xcatd")
        client.communicate(timeout=50)
    lopsided.lab.up()
    move, state = next(iter(lopsided.moves().items()))
    assert move.startswith("snbalance-")
    if not state.startswith("ok"):
        lopsided.run("snmove", "--resume", move)
    expect_halves(lopsided)
