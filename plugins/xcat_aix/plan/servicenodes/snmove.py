"""The plan of a move: from the request, the tables and what was learned of the world, to a value.

Owns: putting the parts together, and which stored cells the plan depends on.  Must not: see a clock, a
database, a network or an environment.
Facts: docs/facts/snmove.md, Which nodes; New values; On the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xcat_aix.plan.model import Lane, Note, Plan, Step
from xcat_aix.plan.reading import Tables
from xcat_aix_proto.facts import NimDatabase
from xcatd.changes import Changes

from .moves import Asked, Assignment, Move, MoveError, NodeKind, ServiceNode, Surroundings
from .nodesteps import DATABASE_LANE, node_work
from .not_done import leftover_notes
from .readiness import findings
from .selection import MOST_NAMED, Chosen
from .subnets import Networks, Subnet, address_of
from .summary import MoveSummary, Route
from .writes import Writes, planned_writes

COMMAND = "snmove"
CONSERVER_LANE = "conserver"
#: The tables a plan reads; the shell reads each once.
TABLES = (
    "hosts",
    "networks",
    "nics",
    "nimimage",
    "nodehm",
    "nodelist",
    "noderes",
    "nodetype",
    "postscripts",
    "servicenode",
    "site",
    "statelite",
)


def plan(
    asked: Asked,
    tables: Tables,
    chosen: Chosen,
    choices: Sequence[Assignment],
    world: Surroundings,
    *,
    command: str = COMMAND,
) -> Plan:
    """Plan the move of ``choices``, made from ``chosen``; raises :class:`MoveError` if it cannot or must not be done.

    A plan without nodes is one where every node is already served by its new service node.  On kept nodes nothing
    is done, and nothing is asked of their service node.
    """
    unanswered = _unanswered(asked, choices, world)
    moves = _with_masters(asked, tables, choices, world)
    writes = planned_writes(tables, chosen, moves, world.addresses)
    going = [move for move in writes.moves if not move.choice.is_kept]
    ready = findings([move.choice for move in going], _nims(world), tables)
    if asked.strict and (ready.notes or unanswered):
        raise MoveError(*(_line(note) for note in (*unanswered, *ready.notes)))
    work = node_work(asked, tables, going, world)
    rebuilt = _rebuilt_consoles(writes.changes)
    return Plan(
        command=command,
        nodes=tuple(move.node for move in writes.moves),
        lanes=(*_shared_lanes(writes, rebuilt), *work.lanes),
        notes=(
            *chosen.notes,
            *world.notes,
            *unanswered,
            *ready.notes,
            *writes.notes,
            *work.notes,
            *leftover_notes(asked, tables, going, world),
        ),
        summary=MoveSummary(
            routes=_routes(going, world.addresses),
            boot=tuple(move.node for move in going if move.choice.kind is NodeKind.DISKLESS),
            conserver=rebuilt,
            ignore_nodes=asked.ignore_nodes,
            default_routes=work.has_routes,
            left=writes.left,
            unready=ready.unready,
        ).plain(),
    )


def servers_to_ask(choices: Sequence[Assignment]) -> tuple[str, ...]:
    """The new service nodes whose agents must answer: those that get AIX nodes."""
    going = (choice for choice in choices if choice.kind.is_aix and not choice.is_kept)
    return tuple(dict.fromkeys(choice.server for choice in going))


def _line(note: Note) -> str:
    return f"{note.subject}: {note.text}" if note.subject else note.text


def _nims(world: Surroundings) -> dict[str, NimDatabase]:
    return {name: sn.nim for name, sn in world.service_nodes.items() if sn.nim is not None}


def _unanswered(
    asked: Asked, choices: Sequence[Assignment], world: Surroundings
) -> tuple[Note, ...]:
    """The new service node must be running (docs/facts/snmove.md, Readiness), unless the user knows better."""
    silent: dict[str, str] = {}
    for server in servers_to_ask(choices):
        found = world.service_nodes.get(server)
        if found is None or found.nim is None:
            silent[server] = found.silence if found else "gives no answer: it was not asked"
    if silent and not (asked.force or asked.ignore_nodes):
        raise MoveError(
            *(
                f"cannot move to {server}: the new service node must be running, and its agent"
                f" {silence} (--force moves without its answer, -i changes the database only)"
                for server, silence in silent.items()
            )
        )
    return tuple(
        Note(
            "warning",
            f"its agent {silence}; it was not checked whether it is ready",
            subject=server,
        )
        for server, silence in silent.items()
    )


def _with_masters(
    asked: Asked, tables: Tables, choices: Sequence[Assignment], world: Surroundings
) -> list[Move]:
    if asked.dest_facing:
        return [Move(choice, asked.dest_facing) for choice in choices]
    networks = Networks(tables.rows("networks"))
    facing: dict[tuple[str, Subnet], str | None] = {}
    moves, failed = [], []
    for choice in choices:
        if choice.is_kept and choice.old_master:
            moves.append(Move(choice, choice.old_master))
            continue
        network = networks.of(choice.address)
        master = None
        if network is not None:
            key = (choice.server, network)
            if key not in facing:
                facing[key] = facing_address(world.service_nodes.get(choice.server), network)
            master = facing[key]
        if master is None:
            failed.append(choice.node)
        else:
            moves.append(Move(choice, master))
    if failed:
        raise MoveError(*_no_master(failed))
    return moves


def _no_master(nodes: Sequence[str]) -> Iterator[str]:
    for node in nodes[:MOST_NAMED]:
        yield f"Could not determine an xcatmaster value for node {node}."
    if len(nodes) > MOST_NAMED:
        yield f"... and {len(nodes) - MOST_NAMED} more like this"


def facing_address(server: ServiceNode | None, network: Subnet) -> str | None:
    """The first of a service node's addresses in a network: the xcatmaster of the nodes there."""
    own = server.addresses if server else ()
    return next((address for address in own if network.has(address)), None)


