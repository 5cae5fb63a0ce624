"""The way of every command that writes object definitions: arguments, plan, transaction, result.

Owns: reading the tables once, storing, and planning again when somebody else wrote in between.
Must not: know what one command plans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from xcat_aix.plan.orders import Order, Planned
from xcatd.api import ChangedMeanwhile, Context, DatabaseError, Reply, Request, error, info
from xcatd.tables import Snapshot

from . import definition_arguments, object_help, shipped_templates
from .definition_arguments import CommandLine
from .definition_usage import USAGES
from .lsdef_arguments import HelpQuestion, UsageQuestion, VersionQuestion
from .object_arguments import Refused
from .storing import store

#: How often a plan is made anew because a value it was made from has changed.
MOST_ATTEMPTS = 5

Plan = Callable[[Order, Snapshot], Planned]


def orders(request: Request, context: Context) -> Iterator[Reply | Order]:
    """The checked order, or the replies that end the command before there is one."""

    def expand(text: str, verify: bool) -> tuple[str, ...]:
        return expanded(context, text, verify=verify)

    line = CommandLine(
        command=request.command,
        words=request.words,
        stdin=request.stdin or "",
        expand=expand,
        read_templates=lambda kind: shipped_templates.read(context.environ, kind),
    )
    usage = USAGES[request.command]
    try:
        order = definition_arguments.parse(line)
    except Refused as refused:
        yield error(*refused.lines)
        if refused.with_usage:
            yield info(*usage)
        return
    match order:
        case UsageQuestion():
            yield info(*usage)
        case VersionQuestion():
            yield info(f"{request.command} - {context.version}")
        case HelpQuestion():
            yield from object_help.replies(order)
        case Order():
            yield order


def expanded(context: Context, text: str, *, verify: bool = False) -> tuple[str, ...]:
    """A noderange's names; raises Refused for what is none."""
    try:
        return context.expand(text, verify=verify).nodes
    except ValueError as bad:  # unbalanced, or larger than anybody means
        raise Refused(str(bad)) from None


def carry_out(
    context: Context, tables: Iterable[str], plan: Callable[[Snapshot], Planned]
) -> Iterator[Reply]:
    """Read, plan and store; the replies of the plan that was stored.

    Every plan is made from one read.  Where a value it depends on was changed by somebody else before it could be
    stored, it is made again.
    """
    wanted = frozenset(tables)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        planned = plan(context.db.read(wanted))
        try:
            store(context, planned.changes)
        except ChangedMeanwhile as changed:
            if attempt == MOST_ATTEMPTS:
                yield error(f"cannot write the definitions, others keep changing them: {changed}")
                return
            continue
        except DatabaseError as failed:
            yield from planned.replies
            yield error(str(failed))
            return
        yield from planned.replies
        yield from planned.results
        return
