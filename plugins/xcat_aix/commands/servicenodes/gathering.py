"""The world of a move, gathered before it is planned: tables, addresses, the new service nodes' answers.

Owns: the reading.  Each table is read once, names are resolved together, every new service node is asked once, all
at the same time.  Must not: decide anything; that is the planner's.
Facts: docs/facts/snmove.md, Which nodes; New values; Readiness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from xcat_aix.commands.planned.agents import CONNECT_LIMIT, AgentCalls
from xcat_aix.plan.model import Plan, Target
from xcat_aix.plan.servicenodes import snbalance
from xcat_aix.plan.servicenodes.moves import Asked, MoveError, ServiceNode, Surroundings
from xcat_aix.plan.servicenodes.selection import (
    Behind,
    choose,
    chosen_nodes,
    kinds_of,
    names_to_resolve,
    possible_servers,
)
from xcat_aix.plan.servicenodes.snbalance_servers import Balance, listed_servers
from xcat_aix.plan.servicenodes.snmove import TABLES, plan, servers_to_ask
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.facts import NimDatabase
from xcat_aix_proto.operations import HostFacts, NimSnapshot
from xcatd.api import EVERYTHING, Targets

if TYPE_CHECKING:
    from xcat_aix.plan.reading import Tables
    from xcatd.api import AgentConnection, Context

#: Seconds one that runs has for each answer; a NIM with thousands of objects takes some.
ANSWER_LIMIT = 15.0


#: A service node's own addresses, and its NIM or why it gives no answer.
_Said: TypeAlias = tuple[tuple[str, ...], NimDatabase | AgentError]


class Names(Protocol):
    """The part of ``xcatd.resolve.Resolver`` that is used here."""

    def address(self, name: str) -> str | None:
        """The address of one name."""

    def addresses(self, names: Iterable[str]) -> Mapping[str, str]:
        """The addresses of many names; those without one are left out."""

    def interfaces(self, node: str) -> tuple[str, ...]:
        """Every address the database knows for a node."""


def plan_move(asked: Asked, noderange: str | None, context: Context) -> Plan:
    """Gather and plan; raises :class:`MoveError` with what the user must know."""
    expanded = None if noderange is None else expand(noderange, context)
    tables = context.db.read(TABLES)
    chosen = chosen_nodes(asked, tables, expanded)
    names: Names = context.resolver(tables)
    addresses = names.addresses(names_to_resolve(asked, tables, chosen))
    choices, notes = choose(asked, tables, chosen, addresses)
    given = {choice.server: choice.new for choice in choices}
    asking = servers_to_ask(choices)
    agents = AgentCalls.of(asking, context)
    servers = service_nodes(given, asking, names, agents, _nim_limit(asked))
    world = Surroundings(addresses, servers, notes, _ranges(tables, context))
    return plan(asked, tables, chosen, choices, world)


def plan_balance(balance: Balance, noderange: str, context: Context) -> Plan:
    """The same for a balance.  All its service nodes are asked before it is known which of them get nodes."""
    expanded = expand(noderange, context)
    tables = context.db.read(TABLES)
    chosen = chosen_nodes(balance.move, tables, expanded, balance.names)
    names: Names = context.resolver(tables)
    addresses = names.addresses(names_to_resolve(balance.move, tables, chosen, balance.names))
    servers = listed_servers(balance, tables, addresses)
    given = {server.node: server.name for server in servers}
    has_aix = any(kind.is_aix for kind in kinds_of(tables, chosen).values())
    asking = tuple(given) if has_aix else ()
    agents = AgentCalls.of(asking, context)
    found = service_nodes(given, asking, names, agents, _nim_limit(balance.move))
    world = Surroundings(addresses, found, ranges=_ranges(tables, context))
    return snbalance.plan(balance, tables, chosen, servers, world)


def _nim_limit(asked: Asked) -> float:
    """Seconds for the look at NIM; a move of the database alone does not depend on it."""
    return CONNECT_LIMIT if asked.ignore_nodes else ANSWER_LIMIT


def nodes_behind(plan: Plan, context: Context) -> dict[str, str]:
    """The node behind the name of each service node that a plan moved nodes away from."""
    written = {route.old for route in MoveSummary.of(plan).routes if route.old}
    tables = context.db.read(TABLES)
    if written <= set(tables.nodes):
        return {}
    names: Names = context.resolver(tables)
    behind = Behind(tables, names.addresses({*written, *possible_servers(tables)}))
    return {name: node for name in written if (node := behind.node(name)) is not None}


def require_running(back: Plan, context: Context) -> None:
    """Raise :class:`MoveError` unless the service nodes that get AIX nodes back answer (docs/facts/snmove.md, Undo)."""
    summary = MoveSummary.of(back)
    servers = {route.server for route in summary.routes if route.kind.is_aix and route.server}
    if summary.ignore_nodes or not servers:
        return
    names: Names = context.resolver(context.db.read(TABLES))
    agents = AgentCalls.of(servers, context)
    found = _answers(sorted(servers), names, agents, ANSWER_LIMIT)
    if silent := [answer for answer in found.values() if answer.nim is None]:
        raise MoveError(
            *(
                f"cannot move back to {answer.name}: the service node must be running, and its agent"
                f" {answer.silence} (--force goes on without its answer)"
                for answer in silent
            )
        )


def expand(noderange: str, context: Context) -> tuple[str, ...]:
    try:
        expansion = context.expand(noderange, verify=True)
    except ValueError as problem:
        raise MoveError(str(problem)) from None
    if expansion.missed:
        raise MoveError(f"Invalid nodes in noderange:{','.join(expansion.missed)}")
    return expansion.nodes


def targets_of(noderange: str | None, context: Context) -> Targets:
    """What a move of this noderange touches; everything without one, and where it cannot be read."""
    if not noderange:
        return EVERYTHING
    try:
        return Targets.of(context.expand(noderange, verify=True).nodes)
    except ValueError:
        return EVERYTHING


def service_nodes(
    given: Mapping[str, str],
    asking: Sequence[str],
    names: Names,
    agents: AgentCalls,
    limit: float = ANSWER_LIMIT,
) -> dict[str, ServiceNode]:
    """What is known of service nodes, by the agents of those in ``asking`` and by the database of the others.

    ``given`` are their names as written by node; ``limit`` is how many seconds the look at NIM may take.
    """
    answers = _answers(asking, names, agents, limit)
    for server, name in given.items():
        if server not in answers:
            known = _known_addresses(names, (server, name))
            answers[server] = ServiceNode(server, known, reason="was not asked")
    return answers


def _answers(
    asking: Iterable[str], names: Names, agents: AgentCalls, limit: float
) -> dict[str, ServiceNode]:
    """What the agents of service nodes say, all of them asked at once."""

    def question(connection: AgentConnection) -> _Said:
        host = connection.query(HostFacts(), ANSWER_LIMIT)
        addresses = tuple(one.address for one in host.interfaces)
        try:
            return addresses, connection.query(NimSnapshot(), limit)
        except AgentError as problem:  # a NIM that gives no answer hides no addresses
            return addresses, problem

    found = agents.ask([Target("sn", name) for name in asking], question)
    return {target.node: _known(target.node, names, said) for target, said in found.items()}


def _known(name: str, names: Names, said: _Said | AgentError) -> ServiceNode:
    addresses, nim = (None, said) if isinstance(said, AgentError) else said
    if addresses is None:
        addresses = _known_addresses(names, (name,))
    if isinstance(nim, NimDatabase):
        return ServiceNode(name, addresses, nim)
    is_refusal = nim.code is ErrorCode.NOT_ALLOWED
    return ServiceNode(name, addresses, reason=nim.message, refused=is_refusal)


def _known_addresses(names: Names, of: Iterable[str]) -> tuple[str, ...]:
    """What the database knows of its interfaces, then what its name resolves to."""
    found: list[str] = []
    for name in of:
        found += names.interfaces(name)
        address = names.address(name)
        if address is not None:
            found.append(address)
    return tuple(dict.fromkeys(found))


def _ranges(tables: Tables, context: Context) -> dict[str, frozenset[str]]:
    """The nodes of statelite keys that are neither a node nor a group alone."""
    plain = set(tables.nodes)
    for node in tables.nodes:
        plain.update(tables.groups(node))
    keys = {row.get("node") or "" for row in tables.rows("statelite")} - plain - {""}
    found: dict[str, frozenset[str]] = {}
    for key in sorted(keys):
        try:
            found[key] = frozenset(context.expand(key, verify=True, is_users=False).nodes)
        except ValueError:
            continue  # a key that is no noderange covers nobody, for xCAT too
    return found
