"""The way back: from a plan and what was done of it to the plan that takes it back.

Owns: which cells and node steps have a reverse, and the reverse.  Must not: look at the world; nothing is
written unless the cells still hold what the old plan wrote.
Facts: docs/facts/snmove.md, Undo; On the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Lane, Note, Plan, Step
from xcat_aix_proto.operations import (
    ChangeDefaultRoute,
    Operation,
    RepointClient,
    RunPostscripts,
    SetBootlist,
    SetDumpDevice,
    SetXcatServer,
    from_stored,
)
from xcatd.changes import Changes

from .moves import Kind, MoveError
from .nodesteps import DATABASE_LANE, operation_step
from .snmove import CONSERVER_LANE, conserver_lane, database_lane, rebuilt_consoles

#: Where an undo keeps the lanes that the plan it takes back had not finished.
_REST = "rest"

_AS_WRITTEN: Mapping[str, str] = {}

#: The steps begun of each lane, by lane id and step id.
Done = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class _Way:
    """The servers of one node's way back."""

    server: str | None
    master: str
    address: str
    left: str


def undo(
    plan: Plan,
    done: Done,
    plan_id: str,
    *,
    unfinished: Collection[str] = (),
    behind: Mapping[str, str] = _AS_WRITTEN,
) -> Plan:
    """The reverse of what was done of ``plan``; raises :class:`MoveError` if there is nothing to undo.

    ``done`` names the steps that were done, or may have been: a step that was begun counts.  ``unfinished`` are the
    lanes of which not everything was done: they go along, so that an undo of this undo does all of them.
    ``behind`` gives the node behind a service node's name where it is written otherwise (a long name, an address).
    """
    if not done.get(DATABASE_LANE):
        raise MoveError(f"cannot undo {plan_id}: it wrote nothing to the database")
    changes = _taken_back(plan, done)
    rebuilt = rebuilt_consoles(changes)
    lanes, stuck = _node_lanes(plan, done, behind)
    rest = [lane for lane in plan.lanes if lane.target and lane.id in unfinished]
    return Plan(
        command=plan.command,
        nodes=plan.nodes,
        lanes=(
            database_lane(changes),
            *([conserver_lane(rebuilt)] if rebuilt else []),
            *lanes,
        ),
        notes=tuple(_notes(stuck)),
        summary={
            **plan.summary,
            "routes": [_reversed_route(route, behind) for route in plan.summary["routes"]],
            "conserver": list(rebuilt),
            "undoes": plan_id,
            _REST: [lane.to_json() for lane in rest],
            **_reversed_balance(plan.summary),
        },
        undoes=plan_id,
    )


def _taken_back(plan: Plan, done: Done) -> Changes:
    """The reverse of everything that was written, the last of it first."""
    written = [
        step.changes
        for lane in plan.lanes
        for step in lane.steps
        if step.changes is not None and step.id in done.get(lane.id, ())
    ]
    return sum((changes.reversed() for changes in reversed(written)), Changes())


def _reversed_route(route: Mapping[str, Any], behind: Mapping[str, str]) -> dict[str, Any]:
    return {
        **route,
        "old": route["new"],
        "new": route["old"],
        "old_master": route["new_master"],
        "new_master": route["old_master"],
        "old_address": route["new_address"],
        "new_address": route["old_address"],
        "server": behind.get(route["old"], route["old"]),
    }


def _reversed_balance(summary: Mapping[str, Any]) -> dict[str, Any]:
    if "balance" not in summary:
        return {}
    return {
        "balance": [
            {**line, "primary": line["primary"][::-1], "backup": line["backup"][::-1]}
            for line in summary["balance"]
        ]
    }


def _ways(plan: Plan, behind: Mapping[str, str]) -> dict[str, _Way]:
    return {
        node: _Way(
            behind.get(route["old"], route["old"]),
            route["old_master"],
            route["old_address"],
            route["new_address"],
        )
        for route in plan.summary["routes"]
        if route["old_master"] and route["old_address"] and route["kind"] != Kind.LINUX.value
        for node in route["nodes"]
    }


def _node_lanes(plan: Plan, done: Done, behind: Mapping[str, str]) -> tuple[list[Lane], list[str]]:
    """The lanes that undo what was done; for nodes that the plan undid half, the whole lanes from before."""
    ways = _ways(plan, behind)
    rest = {lane.id: lane for lane in map(Lane.from_json, plan.summary.get(_REST, ()))}
    lanes: list[Lane] = list(rest.values())
    stuck: list[str] = []
    for lane in plan.lanes:
        begun = done.get(lane.id, ())
        if lane.id in {DATABASE_LANE, CONSERVER_LANE, *rest} or not begun:
            continue
        way = ways.get(lane.subject)
        if way is None:
            stuck.append(lane.subject)
            continue
        steps = tuple(_steps(lane.steps, begun, way))
        lanes.append(replace(lane, steps=steps, via=way.server))
    return lanes, stuck


def _steps(steps: Iterable[Step], begun: Collection[str], way: _Way) -> Iterator[Step]:
    for step in steps:
        if step.id in begun and (operation := _reverse(step, way)) is not None:
            yield operation_step(step.id, _TITLES[operation.kind](operation), operation)


def _reverse(step: Step, way: _Way) -> Operation | None:
    match from_stored(step.kind, step.args):
        case RepointClient() as operation:
            return replace(operation, master=way.master)
        case SetXcatServer():
            return SetXcatServer(way.address)
        case ChangeDefaultRoute(old=old, new=new):
            return ChangeDefaultRoute(new, old)
        case SetBootlist() as operation:
            is_server = operation.gateway == way.left
            gateway = way.address if is_server else operation.gateway
            return replace(operation, server=way.address, gateway=gateway)
        case SetDumpDevice() as operation:
            return replace(operation, server=way.address)
        case RunPostscripts() as operation:
            return replace(operation, master=way.master)
        case _:
            return None


_TITLES: Mapping[str, Callable[[Any], str]] = {
    RepointClient.kind: lambda it: f"make it a NIM client of {it.master} again",
    SetXcatServer.kind: lambda it: f"set XCATSERVER={it.server} in /etc/xcatinfo",
    ChangeDefaultRoute.kind: lambda it: (
        f"if {it.old} is a default gateway: route change default {it.new}"
    ),
    SetBootlist.kind: lambda it: (
        f"boot from {it.server}" + (f" by gateway {it.gateway}" if it.gateway else "")
    ),
    SetDumpDevice.kind: lambda it: f"set the dump device to {it.target} on {it.server}",
    RunPostscripts.kind: lambda it: f"run postscripts {','.join(it.scripts)}",
}


def _notes(stuck: list[str]) -> Iterator[Note]:
    if stuck:
        yield Note(
            "warning",
            "its old xcatmaster is not known: the database is taken back, the node is left as it is",
            subject=fold(stuck),
        )
