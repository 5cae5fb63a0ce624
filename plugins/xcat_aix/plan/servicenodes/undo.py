"""What is special about taking a move back: the nodes go to the service nodes they came from, by those.

Owns: the way back of each node, and the routes turned round.  Must not: know a kind of step, or look at the world.
Facts: docs/facts/snmove.md, Undo; On the nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from xcat_aix.plan.kinds import Kinds, NoReverse
from xcat_aix.plan.model import Lane, Plan, Target
from xcat_aix.plan.undo import Done, LaneWay, undo
from xcat_aix.plan.wayback import WayBack

from .moves import MoveError
from .nodesteps import DATABASE_LANE
from .snmove import CONSERVER_LANE
from .summary import MoveSummary, Route

_AS_WRITTEN: Mapping[str, str] = {}
_NO_MASTER = NoReverse("its old xcatmaster is not known")


def undo_move(
    plan: Plan,
    done: Done,
    plan_id: str,
    kinds: Kinds,
    *,
    unfinished: Collection[str] = (),
    behind: Mapping[str, str] = _AS_WRITTEN,
) -> Plan:
    """The reverse of what was done of a plan of moves; raises :class:`MoveError` if there is nothing to undo.

    As :func:`xcat_aix.plan.undo.undo`, the database first, as in a move: if it changed since, nothing is done.
    ``behind`` gives the node behind a service node's name where it is written otherwise (a long name, an address).
    """
    if not done.get(DATABASE_LANE):
        raise MoveError(f"cannot undo {plan_id}: it wrote nothing to the database")
    summary = MoveSummary.of(plan)
    ways = {
        node: _way(route, behind)
        for route in summary.routes
        if route.kind.is_aix
        for node in route.nodes
    }

    def way(lane: Lane) -> LaneWay | NoReverse:
        return ways.get(lane.target.node, _NO_MASTER) if lane.target else LaneWay()

    back = undo(plan, done, plan_id, kinds, unfinished=unfinished, ways=way, is_forward=True)
    has_conserver = any(lane.id == CONSERVER_LANE for lane in back.lanes)
    rebuilt = summary.conserver if has_conserver else ()
    return replace(back, summary=summary.back(behind, rebuilt).plain())


def _way(route: Route, behind: Mapping[str, str]) -> LaneWay | NoReverse:
    if not (route.old_master and route.old_address):
        return _NO_MASTER
    server = behind.get(route.old, route.old) if route.old else None
    via = Target("sn", server) if server else None
    return LaneWay(via, WayBack(route.old_master, route.old_address, route.new_address))
