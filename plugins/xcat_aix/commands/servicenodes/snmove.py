"""snmove: move compute nodes from their service node to another one.

Owns: the command from its arguments to its replies.  The plan is made in :mod:`xcat_aix.plan.servicenodes.snmove`, executed by
:mod:`xcat_aix.run`; the words are in :mod:`.snmove_replies`.
Facts: specs/snmove.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from xcat_aix.plan.servicenodes.moves import NothingToMove
from xcat_aix.plan.servicenodes.undo import undo
from xcat_aix.run.rows import Summary
from xcatd.api import NOTHING, Context, Reply, Request, Targets, data, error, info

from . import snmove_replies as replies
from . import snmove_unfinished
from .snmove_options import USAGE, Action, Given, UsageError, parse_arguments
from .snmove_run import (
    begun_steps,
    execute,
    executor_of,
    guarded,
    journal_of,
    show_or_do,
    unfinished_lanes,
)
from .snmove_world import nodes_behind, plan_move, require_running, targets_of


class Snmove:
    """The plugin."""

    commands = ("snmove",)

    def targets(self, request: Request, context: Context) -> Targets:
        """The nodes of its noderange; a whole service node, and earlier moves, are of the whole cluster."""
        try:
            given = parse_arguments(request.words)
        except UsageError:
            return NOTHING
        if given.action in {Action.HELP, Action.VERSION}:
            return NOTHING
        return targets_of(given.noderange, context)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Do the command; whatever stands against it is an error reply with code 1."""
        yield from guarded(_act(request, context), USAGE)


def _act(request: Request, context: Context) -> Iterator[Reply]:
    given = parse_arguments(request.words)
    match given.action:
        case Action.HELP:
            yield data(*USAGE)
        case Action.VERSION:
            yield data(context.version)
        case Action.LIST:
            yield from _list(given, context)
        case Action.RESUME:
            yield from _resume(given, request, context)
        case Action.UNDO:
            yield from _undo(given, request, context)
        case Action.MOVE:
            if not (given.how.is_json or given.asked.lite_only):
                yield info(replies.MOVING)
            yield from _move(given, request, context)


def _move(given: Given, request: Request, context: Context) -> Iterator[Reply]:
    asked = given.asked
    try:
        plan = plan_move(asked, given.noderange, context)
    except NothingToMove as problem:
        yield error(*problem.messages)
        if asked.source and given.noderange is None and not asked.ignore_nodes:
            yield from snmove_unfinished.about_source(asked.source, journal_of(context))
        return
    yield from show_or_do(plan, given.how, request, context)


def _resume(given: Given, request: Request, context: Context) -> Iterator[Reply]:
    plan = journal_of(context).load(given.move_id).plan
    executor = executor_of(plan, given.how, context)
    claimed = executor.claim(given.move_id)
    yield info(f"Going on with {given.move_id}.")
    yield from execute(executor, claimed, given.how, request)


def _undo(given: Given, request: Request, context: Context) -> Iterator[Reply]:
    stored = journal_of(context).load(given.move_id)
    plan = undo(
        stored.plan,
        begun_steps(stored),
        given.move_id,
        unfinished=unfinished_lanes(stored),
        behind=nodes_behind(stored.plan, context),
    )
    if not given.asked.force:
        require_running(plan, context)
    if not given.how.is_json:
        yield info(f"Taking back {given.move_id}.")
    yield from show_or_do(plan, given.how, request, context)


def _list(given: Given, context: Context) -> Iterator[Reply]:
    journal = journal_of(context)
    moves = [
        (summary, snmove_unfinished.unfinished(summary, journal))
        for summary in snmove_unfinished.moves(journal)
    ]
    if given.how.is_json:
        yield data(json.dumps([_as_json(summary, left) for summary, left in moves]))
    elif not moves:
        yield info("There are no moves in the journal.")
    else:
        yield data(*replies.listing(moves))


def _as_json(summary: Summary, left: tuple[str, ...]) -> dict[str, object]:
    return {
        "id": summary.id,
        "opened": summary.opened,
        "closed": summary.closed,
        "user": summary.user,
        "command": summary.command,
        "state": summary.sentence,
        "nodes": len(summary.nodes),
        "done": len(summary.nodes) - len(left),
        "unfinished": list(left),
    }
