"""``tabrestore``: the rows of a table from lines of CSV, which the client has read.

Facts: docs/facts/table-commands.md, tabrestore.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcatd.api import EVERYTHING, Context, DatabaseError, Reply, Request, Targets, error, warning
from xcatd.rows import keeping, restoring
from xcatd.rows.keeping import Widened

#: Tables of a program that has its own tools for them.
_TEAL = "x_teal"

#: How many odd names are told, and how much of each.
_NAMES, _LETTERS = 10, 60


class Tabrestore:
    """The plugin."""

    commands = ("tabrestore",)

    def targets(self, _request: Request, _context: Context) -> Targets:
        """Whole tables."""
        return EVERYTHING

    def needs_everything(self, request: Request) -> bool:
        """Whether it may make tables and columns, and keep names that no node can have."""
        return _says(request, "keepcolumns")

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Store the lines of the element ``data``; with an ``addrows`` beside those that are there.

        With ``keepcolumns``, which our own clients send, columns that are not xCAT's are added to the table, and
        names that no new node could have are kept: what is put back is not to be lost.
        """
        table = next(iter(request.extra.get("table", ())), None) or ""
        if table.startswith(_TEAL):
            yield error(f"{table} is not supported in tabrestore. Use Teal maintenance commands. ")
            return
        try:
            yield from _restore(table, request, context)
        except DatabaseError as failed:
            yield error(f"DB error {failed}", code=4)
        except ValueError as bad:
            yield error(f"cannot restore table {table}: {bad}; nothing was changed")


def _restore(table: str, request: Request, context: Context) -> Iterator[Reply]:
    lines = request.extra.get("data", ())
    widened = keeping.widen(context.db, table, lines) if _says(request, "keepcolumns") else None
    odd: list[str] = []
    problems = restoring.restore(
        context.db,
        table,
        lines,
        adds=_says(request, "addrows"),
        widened=widened.table if widened else None,
        odd=odd if widened else None,
    )
    for problem in problems:
        yield error(problem.text, code=problem.code)
    if widened and not problems:
        yield from _told(widened)
    if odd and not problems:
        yield warning(_odd_names(table, odd))


def _odd_names(table: str, names: list[str]) -> str:
    shown = ", ".join(repr(name[:_LETTERS]) for name in sorted(set(names))[:_NAMES])
    return (
        f"table {table}: kept {len(set(names))} names that no new node or group could have: {shown}; "
        "rename them (chdef -n) or delete them (tabch -d)"
    )


def _says(request: Request, name: str) -> bool:
    return next(iter(request.extra.get(name, ())), None) is not None


def _told(widened: Widened) -> Iterator[Reply]:
    name = widened.table.name
    if widened.is_new:
        yield warning(f"table {name} is not xCAT's: it was made anew, with every column a text")
    elif widened.kept:
        columns = ", ".join(widened.kept)
        yield warning(f"table {name}: kept columns that are not xCAT's: {columns}")
    if widened.empty:
        columns = ", ".join(widened.empty)
        yield warning(f"table {name}: left out columns that are not xCAT's and empty: {columns}")
