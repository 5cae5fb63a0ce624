"""``nodegrpch``: columns of groups, which their members then have no values of their own in.

Facts: docs/facts/table-commands.md, nodegrpch.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcat_aix.commands import asking, storing
from xcat_aix.commands.options import Arguments
from xcat_aix.plan.nodetables import groupedits, nodewords
from xcat_aix.plan.nodetables.nodewords import WrongWordError
from xcat_aix.plan.writing import Planned
from xcatd.api import EVERYTHING, Context, Reply, Request, Targets, error
from xcatd.tablenames import Snapshot

from . import nodech

USAGE = (
    "Usage: nodegrpch group,... table.column=value...",
    "         set the groups' values; values of their own are taken from the members",
    "       nodegrpch {-d|--delete} group,... table...",
    "         delete the groups' rows",
    "       nodegrpch {-v|--version}",
    "       nodegrpch {-?|-h|--help}",
)


class Nodegrpch:
    """The plugin."""

    commands = ("nodegrpch",)

    def targets(self, _request: Request, _context: Context) -> Targets:
        """Groups are of all nodes."""
        return EVERYTHING

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Change columns of groups."""
        arguments = asking.read(request.words, nodech.OPTIONS, USAGE, context.version, at_least=1)
        if isinstance(arguments, Reply):
            yield arguments
        else:
            yield from _change(arguments, context)


def _change(arguments: Arguments, context: Context) -> Iterator[Reply]:
    groups = [group for group in arguments.operands[0].split(",") if group]
    others = arguments.operands[1:]
    if arguments.has("d"):
        yield from nodech.delete(groups, others, context)
        return
    try:
        words = nodewords.parse(others, nodech.finder(context))
        groupedits.check(words)
    except WrongWordError as wrong:
        yield error(str(wrong))
        return
    yield from map(storing.reply, words.remarks)
    try:
        members = {group: context.expand(group).nodes for group in groups}
    except ValueError as failed:
        yield error(str(failed))
        return

    def plan(snapshot: Snapshot) -> Planned:
        return groupedits.plan(words, groups, members, snapshot)

    yield from storing.carry_out(context, groupedits.tables_needed(words), plan)
