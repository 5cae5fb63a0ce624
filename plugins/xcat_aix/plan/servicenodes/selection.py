"""Which nodes move, between which service nodes.

Owns: docs/facts/snmove.md, Which nodes, and the guard rails on sources and destinations.  Must not: compute a
new value of a table cell, or know what is done on a node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Note
from xcat_aix.plan.reading import Effective, EffectiveRows, Tables

from .moves import Asked, Assignment, MoveError, NodeKind, NothingToMove
from .newvalues import NODEHM, NODERES, backup, entries
from .subnets import address_of, is_address

#: So many nodes are named one by one in errors about single nodes.
MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Chosen:
    """The nodes to move, each once, their effective values, and what to tell about those left out.

    Every table is looked up once; ``noderes`` and ``nodehm`` tell where a value came from.
    """

    nodes: tuple[str, ...]
    notes: tuple[Note, ...]
    noderes: EffectiveRows
    nodehm: EffectiveRows
    nodetype: EffectiveRows

    def text(self, node: str, column: str) -> str | None:
        """One value of noderes."""
        value = self.noderes.get(node, _NO_VALUES).get(column)
        return value.text if value else None

    def image(self, node: str) -> str | None:
        """The osimage, nodetype.provmethod."""
        value = self.nodetype.get(node, _NO_VALUES).get("provmethod")
        return value.text if value else None


_NO_VALUES: Mapping[str, Effective] = {}


def chosen_nodes(
    asked: Asked, tables: Tables, expanded: Iterable[str] | None, servers: Iterable[str] = ()
) -> Chosen:
    """The nodes to move, without the service nodes; raises :class:`MoveError` if there are none.

    ``expanded`` are the nodes of the noderange, None for the form with a source alone; ``servers`` are
    further names of service nodes.
    """
    if asked.source and asked.source == asked.dest:
        raise MoveError(
            f"cannot move nodes from {asked.source} to {asked.source}: source and destination are the"
            " same service node"
        )
    if expanded is None:
        noderes = tables.values("noderes", NODERES, tables.nodes)
        found = tuple(sorted(_served_by(asked.source or "", noderes)))
        empty = f"no node has service node {asked.source} as its first servicenode: nothing to move"
    else:
        found = tuple(dict.fromkeys(expanded))
        noderes = tables.values("noderes", NODERES, found)
        empty = "the noderange names no node: nothing to move"
    if not found:
        raise NothingToMove(empty)
    servers = {*servers, asked.source or "", asked.dest or ""}
    left_out = _service_nodes_among(found, servers, tables, noderes)
    nodes = tuple(node for node in found if node not in left_out)
    if not nodes:
        raise MoveError(f"cannot move {fold(found)}: service nodes are not moved")
    names = [node for node in found if node in left_out]
    text = "left out: service nodes are not moved"
    return Chosen(
        nodes,
        (Note("warning", text, subject=fold(names)),) if names else (),
        noderes,
        tables.values("nodehm", NODEHM, nodes),
        tables.values("nodetype", ("os", "provmethod"), nodes),
    )


def _served_by(source: str, noderes: EffectiveRows) -> Iterator[str]:
    for node, row in noderes.items():
        value = row.get("servicenode")
        if value is not None and entries(value.text)[:1] == [source]:
            yield node


def _service_nodes_among(
    nodes: Sequence[str], servers: Iterable[str], tables: Tables, noderes: EffectiveRows
) -> frozenset[str]:
    """Those of ``nodes`` that are service nodes: listed in servicenode, or serving one of the others."""
    listed = {row.get("node") for row in tables.rows("servicenode")}
    serving = {*servers, *_serving_others(nodes, noderes)}
    return frozenset(
        node
        for node in nodes
        if node in listed or node in serving or not listed.isdisjoint(tables.groups(node))
    )


def _serving_others(nodes: Sequence[str], noderes: EffectiveRows) -> Iterator[str]:
    """What other nodes have in their servicenode; an expression that does not fit gives a node's own name."""
    by_text: dict[str, str] = {}
    for node in nodes:
        row = noderes.get(node, _NO_VALUES)
        if "servicenode" in row:
            text = row["servicenode"].text
            by_text[text] = node if text not in by_text else ""
    for text, only in by_text.items():
        yield from (entry for entry in entries(text) if entry != only)


def names_to_resolve(
    asked: Asked, tables: Tables, chosen: Chosen, servers: Collection[str] = ()
) -> frozenset[str]:
    """Every name whose address the plan may need; ``servers`` are those that all nodes are spread over."""
    names: set[str | None] = {asked.source_facing, asked.dest_facing, asked.dest, *chosen.nodes}
    lists: set[str] = set()
    for node in chosen.nodes:
        row = chosen.noderes.get(node, _NO_VALUES)
        names.update(row[column].text for column in _FACING if column in row)
        if "servicenode" in row:
            lists.add(row["servicenode"].text)
    most = None if servers else 2
    listed = {*servers, *(entry for text in lists for entry in entries(text)[:most])}
    names.update(listed)
    names.update(row.get("gateway") for row in tables.rows("networks"))
    if not ({asked.dest} if asked.dest else listed) <= frozenset(tables.nodes):
        names.update(possible_servers(tables))
    return frozenset(
        name for name in names if name and not name.startswith("<") and not is_address(name)
    )


_FACING = ("xcatmaster", "nfsserver", "tftpserver")


