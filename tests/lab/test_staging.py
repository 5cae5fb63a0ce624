"""Hosts in a recorded state: NIM databases as dictionaries, names, and agents at addresses that are not ours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from xcat_aix_lab.crew import Crew, Papers
from xcat_aix_lab.sim.execute import execute
from xcat_aix_lab.sim.faults import FAIL, Fault, Faults
from xcat_aix_lab.sim.state import database_of, state_of
from xcat_aix_lab.sim.store import MemoryStore
from xcat_aix_lab.staging import Client, Stage, store_of
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.facts import HostReport
from xcat_aix_proto.identity import Role
from xcat_aix_proto.operations import HostFacts, NimSnapshot

from . import transcript

PORT = 3009


def _resource(type_: str, location: str, **more: str) -> dict[str, Any]:
    attributes = {"Rstate": "ready for use", "location": location, "server": "master"}
    return {"class": "resources", "type": type_, "attrs": {**attributes, **more}}


def _master(host: str) -> dict[str, Any]:
    machine = {"if1": f"lan {host} 0", "Cstate": "ready for a NIM operation"}
    net = {"net_addr": "192.168.10.0", "snm": "255.255.255.0"}
    return {
        "configured": True,
        "objects": {
            "master": {"class": "machines", "type": "master", "attrs": machine},
            "boot": _resource("boot", "/tftpboot"),
            "lan": {"class": "networks", "type": "ent", "attrs": net},
        },
    }


STAGE = Stage(
    management="hub",
    hosts=[
        "192.168.10.1 hub",
        "192.168.10.11 sa sa.example.org",
        "192.168.20.11 sa-hf",
        "192.168.10.21 w1",
        "192.168.10.22 w2",
        "192.168.30.1 elsewhere",
    ],
    interfaces={
        "hub": ["en0 192.168.10.1 255.255.255.0"],
        "sa": ["en0 192.168.10.11 255.255.255.0", "en1 192.168.20.11 255.255.255.0"],
    },
    nim={"hub": {"configured": False, "objects": {}}, "sa": _master("sa")},
    clients={"w1": Client("sa"), "w2": Client("sa-hf", is_diskless=True)},
    networks=[("192.168.0.0", "255.255.0.0"), ("192.168.10.0", "255.255.255.128")],
    down=frozenset({"w2"}),
)


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return store_of(STAGE, tmp_path / "roots")


@pytest.fixture(scope="module")
def papers() -> Papers:
    return Papers.create(datetime.now(UTC))


@pytest.fixture
def crew(store: MemoryStore, tmp_path: Path, papers: Papers) -> Iterator[Crew]:
    with Crew(store, tmp_path / "roots", tmp_path / "agents", papers) as made:
        made.start(["hub", "sa", "w1"])
        yield made


def test_a_database_is_the_same_after_a_way_through_a_dictionary() -> None:
    made = transcript.fresh()
    for server in ("sn1", "sn2"):
        database = made.nim(server)
        assert database is not None
        again = database_of(state_of(database))
        assert again is not None
        assert again.to_json() == database.to_json()
        assert state_of(again) == state_of(database)


def test_a_machines_several_scripts_are_allocations() -> None:
    state = _master("sa")
    state["objects"]["one"] = _resource("script", "/one")
    state["objects"]["two"] = _resource("script", "/two", alloc_count="7")
    attributes = {"if1": "lan w1 0", "script": ["one", "two"], "comments": "one"}
    state["objects"]["w1"] = {"class": "machines", "type": "standalone", "attrs": attributes}
    database = database_of(state)
    assert database is not None
    assert database.get("w1").allocations == [("script", "one"), ("script", "two")]
    assert database.get("w1").attributes == {"if1": "lan w1 0", "comments": "one"}
    assert state_of(database)["objects"]["two"]["attrs"]["alloc_count"] == "1"
    assert state_of(database)["objects"]["w1"]["attrs"]["script"] == ["one", "two"]


def test_no_master_has_no_database(store: MemoryStore) -> None:
    assert store.nim("hub") is None
    assert state_of(None) == STAGE.nim["hub"]


def test_hosts_have_their_kinds_interfaces_and_names(store: MemoryStore) -> None:
    assert store.topology.kinds == {"w1": "cn", "w2": "cn", "hub": "mn", "sa": "sn"}
    assert store.topology.find("sa-hf") == store.topology.find("192.168.20.11")
    assert store.topology.find("sa.example.org") == ("sa", "192.168.10.11")
    assert store.topology.find("elsewhere") is None
    assert [card["mask"] for card in store.host("w1").interfaces] == ["255.255.255.128"]
    assert not transcript.run(store, "sa", "nim", "-o", "check", "boot").rc


def test_a_client_says_who_its_master_is(store: MemoryStore) -> None:
    info = store.files("w2").read("/etc/niminfo") or ""
    assert "NIM_MASTER_HOSTNAME=sa-hf" in info and "NIM_CONFIGURATION=diskless" in info
    assert store.files("w2").read("/etc/xcatinfo") == "XCATSERVER=192.168.20.11\n"
    assert store.faults("w2").down


def test_who_connects_to_a_hosts_address_reaches_its_agent(crew: Crew) -> None:
    with crew.connect("sa", Role.SN, "192.168.20.11", PORT) as connection:
        host = connection.query(HostFacts(), 10.0)
        nim = connection.query(NimSnapshot(), 10.0)
    assert isinstance(host, HostReport)
    assert [one.address for one in host.interfaces][:2] == ["192.168.10.11", "192.168.20.11"]
    assert "lan" in nim.by_name()


def test_it_is_the_agent_of_that_host_only(crew: Crew) -> None:
    with pytest.raises(AgentError) as caught, crew.connect("w1", Role.CN, "192.168.10.11", PORT):
        pass
    assert caught.value.code is ErrorCode.WRONG_PEER


@pytest.mark.parametrize("address", ["192.168.10.22", "192.168.30.1"])
def test_where_no_agent_runs_nobody_answers(crew: Crew, address: str) -> None:
    with pytest.raises(AgentError, match=f"cannot connect to {address} port 3009") as caught:
        crew.connect("w2", Role.CN, address, PORT)
    assert caught.value.code is ErrorCode.UNREACHABLE


# What the simulator had to learn for it


def test_a_spot_that_was_copied_needs_no_source(store: MemoryStore) -> None:
    argv = (
        "nim",
        "-o",
        "define",
        "-t",
        "spot",
        "-a",
        "server=master",
        "-a",
        "location=/spots",
        "s",
    )
    refused = transcript.run(store, "sa", *argv)
    assert refused.rc and '"source" attribute is required' in refused.stderr
    store.files("sa").write("/spots/s/usr/lib/boot/unix", "")
    assert transcript.run(store, "sa", *argv).rc == 0


def test_a_fault_may_be_for_one_object(store: MemoryStore) -> None:
    rule = Fault("nim", FAIL, operation="check", number=13, times=1, word="lan")
    store.save_faults("sa", Faults.from_json(Faults(rules=[rule]).to_json()))
    results = [
        execute(["nim", "-o", "check", name], "sa", store, transcript.never).rc
        for name in ("boot", "lan", "lan")
    ]
    assert results == [0, 13, 0]
