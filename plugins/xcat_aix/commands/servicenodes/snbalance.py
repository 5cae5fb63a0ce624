"""snbalance: split compute nodes between service nodes, and move those that must.

Owns: what is special about the command.  The plan is made in :mod:`xcat_aix.plan.servicenodes.snbalance`; it is a plan
of moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xcat_aix.commands.options import Arguments
from xcat_aix.commands.planned.doing import journal_of
from xcat_aix.commands.planned.how import How
from xcat_aix.plan.model import Plan
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcatd.api import Context, Reply, Targets, info

from .gathering import plan_balance, targets_of
from .move_words import BALANCING, FINISH_FIRST, NOTHING
from .moving import MovingCommand
from .snbalance_options import BALANCE_PAGE, balance
from .unfinished import about_nodes


class Snbalance(MovingCommand):
    """The plugin."""

    page = BALANCE_PAGE

    def check(self, arguments: Arguments) -> None:
        """See :func:`.snbalance_options.balance`."""
        balance(arguments)

    def nodes(self, arguments: Arguments, context: Context) -> Targets:
        """The nodes that are balanced."""
        return targets_of(balance(arguments)[0], context)

    def opening(self, arguments: Arguments, how: How) -> Iterator[Reply]:
        """What is begun."""
        del arguments, how
        yield info(BALANCING)

    def plan(self, arguments: Arguments, context: Context) -> Plan:
        """See :func:`.gathering.plan_balance`."""
        noderange, asked = balance(arguments)
        return plan_balance(asked, noderange, context)

    def objections(self, plan: Plan, context: Context) -> Sequence[str]:
        """A later plan for a node ends the resuming of the one before, which is the only one that can finish it."""
        earlier = tuple(about_nodes(MoveSummary.of(plan).kept, journal_of(context)))
        return (*earlier, FINISH_FIRST) if earlier else ()

    def remarks(self, plan: Plan, how: How, context: Context) -> Iterator[Reply]:
        """Nodes that stay where they are, but were not finished by the move before."""
        if not (plan.lanes or how.is_dry_run):
            yield info(NOTHING)
        summary = MoveSummary.of(plan)
        nodes = (*summary.kept, *(() if summary.ignore_nodes else summary.left))
        if lines := tuple(about_nodes(nodes, journal_of(context))):
            yield Reply(errors=lines, errorcode=1)
