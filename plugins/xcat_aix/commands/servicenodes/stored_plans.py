"""What can be done with plans that are in the journal, for every command that offers it.

Owns: going on, taking back and listing.  Must not: read arguments.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcat_aix.plan.servicenodes.undo import undo_move
from xcat_aix.plan.undo import undo
from xcat_aix.run.journal import Journal
from xcat_aix.run.rows import Summary
from xcatd.api import Context, Reply, Request, data, info

from . import snmove_replies as replies
from . import snmove_unfinished
from .snmove_options import How
from .snmove_run import (
    begun_steps,
    execute,
    executor_of,
    journal_of,
    registry_of,
    show_or_do,
    unfinished_lanes,
)
from .snmove_world import nodes_behind, require_running


def resume(plan_id: str, how: How, request: Request, context: Context) -> Iterator[Reply]:
    """Do what is left of a plan."""
    plan = journal_of(context).load(plan_id).plan
    MoveSummary.of(plan)  # what cannot be told of is not claimed
    executor = executor_of(plan, how, context)
    claimed = executor.claim(plan_id)
    yield info(f"Going on with {plan_id}.")
    yield from execute(executor, claimed, how, request)


def take_back(
    plan_id: str, how: How, request: Request, context: Context, *, is_forced: bool
) -> Iterator[Reply]:
    """Undo what was done of a plan; ``is_forced``: though a service node that gets nodes back is silent."""
    stored = journal_of(context).load(plan_id)
    kinds = registry_of(context)
    kinds.check(stored.plan, plan_id)
    begun, unfinished = begun_steps(stored), unfinished_lanes(stored)
    if stored.plan.command in snmove_unfinished.MOVING:
        behind = nodes_behind(stored.plan, context)
        plan = undo_move(stored.plan, begun, plan_id, kinds, unfinished=unfinished, behind=behind)
        if not is_forced:
            require_running(plan, context)
    else:
        plan = undo(stored.plan, begun, plan_id, kinds, unfinished=unfinished)
    if not how.is_json:
        yield info(f"Taking back {plan_id}.")
    yield from show_or_do(plan, how, request, context)


def listed(found: Iterable[Summary], journal: Journal, *, is_json: bool) -> Iterator[Reply]:
    """The list of plans, with the nodes that are not finished."""
    plans = [(summary, snmove_unfinished.unfinished(summary, journal)) for summary in found]
    if is_json:
        yield data(json.dumps([snmove_unfinished.as_json(*each) for each in plans]))
    elif not plans:
        yield info("There are no moves in the journal.")
    else:
        yield data(*replies.listing(plans))
