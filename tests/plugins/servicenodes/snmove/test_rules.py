"""The pure rules: new values, subnets, folded names."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.plan.fold import PLAIN, fold
from xcat_aix.plan.servicenodes.moves import Assignment, NodeKind
from xcat_aix.plan.servicenodes.newvalues import backup, entries, new_values
from xcat_aix.plan.servicenodes.subnets import Networks, address_of
from xcatd.db.snapshot import Snapshot
from xcatd.noderange import Cluster, expand

NAMES = st.sampled_from(["sn1", "sn2", "sn3", "sn10", "sn1.x", ""])


def choice(old: str | None = "sn1", new: str = "sn2", master: str | None = "sn1b") -> Assignment:
    return Assignment("n1", NodeKind.LINUX, "10.1.1.1", old, new, new, master, None)


@given(st.lists(NAMES, max_size=5), st.sampled_from([",", ", ", " ,"]))
def test_servicenode_keeps_the_other_entries_in_order(names: list[str], comma: str) -> None:
    now = comma.join(names)
    wanted = new_values({"servicenode": now}, choice(), "m", {})["servicenode"]
    assert entries(wanted)[0] == "sn2"
    assert [e for e in entries(wanted) if e != "sn2"] == [e for e in entries(now) if e != "sn2"]


@given(st.lists(NAMES, max_size=5))
def test_moving_twice_changes_nothing_more(names: list[str]) -> None:
    once = new_values({"servicenode": ",".join(names)}, choice(), "m", {})
    assert new_values(once, choice(), "m", {})["servicenode"] == once["servicenode"]


def test_names_are_not_prefixes_and_not_patterns() -> None:
    now = {
        "servicenode": "sn10,sn2",
        "conserver": "sn10",
        "monserver": "sn10,x",
        "nfsserver": "sn1bb",
    }
    assert set(new_values(now, choice(), "m", {})) == {"servicenode", "xcatmaster"}
    now = {"servicenode": "s.1,sn2", "conserver": "sn1"}
    assert new_values(now, choice(old="s.1"), "m", {})["servicenode"] == "sn2,s.1"


@pytest.mark.parametrize(
    ("value", "master", "addresses", "moves"),
    [
        ("sn1b", "sn1b", {}, True),
        ("10.1.0.11", "sn1b", {"sn1b": "10.1.0.11"}, True),
        ("sn1b", "10.1.0.11", {"sn1b": "10.1.0.11"}, True),
        ("sn1b.x", "sn1b", {"sn1b": "10.1.0.11", "sn1b.x": "10.1.0.11"}, True),
        ("sn1b.x", "sn1b", {"sn1b": "10.1.0.11"}, False),
        ("nas", "sn1b", {"sn1b": "10.1.0.11", "nas": "10.1.0.12"}, False),
        ("x", "y", {}, False),
        ("sn1b", None, {}, False),
    ],
)
def test_file_servers(
    value: str, master: str | None, addresses: dict[str, str], moves: bool
) -> None:
    wanted = new_values(
        {"nfsserver": value, "tftpserver": value}, choice(master=master), "m", addresses
    )
    assert ("nfsserver" in wanted) is ("tftpserver" in wanted) is moves


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("sn1,sn2", "sn2"),
        ("sn1, sn2 ,sn3", "sn2"),
        ("sn1", None),
        ("sn1,sn1", None),
        ("", None),
        (None, None),
    ],
)
def test_backup(text: str | None, second: str | None) -> None:
    assert backup(text) == second


@pytest.mark.parametrize(
    ("net", "mask"),
    [
        ("10.1.0.0", "255.255.0.0"),
        ("10.1.0.0", "16"),
        ("10.1.0.0", "/16"),
        ("10.1.0.0", "0xffff0000"),
        ("10.1.0.0/16", ""),
        ("fd00:1::", "ffff:ffff:ffff:ffff::"),
        ("fd00:1::/64", ""),
        ("fd00:1::", "/64"),
    ],
)
def test_ways_to_write_a_network(net: str, mask: str) -> None:
    networks = Networks([{"net": net, "mask": mask, "gateway": "g"}])
    inside = "fd00:1::5" if ":" in net else "10.1.200.3"
    found = networks.of(inside)
    assert found is not None and found.gateway == "g" and found.has(inside)
    assert networks.of("10.2.0.1") is networks.of("fd00:2::1") is networks.of("no address") is None


@pytest.mark.parametrize(
    ("net", "mask"),
    [("x", "16"), ("10.0.0.0", "99"), ("10.0.0.0", "255.0.255.0"), ("10.0.0.0", ""), ("", "")],
)
def test_rows_that_are_no_network_hold_nothing(net: str, mask: str) -> None:
    assert Networks([{"net": net, "mask": mask}]).of("10.0.0.1") is None


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_longest_mask_wins(raw: list[tuple[int, int]], number: int) -> None:
    nets = [ipaddress.ip_network((base, prefix), strict=False) for base, prefix in raw]
    address = ipaddress.ip_address(number)
    rows = [{"net": str(n.network_address), "mask": str(n.netmask)} for n in nets]
    found = Networks(rows).of(str(address))
    expected = max((n.prefixlen for n in nets if address in n), default=None)
    assert (found.prefix if found else None) == expected


def test_an_address_is_its_own() -> None:
    assert address_of("10.0.0.1", {}) == "10.0.0.1"
    assert address_of("n", {"n": "10.0.0.2"}) == "10.0.0.2"
    assert address_of("n", {}) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["n", "rack1node", "m-"]), st.integers(0, 120), st.sampled_from([0, 3])
        ),
        min_size=PLAIN + 1,
        max_size=60,
        unique=True,
    )
)
def test_folded_names_mean_the_same_nodes(parts: list[tuple[str, int, int]]) -> None:
    names = list(
        dict.fromkeys(f"{front}{str(number).zfill(width)}" for front, number, width in parts)
    )
    snapshot = Snapshot.from_rows({"nodelist": [{"node": name} for name in names]})
    expansion = expand(fold(names), Cluster(snapshot))
    assert set(expansion.nodes) == set(names)
    assert expansion.missed == ()


def test_few_names_are_written_out() -> None:
    assert fold(["n2", "n1"]) == "n2,n1"
    assert fold([f"n{i}" for i in range(1, 41)] + ["x"]) == "n[1-40],x"
    assert fold([f"n{i:02}" for i in range(1, 41)]) == "n[01-40]"