def choose(
    asked: Asked, tables: Tables, chosen: Chosen, addresses: Mapping[str, str]
) -> tuple[tuple[Assignment, ...], tuple[Note, ...]]:
    """For each node where it goes from and to; raises :class:`MoveError` naming what stands against it."""
    nodes = chosen.nodes
    require_addresses(nodes, addresses)
    kinds = kinds_of(tables, chosen)
    if asked.lite_only:
        _refuse_lite(kinds)
    destinations = {node: asked.dest or backup(chosen.text(node, "servicenode")) for node in nodes}
    _refuse(
        [
            f"Could not determine a backup service node for node {node}."
            for node, new in destinations.items()
            if not new
        ]
    )
    servers = _servers(destinations, tables, addresses)
    choices = tuple(
        _choice(node, kinds[node], new, servers[new], asked, chosen, addresses)
        for node, new in destinations.items()
        if new
    )
    return choices, tuple(_too_many(asked, choices, chosen))


def require_addresses(nodes: Iterable[str], addresses: Mapping[str, str]) -> None:
    """Raise :class:`MoveError` naming the nodes that have none."""
    _refuse([f"Could not resolve node '{node}'." for node in nodes if node not in addresses])


def possible_servers(tables: Tables) -> set[str]:
    """The nodes that another name or an address may stand for: those whose address is defined."""
    named = {
        row.get("node") or "" for table in ("servicenode", "hosts") for row in tables.rows(table)
    }
    for row in tables.rows("noderes"):
        named.update(entries(row.get("servicenode")))
    return named & set(tables.nodes)


def _refuse(messages: Sequence[str]) -> None:
    if not messages:
        return
    if len(messages) > MOST_NAMED:
        rest = f"... and {len(messages) - MOST_NAMED} more like this"
        raise MoveError(*messages[:MOST_NAMED], rest)
    raise MoveError(*messages)


def _refuse_lite(kinds: Mapping[str, NodeKind]) -> None:
    if not all(kind.is_aix for kind in kinds.values()):
        raise MoveError("The '-l' option is not supported for Linux nodes.")
    raise MoveError(
        "cannot synchronise statelite directories (-l): statelite is not in this version; nothing was"
        " changed"
    )


def kinds_of(tables: Tables, chosen: Chosen) -> dict[str, NodeKind]:
    """What each chosen node is to a move."""
    types = {row.get("imagename"): row.get("nimtype") for row in tables.rows("nimimage")}
    return {
        node: _kind(chosen.nodetype.get(node, _NO_VALUES), types.get(chosen.image(node)))
        for node in chosen.nodes
    }


def _kind(nodetype: Mapping[str, Effective], nimtype: str | None) -> NodeKind:
    if "os" not in nodetype or nodetype["os"].text != "AIX":
        return NodeKind.LINUX
    match nimtype:
        case "standalone":
            return NodeKind.DISKFUL
        case "diskless" | "dataless":
            return NodeKind.DISKLESS
        case _:
            return NodeKind.AIX


def _servers(
    destinations: Mapping[str, str | None], tables: Tables, addresses: Mapping[str, str]
) -> dict[str, str]:
    """The node behind each destination; raises for one that is no node of the cluster."""
    behind = Behind(tables, addresses)
    servers: dict[str, str] = {}
    for new in sorted({new for new in destinations.values() if new}):
        server = behind.node(new)
        if server is None:
            named = [node for node, wanted in destinations.items() if wanted == new]
            raise MoveError(
                f"cannot move {fold(named)} to {new}: {new} is not a node of this cluster"
                " (see lsdef)"
            )
        servers[new] = server
    return servers


class Behind:
    """The node that a service node's name, as written somewhere, stands for."""

    def __init__(self, tables: Tables, addresses: Mapping[str, str]) -> None:
        self._tables = tables
        self._addresses = addresses
        self._nodes = frozenset(tables.nodes)
        self._found: dict[str, str | None] = {}

    def node(self, name: str) -> str | None:
        """A long name or an address of a node counts as the node, if both resolve to the same address."""
        if name in self._nodes:
            return name
        if name not in self._found:
            self._found[name] = self._other_name_of(name)
        return self._found[name]

    def _other_name_of(self, name: str) -> str | None:
        address = address_of(name, self._addresses)
        short = name.partition(".")[0]
        if short in self._nodes and self._addresses.get(short, address) == address:
            return short
        if address is None:
            return None
        known = sorted(possible_servers(self._tables))
        return next((server for server in known if self._addresses.get(server) == address), None)


def _choice(  # noqa: PLR0917 - called once, in a comprehension
    node: str,
    kind: NodeKind,
    new: str,
    server: str,
    asked: Asked,
    chosen: Chosen,
    addresses: Mapping[str, str],
) -> Assignment:
    listed = entries(chosen.text(node, "servicenode"))
    return Assignment(
        node=node,
        kind=kind,
        address=addresses[node],
        old=asked.source or (listed[0] if listed else None),
        new=new,
        server=server,
        old_master=asked.source_facing or chosen.text(node, "xcatmaster"),
        image=chosen.image(node),
    )


def _too_many(asked: Asked, choices: Sequence[Assignment], chosen: Chosen) -> Iterator[Note]:
    if asked.dest:
        return
    by_list: dict[tuple[str, str], list[str]] = {}
    for choice in choices:
        text = chosen.text(choice.node, "servicenode") or ""
        if len(set(entries(text))) > 2:
            by_list.setdefault((text, choice.new), []).append(choice.node)
    for (text, new), nodes in by_list.items():
        yield Note(
            "warning",
            "The service node attribute cannot have more than two values."
            f" It is {text}; the move goes on with the second, {new}.",
            subject=fold(nodes),
        )