def _shared_lanes(writes: Writes, rebuilt: Sequence[str]) -> Iterator[Lane]:
    if any(row.change.writes for row in writes.changes.rows):
        yield _database_lane(writes.changes)
    if rebuilt:
        yield _conserver_lane(rebuilt)


def _rebuilt_consoles(changes: Changes) -> tuple[str, ...]:
    """The nodes whose console server changes."""
    found: dict[str, None] = {}
    for row in changes.rows:
        if row.node and any(column == "conserver" for column, _ in row.change.after):
            found[row.node] = None
    return tuple(found)


def _database_lane(changes: Changes) -> Lane:
    """The lane that everything else waits for."""
    step = Step("write", "database.write@2", changes=changes)
    return Lane(DATABASE_LANE, (step,), subject="database")


def _conserver_lane(nodes: Sequence[str]) -> Lane:
    """Rebuild the console server's configuration for exactly these nodes, nobody else at the same time."""
    step = Step(
        id="makeconservercf",
        kind="command.run@1",
        args={"command": "makeconservercf", "args": [], "nodes": list(nodes)},
        holds=("conserver",),
    )
    return Lane(CONSERVER_LANE, (step,), subject="conserver", needs=(DATABASE_LANE,))


def _routes(moves: Sequence[Move], addresses: Mapping[str, str]) -> tuple[Route, ...]:
    """The moves, nodes with the same servers together: for people, and for the way back."""
    groups: dict[tuple[NodeKind, str | None, str, str | None, str, str], list[str]] = {}
    for move in moves:
        choice = move.choice
        key = (
            choice.kind,
            choice.old,
            choice.new,
            choice.old_master,
            move.new_master,
            choice.server,
        )
        groups.setdefault(key, []).append(choice.node)
    return tuple(
        Route(
            kind=kind,
            old=old,
            new=new,
            old_master=old_master,
            old_address=address_of(old_master, addresses) if old_master else None,
            new_master=new_master,
            new_address=address_of(new_master, addresses),
            server=server,
            nodes=tuple(nodes),
        )
        for (kind, old, new, old_master, new_master, server), nodes in groups.items()
    )
