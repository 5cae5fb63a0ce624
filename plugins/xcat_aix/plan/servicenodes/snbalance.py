"""The plan of a balance: nodes split between service nodes, and moved the way snmove moves them.

Owns: from the nodes' present places and the split to choices, and what to tell about them.  Must not: see a clock, a
database, a network or an environment.
The plan depends on the rows it writes; a node that it leaves alone may change meanwhile, which unbalances it by one.
Facts: docs/facts/snmove.md, Which nodes; New values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Note, Plan
from xcat_aix.plan.reading import Tables

from . import snmove
from .moves import Assignment, Fate, MoveError, NodeKind, Surroundings
from .selection import Chosen, kinds_of, require_addresses
from .snbalance_servers import Balance, Candidate, NodePlace, Reach, doubtful
from .snbalance_split import Order, split
from .subnets import Networks, Subnet, address_of
from .summary import BalanceLine, MoveSummary

COMMAND = "snbalance"


@dataclass(frozen=True, slots=True)
class _Node:
    """A node, its present place and its new service nodes.

    ``order`` is what the split gives it, ``numbers`` the new list: without a backup to give, what there is now
    is left behind the primary.
    """

    name: str
    place: NodePlace
    network: Subnet | None
    master: str | None
    order: Order = ()
    numbers: Sequence[int | None] = ()

    @property
    def is_kept(self) -> bool:
        """True if the primary stays."""
        return self.place.member.primary == self.order[0]


def plan(
    balance: Balance,
    tables: Tables,
    chosen: Chosen,
    servers: Sequence[Candidate],
    world: Surroundings,
) -> Plan:
    """Plan the balance of ``chosen`` over ``servers``; raises :class:`MoveError` if it cannot or must not be done.

    A plan without nodes is one where everything is balanced already.
    """
    require_addresses(chosen.nodes, world.addresses)
    reach = Reach(servers, tables, world)
    nodes = _split(balance, servers, reach, _placed(tables, chosen, reach, world))
    kinds = kinds_of(tables, chosen)
    choices = [
        choice
        for node in nodes
        if (choice := _choice(node, kinds[node.name], servers, balance, chosen, world))
    ]
    planned = snmove.plan(balance.move, tables, chosen, choices, world, command=COMMAND)
    written = frozenset(planned.nodes)
    notes = (
        *doubtful(servers, tables),
        *_silent(servers, reach, kinds, choices, world),
        *_tied(nodes, servers, reach, balance),
        *_strangers(nodes, servers, world),
        *_inherited(planned),
    )
    return replace(
        planned,
        notes=(*planned.notes, *notes),
        summary=replace(
            MoveSummary.of(planned),
            kept=tuple(node.name for node in nodes if node.is_kept and node.name in written),
            left=tuple(node.name for node in nodes if node.name not in written),
            balance=tuple(_table(nodes, servers, written)),
        ).plain(),
    )


def _placed(tables: Tables, chosen: Chosen, reach: Reach, world: Surroundings) -> Iterator[_Node]:
    networks = Networks(tables.rows("networks"))
    for name in chosen.nodes:
        network = networks.of(world.addresses[name])
        master = chosen.text(name, "xcatmaster")
        text = chosen.text(name, "servicenode")
        yield _Node(name, reach.place(text, network, has_master=bool(master)), network, master)


def _split(
    balance: Balance, servers: Sequence[Candidate], reach: Reach, placed: Iterator[_Node]
) -> list[_Node]:
    nodes = list(placed)
    weights = [server.weight for server in servers]
    _refuse_unservable(nodes, servers, reach)
    orders = split([node.place.member for node in nodes], weights, balance.backups)
    return [
        replace(node, order=order, numbers=_numbers(node, order, balance))
        for node, order in zip(nodes, orders, strict=True)
    ]


def _numbers(node: _Node, order: Order, balance: Balance) -> Sequence[int | None]:
    if len(order) > 1 or not balance.backups:
        return order
    return (order[0], *(number for number in node.place.numbers if number != order[0]))


# Who cannot be served


def _refuse_unservable(nodes: Sequence[_Node], servers: Sequence[Candidate], reach: Reach) -> None:
    reasons: dict[str, list[str]] = {}
    weighted = {number for number, server in enumerate(servers) if server.weight}
    for node in nodes:
        if not node.place.member.allowed & weighted:
            reasons.setdefault(_reason(node, servers, reach), []).append(node.name)
    if reasons:
        raise MoveError(
            *(f"cannot balance {fold(names)}: {reason}" for reason, names in reasons.items())
        )


def _reason(node: _Node, servers: Sequence[Candidate], reach: Reach) -> str:
    allowed = node.place.member.allowed
    if allowed:
        names = ",".join(servers[number].name for number in sorted(allowed))
        return f"only {names} can serve there, and with weight 0 as a backup only"
    if node.network is None:
        return (
            "the address lies in no network of table networks, so no xcatmaster can be determined"
        )
    names = ",".join(server.name for server in servers)
    silent = [s.name for number, s in enumerate(servers) if reach.is_silent(number)]
    hint = f" (of {','.join(silent)} only what the tables say is known)" if silent else ""
    return f"none of {names} has an address in the network {node.network}{hint}"


# What changes


def _choice(  # noqa: PLR0917 - called once, in a comprehension
    node: _Node,
    kind: NodeKind,
    servers: Sequence[Candidate],
    balance: Balance,
    chosen: Chosen,
    world: Surroundings,
) -> Assignment | None:
    """What is written and done for a node; None if nothing is."""
    place, wanted = node.place, _wanted(node, servers, balance)
    if node.is_kept and node.master and wanted in {None, place.entries}:
        return None
    return Assignment(
        node=node.name,
        kind=kind,
        address=world.addresses[node.name],
        old=place.entries[0] if place.entries else None,
        new=_spelled(node.order[0], place, servers),
        server=servers[node.order[0]].node,
        old_master=node.master,
        image=chosen.image(node.name),
        servicenode=None if wanted in {None, place.entries} else ",".join(wanted or ()),
        change=_change(node),
    )


def _change(node: _Node) -> Fate:
    if node.is_kept:
        return Fate.KEPT
    return Fate.MOVED if node.place.entries else Fate.FIRST


def _wanted(node: _Node, servers: Sequence[Candidate], balance: Balance) -> tuple[str, ...] | None:
    """The new list; None: the new one in front of what there is, lest a node loses a backup for none."""
    if len(node.order) == 1 and balance.backups:
        return None
    return tuple(_spelled(number, node.place, servers) for number in node.order)


def _spelled(number: int, place: NodePlace, servers: Sequence[Candidate]) -> str:
    """As the node's list has it now, else as the user wrote it."""
    return place.spelling(number) or servers[number].name


