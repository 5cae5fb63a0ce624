"""Plans of random clusters: rooms, aliases, weights, half-filled tables."""

from __future__ import annotations

import ipaddress
from collections import Counter
from fractions import Fraction
from math import ceil, floor
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.plan.servicenodes.moves import MoveError
from xcat_aix.plan.servicenodes.newvalues import entries

from . import golden

SERVERS = ("sn1", "sn2", "sn3", "sn4")
#: What a table may hold for a service node, and which one it is.
SPELLINGS = {
    **{name: name for name in SERVERS},
    **{f"{name}.x": name for name in SERVERS},
    **{f"10.0.0.1{name[-1]}": name for name in SERVERS},
}
NETWORKS = {"1": "10.1.0.0", "2": "10.2.0.0"}


@st.composite
def nodes(draw: st.DrawFn, name: str) -> dict[str, Any]:
    listed = draw(st.lists(st.sampled_from([*SPELLINGS, "sn9"]), max_size=3))
    return {
        "node": name,
        "room": draw(st.sampled_from("112")),
        "servicenode": draw(st.sampled_from([",", ", "])).join(listed),
        "xcatmaster": draw(st.sampled_from(["", "sn1b", "10.1.0.12", "elsewhere"])),
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    found = [draw(nodes(f"n{number}")) for number in range(draw(st.integers(1, 12)))]
    given_servers = draw(st.permutations(SERVERS))[: draw(st.integers(2, 4))]
    known = {}
    for name in SERVERS:
        rooms = draw(st.sampled_from(["12", "12", "1", "2"]))
        known[name] = {
            "addresses": [f"10.{room}.0.1{name[-1]}" for room in rooms],
            "nim": {"s": {}},
        }
    return {
        "balance": {
            "servers": given_servers,
            "weights": {name: draw(st.integers(0, 3)) for name in given_servers},
            "backups": draw(st.sampled_from([1, 1, 1, 0])),
        },
        "nodes": [node["node"] for node in found],
        "rows": {
            "nodelist": [{"node": name, "groups": "service"} for name in SERVERS]
            + [{"node": node["node"], "groups": "compute"} for node in found],
            "noderes": [
                {key: node[key] for key in ("node", "servicenode", "xcatmaster") if node[key]}
                for node in found
            ],
            "nodetype": [{"node": "compute", "os": "AIX", "provmethod": "std"}],
            "nimimage": [{"imagename": "std", "nimtype": "standalone"}],
            "networks": [{"net": net, "mask": "16"} for net in NETWORKS.values()],
            "servicenode": [{"node": "service"}],
            "hosts": [{"node": name, "ip": f"10.0.0.1{name[-1]}"} for name in SERVERS],
        },
        "addresses": {
            **{f"{name}{tail}": f"10.0.0.1{name[-1]}" for name in SERVERS for tail in ("", ".x")},
            "sn1b": "10.1.0.11",
            **{
                node["node"]: f"10.{node['room']}.1.{number}"
                for number, node in enumerate(found, 1)
            },
        },
        "service_nodes": known,
    }


def after(case: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of noderes with the plan's cells in them."""
    rows = {row["node"]: dict(row) for row in case["rows"]["noderes"]}
    for cell in golden.plan_of(case).changes.cells():
        rows.setdefault(cell.name, {"node": cell.name})[cell.column] = cell.after
    return rows


def in_room(case: dict[str, Any], node: str) -> set[str]:
    """The servers with an address in the node's network."""
    network = ipaddress.ip_network(f"{case['addresses'][node]}/16", strict=False)
    return {
        name
        for name, data in case["service_nodes"].items()
        if any(ipaddress.ip_address(address) in network for address in data["addresses"])
    }


@given(cases())
def test_everybody_gets_who_can_serve(case: dict[str, Any]) -> None:
    weights = case["balance"]["weights"]
    before = {row["node"]: row for row in case["rows"]["noderes"]}
    try:
        rows = after(case)
    except MoveError as error:
        assert str(error).startswith("cannot balance")
        return
    for node in case["nodes"]:
        row, was = rows[node], before.get(node, {})
        now = dict.fromkeys(entries(row["servicenode"]))
        primary, *backups = (SPELLINGS.get(name) for name in now)
        first = (entries(was.get("servicenode")) or [""])[0]
        assert weights.get(primary)
        if SPELLINGS.get(first) == primary and was.get("xcatmaster"):
            assert row["xcatmaster"] == was["xcatmaster"]
        else:
            assert primary in in_room(case, node)
            assert row["xcatmaster"] in case["service_nodes"][primary]["addresses"]
        if case["balance"]["backups"]:
            possible = (in_room(case, node) & weights.keys()) - {primary}
            assert not possible or (len(backups) == 1 and backups[0] in possible)
        else:
            assert backups == []


@given(cases())
def test_in_one_room_the_weights_hold(case: dict[str, Any]) -> None:
    weights = case["balance"]["weights"]
    for data in case["service_nodes"].values():
        data["addresses"] = sorted({*data["addresses"], f"10.1.0.{data['addresses'][0][-2:]}"})
    for node in case["nodes"]:
        case["addresses"][node] = "10.1" + case["addresses"][node][4:]
    try:
        rows = after(case)
    except MoveError:
        assert not any(weights.values())
        return
    primaries = Counter(SPELLINGS[entries(rows[node]["servicenode"])[0]] for node in case["nodes"])
    for name, weight in weights.items():
        share = Fraction(len(case["nodes"]) * weight, sum(weights.values()))
        assert floor(share) <= primaries[name] <= ceil(share)


@given(cases())
def test_a_second_time_nothing_changes(case: dict[str, Any]) -> None:
    try:
        case["rows"]["noderes"] = list(after(case).values())
    except MoveError:
        return
    assert golden.plan_of(case).nodes == ()
