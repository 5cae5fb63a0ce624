"""What is done on the moved AIX nodes, one lane per node.

Owns: docs/facts/snmove.md, On the nodes, for AIX.  Must not: touch a table, or know how a step is carried out: a
step is the kind and the arguments of an operation that the node's agent knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Lane, Note, Target
from xcat_aix.plan.reading import Row, Tables
from xcat_aix.plan.steps import operation_step
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.operations import (
    ChangeDefaultRoute,
    Operation,
    RepointClient,
    RunPostscripts,
    SetBootlist,
    SetDumpDevice,
    SetXcatServer,
)

from .moves import Asked, Assignment, Fate, Move, MoveError, NodeKind, Surroundings
from .readiness import nim_name
from .subnets import XCATMASTER, Networks, address_of

DATABASE_LANE = "database"
STANDARD_SCRIPTS = ("syslog", "setupntp", "mkresolvconf")
_DEFAULTS = "xcatdefaults"
_SKIP_NOTE = "not up; it takes the new server when it is network-booted"
_FIRST_SKIP_NOTE = "not up; it had no service node before and takes this one when it is installed"


@dataclass(frozen=True, slots=True)
class NodeWork:
    """The lanes of the nodes and what to tell about what could not be planned."""

    lanes: tuple[Lane, ...] = ()
    notes: tuple[Note, ...] = ()
    has_routes: bool = False


def lane_id(node: str) -> str:
    """The lane of a node; nodes cannot be taken for the shared lanes."""
    return f"node:{node}"


class _Planner:
    """The look-ups shared by all nodes of one move."""

    def __init__(
        self, asked: Asked, tables: Tables, world: Surroundings, nodes: Sequence[str]
    ) -> None:
        self.asked = asked
        self.world = world
        self.networks = Networks(tables.rows("networks"))
        self.images: Mapping[str | None, Row] = {
            row.get("imagename"): row for row in tables.rows("nimimage")
        }
        self.shared = tables.site.get("sharedinstall", "no") == "sns"
        self.site_master = tables.site.get("master")
        self.scripts = _listed_scripts(tables, nodes)
        self.no_dump: list[str] = []
        self.no_route: list[str] = []
        self.has_routes = False

    def steps(self, move: Move) -> Iterator[tuple[str, Operation]]:
        """(word, operation) in the order of the specification."""
        choice, server = move.choice, self._server_address(move)
        if choice.kind is NodeKind.DISKFUL:
            yield "repoint", RepointClient(nim_name(choice.node), move.new_master)
        yield "xcatinfo", SetXcatServer(server)
        network = self.networks.of(choice.address)
        if network is not None and network.gateway == XCATMASTER:
            yield from self._route(move, server)
        gateway = self._gateway(network.gateway if network else None, server)
        yield "bootlist", SetBootlist(client=choice.address, server=server, gateway=gateway)
        if choice.kind is NodeKind.DISKLESS and self.shared and not self.asked.no_retarget:
            yield from self._dump(move, server)
        if scripts := self._scripts(choice.node):
            operation = RunPostscripts(scripts, move.new_master, move.node, self.site_master or "")
            yield "postscripts", operation

    def _server_address(self, move: Move) -> str:
        address = address_of(move.new_master, self.world.addresses)
        if address is None:
            raise MoveError(
                f"Could not resolve '{move.new_master}', the new xcatmaster of node {move.node}."
            )
        return address

    def _route(self, move: Move, server: str) -> Iterator[tuple[str, Operation]]:
        old = move.choice.old_master and address_of(move.choice.old_master, self.world.addresses)
        if not old:
            self.no_route.append(move.node)
        elif old != server:
            self.has_routes = True
            yield "route", ChangeDefaultRoute(old, server)

    def _gateway(self, gateway: str | None, server: str) -> str | None:
        if gateway == XCATMASTER:
            return server
        return address_of(gateway, self.world.addresses) if gateway else None

    def _dump(self, move: Move, server: str) -> Iterator[tuple[str, Operation]]:
        image = self.images.get(move.choice.image) or {}
        dump = image.get("dump")
        if not dump:
            return
        found = self.world.service_nodes.get(move.choice.server)
        resource = found.nim.by_name().get(dump) if found and found.nim else None
        target = _first_word(resource.get("dump_target") if resource else None)
        lun = _first_word(resource.get("dump_lunid") if resource else None)
        if not target or not lun:
            self.no_dump.append(move.node)
            return
        operation = SetDumpDevice(target, lun, server, image.get("configdump") or "selective")
        yield "dump", operation

    def _scripts(self, node: str) -> tuple[str, ...]:
        listed = self.scripts.get(node, self.scripts[_DEFAULTS])
        if self.asked.postscripts == ("all",):
            return listed
        valid = STANDARD_SCRIPTS[:2] if self.shared else STANDARD_SCRIPTS
        chosen = [script for script in valid if script in listed]
        return tuple(dict.fromkeys([*chosen, *self.asked.postscripts]))

    def notes(self) -> Iterator[Note]:
        """What the nodes' lanes leave out."""
        if self.no_dump:
            text = "Could not re-target the dump device for the following nodes."
            yield Note("warning", f"{text} {fold(self.no_dump)}")
        if self.no_route:
            text = "the old xcatmaster has no address; the default route is left as it is"
            yield Note("warning", text, subject=fold(self.no_route))


def node_work(asked: Asked, tables: Tables, moves: Sequence[Move], world: Surroundings) -> NodeWork:
    """The lanes of the AIX nodes among ``moves``; raises :class:`MoveError` for an impossible argument."""
    aix = [move for move in moves if move.choice.kind.is_aix]
    if asked.ignore_nodes or not aix:
        return NodeWork()
    planner = _Planner(asked, tables, world, [move.node for move in aix])
    lanes = tuple(_lane(move, planner) for move in aix)
    return NodeWork(lanes, tuple(planner.notes()), planner.has_routes)


def _lane(move: Move, planner: _Planner) -> Lane:
    try:
        steps = tuple([operation_step(*found) for found in planner.steps(move)])
    except AgentError as error:
        raise MoveError(f"cannot plan the steps on node {move.node}: {error}") from None
    skip_note = _skip_note(move.choice)
    return Lane(
        id=lane_id(move.node),
        steps=steps,
        subject=move.node,
        target=Target("cn", move.node),
        via=Target("sn", move.choice.server),
        needs=(DATABASE_LANE,),
        if_unreachable="skip" if skip_note else "fail",
        skip_note=skip_note,
    )


def _skip_note(choice: Assignment) -> str:
    """Why the node need not be up; empty if it must."""
    if choice.kind is NodeKind.DISKLESS:
        return _SKIP_NOTE
    return _FIRST_SKIP_NOTE if choice.change is Fate.FIRST else ""


def _listed_scripts(tables: Tables, nodes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Every listed postscript of each node that lists one, and of xcatdefaults, in order, once."""
    columns = ("postscripts", "postbootscripts")
    defaults = tables.own("postscripts", _DEFAULTS) or {}
    found = tables.values("postscripts", columns, nodes)
    listed = {_DEFAULTS: _joined(defaults, {})}
    for node, row in found.items():
        listed[node] = _joined(defaults, {column: value.text for column, value in row.items()})
    return listed


def _joined(defaults: Row, own: Row) -> tuple[str, ...]:
    names: list[str] = []
    for column in ("postscripts", "postbootscripts"):
        for row in (defaults, own):
            names += (row.get(column) or "").split(",")
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _first_word(value: str | None) -> str | None:
    return value.split()[0] if value and value.split() else None
