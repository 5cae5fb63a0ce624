"""What a plan of moves is about, for people: who goes where, and what stays to be done.

Owns: the words.  Must not: decide anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xcat_aix.plan.explain import value
from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Plan
from xcat_aix.plan.phrases import columns, count

from .summary import BalanceLine, MoveRoute, MoveSummary


@dataclass(frozen=True, slots=True)
class MoveMeaning:
    """See :class:`xcat_aix.plan.explain.Meaning`."""

    plan: Plan
    summary: MoveSummary

    @classmethod
    def of(cls, plan: Plan) -> MoveMeaning:
        """That of a plan of moves; raises :class:`PlanError` for one of another command."""
        return cls(plan, MoveSummary.of(plan))

    def heading(self) -> Iterator[str]:
        """How many nodes go, and each route."""
        kept = self.summary.kept
        only = f", change {len(kept)} without a move" if kept else ""
        yield f"Plan: move {count(len(self.plan.nodes) - len(kept), 'node')}{only}"
        for route in self.summary.routes:
            yield f"  {fold(route.nodes)}"
            yield f"      {_route_text(route)}"

    def overview(self) -> Iterator[str]:
        """How many nodes each service node has, of those that were given, before and after."""
        if not self.summary.balance:
            return
        rows = [("service node", "weight", "primary of", "backup of")]
        rows += map(_balance_row, self.summary.balance)
        yield "Nodes per service node, now -> then:"
        yield from (f"  {line}" for line in columns(rows))

    def without_agents(self) -> Iterator[str]:
        """That nothing is done on the nodes because it was asked for so."""
        if self.summary.ignore_nodes:
            yield "On the nodes: nothing (-i)"

    def afterwards(self) -> Iterator[str]:
        """What is to be network-booted."""
        if self.summary.boot:
            yield f"Afterwards, {boot_line(self.summary.boot)}"


def boot_line(nodes: Sequence[str]) -> str:
    """What an admin does with moved diskless nodes, in one line."""
    return f"to be network-booted from the new service node: rnetboot {fold(nodes)}"


def _balance_row(line: BalanceLine) -> tuple[str, str, str, str]:
    name, weight = (line.server, str(line.weight)) if line.server else ("others, none", "-")
    primary, backup = (f"{now} -> {then}" for now, then in (line.primary, line.backup))
    return name, weight, primary, backup


def _route_text(route: MoveRoute) -> str:
    return (
        f"{route.kind.value}: servicenode {value(route.old)} -> {value(route.new)},"
        f" xcatmaster {value(route.old_master)} -> {value(route.new_master)}"
    )
