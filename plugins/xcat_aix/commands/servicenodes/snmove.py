"""snmove: move compute nodes from their service node to another one.

Owns: the command from its arguments to its replies.  The plan is made in :mod:`xcat_aix.plan.servicenodes.snmove`, executed by
:mod:`xcat_aix.run`; the words are in :mod:`.snmove_replies`.
Facts: docs/facts/snmove.md, Command line and messages.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcat_aix.plan.servicenodes.moves import NothingToMove
from xcatd.api import NOTHING, Context, Reply, Request, Targets, data, error, info

from . import snmove_replies as replies
from . import snmove_unfinished
from .snmove_options import USAGE, Action, Given, UsageError, parse_arguments
from .snmove_run import guarded, journal_of, show_or_do
from .snmove_world import plan_move, targets_of
from .stored_plans import listed, resume, take_back


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
            journal = journal_of(context)
            moves = snmove_unfinished.moves(journal)
            yield from listed(moves, journal, is_json=given.how.is_json)
        case Action.RESUME:
            yield from resume(given.move_id, given.how, request, context)
        case Action.UNDO:
            is_forced = given.asked.force
            yield from take_back(given.move_id, given.how, request, context, is_forced=is_forced)
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
