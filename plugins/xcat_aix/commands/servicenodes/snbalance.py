"""snbalance: split compute nodes between service nodes, and move those that must.

Owns: the command from its arguments to its replies.  The plan is made in :mod:`xcat_aix.plan.servicenodes.snbalance`; it is a plan
of moves, shown, carried out, listed, resumed and taken back as those of snmove are.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcat_aix.plan.model import Plan
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcatd.api import NOTHING, Context, Reply, Request, Targets, data, error, info

from . import snmove_replies as replies
from .snbalance_options import USAGE, parse_arguments
from .snmove_options import How, UsageError
from .snmove_run import guarded, journal_of, show_or_do
from .snmove_unfinished import about_nodes
from .snmove_world import plan_balance, targets_of


class Snbalance:
    """The plugin."""

    commands = ("snbalance",)

    def targets(self, request: Request, context: Context) -> Targets:
        """The nodes that are balanced."""
        try:
            given = parse_arguments(_words(request))
        except UsageError:
            return NOTHING
        if given.is_help or given.is_version:
            return NOTHING
        return targets_of(given.noderange, context)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Do the command; whatever stands against it is an error reply with code 1."""
        yield from guarded(_act(request, context), USAGE)


def _act(request: Request, context: Context) -> Iterator[Reply]:
    given = parse_arguments(_words(request))
    if given.is_help:
        yield data(*USAGE)
    elif given.is_version:
        yield data(context.version)
    else:
        if not given.how.is_json:
            yield info(replies.BALANCING)
        plan = plan_balance(given.balance, given.noderange, context)
        yield from _balance(plan, given.how, request, context)


def _balance(plan: Plan, how: How, request: Request, context: Context) -> Iterator[Reply]:
    # A later plan for a node ends the resuming of the one before, which is the only one that can finish it.
    kept = MoveSummary.of(plan).kept
    unfinished = [] if how.is_json else list(about_nodes(kept, journal_of(context)))
    if unfinished and not how.is_dry_run:
        yield from unfinished
        yield error(replies.FINISH_FIRST)
        return
    if not (plan.nodes or how.is_dry_run):
        yield info(replies.NOTHING)
    yield from show_or_do(plan, how, request, context)
    yield from unfinished


def _words(request: Request) -> tuple[str, ...]:
    """All words.  Under the name of a client that takes a noderange out of them, that was the first operand."""
    return (request.noderange, *request.words) if request.noderange else request.words
