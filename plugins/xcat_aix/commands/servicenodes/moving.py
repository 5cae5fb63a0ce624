"""What the commands that move nodes have in common: their words, their undo, and whose plans they list."""

from __future__ import annotations

from xcat_aix.commands.planned.command import PlannedCommand
from xcat_aix.commands.planned.doing import registry_of
from xcat_aix.commands.planned.verbs import begun_steps, unfinished_lanes
from xcat_aix.plan.model import Plan
from xcat_aix.plan.servicenodes.undo import undo_move
from xcat_aix.run.journal import Stored
from xcatd.api import Context

from .gathering import nodes_behind, require_running
from .move_words import MoveWords
from .unfinished import MOVING


class MovingCommand(PlannedCommand):
    """See the module."""

    lists = MOVING
    noun = "move"

    def words(self, plan: Plan) -> MoveWords:
        """The words for a plan of moves."""
        return MoveWords(plan)

    def undo(self, stored: Stored, context: Context, *, is_forced: bool) -> Plan:
        """The moves turned round; raises :class:`PlanError`, too where a service node that gets nodes back is silent."""
        registry = registry_of(context)
        plan = undo_move(
            stored.plan,
            begun_steps(stored, registry),
            stored.summary.id,
            registry,
            unfinished=unfinished_lanes(stored),
            behind=nodes_behind(stored.plan, context),
        )
        if not is_forced:
            require_running(plan, context)
        return plan
