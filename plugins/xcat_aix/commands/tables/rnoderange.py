"""``rnoderange``: nodes named by as few groups as can be.

Facts: docs/facts/noderange.md, Abbreviation.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcatd.api import Context, Reply, Request, Targets, data
from xcatd.noderange import abbreviation


class Rnoderange:
    """The plugin."""

    commands = ("rnoderange",)

    def targets(self, request: Request, _context: Context) -> Targets:
        """The nodes of the request."""
        return Targets.of(request.nodes)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Answer nothing without nodes: a stock client sends none with this command."""
        if request.nodes:
            snapshot = context.db.read(("nodelist",))
            yield data(abbreviation.abbreviate(request.nodes, snapshot.members))
