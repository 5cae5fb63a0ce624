"""``noderm``: every row about nodes goes.

Facts: docs/facts/table-commands.md, nodech, nodeadd and noderm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from xcat_aix.commands import asking
from xcat_aix.plan.nodetables import nodeparts
from xcat_aix.plan.nodetables.nodewords import CommandWords
from xcatd import tablenames
from xcatd.api import Context, Reply, Request, Targets, info

from .nodech import HELP, delete_rows, finder

USAGE = (
    "Usage:",
    "  noderm noderange",
    "  noderm {-v|--version}",
    "  noderm {-?|-h|--help}",
)

#: ``site.pruneservices`` that does not want it.
_NO = re.compile(r"n(\Z|o)", re.IGNORECASE)


class Noderm:
    """The plugin."""

    commands = ("noderm",)

    def targets(self, request: Request, _context: Context) -> Targets:
        """The nodes of the request."""
        return Targets.of(request.nodes)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Remove nodes."""
        arguments = asking.read(request.words, HELP, USAGE, context.version)
        if isinstance(arguments, Reply):
            yield arguments
        elif not request.nodes:
            yield asking.wrong(USAGE)
        else:
            yield from _remove(request.nodes, context)


def _remove(nodes: Sequence[str], context: Context) -> Iterator[Reply]:
    snapshot = context.db.read(nodeparts.NEEDED)
    prune = snapshot.site.get("pruneservices")
    if prune is not None and not _NO.search(prune):
        _prune(nodes, context)
    for line in nodeparts.left_behind(nodes, snapshot):
        yield info(line)
    find = finder(context)
    words = CommandWords()
    for name in chain(tablenames.names(), context.db.user_tables()):
        table = find(name)
        if table is not None and "node" in table.columns:
            words.tables[name] = table
    yield from delete_rows(nodes, words, context)


def _prune(nodes: Sequence[str], context: Context) -> None:
    """Take the nodes out of DHCP first; what that says does not keep them from being removed."""
    if context.runner is not None:
        for _ in context.run("makedhcp", ("-d",), tuple(nodes)):
            pass
