"""snmove: move compute nodes from their service node to another one.

Owns: the command from its arguments to its replies.  The plan is made in :mod:`xcat_aix.plan.snmove`, executed by
:mod:`xcat_aix.run`; the words are in :mod:`.snmove_replies`.
Facts: specs/snmove.md.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from xcat_aix.plan import explain
from xcat_aix.plan.model import Plan
from xcat_aix.plan.moves import MoveError
from xcat_aix.plan.undo import undo
from xcat_aix.run.errors import RunError
from xcat_aix.run.rows import Summary
from xcat_aix.run.states import Outcome
from xcatd.api import Context, DatabaseError, Reply, Request, data, error, info

from . import snmove_replies as replies
from .snmove_options import USAGE, Action, Given, UsageError, parse_arguments
from .snmove_run import begun_steps, execute, executor_of, journal_of
from .snmove_world import plan_move, require_running


class Snmove:
    """The plugin."""

    commands = ("snmove",)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Do the command; whatever stands against it is an error reply with code 1."""
        try:
            given = parse_arguments(request.words)
        except UsageError as problem:
            usage = USAGE if problem.shows_usage else ()
            yield Reply(errors=(problem.message,), data=usage, errorcode=1)
            return
        try:
            yield from _act(given, request, context)
        except MoveError as problem:
            yield error(*problem.messages)
        except (RunError, DatabaseError) as problem:
            yield error(str(problem))


def _act(given: Given, request: Request, context: Context) -> Iterator[Reply]:
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
            if not (given.is_json or given.asked.lite_only):
                yield info(replies.MOVING)
            plan = plan_move(given.asked, given.noderange, context)
            yield from _show_or_do(plan, given, request, context)


def _show_or_do(plan: Plan, given: Given, request: Request, context: Context) -> Iterator[Reply]:
    if given.is_json:
        yield data(explain.to_json(plan))
    elif given.is_dry_run:
        yield data(*explain.to_text(plan))
    else:
        yield from _do(plan, given, request, context)
    if (given.is_dry_run or not plan.nodes) and replies.has_errors(plan.notes):
        yield Reply(errorcode=1)


def _do(plan: Plan, given: Given, request: Request, context: Context) -> Iterator[Reply]:
    if not plan.nodes:
        yield from replies.notes(plan.notes)
        return
    executor = executor_of(plan, given, context)
    claimed = executor.open(plan, command=_command_line(request), user=request.user or "")
    yield from replies.notes(plan.notes)
    yield from execute(executor, claimed, given, request)


def _command_line(request: Request) -> str:
    return shlex.join([request.command, *request.words])


def _resume(given: Given, request: Request, context: Context) -> Iterator[Reply]:
    plan = journal_of(context).load(given.move_id).plan
    executor = executor_of(plan, given, context)
    claimed = executor.claim(given.move_id)
    yield info(f"Going on with {given.move_id}.")
    yield from execute(executor, claimed, given, request)


def _undo(given: Given, request: Request, context: Context) -> Iterator[Reply]:
    stored = journal_of(context).load(given.move_id)
    plan = undo(stored.plan, begun_steps(stored), given.move_id)
    if not given.asked.force:
        require_running(plan, context)
    if not given.is_json:
        yield info(f"Taking back {given.move_id}.")
    yield from _show_or_do(plan, given, request, context)


def _list(given: Given, context: Context) -> Iterator[Reply]:
    journal = journal_of(context)
    moves = [
        (summary, _done_nodes(summary, context))
        for summary in journal.list()
        if summary.id.startswith("snmove-")
    ]
    if given.is_json:
        yield data(json.dumps([_as_json(summary, done) for summary, done in moves]))
    elif not moves:
        yield info("There are no moves in the journal.")
    else:
        yield data(*replies.listing(moves))


def _done_nodes(summary: Summary, context: Context) -> int:
    """Counted from the journal only where the outcome does not tell: plans are large."""
    if summary.parked or summary.outcome is Outcome.FAILED:
        return 0
    if summary.outcome is Outcome.OK:
        return len(summary.nodes)
    stored = journal_of(context).load(summary.id)
    return replies.done_nodes(stored.plan, stored.state)


def _as_json(summary: Summary, done: int) -> dict[str, object]:
    return {
        "id": summary.id,
        "opened": summary.opened,
        "closed": summary.closed,
        "user": summary.user,
        "command": summary.command,
        "state": summary.sentence,
        "nodes": len(summary.nodes),
        "done": done,
    }
