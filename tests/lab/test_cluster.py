from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_lab import cluster, records, report
from xcat_aix_lab.cluster import DISKLESS, STANDALONE, SampleSettings, sample
from xcat_aix_lab.sim.execute import execute
from xcatd.db.schema import TABLES

from . import transcript


def settings(compute_nodes: int = 12, service_nodes: int = 2, percent: int = 50) -> SampleSettings:
    return SampleSettings(
        octet=9,
        xcatdport=3001,
        confdir="/etc/xcat",
        compute_nodes=compute_nodes,
        service_nodes=service_nodes,
        diskful_percent=percent,
    )


def test_the_default_cluster_is_the_one_of_the_story() -> None:
    made = sample(settings())
    shares = {
        (n.service_nodes, n.nimtype): [
            o.name
            for o in made.of_kind("cn")
            if (o.service_nodes, o.nimtype) == (n.service_nodes, n.nimtype)
        ]
        for n in made.of_kind("cn")
    }
    assert shares == {
        (("sn1", "sn2"), STANDALONE): ["n01", "n02", "n03"],
        (("sn2", "sn1"), STANDALONE): ["n04", "n05", "n06"],
        (("sn1", "sn2"), DISKLESS): ["n07", "n08", "n09"],
        (("sn2", "sn1"), DISKLESS): ["n10", "n11", "n12"],
    }
    names = made.topology()
    assert names.find("sn1") == names.find("sn1a") == ("sn1", "127.9.0.11")
    assert names.find("sn1b.lab.example") == ("sn1", "127.9.16.1")


@given(st.integers(1, 400), st.integers(2, 9), st.integers(0, 100))
def test_every_size_makes_sense(compute_nodes: int, service_nodes: int, percent: int) -> None:
    made = sample(settings(compute_nodes, service_nodes, percent))
    addresses = [i.address for node in made.nodes.values() for i in node.interfaces]
    assert len(set(addresses)) == len(addresses)
    inside = ipaddress.ip_network("127.9.0.0/16")
    assert all(ipaddress.ip_address(address) in inside for address in addresses)
    for node in made.of_kind("cn"):
        primary, backup = node.service_nodes
        assert primary != backup
        assert {primary, backup} <= made.nodes.keys()
    assert len(made.of_kind("cn")) == compute_nodes
    loads = [
        sum(n.service_nodes[0] == s.name for n in made.of_kind("cn")) for s in made.of_kind("sn")
    ]
    assert max(loads) - min(loads) <= 2


@pytest.mark.parametrize(("compute_nodes", "service_nodes"), [(0, 2), (4000, 2), (12, 1)])
def test_a_size_that_cannot_be(compute_nodes: int, service_nodes: int) -> None:
    with pytest.raises(ValueError, match="a lab has"):
        sample(settings(compute_nodes, service_nodes))


def test_rows_fit_the_schema() -> None:
    for name, rows in sample(settings()).tables.items():
        for row in rows:
            assert set(row) <= set(TABLES[name].columns), name


def test_the_database_and_the_nodes_agree(tmp_path: Path) -> None:
    made = sample(settings())
    records.fill(tmp_path, made.tables)
    served = records.served(tmp_path)
    store = transcript.fresh()
    views = report.views(made, store, served)
    for view in views:
        node = made.nodes[view.node]
        assert view.database.service_nodes == ",".join(node.service_nodes)
        assert view.database.master == f"{view.own_master}b"
        assert view.own_master == view.default_route == node.service_nodes[0]
    text = report.table(views, made, {"agent-n01"})
    assert "n01     standalone  sn1,sn2        sn1b           sn1         sn1       runs\n" in text
    assert "n07     diskless    sn1,sn2        sn1b           sn1         sn1       -\n" in text
    assert "sn2    does not run  serves n04, n05, n06, n10, n11, n12\n" in report.servers(
        made, store, set()
    )


def test_every_service_node_is_ready_for_every_node() -> None:
    made = sample(settings())
    store = transcript.fresh()
    for server in made.of_kind("sn"):
        for image in made.images:
            for _, resource, _ in image.resources:
                assert execute(["lsnim", resource], server.name, store, transcript.never).rc == 0
        for node in made.of_kind("cn"):
            shown = transcript.run(store, server.name, "lsnim", "-Z", "-a", "Cstate", node.name)
            state = "diskless or dataless boot is enabled" if node.nimtype == DISKLESS else "ready"
            assert f"{node.name}:{state}" in shown.stdout


def test_mac_addresses_differ() -> None:
    assert len({cluster.mac(number) for number in range(5000)}) == 5000
