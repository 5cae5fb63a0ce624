"""Who serves whom: what the database says beside what each node says itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xcat_aix_lab.cluster import Cluster
from xcat_aix_lab.records import Served
from xcat_aix_lab.sim import niminfo

if TYPE_CHECKING:
    from xcat_aix_lab.sim.store import Store


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One compute node."""

    node: str
    nimtype: str
    database: Served
    #: the service node that the node's own /etc/niminfo leads to, as a node name; empty: none
    own_master: str
    default_route: str
    is_down: bool


def own_masters(store: Store) -> dict[str, str]:
    """The NIM master of every node that has one, as a node name, read from the nodes."""
    masters = {}
    for node in store.topology.kinds:
        text = store.files(node).read(niminfo.PATH)
        if text is not None:
            name = niminfo.parse(text).get("NIM_MASTER_HOSTNAME", "")
            masters[node] = _node_of(store, name)
    return masters


def _node_of(store: Store, name: str) -> str:
    found = store.topology.find(name)
    return found[0] if found else name


def views(cluster: Cluster, store: Store, served: Mapping[str, Served]) -> list[NodeReport]:
    """All compute nodes."""
    found = []
    masters = own_masters(store)
    for node in cluster.of_kind("cn"):
        routes = [r[1] for r in store.host(node.name).routes if r[0] == "default"]
        found.append(
            NodeReport(
                node.name,
                node.nimtype,
                served.get(node.name, Served("", "")),
                masters.get(node.name, ""),
                _node_of(store, routes[0]) if routes else "",
                store.faults(node.name).down,
            )
        )
    return found


#: How wide columns are at least, the last one apart.
_WIDTHS = (7, 11, 14, 14, 11, 9)


def table(found: Collection[NodeReport], cluster: Cluster, running: Collection[str]) -> str:
    """The views as text; ``running`` are the programs of the lab that run."""
    rows = [
        ("NODE", "KIND", "SERVICENODE", "XCATMASTER", "NIM MASTER", "ROUTE", "AGENT"),
        ("", "", "in the database", "", "on the node", "", ""),
    ]
    with_agent = {node.name for node in cluster.with_agent}
    for view in found:
        agent = _agent(view.node, running) if view.node in with_agent else "-"
        database = (view.database.service_nodes, view.database.master)
        own = (view.own_master or "-", view.default_route or "-")
        state = "node is down" if view.is_down else agent
        rows.append((view.node, view.nimtype, *database, *own, state))
    widths = [
        max(least, *(len(row[place]) for row in rows if row[0] != ""))
        for place, least in enumerate(_WIDTHS)
    ]
    return "".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{text:<{width}}" for text, width in zip(row, widths, strict=False)]
    return " ".join([*padded, row[-1]]).rstrip() + "\n"


def _agent(node: str, running: Collection[str]) -> str:
    return "runs" if f"agent-{node}" in running else "does not run"


def servers(cluster: Cluster, store: Store, running: Collection[str]) -> str:
    """One line per service node: whom it serves by the nodes' own word, and whether it lives."""
    masters = own_masters(store)
    down = {name for name in store.topology.kinds if store.faults(name).down}
    clients = {node.name for node in cluster.of_kind("cn")}
    lines = []
    for server in cluster.of_kind("sn"):
        nodes = sorted(n for n, master in masters.items() if master == server.name and n in clients)
        state = "DOWN" if server.name in down else _agent(server.name, running)
        verb = "served" if server.name in down else "serves"
        lines.append(f"{server.name:<6} {state:<13} {verb} {', '.join(nodes) or 'nobody'}\n")
    return "".join(lines)
