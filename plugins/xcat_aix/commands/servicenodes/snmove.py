"""snmove: move compute nodes from their service node to another one.

Owns: what is special about the command.  The plan is made in :mod:`xcat_aix.plan.servicenodes.snmove`, all that is done
with it in :mod:`xcat_aix.commands.planned`.
Facts: docs/facts/snmove.md, Command line and messages.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcat_aix.commands.options import Arguments
from xcat_aix.commands.planned.doing import journal_of
from xcat_aix.commands.planned.how import How
from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.model import Plan
from xcat_aix.plan.servicenodes.moves import NothingToMove
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcatd.api import Context, Reply, Targets, info

from . import unfinished
from .gathering import plan_move, targets_of
from .move_words import MOVING
from .moving import MovingCommand
from .options import MOVE_PAGE, asked, check_move


class Snmove(MovingCommand):
    """The plugin."""

    page = MOVE_PAGE

    def check(self, arguments: Arguments) -> None:
        """See :func:`.options.check_move`."""
        check_move(arguments)

    def nodes(self, arguments: Arguments, context: Context) -> Targets:
        """The nodes of its noderange; a whole service node is of the whole cluster."""
        return targets_of(_noderange(arguments), context)

    def opening(self, arguments: Arguments, how: How) -> Iterator[Reply]:
        """As xCAT has it."""
        del how
        if not arguments.has("l"):
            yield info(MOVING)

    def plan(self, arguments: Arguments, context: Context) -> Plan:
        """See :func:`.gathering.plan_move`; nothing to move may be because of an earlier move, which is told then."""
        request, noderange = asked(arguments), _noderange(arguments)
        try:
            return plan_move(request, noderange, context)
        except NothingToMove as problem:
            if request.source is None or noderange is not None or request.ignore_nodes:
                raise
            earlier = unfinished.about_source(request.source, journal_of(context))
            raise PlanError(*problem.messages, *earlier) from problem

    def remarks(self, plan: Plan, how: How, context: Context) -> Iterator[Reply]:
        """Nodes that need no change, but were not finished by the move that changed them."""
        del how
        summary = MoveSummary.of(plan)
        if not summary.ignore_nodes:
            lines = tuple(unfinished.about_nodes(summary.left, journal_of(context)))
            if lines:
                yield Reply(errors=lines, errorcode=1)


def _noderange(arguments: Arguments) -> str | None:
    return arguments.operands[0] if arguments.operands else None
