"""What a plan of moves says of itself beside its lanes: who goes where, and what stays to be done.

Owns: the summaries of snmove's and snbalance's plans, to and from the plain data of the plan.  Must not: hold a rule.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.model import Plan
from xcat_aix_proto import codec
from xcat_aix_proto.errors import AgentError

from .moves import NodeKind


@dataclass(frozen=True, slots=True)
class Route:
    """Nodes of one kind that go from one service node to another.

    ``old`` and ``new`` are their names as in ``servicenode``, the masters what the nodes know of them, with their
    addresses as far as they have one.  ``server`` is the node behind ``new``.
    """

    kind: NodeKind
    old: str | None
    new: str | None
    old_master: str | None
    old_address: str | None
    new_master: str | None
    new_address: str | None
    server: str | None
    nodes: tuple[str, ...]

    def back(self, behind: Mapping[str, str]) -> Route:
        """The way of the same nodes back; ``behind`` gives the node behind a name that is not a node's."""
        return Route(
            kind=self.kind,
            old=self.new,
            new=self.old,
            old_master=self.new_master,
            old_address=self.new_address,
            new_master=self.old_master,
            new_address=self.old_address,
            server=behind.get(self.old, self.old) if self.old else None,
            nodes=self.nodes,
        )


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """How many of the nodes have a service node as their first and as their second, now and then.

    ``server`` is empty for all others and none.
    """

    server: str
    weight: int
    primary: tuple[int, int]
    backup: tuple[int, int]

    def back(self) -> BalanceLine:
        """The same the other way round."""
        (was, is_), (other, more) = self.primary, self.backup
        return replace(self, primary=(is_, was), backup=(more, other))


@dataclass(frozen=True, slots=True)
class MoveSummary:
    """Of one plan of moves.

    ``boot`` are nodes to be network-booted afterwards, ``conserver`` those whose console server changes,
    ``ignore_nodes``: nothing is done on the nodes.  ``default_routes``: a step looks at them.  ``left`` need no
    change; ``unready`` are the diskless nodes that their new service node is not ready for; ``kept`` and ``balance`` are snbalance's: nodes changed without a move, and the counts.
    """

    routes: tuple[Route, ...] = ()
    boot: tuple[str, ...] = ()
    conserver: tuple[str, ...] = ()
    ignore_nodes: bool = False
    default_routes: bool = False
    left: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    balance: tuple[BalanceLine, ...] = ()
    unready: tuple[str, ...] = ()

    @classmethod
    def of(cls, plan: Plan) -> MoveSummary:
        """That of a plan; raises :class:`PlanError` for one of another command or version."""
        try:
            return codec.from_wire(cls, plan.summary)
        except AgentError as problem:
            raise PlanError(f"the plan is not readable as one of moves: {problem}") from problem

    def plain(self) -> dict[str, Any]:
        """Plain data for :attr:`Plan.summary`."""
        found: dict[str, Any] = codec.to_wire(self)
        return found

    def back(self, behind: Mapping[str, str], conserver: Collection[str]) -> MoveSummary:
        """The summary of the way back; ``conserver`` are the nodes whose console server is configured anew."""
        return replace(
            self,
            routes=tuple(route.back(behind) for route in self.routes),
            conserver=tuple(conserver),
            balance=tuple(line.back() for line in self.balance),
            unready=(),
        )
