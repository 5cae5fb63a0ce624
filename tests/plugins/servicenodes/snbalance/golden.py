"""Golden cases of the balance: request + tables + world -> plan and its text, or the refusal.

``python -m tests.golden --rewrite planners`` writes the expectations anew: read the diff before you commit it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.golden import cases as golden_cases
from tests.golden.cases import load, text
from tests.kinds import KINDS
from tests.plugins.servicenodes.snmove.golden import impossible, service_node

from xcat_aix.plan import explain
from xcat_aix.plan.model import Plan
from xcat_aix.plan.servicenodes.meaning import MoveMeaning
from xcat_aix.plan.servicenodes.moves import Asked, MoveError, Surroundings
from xcat_aix.plan.servicenodes.selection import chosen_nodes, names_to_resolve
from xcat_aix.plan.servicenodes.snbalance import plan
from xcat_aix.plan.servicenodes.snbalance_servers import Balance, listed_servers
from xcatd.db.snapshot import Snapshot

DIRECTORY = Path(__file__).parents[3] / "golden" / "snbalance"

__all__ = ["DIRECTORY", "cases", "impossible", "load", "outcome", "plan_of", "rewrite", "text"]


def cases() -> list[Path]:
    return golden_cases.find(DIRECTORY)


def balance(case: Mapping[str, Any]) -> Balance:
    fields = dict(case["balance"])
    fields["servers"] = tuple(fields["servers"])
    return Balance(**{**fields, "move": Asked(**fields.get("move", {}))})


def plan_of(case: Mapping[str, Any]) -> Plan:
    tables, request = Snapshot.from_rows(case["rows"]), balance(case)
    chosen = chosen_nodes(request.move, tables, case["nodes"], request.names)
    wanted = names_to_resolve(request.move, tables, chosen, request.names)
    addresses = {name: at for name, at in case["addresses"].items() if name in wanted}
    servers = listed_servers(request, tables, addresses)
    known = {name: service_node(name, data) for name, data in case["service_nodes"].items()}
    return plan(request, tables, chosen, servers, Surroundings(addresses, known))


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


def rewrite() -> list[Path]:
    return golden_cases.rewrite_expectations(cases(), outcome)
