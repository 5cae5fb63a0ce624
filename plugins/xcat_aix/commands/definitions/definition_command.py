"""The way of every command that writes object definitions: arguments, plan, transaction, result.

Owns: reading the tables once, storing, and planning again when somebody else wrote in between.
Must not: know what one command plans.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from xcat_aix.plan.definitions.orders import Order, Planned
from xcatd.api import (
    EVERYTHING,
    NOTHING,
    ChangedMeanwhile,
    Context,
    DatabaseError,
    Reply,
    Request,
    Targets,
    error,
    info,
)
from xcatd.tables import Snapshot

from . import definition_arguments, object_help, shipped_templates
from .definition_arguments import CommandLine
from .definition_usage import USAGES
from .lsdef_arguments import HelpQuestion, UsageQuestion, VersionQuestion
from .object_arguments import Refused
from .stanzas import TYPE
from .storing import store

#: How often a plan is made anew because a value it was made from has changed.
MOST_ATTEMPTS = 30
#: Second and later attempts take turns, or commands of the same daemon would keep each other from ever storing.
_TURNS = threading.RLock()

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


def targets(request: Request, context: Context) -> Targets:
    """The nodes a command that writes definitions is about; everything where it is about anything else.

    The nodes that attributes are taken from, and the new name of one, are among them.
    """
    found = NOTHING
    for item in orders(request, context):
        if isinstance(item, Order):
            found |= _targets_of(item)
    return found


def _targets_of(order: Order) -> Targets:
    types = {*order.kinds, *(stanza.get(TYPE) for stanza in order.stanzas.values())}
    if types != {"node"} or order.is_all or not (order.names or order.stanzas):
        return EVERYTHING
    others = (name for name in (order.new_name, order.template) if name)
    return Targets.of((*order.names, *order.stanzas, *others))


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
    planned, failure = _attempt(context, wanted, plan)
    if isinstance(failure, ChangedMeanwhile):
        planned, failure = _insist(context, wanted, plan)
    if isinstance(failure, ChangedMeanwhile):
        yield error(f"cannot write the definitions, others keep changing them: {failure}")
        return
    yield from planned.replies
    if failure is None:
        yield from planned.results
    else:
        yield error(str(failure))


def _attempt(
    context: Context, tables: frozenset[str], plan: Callable[[Snapshot], Planned]
) -> tuple[Planned, DatabaseError | None]:
    planned = plan(context.db.read(tables))
    try:
        store(context, planned.changes)
    except DatabaseError as failure:
        return planned, failure
    return planned, None


def _insist(
    context: Context, tables: frozenset[str], plan: Callable[[Snapshot], Planned]
) -> tuple[Planned, DatabaseError | None]:
    """Again, until it is stored or everybody's patience ends; others have their turns between two attempts."""
    for _ in range(MOST_ATTEMPTS - 2):
        with _TURNS:
            planned, failure = _attempt(context, tables, plan)
        if not isinstance(failure, ChangedMeanwhile):
            return planned, failure
    with _TURNS:
        return _attempt(context, tables, plan)
