"""Which nodes move, between which service nodes.

Owns: specs/snmove.md, section 2, and the guard rails on sources and destinations.  Must not: compute a
new value of a table cell, or know what is done on a node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .fold import fold
from .model import Note
from .moves import Asked, Choice, Kind, MoveError
from .newvalues import NODEHM, NODERES, backup, entries
from .subnets import address_of, is_address
from .tables import Tables

#: So many nodes are named one by one in errors about single nodes.
MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Current:
    """The effective values of the chosen nodes, each table looked up once."""

    noderes: Mapping[str, Mapping[str, str]]
    nodehm: Mapping[str, Mapping[str, str]]
    nodetype: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, tables: Tables, nodes: Sequence[str]) -> Current:
        """Look up what a move needs of ``nodes``."""
        return cls(
            noderes=_texts(tables, "noderes", NODERES, nodes),
            nodehm=_texts(tables, "nodehm", NODEHM, nodes),
            nodetype=_texts(tables, "nodetype", ("os", "provmethod"), nodes),
        )


_NONE: Mapping[str, str] = {}


def chosen_nodes(
    asked: Asked, tables: Tables, expanded: Iterable[str] | None
) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """The nodes to move, each once, without the service nodes; and what to tell about those left out.

    ``expanded`` are the nodes of the noderange, None for the form with a source alone.
    """
    if asked.source and asked.source == asked.dest:
        raise MoveError(
            f"cannot move nodes from {asked.source} to {asked.source}: source and destination are the"
            " same service node"
        )
    if expanded is None:
        found = tuple(sorted(_served_by(asked.source or "", tables)))
        empty = f"no node has service node {asked.source} as its first servicenode: nothing to move"
    else:
        found = tuple(dict.fromkeys(expanded))
        empty = "the noderange names no node: nothing to move"
    if not found:
        raise MoveError(empty)
    left_out = service_nodes_among(found, asked, tables)
    nodes = tuple(node for node in found if node not in left_out)
    if not nodes:
        raise MoveError(f"cannot move {fold(found)}: service nodes are not moved")
    if not left_out:
        return nodes, ()
    names = [node for node in found if node in left_out]
    text = "left out: service nodes are not moved"
    return nodes, (Note("warning", text, subject=fold(names)),)


def service_nodes_among(nodes: Sequence[str], asked: Asked, tables: Tables) -> frozenset[str]:
    """Those of ``nodes`` that are service nodes: listed in servicenode, or serving one of the others."""
    listed = {row.get("node") for row in tables.rows("servicenode")}
    serving = {asked.source, asked.dest}
    for row in _texts(tables, "noderes", ("servicenode",), nodes).values():
        serving.update(entries(row["servicenode"]))
    return frozenset(
        node
        for node in nodes
        if node in listed or node in serving or not listed.isdisjoint(tables.groups(node))
    )


def names_to_resolve(asked: Asked, tables: Tables, nodes: Sequence[str]) -> frozenset[str]:
    """Every name whose address the plan may need."""
    names: set[str | None] = {asked.source_facing, asked.dest_facing, asked.dest, *nodes}
    for row in _texts(tables, "noderes", NODERES, nodes).values():
        names.update(row.get(column) for column in ("xcatmaster", "nfsserver", "tftpserver"))
        names.update(entries(row.get("servicenode"))[:2])
    names.update(row.get("gateway") for row in tables.rows("networks"))
    if asked.dest and asked.dest not in tables.nodes:
        names.update(_known_servers(tables))
    return frozenset(
        name for name in names if name and not name.startswith("<") and not is_address(name)
    )


def choose(
    asked: Asked, tables: Tables, nodes: Sequence[str], addresses: Mapping[str, str]
) -> tuple[tuple[Choice, ...], tuple[Note, ...]]:
    """For each node where it goes from and to; raises :class:`MoveError` naming what stands against it."""
    current = Current.of(tables, nodes)
    _refuse([f"Could not resolve node '{node}'." for node in nodes if node not in addresses])
    kinds = _kinds(tables, nodes, current)
    if asked.lite_only:
        _refuse_lite(kinds)
    destinations = {
        node: asked.dest or backup(current.noderes.get(node, _NONE).get("servicenode"))
        for node in nodes
    }
    _refuse(
        [
            f"Could not determine a backup service node for node {node}."
            for node, new in destinations.items()
            if not new
        ]
    )
    servers = _servers(destinations, tables, addresses)
    choices = tuple(
        _choice(node, kinds[node], new, servers[new], asked, current, addresses)
        for node, new in destinations.items()
        if new
    )
    return choices, tuple(_too_many(asked, choices, current))


def _served_by(source: str, tables: Tables) -> Iterator[str]:
    for node, row in _texts(tables, "noderes", ("servicenode",), tables.nodes).items():
        if entries(row["servicenode"])[:1] == [source]:
            yield node


def _texts(
    tables: Tables, table: str, columns: Sequence[str], nodes: Sequence[str]
) -> dict[str, dict[str, str]]:
    found = tables.values(table, columns, nodes)
    return {
        node: {column: value.text for column, value in row.items()}
        for node, row in found.items()
        if row
    }


def _known_servers(tables: Tables) -> set[str]:
    nodes = set(tables.nodes)
    named = {row.get("node") or "" for row in tables.rows("servicenode")}
    for row in tables.rows("noderes"):
        named.update(entries(row.get("servicenode")))
    return named & nodes


def _refuse(messages: Sequence[str]) -> None:
    if not messages:
        return
    if len(messages) > MOST_NAMED:
        rest = f"… and {len(messages) - MOST_NAMED} more like this"
        raise MoveError(*messages[:MOST_NAMED], rest)
    raise MoveError(*messages)


def _refuse_lite(kinds: Mapping[str, Kind]) -> None:
    if not all(kind.is_aix for kind in kinds.values()):
        raise MoveError("The '-l' option is not supported for Linux nodes.")
    raise MoveError(
        "cannot synchronise statelite directories (-l): statelite is not in this version; nothing was"
        " changed"
    )


def _kinds(tables: Tables, nodes: Sequence[str], current: Current) -> dict[str, Kind]:
    types = {row.get("imagename"): row.get("nimtype") for row in tables.rows("nimimage")}
    return {node: _kind(current.nodetype.get(node, _NONE), types) for node in nodes}


def _kind(nodetype: Mapping[str, str], types: Mapping[str | None, str | None]) -> Kind:
    if nodetype.get("os") != "AIX":
        return Kind.LINUX
    match types.get(nodetype.get("provmethod")):
        case "standalone":
            return Kind.DISKFUL
        case "diskless" | "dataless":
            return Kind.DISKLESS
        case _:
            return Kind.AIX


def _servers(
    destinations: Mapping[str, str | None], tables: Tables, addresses: Mapping[str, str]
) -> dict[str, str]:
    """The node behind each destination; raises for one that is no node of the cluster."""
    nodes = frozenset(tables.nodes)
    servers: dict[str, str] = {}
    for new in sorted({new for new in destinations.values() if new}):
        server = new if new in nodes else _other_name_of(new, nodes, tables, addresses)
        if server is None:
            named = [node for node, wanted in destinations.items() if wanted == new]
            raise MoveError(
                f"cannot move {fold(named)} to {new}: {new} is not a node of this cluster"
                " (see lsdef)"
            )
        servers[new] = server
    return servers


def _other_name_of(
    name: str, nodes: frozenset[str], tables: Tables, addresses: Mapping[str, str]
) -> str | None:
    """A long name or an address of a node counts as the node, if both resolve to the same address."""
    address = address_of(name, addresses)
    short = name.partition(".")[0]
    if short in nodes and addresses.get(short, address) == address:
        return short
    if address is None:
        return None
    known = sorted(_known_servers(tables))
    return next((server for server in known if addresses.get(server) == address), None)


def _choice(  # noqa: PLR0917 - called once, in a comprehension
    node: str,
    kind: Kind,
    new: str,
    server: str,
    asked: Asked,
    current: Current,
    addresses: Mapping[str, str],
) -> Choice:
    noderes = current.noderes.get(node, _NONE)
    listed = entries(noderes.get("servicenode"))
    return Choice(
        node=node,
        kind=kind,
        address=addresses[node],
        old=asked.source or (listed[0] if listed else None),
        new=new,
        server=server,
        old_master=asked.source_facing or noderes.get("xcatmaster"),
        image=current.nodetype.get(node, _NONE).get("provmethod"),
    )


def _too_many(asked: Asked, choices: Sequence[Choice], current: Current) -> Iterator[Note]:
    if asked.dest:
        return
    by_list: dict[tuple[str, str], list[str]] = {}
    for choice in choices:
        text = current.noderes[choice.node]["servicenode"]
        if len(set(entries(text))) > 2:
            by_list.setdefault((text, choice.new), []).append(choice.node)
    for (text, new), nodes in by_list.items():
        yield Note(
            "warning",
            "The service node attribute cannot have more than two values."
            f" It is {text}; the move goes on with the second, {new}.",
            subject=fold(nodes),
        )
