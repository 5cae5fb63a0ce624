"""A lab from the dump of a cluster of xCAT 2.9: who is simulated, and a takeover in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from xcat_aix_lab import agents, clusterfile, dump, records, report
from xcat_aix_lab.cluster import DISKLESS, STANDALONE, SampleSettings, sample
from xcat_aix_lab.dump import DumpError
from xcat_aix_lab.lab import Lab, LabError
from xcat_aix_lab.launcher import run_lines
from xcat_aix_lab.main import main
from xcat_aix_lab.prepare import prepare
from xcat_aix_lab.rehearsal import rehearse
from xcat_aix_lab.sim.execute import execute
from xcatd.text import tablecsv

SAMPLE = Path(__file__).parents[1] / "daemon" / "rows" / "sample29"
SETTINGS = SampleSettings(octet=9, xcatdport=3001, confdir="/lab/xcat")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A dump to be spoilt."""
    return shutil.copytree(SAMPLE, tmp_path / "dump")


def made(directory: Path = SAMPLE, hosts: Path | None = None):
    return rehearse(dump.read(directory), SETTINGS, hosts)


def change(directory: Path, table: str, old: str, new: str) -> None:
    file = directory / f"{table}.csv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def no_waiting(seconds: float) -> None:
    raise AssertionError(seconds)


# Who is simulated


def test_service_nodes_and_aix_nodes_are_simulated() -> None:
    cluster, summary = made()
    assert [n.name for n in cluster.of_kind("sn")] == [
        "xcatsn1a",
        "xcatsn1b",
        "xcatsn2a",
        "xcatsn2b",
    ]
    compute = {node.name: node for node in cluster.of_kind("cn")}
    assert len(compute) == 16
    assert (compute["dn01"].nimtype, compute["ln08"].nimtype) == (STANDALONE, DISKLESS)
    assert compute["dn05"].service_nodes == ("xcatsn2a", "xcatsn2b")
    assert compute["dn05"].master == "xcatsn2a-hf0"
    text = "\n".join(summary.lines)
    assert "4 service nodes (xcatsn1a,xcatsn1b,xcatsn2a,xcatsn2b), 16 AIX compute nodes" in text
    assert "in the database only: 3 other nodes" in text
    assert "table inventory (not xCAT's)" in text
    assert "column nodehm.hdwctlpt (not xCAT's)" in text


def test_expressions_of_groups_become_addresses_of_the_lab() -> None:
    cluster, _ = made()
    rows = {row["node"]: row for row in cluster.tables["hosts"]}
    assert rows["dn01"] == {"node": "dn01", "ip": "127.9.16.101"}
    assert rows["ln02"]["ip"] == "127.9.16.152"
    assert rows["xcatsn1a"] == {
        "node": "xcatsn1a",
        "ip": "127.9.0.10",
        "hostnames": "xcatsn1a.cluster.example",
        "otherinterfaces": "xcatsn1a-hf0:127.9.16.10",
    }
    assert "diskful" not in rows
    networks = {row["netname"]: row for row in cluster.tables["networks"]}
    assert networks["hf0 net"]["net"] == "127.9.16.0"
    assert networks["hf0 net"]["gateway"] == "<xcatmaster>"
    assert networks["mgmt"]["gateway"] == "127.9.0.254"


def test_the_site_is_the_labs_where_it_must_be() -> None:
    cluster, _ = made()
    site = {row["key"]: row.get("value") for row in cluster.tables["site"]}
    assert (site["master"], site["xcatdport"]) == ("127.9.0.1", "3001")
    assert site["useNFSv4onAIX"] == "no"
    assert cluster.tables["policy"][0] == {"priority": "0.01", "name": "root", "rule": "allow"}


def test_neither_secrets_nor_hooks_nor_other_addresses_come_along() -> None:
    cluster, summary = made()
    text = repr(cluster) + repr(summary)
    assert "cluster-secret" not in text
    assert "told.sh" not in text
    assert "10.2.0." not in text.replace("|10.2.0", "")
    for rows in cluster.tables.values():
        assert not any(text.startswith("10.") for row in rows for text in row.values())


