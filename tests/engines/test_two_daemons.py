"""Two management nodes over one PostgreSQL: what one began, the other sees, keeps away from, and finishes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from xcat_aix_lab import agents
from xcat_aix_lab.directory import Size
from xcat_aix_lab.lab import Lab
from xcat_aix_lab.launcher import Program
from xcatd.db.database import Database
from xcatd.db.location import Location

# A lab of real processes, on a machine that has other work.
pytestmark = pytest.mark.timeout(240)

_LIMIT = 60.0


@dataclass
class Cluster:
    """One lab whose database is on a server, and two daemons for it."""

    lab: Lab
    location: Location
    shift: Path
    clients: list[subprocess.Popen[str]] = field(default_factory=list)

    def address(self, host: str) -> str:
        first = self.lab.directory.cluster.nodes["mn"].address
        return first if host == "mn1" else first.rpartition(".")[0] + ".250"

    def start(self, host: str) -> None:
        place = self.location
        setting = f"{place.engine}:{place.dsn}|{place.user}|{place.password}"
        program = Program(
            f"xcatd-{host}",
            [sys.executable, str(Path(__file__).with_name("second_daemon.py")),
             self.address(host), host, str(self.shift)],
            {**os.environ, "XCATCFG": setting},
            self.lab.directory.logs / f"{host}.log",
            "ready on port",
        )  # fmt: skip
        self.lab.launcher.start([program], _LIMIT)

    def client(self, host: str, *argv: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "TERM": "dumb", **self.lab.environment()}
        port = self.lab.directory.settings.xcatdport
        environment["XCATHOST"] = f"{self.address(host)}:{port}"
        client = subprocess.Popen(
            [agents.script("xcatclient"), *argv], env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.clients.append(client)
        return client

    def run(self, host: str, *argv: str) -> tuple[int, str]:
        process = self.client(host, *argv)
        text, _ = process.communicate(timeout=_LIMIT)
        return process.returncode, text

    def moves(self, host: str) -> list[dict[str, object]]:
        status, text = self.run(host, "snmove", "--list", "--json")
        assert status == 0, text
        found = json.loads(text)
        return found if isinstance(found, list) else found["moves"]


@pytest.fixture
def cluster(tmp_path, servers):
    lab = Lab(tmp_path / "lab")
    lab.make(Size(compute_nodes=4, service_nodes=2, diskful_percent=100))
    location = servers.get("postgres").new()
    database = Database.open(location)
    database.create_missing_tables()
    tables = lab.directory.cluster.tables
    with database.transaction(*tables) as transaction:
        for name, rows in tables.items():
            transaction.insert(name, rows)
    database.close()
    shift = tmp_path / "shift"
    shift.write_text("0")
    found = Cluster(lab, location, shift)
    try:
        lab.launcher.start([agents.hosting_program(lab.directory, "agents")], _LIMIT)
        found.start("mn1")
        found.start("mn2")
        yield found
    finally:
        lab.down()
        for client in found.clients:
            client.kill()
            client.communicate()


def wait_for(condition):
    limit = time.monotonic() + _LIMIT
    while not (found := condition()):
        assert time.monotonic() < limit
        time.sleep(0.1)
    return found


def test_a_move_of_a_dead_management_node_is_finished_by_the_other(cluster):
    assert cluster.moves("mn1") == cluster.moves("mn2") == []
    cluster.lab.fault("n01", ["hang", "niminit"])
    nodes = [n for n, master in cluster.lab.own_masters().items() if n != master == "sn1"]
    assert nodes == ["n01", "n02"]
    client = cluster.client("mn1", "snmove", "-s", "sn1", "-d", "sn2")
    (move,) = wait_for(lambda: cluster.moves("mn2"))
    others = [node for node in nodes if node != "n01"]
    wait_for(lambda: all(cluster.lab.own_masters()[node] == "sn2" for node in others))
    plan = str(move["id"])
    assert [m["id"] for m in cluster.moves("mn1")] == [plan]
    for host in ("mn1", "mn2"):
        status, text = cluster.run(host, "snmove", "n01", "-d", "sn1")
        assert status != 0, text
        assert plan in text
        assert "n01" in text
    status, text = cluster.run("mn2", "snmove", "--resume", plan)
    assert status != 0, text
    assert re.search(r"worked on by mn1:\d+", text), text

    cluster.lab.launcher.kill("xcatd-mn1")
    client.communicate(timeout=_LIMIT)
    assert client.returncode != 0

    status, text = cluster.run("mn2", "snmove", "--resume", plan)
    assert status != 0, "the claim has not run out yet"
    cluster.shift.write_text("31")
    cluster.lab.fault("n01", ["clear"])
    status, text = cluster.run("mn2", "snmove", "--resume", plan)
    assert status == 0, text
    assert {cluster.lab.own_masters()[node] for node in nodes} == {"sn2"}

    cluster.start("mn1")
    assert cluster.moves("mn1") == cluster.moves("mn2")
    database = Database.open(cluster.location)
    snapshot = database.read(["noderes"])
    assert {snapshot.value(node, "noderes", "servicenode") for node in nodes} == {"sn2,sn1"}
    events = database.select("aixevent", {"plan": plan}, order=["seq"])
    assert [row["event"] for row in events].count("claimed") == 1
    database.close()


@dataclass
class Contest:
    """A move of mn1 that is at work on the consoles, and one of mn2 that waits for it."""

    first: subprocess.Popen[str]
    second: subprocess.Popen[str]
    holder: str
    waits: str


def contest(cluster: Cluster) -> Contest:
    """makeconservercf, which holds the lock ``conserver``, does not end on mn1 while there is a file."""
    Path(f"{cluster.shift}.mn1.hold").touch()
    first = cluster.client("mn1", "snmove", "n01", "-d", "sn2")
    wait_for(Path(f"{cluster.shift}.mn1.at-work").exists)
    (holder,) = (str(move["id"]) for move in cluster.moves("mn2"))
    waits = f"waits for conserver, which {holder} holds"
    second = cluster.client("mn2", "snmove", "n02", "-d", "sn2")

    def is_waiting() -> bool:
        others = [str(move["id"]) for move in cluster.moves("mn1") if move["id"] != holder]
        return any(waits in cluster.run("mn1", "plans", "--show", plan)[1] for plan in others)

    wait_for(is_waiting)
    assert not Path(f"{cluster.shift}.mn2.at-work").exists()
    return Contest(first, second, holder, waits)


def assert_both_moved(cluster: Cluster) -> None:
    assert {cluster.lab.own_masters()[node] for node in ("n01", "n02")} == {"sn2"}
    database = Database.open(cluster.location)
    assert database.select("aixlock") == []
    database.close()


def test_the_lock_of_a_killed_daemon_is_taken_over_by_the_other(cluster):
    moves = contest(cluster)
    cluster.lab.launcher.kill("xcatd-mn1")
    moves.first.communicate(timeout=_LIMIT)
    cluster.shift.write_text("31")
    text, _ = moves.second.communicate(timeout=_LIMIT)
    assert moves.second.returncode == 0, text
    assert moves.waits in text
    status, text = cluster.run("mn2", "plans", "--resume", moves.holder)
    assert status == 0, text
    assert_both_moved(cluster)


def test_a_daemon_goes_on_when_the_other_gives_the_lock_back(cluster):
    moves = contest(cluster)
    Path(f"{cluster.shift}.mn1.hold").unlink()
    for client in (moves.first, moves.second):
        text, _ = client.communicate(timeout=_LIMIT)
        assert client.returncode == 0, text
    assert moves.waits in text
    assert_both_moved(cluster)
