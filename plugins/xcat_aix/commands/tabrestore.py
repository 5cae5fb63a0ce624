"""``tabrestore``: the rows of a table from lines of CSV, which the client has read.

Facts: specs/object-commands.md, section 7.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcatd import restoring
from xcatd.api import Context, DatabaseError, Reply, Request, error


class Tabrestore:
    """The plugin."""

    commands = ("tabrestore",)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Store the lines of the element ``data``; with an ``addrows`` beside those that are there."""
        table = next(iter(request.extra.get("table", ())), None) or ""
        adds = next(iter(request.extra.get("addrows", ())), None) is not None
        lines = request.extra.get("data", ())
        try:
            problems = restoring.restore(context.db, table, lines, adds=adds)
        except DatabaseError as failed:
            yield error(f"DB error {failed}", code=4)
            return
        for problem in problems:
            yield error(problem.text, code=problem.code)
