"""Labs with real processes: the smallest that has everything."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from xcat_aix_lab import agents
from xcat_aix_lab.directory import Size
from xcat_aix_lab.lab import Lab, LabError
from xcat_aix_lab.launcher import run_lines
from xcat_aix_lab.main import main

SMALL = Size(compute_nodes=2, service_nodes=2, diskful_percent=100)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("running") / "lab")
    lab.make(SMALL)
    try:
        lab.up()
        yield lab
    finally:
        lab.down()


def run_on(lab: Lab, node: str, *argv: str) -> tuple[int, str]:
    """As ``xcat-aix-lab exec``, with the output kept."""
    path = agents.command_path(lab.directory, node)
    return run_lines(argv, {"PATH": path}, seconds=20.0, on_line=lambda _: None)


def answers(lab: Lab, node: str) -> bool:
    place = (lab.directory.cluster.nodes[node].address, lab.directory.settings.agentport)
    try:
        with socket.create_connection(place, 5.0):
            return True
    except ConnectionRefusedError:
        return False


def test_everything_runs_and_a_second_up_changes_nothing(running: Lab) -> None:
    before = {name: running.launcher.pid(name) for name in running.launcher.running()}
    assert set(before) == {"xcatd", "agent-sn1", "agent-sn2", "agent-n01", "agent-n02"}
    running.make(SMALL)
    running.up()
    assert {name: running.launcher.pid(name) for name in before} == before
    status = running.status()
    assert "sn1    runs          serves n01\n" in status
    assert (
        "n02     standalone  sn2,sn1        sn2b           sn2         sn2       runs\n" in status
    )


def test_the_client_gets_through(running: Lab) -> None:
    environment = {**os.environ, "TERM": "dumb", **running.environment()}
    client = agents.script("xcatclient")
    status, text = run_lines(
        [client, "authcheck"], environment, seconds=20.0, on_line=lambda _: None
    )
    assert status == 0, text


def test_a_node_dies_and_comes_back(running: Lab) -> None:
    running.kill("sn2")
    assert not answers(running, "sn2")
    assert answers(running, "sn1")
    rc, text = run_on(running, "n01", "niminit", "-a", "name=n01", "-a", "master=sn2b")
    assert rc == 6, text
    assert running.own_masters()["n01"] == "sn1"
    with pytest.raises(LabError, match="sn2 is down"):
        running.execute("sn2", ["lsnim"])
    assert "sn2    DOWN          served n02\n" in running.status()
    running.start("sn2")
    assert answers(running, "sn2")
    rc, text = run_on(running, "n01", "niminit", "-a", "name=n01", "-a", "master=sn2b")
    assert rc == 0, text
    assert running.own_masters()["n01"] == "sn2"
    run_on(running, "n01", "niminit", "-a", "name=n01", "-a", "master=sn1b")


def test_only_what_is_installed_can_be_run(running: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert running.execute("n01", ["lsnim"]) == 127
    assert "not found" in capfd.readouterr().err
    assert running.execute("sn1", ["lsnim", "-c", "networks"]) == 0
    assert "master_net" in capfd.readouterr().out
    with pytest.raises(LabError, match="there is no node n99"):
        running.execute("n99", ["hostname"])


def test_tools_of_this_machine_see_the_files_of_the_node(
    running: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    assert running.execute("n01", ["cat", "/etc/niminfo"]) == 0
    assert "NIM_NAME=n01" in capfd.readouterr().out
    assert running.execute("n01", ["ls", "/etc/../etc"]) == 0
    assert {"niminfo", "xcatinfo"} <= set(capfd.readouterr().out.split())
    assert running.execute("n01", ["ls"]) == 0
    assert "etc" in capfd.readouterr().out.split()
    assert running.execute("n01", ["cat", "/etc/passwd"]) == 1


def test_a_frozen_agent_accepts_and_says_nothing(running: Lab) -> None:
    running.fault("n01", ["freeze"])
    try:
        assert answers(running, "n01")
    finally:
        running.fault("n01", ["thaw"])


def test_two_labs_at_once(running: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path / "other")
    other.make(SMALL)
    try:
        other.up(in_process=True)
        assert other.directory.settings.octet != running.directory.settings.octet
        assert answers(other, "n01")
        assert answers(running, "n01")
    finally:
        other.down()
    assert answers(running, "n01")
    assert not answers(other, "n01")


def test_down_leaves_no_process_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--dir", str(tmp_path / "lab")]
    assert main(["up", *where, "--nodes", "1", "--diskful", "100"]) == 0
    printed = capsys.readouterr().out
    lab = Lab.existing(tmp_path / "lab")
    assert f"export XCAT_AIX_LAB={lab.directory.path}\n" in printed
    assert f"export XCATHOST=127.{lab.directory.settings.octet}.0.1:" in printed
    pids = [lab.launcher.pid(name) for name in lab.launcher.running()]
    assert main(["fault", *where, "n01", "freeze"]) == 0
    assert main(["down", *where]) == 0
    assert capsys.readouterr().out == "ended: agent-n01, agent-sn1, agent-sn2, xcatd\n"
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.killpg(pid, 0)
    assert main(["down", *where, "--remove"]) == 0
    assert not lab.directory.path.exists()
    assert main(["status", *where]) == 1
    assert "there is no lab" in capsys.readouterr().err


def test_agents_in_one_process_follow_the_nodes(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    lab.make(Size(compute_nodes=4, service_nodes=2, diskful_percent=100))
    try:
        lab.up(in_process=True)
        assert all(answers(lab, node.name) for node in lab.directory.cluster.with_agent)
        lab.kill("sn1")
        assert not answers(lab, "sn1")
        assert answers(lab, "n01")
        assert "sn1    DOWN" in lab.status()
        lab.start("sn1")
        assert answers(lab, "sn1")
        with pytest.raises(LabError, match="no process of its own"):
            lab.fault("n01", ["freeze"])
    finally:
        lab.down()