def test_nim_is_ready_on_those_that_serve() -> None:
    cluster, _ = made()
    store = prepare(cluster)
    for server, known, unknown in (("xcatsn1b", "dn01", "dn05"), ("xcatsn2a", "ln05", "ln01")):
        assert execute(["lsnim", known], server, store, no_waiting).rc == 0
        assert execute(["lsnim", unknown], server, store, no_waiting).rc != 0
    for resource in (
        "71BCNimage_mksysb",
        "71BCNimage",
        "71DCNimage_shared_root",
        "master_net_resolv_conf",
    ):
        assert execute(["lsnim", resource], "xcatsn2b", store, no_waiting).rc == 0
    shown = execute(["lsnim", "-Z", "-a", "Cstate", "ln01"], "xcatsn1b", store, no_waiting)
    assert "ln01:diskless or dataless boot is enabled" in shown.stdout
    masters = report.own_masters(store)
    assert (masters["dn01"], masters["ln05"]) == ("xcatsn1a", "xcatsn2a")


def test_a_cluster_is_kept_in_its_lab() -> None:
    cluster, _ = made()
    again = clusterfile.loads(clusterfile.dumps(cluster))
    assert (again.nodes, again.images, again.networks) == (
        cluster.nodes,
        cluster.images,
        cluster.networks,
    )
    assert again.topology().names == cluster.topology().names


def test_a_dump_of_the_sample_makes_the_sample_again(tmp_path: Path) -> None:
    original = sample(SampleSettings(octet=200, xcatdport=3001, confdir="/etc/xcat"))
    for name, rows in original.tables.items():
        columns = tuple(dict.fromkeys(column for row in rows for column in row))
        lines = tablecsv.rows(columns, [dict.fromkeys(columns) | row for row in rows])
        (tmp_path / f"{name}.csv").write_text("".join(f"{line}\n" for line in lines))
    cluster, _ = made(tmp_path)
    assert cluster.nodes.keys() == original.nodes.keys()
    for name, node in cluster.nodes.items():
        twin = original.nodes[name]
        assert (node.kind, node.nimtype, node.service_nodes) == (
            twin.kind,
            twin.nimtype,
            twin.service_nodes,
        )
        assert [i.name for i in node.interfaces] == [i.name for i in twin.interfaces]


# Dumps with something missing


def test_names_from_a_hosts_file(copy: Path, tmp_path: Path) -> None:
    change(copy, "hosts", r"|\D+(\d+)|10.2.0.($1+100)|", "")
    change(copy, "hosts", "xcatsn1a-hf0:10.2.0.10", "")
    with pytest.raises(DumpError, match=r"8 AIX nodes have no IPv4 address.*dn01, dn02.*--hosts"):
        made(copy)
    hosts = tmp_path / "hosts"
    lines = [f"10.2.0.{100 + number} dn{number:02d}\n" for number in range(1, 9)]
    hosts.write_text("".join(lines) + "10.2.0.10 xcatsn1a-hf0\n")
    cluster, summary = made(copy, hosts)
    assert cluster.nodes["xcatsn1a"].facing_nodes.name == "xcatsn1a-hf0"
    assert cluster.nodes["dn03"].address == "127.9.16.103"
    assert not any("without an address" in line for line in summary.lines)


def test_an_xcatmaster_that_nobody_knows_is_told(copy: Path) -> None:
    change(copy, "hosts", "xcatsn1a-hf0:10.2.0.10", "")
    cluster, summary = made(copy)
    assert any(
        "xcatmaster without an address" in line and "xcatsn1a-hf0" in line for line in summary.lines
    )
    assert cluster.nodes["dn01"].master == "xcatsn1a"


def test_odd_nodes_are_told(copy: Path) -> None:
    change(copy, "nodetype", '"71BCNimage"', '"gone"')
    change(copy, "noderes", '"xcatsn2a,xcatsn2b"', '"xcatmn"')
    _, summary = made(copy)
    text = "\n".join(summary.lines)
    assert "taken for diskful, as no NIM osimage is known of them: dn01,dn02," in text
    assert "without a simulated service node: dn05,dn06,dn07,dn08,ln05," in text


