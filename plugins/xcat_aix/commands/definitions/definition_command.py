"""What the commands that write object definitions have in common: their order, and what it is about.

Must not: know what one command plans.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcat_aix.plan.definitions.orders import Order
from xcatd.api import (
    EVERYTHING,
    NOTHING,
    Context,
    Reply,
    Request,
    Targets,
    error,
    info,
)

from . import definition_arguments, object_help, shipped_templates
from .definition_arguments import CommandLine
from .definition_usage import USAGES
from .lsdef_arguments import HelpQuestion, UsageQuestion, VersionQuestion
from .object_arguments import Refused
from .stanzas import TYPE


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