# What to tell


def _silent(
    servers: Sequence[Candidate],
    reach: Reach,
    kinds: Mapping[str, NodeKind],
    choices: Sequence[Assignment],
    world: Surroundings,
) -> Iterator[Note]:
    """Service nodes that do not answer and get no node, for which alone the move would stop."""
    if not any(kind.is_aix for kind in kinds.values()):
        return
    told = snmove.servers_to_ask(choices)
    for number, server in enumerate(servers):
        if reach.is_silent(number) and server.node not in told:
            found = world.service_nodes.get(server.node)
            silence = found.silence if found else "gives no answer: it was not asked"
            text = f"its agent {silence}; it gets no further node now"
            yield Note("warning", text, subject=server.name)


def _tied(
    nodes: Sequence[_Node], servers: Sequence[Candidate], reach: Reach, balance: Balance
) -> Iterator[Note]:
    """Nodes that had no choice."""
    tied: dict[int, list[str]] = {}
    alone: dict[int, list[str]] = {}
    for node in nodes:
        if not reach.inside(node.network):
            tied.setdefault(node.order[0], []).append(node.name)
        if balance.backups and len(node.order) == 1:
            alone.setdefault(node.order[0], []).append(node.name)
    for number, names in tied.items():
        name = servers[number].name
        text = f"left with {name}: no given service node has a known address in its network"
        yield Note("info", text, subject=fold(names))
    for number, names in alone.items():
        text = (
            f"no other given service node can be its backup beside {servers[number].name}: none has a"
            " known address in its network"
        )
        yield Note("warning", text, subject=fold(names))


def _strangers(
    nodes: Sequence[_Node], servers: Sequence[Candidate], world: Surroundings
) -> Iterator[Note]:
    """Nodes whose xcatmaster is, as far as is known, another server than their first one."""
    owners: dict[str, set[int]] = {}
    for number, server in enumerate(servers):
        found = world.service_nodes.get(server.node)
        for address in found.addresses if found else ():
            owners.setdefault(address, set()).add(number)
    strange: dict[tuple[str, int], list[str]] = {}
    for node in nodes:
        if node.is_kept and node.master:
            owning = owners.get(address_of(node.master, world.addresses) or "", set())
            if owning and node.order[0] not in owning:
                strange.setdefault((node.master, node.order[0]), []).append(node.name)
    for (master, number), names in strange.items():
        name, subject = servers[number].name, fold(names)
        text = (
            f"its xcatmaster {master} is not an address of its service node {name}; left as it is,"
            f" snmove {subject} -d {name} puts it right"
        )
        yield Note("warning", text, subject=subject)


def _inherited(planned: Plan) -> Iterator[Note]:
    names = [
        cell.name
        for cell in planned.changes.cells()
        if cell.column == "servicenode" and not cell.before and cell.effective
    ]
    if names:
        text = (
            "its service nodes came from a group; the new ones are written to its own row, the group's"
            " row stays as it is"
        )
        yield Note("info", text, subject=fold(names))


def _at(numbers: Sequence[int | None], rank: int) -> int | None:
    return numbers[rank] if rank < len(numbers) else None


def _table(
    nodes: Sequence[_Node], servers: Sequence[Candidate], changed: Collection[str]
) -> Iterator[BalanceLine]:
    """Per service node how many nodes it has as primary and as first backup, before and after."""
    counts: Counter[tuple[str, int, int | None]] = Counter()
    for node in nodes:
        for rank in (0, 1):
            before = _at(node.place.numbers, rank)
            after = _at(node.numbers, rank) if node.name in changed else before
            counts["before", rank, before] += 1
            counts["after", rank, after] += 1
    lines: list[tuple[int | None, str, int]] = [
        (number, server.name, server.weight) for number, server in enumerate(servers)
    ]
    if any(number is None for _, _, number in counts):
        lines.append((None, "", 0))
    for number, name, weight in lines:
        primary, backup = (
            (counts["before", rank, number], counts["after", rank, number]) for rank in (0, 1)
        )
        yield BalanceLine(name, weight, primary, backup)
