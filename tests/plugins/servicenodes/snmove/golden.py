"""Golden cases of the planner: request + tables + world -> plan and its text, or the refusal.

``python -m tests.golden --rewrite planners`` writes the expectations anew: read the diff before you commit it.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.golden import cases as golden_cases
from tests.golden.cases import load, text
from tests.kinds import KINDS

from xcat_aix.plan import explain
from xcat_aix.plan.model import Plan
from xcat_aix.plan.servicenodes.meaning import MoveMeaning
from xcat_aix.plan.servicenodes.moves import Asked, MoveError, ServiceNode, Surroundings
from xcat_aix.plan.servicenodes.selection import choose, chosen_nodes, names_to_resolve
from xcat_aix.plan.servicenodes.snmove import plan
from xcat_aix_proto import codec
from xcat_aix_proto.facts import NimDatabase, NimObject
from xcatd.db.snapshot import Snapshot

DIRECTORY = Path(__file__).parents[3] / "golden" / "snmove"

__all__ = ["DIRECTORY", "cases", "impossible", "load", "outcome", "plan_of", "rewrite", "text"]


def cases() -> list[Path]:
    return golden_cases.find(DIRECTORY)


def asked(case: Mapping[str, Any]) -> Asked:
    fields = dict(case["asked"])
    fields["postscripts"] = tuple(fields.get("postscripts", ()))
    return Asked(**fields)


def nim(objects: Mapping[str, Mapping[str, str]] | None) -> NimDatabase | None:
    """NIM objects as ``{name: {attribute: value}}``; None for no answer, {"": {}} for no master."""
    if objects is None:
        return None
    found = tuple(
        NimObject(name, tuple(attributes.items())) for name, attributes in objects.items() if name
    )
    return NimDatabase(is_master="" not in objects, objects=found)


def service_node(name: str, data: Mapping[str, Any]) -> ServiceNode:
    return ServiceNode(
        name, tuple(data.get("addresses", ())), nim(data.get("nim")), data.get("reason", "")
    )


def plan_of(case: Mapping[str, Any]) -> Plan:
    tables, request = Snapshot.from_rows(case["rows"]), asked(case)
    chosen = chosen_nodes(request, tables, case["nodes"])
    wanted = names_to_resolve(request, tables, chosen)
    addresses = {name: at for name, at in case["addresses"].items() if name in wanted}
    choices, notes = choose(request, tables, chosen, addresses)
    servers = {
        name: service_node(name, data) for name, data in case.get("service_nodes", {}).items()
    }
    ranges = {key: frozenset(names) for key, names in case.get("ranges", {}).items()}
    world = Surroundings(addresses, servers, notes, ranges)
    return plan(request, tables, chosen, choices, world)


def outcome(case: Mapping[str, Any]) -> dict[str, Any]:
    try:
        planned = plan_of(case)
    except MoveError as error:
        return {"error": list(error.messages)}
    stored = json.loads(planned.text())
    return {
        "explain": explain.to_text(planned, KINDS.title, MoveMeaning.of(planned)),
        "plan": stored,
    }


def impossible(case: Mapping[str, Any]) -> list[str]:
    """What cannot be on a real cluster, so that cases cannot drift from reality."""
    known = {row["node"] for row in case["rows"]["nodelist"]}
    groups = {
        group
        for row in case["rows"]["nodelist"]
        for group in (row.get("groups") or "").split(",")
        if group
    }
    found = [f"{node} is not in nodelist" for node in case["nodes"] or () if node not in known]
    for table in ("noderes", "nodehm", "nodetype", "hosts"):
        found += [
            f"{table} has a row for {row['node']}"
            for row in case["rows"].get(table, ())
            if row["node"] not in known | groups
        ]
    found += [
        f"unknown service node {sn}" for sn in case.get("service_nodes", {}) if sn not in known
    ]
    for address in case["addresses"].values():
        ipaddress.ip_address(address)
    for data in case.get("service_nodes", {}).values():
        for address in data.get("addresses", ()):
            ipaddress.ip_address(address)
        if (answer := nim(data.get("nim"))) is not None:
            codec.from_wire(NimDatabase, codec.to_wire(answer))
    return found


def rewrite() -> list[Path]:
    return golden_cases.rewrite_expectations(cases(), outcome)
