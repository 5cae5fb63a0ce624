"""``tabgrep``: the tables that say something about a node.

Facts: docs/facts/table-commands.md, tabgrep and tabprune.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcatd import tablenames
from xcatd.api import Context, Reply, Request, Targets, data

USAGE = ("Usage: tabgrep nodename", "       tabgrep {-?|-h|--help}")


class Tabgrep:
    """The plugin."""

    commands = ("tabgrep",)

    def targets(self, request: Request, _context: Context) -> Targets:
        """The nodes of the request."""
        return Targets.of(request.nodes)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Name the tables with a row of the first node or of one of its groups, sorted."""
        if not request.nodes:
            yield Reply(data=USAGE, errorcode=1)
            return
        node = request.nodes[0]
        about_nodes = [name for name in tablenames.names() if tablenames.has_column(name, "node")]
        own = [name for name, table in context.db.user_tables().items() if "node" in table.columns]
        snapshot = context.db.read((*about_nodes, *own))
        found = [
            name
            for name in about_nodes
            if tablenames.values_all(snapshot, name, ("node",), (node,))[node]
        ]
        groups = {node, *snapshot.groups(node)}
        found += [name for name in own if any(r["node"] in groups for r in snapshot.rows(name))]
        for name in sorted(found):
            yield data(name)
