"""snbalance: split compute nodes between service nodes, and move those that must.

Owns: the command from its arguments to its replies.  The plan is made in :mod:`xcat_aix.plan.snbalance`; it is a plan
of moves, shown, carried out, listed, resumed and taken back as those of snmove are.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcatd.api import Context, Reply, Request, data, info

from . import snmove_replies as replies
from .snbalance_options import USAGE, parse_arguments
from .snmove_run import guarded, show_or_do
from .snmove_world import plan_balance


class Snbalance:
    """The plugin."""

    commands = ("snbalance",)

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
        yield from show_or_do(plan, given.how, request, context)
        if not (plan.nodes or given.how.is_dry_run):
            yield info(replies.NOTHING)


def _words(request: Request) -> tuple[str, ...]:
    """All words.  Under the name of a client that takes a noderange out of them, that was the first operand."""
    return (request.noderange, *request.words) if request.noderange else request.words