@pytest.mark.parametrize(
    ("table", "old", "new", "words"),
    [
        ("nodetype", '"AIX"', '"rhels8"', "none of its 24 nodes has an os"),
        ("hosts", "10.1.0.11", "10.1.0.10", "same address: xcatsn1a, xcatsn1b"),
        ("site", '"master"', '"ma"ster"', r"site.csv, line 2: CSV unescaped"),
        ("nodelist", "dn01", "mn", "called 'mn'"),
    ],
)
def test_dumps_that_cannot_be_used(copy: Path, table: str, old: str, new: str, words: str) -> None:
    change(copy, table, old, new)
    if new == "mn":
        (copy / "hosts.csv").write_text((copy / "hosts.csv").read_text() + '"mn","10.2.0.99",,,,\n')
    with pytest.raises(DumpError, match=words):
        made(copy)


def test_no_service_node_is_no_cluster_to_rehearse(copy: Path) -> None:
    (copy / "servicenode.csv").unlink()
    change(copy, "noderes", "xcatsn", "elsewhere")
    with pytest.raises(DumpError, match="no AIX node is a service node"):
        made(copy)


def test_what_is_no_dump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "lab"
    assert main(["up", "--dir", str(place), "--from-dump", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "there is no nodelist.csv, noderes.csv, nodetype.csv, site.csv" in told
    assert not place.exists()


def test_a_dump_that_fails_later_leaves_nothing(copy: Path, tmp_path: Path) -> None:
    change(copy, "nodetype", '"AIX"', '"rhels8"')
    place = tmp_path / "lab"
    assert main(["up", "--dir", str(place), "--from-dump", str(copy)]) == 1
    assert not place.exists()


# A takeover


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("rehearsal") / "lab")
    lab.make_from(SAMPLE, None)
    try:
        lab.up(in_process=True)
        yield lab
    finally:
        lab.down()


def client(lab: Lab, *words: str) -> tuple[int, str]:
    environment = {**os.environ, "TERM": "dumb", **lab.environment()}
    program, *args = words
    argv = [agents.script(program), *args]
    return run_lines(argv, environment, seconds=60.0, on_line=lambda _: None)


@pytest.mark.timeout(120)
def test_a_takeover_is_rehearsed(running: Lab) -> None:
    running.kill("xcatsn1a")
    status, text = client(running, "xcatclient", "snmove", "-s", "xcatsn1a")
    assert status == 0, text
    assert "Moved to xcatsn1b: dn01,dn02,dn03,dn04,ln01,ln02,ln03,ln04" in text
    masters = running.own_masters()
    assert {masters[f"dn0{number}"] for number in range(1, 5)} == {"xcatsn1b"}
    served = records.served(running.directory.database)
    assert served["dn01"].service_nodes == "xcatsn1b,xcatsn1a"
    running.boot("ln01")
    assert running.own_masters()["ln01"] == "xcatsn1b"
    assert "xcatsn1b,xcatsn1a" in running.status()


def test_a_lab_that_is_there_is_not_made_anew(running: Lab) -> None:
    with pytest.raises(LabError, match=r"a lab in .* already"):
        running.make_from(SAMPLE, None)


def test_a_lab_is_dumped_and_restored_byte_for_byte(running: Lab, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert client(running, "dumpxCATdb", "-p", str(first)) == (
        0,
        f" Creating {first} for database dump\nBackup Complete.\n",
    )
    assert client(running, "restorexCATdb", "-p", str(first))[0] == 0
    assert client(running, "dumpxCATdb", "-p", str(second))[0] == 0
    assert {f.name: f.read_bytes() for f in first.iterdir()} == {
        f.name: f.read_bytes() for f in second.iterdir()
    }
    assert "auditlog.csv" not in {file.name for file in first.iterdir()}
