"""The service nodes of a balance: which nodes they are, what they weigh, whom they can serve.

Owns: matching names against the list the user gave, and the rule of who can serve a node.  Must not: choose.
Facts: docs/facts/snmove.md, New values: a service node serves a node by an address in the node's network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xcat_aix.plan.model import Note
from xcat_aix.plan.reading import Tables

from .moves import Asked, MoveError, Surroundings
from .newvalues import entries
from .selection import Behind
from .snbalance_split import Member
from .snmove import facing_address
from .subnets import Subnet


@dataclass(frozen=True, slots=True)
class Balance:
    """The request, parsed: the service nodes in the user's order, their weights (1 by default) by name.

    ``backups`` is the number of backups of each node; ``move`` is how nodes are moved.
    """

    servers: tuple[str, ...]
    weights: Mapping[str, int] = field(default_factory=dict)
    backups: int = 1
    move: Asked = field(default_factory=Asked)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name in the request that stands for a service node."""
        return (*self.servers, *self.weights)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One service node: ``name`` as the user wrote it, and the node behind it."""

    name: str
    node: str
    weight: int


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where nodes are and could be; servers by their number in the list.

    ``entries`` are the present service nodes as written, each once, and ``numbers`` which of the list they are, None
    for others.
    """

    entries: tuple[str, ...]
    numbers: tuple[int | None, ...]
    member: Member

    def spelling(self, number: int) -> str | None:
        """How a server is written in the present entries."""
        return self.entries[self.numbers.index(number)] if number in self.numbers else None


def listed_servers(
    balance: Balance, tables: Tables, addresses: Mapping[str, str]
) -> list[Candidate]:
    """The service nodes as nodes of the cluster; raises :class:`MoveError` for a name that is none, or twice there."""
    behind = Behind(tables, addresses)
    found: dict[str, str] = {}
    for name in balance.servers:
        node = behind.node(name)
        if node is None:
            raise MoveError(
                f"cannot balance over {name}: it is not a node of this cluster (see lsdef)"
            )
        if node in found:
            same = name if name == found[node] else f"{found[node]} and {name}"
            raise MoveError(f"cannot balance over {same}: that is one service node, named twice")
        found[node] = name
    weights = _weights(balance, found, behind)
    servers = [Candidate(name, node, weights.get(node, 1)) for node, name in found.items()]
    if not any(server.weight for server in servers):
        raise MoveError("cannot balance: every service node has weight 0, so none can be a primary")
    return servers


def _weights(balance: Balance, found: Mapping[str, str], behind: Behind) -> dict[str, int]:
    weights: dict[str, int] = {}
    for name, weight in balance.weights.items():
        node = behind.node(name)
        if node is None or node not in found:
            raise MoveError(
                f"cannot give {name} a weight: it is not one of the service nodes"
                f" {','.join(balance.servers)}"
            )
        if weights.setdefault(node, weight) != weight:
            raise MoveError(f"cannot give {name} two weights: {weights[node]} and {weight}")
    return weights


def doubtful(servers: Sequence[Candidate], tables: Tables) -> Iterator[Note]:
    """A listed node that is nowhere said to be a service node may be a slip of the pen."""
    known = {row.get("node") for row in tables.rows("servicenode")}
    for server in servers:
        if server.node not in known and known.isdisjoint(tables.groups(server.node)):
            text = "neither it nor a group of it is in table servicenode"
            yield Note("warning", text, subject=server.name)


class Reach:
    """Who can serve whom; nodes that are alike in this are looked at once."""

    def __init__(self, servers: Sequence[Candidate], tables: Tables, world: Surroundings) -> None:
        self._servers = servers
        self._world = world
        self._behind = Behind(tables, world.addresses)
        self._numbers = {server.node: number for number, server in enumerate(servers)}
        self._inside: dict[Subnet, frozenset[int]] = {}
        self._places: dict[tuple[str | None, Subnet | None, bool], NodePlace] = {}

    def inside(self, network: Subnet | None) -> frozenset[int]:
        """The servers with a known address in a network."""
        if network is None:
            return frozenset()
        if network not in self._inside:
            known = self._world.service_nodes
            self._inside[network] = frozenset(
                number
                for number, server in enumerate(self._servers)
                if facing_address(known.get(server.node), network) is not None
            )
        return self._inside[network]

    def is_silent(self, number: int) -> bool:
        """True if nobody told which addresses the server has: there may be more than are known."""
        found = self._world.service_nodes.get(self._servers[number].node)
        return found is None or found.nim is None

    def place(
        self, servicenode: str | None, network: Subnet | None, *, has_master: bool
    ) -> NodePlace:
        """Where nodes are that have this list of service nodes, in this network."""
        key = (servicenode, network, has_master)
        if key not in self._places:
            self._places[key] = self._place(servicenode, network, has_master=has_master)
        return self._places[key]

    def _place(
        self, servicenode: str | None, network: Subnet | None, *, has_master: bool
    ) -> NodePlace:
        written = tuple(dict.fromkeys(entries(servicenode)))
        numbers = tuple(self._number(name) for name in written)
        primary = numbers[0] if numbers else None
        listed = tuple(dict.fromkeys(number for number in numbers if number is not None))
        inside = self.inside(network)
        # Whoever serves a node now evidently can, whatever is known of its addresses.
        serving = {primary} if primary is not None and has_master else set()
        silent = {number for number in listed if self.is_silent(number)}
        return NodePlace(
            written, numbers, Member(primary, listed, inside | serving, inside | silent)
        )

    def _number(self, name: str) -> int | None:
        node = self._behind.node(name)
        return None if node is None else self._numbers.get(node)
