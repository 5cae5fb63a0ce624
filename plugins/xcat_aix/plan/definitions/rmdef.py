"""The plan of rmdef: rows that go, and nodes that leave removed groups.

Pure.  Facts: docs/facts/object-commands.md, rmdef.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xcat_aix.plan.writing import Planned, error, info, warning
from xcatd.objects import mapping
from xcatd.tablenames import Snapshot

from . import itemlists
from .objects import Definition, DefinitionWriter, Mode
from .orders import Order

#: Hardware whose parts are nodes of their own.
_WITH_PARTS = ("cec", "frame")
_PARTS = ("fsp", "bpa")

#: What former members of a group keep as their own: the attributes that decide which others they may have.
_KEPT = ("mgt", "nodetype")


def plan(order: Order, snapshot: Snapshot) -> Planned:
    """What to write and to say; ``snapshot`` has the tables :func:`tables_needed` names."""
    planned = Planned()
    writer = DefinitionWriter(snapshot, planned.draft, planned.remarks)
    chosen = _chosen(order, writer, planned)
    parts = list(_parts_of(snapshot, chosen.get("node", ())))
    for kind, names in chosen.items():
        gone = names
        if kind == "group":
            gone = tuple(_disband(writer, names, leaving=set(chosen.get("node", ()))))
        writer.remove(kind, gone)
    _say(order, planned, chosen)
    if any(chosen.values()):
        planned.results += [warning(text) for text in parts]
    return planned


def nodes_of(order: Order, snapshot: Snapshot) -> tuple[str, ...]:
    """The nodes that will be removed."""
    if order.is_all:
        return snapshot.nodes
    is_about_nodes = order.kinds[:1] == ("node",)
    return tuple(filter(snapshot.has_node, order.names)) if is_about_nodes else ()


def _chosen(order: Order, writer: DefinitionWriter, planned: Planned) -> dict[str, tuple[str, ...]]:
    if order.is_all:
        kinds = (kind for kind in mapping.TYPES if kind not in mapping.LOG_TYPES)
        return {kind: writer.reader.names(kind) for kind in kinds}
    if not order.kinds:  # a stanza file names nothing that rmdef removes
        return {}
    kind = order.kinds[0]
    known = set(writer.reader.names(kind))
    names = tuple(sorted(set(order.names)))
    for name in names:
        if name not in known:
            text = f"Could not find an object named '{name}' of type '{kind}'."
            planned.remarks.append(error(text))
    return {kind: tuple(name for name in names if name in known)}


def _disband(writer: DefinitionWriter, names: tuple[str, ...], leaving: set[str]) -> Iterator[str]:
    """Take the members out of static groups; names of the groups whose rows go in every table.

    Of a dynamic group only the row in nodegroup goes.  Nodes that are ``leaving`` themselves need no new
    groups.
    """
    found = writer.reader.read("group", names, ("grouptype",))
    former: dict[str, None] = {}
    for name in names:
        if found.get(name, {}).get("grouptype") == "dynamic":
            writer.draft.delete(("nodegroup", (("groupname", name),)))
            continue
        for node in writer.snapshot.members.get(name, ()):
            if node in leaving:
                continue
            text = writer.memberships.text(node) or ""
            writer.memberships.set(node, itemlists.without(text, (name,)))
            former[node] = None
        yield name
    _keep_kind(writer, former)


def _keep_kind(writer: DefinitionWriter, nodes: Iterable[str]) -> None:
    """Write to the nodes' own rows how they are managed, as xCAT does; it may have come from the group."""
    values = writer.reader.read("node", nodes, _KEPT)
    kept = {
        node: Definition("node", {name: found[name] for name in _KEPT if name in found})
        for node, found in values.items()
    }
    writer.write(
        {node: definition for node, definition in kept.items() if definition.attributes},
        Mode.REPLACE,
    )


def _parts_of(snapshot: Snapshot, nodes: tuple[str, ...]) -> Iterator[str]:
    """What to tell about frames and CECs whose parts stay behind."""
    if not nodes:
        return
    types = snapshot.values("nodetype", ("nodetype",), nodes)
    ppc_types = snapshot.values("ppc", ("nodetype",), nodes)
    for node in nodes:
        value = ppc_types[node].get("nodetype") or types[node].get("nodetype")
        if value is None or value.text not in _WITH_PARTS:
            continue
        rows = snapshot.rows("ppc")
        parts = [r["node"] or "" for r in rows if r["parent"] == node and r["nodetype"] in _PARTS]
        if parts:
            yield (
                f"You have removed a {value.text} node, please remove these nodes belongs to it "
                f"manually: {','.join(parts)} ."
            )


def _say(order: Order, planned: Planned, chosen: dict[str, tuple[str, ...]]) -> None:
    names = sorted({name for found in chosen.values() for name in found})
    if not names:
        planned.results.append(info("No objects have been removed from the xCAT database."))
    elif order.is_verbose:
        planned.results.append(info("The following objects were removed:", "", *names))
    else:
        planned.results.append(info(f"{len(names)} object definitions have been removed."))


def tables_needed(order: Order) -> frozenset[str]:
    """The tables to read: all the objects' types have attributes in."""
    kinds = (
        [kind for kind in mapping.TYPES if kind not in mapping.LOG_TYPES]
        if order.is_all
        else order.kinds[:1]
    )
    found = frozenset({"nodelist", "nodegroup", "site"}) | mapping.tables(kinds)
    if "group" in kinds:
        found |= mapping.tables(("node",), _KEPT) | {"postscripts"}
    entries = (entry for kind in kinds for entry in mapping.TYPES[kind].entries)
    return found | {entry.table for entry in entries}
