"""``gettab``: columns of the row with a key.

Facts: docs/facts/table-commands.md, gettab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xcat_aix.commands import asking
from xcat_aix.commands.options import Arguments, flag
from xcatd import tablenames
from xcatd.api import (
    EVERYTHING,
    SECRET_TABLES,
    Context,
    Reply,
    Request,
    Targets,
    data,
    error,
    secrets,
)

OPTIONS = (flag("h", "?", "help"), flag("H", "with-fieldname"))

USAGE = (
    "Usage: gettab [-H|--with-fieldname] column=key[,column=key...] table.column [table.column...]",
    "       gettab {-?|-h|--help}",
)


#: Column to text; None means NULL.
Key = Mapping[str, str | None]


class Gettab:
    """The plugin."""

    commands = ("gettab",)

    def targets(self, _request: Request, _context: Context) -> Targets:
        """Whole tables."""
        return EVERYTHING

    def needs_everything(self, request: Request) -> bool:
        """Whether it finds a row by a secret, or shows what makes one somebody else."""
        if not SECRET_TABLES.isdisjoint(word.partition(".")[0] for word in request.words):
            return True
        columns = (pair.split("=")[0] for word in request.words for pair in word.split(","))
        return secrets.any_selected(columns)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Show columns of a row of each table."""
        arguments = asking.read(request.words, OPTIONS, USAGE, at_least=2)
        if isinstance(arguments, Reply):
            yield arguments
        else:
            yield from _answer(arguments, context)


def _answer(arguments: Arguments, context: Context) -> Iterator[Reply]:
    key = _key(arguments.operands[0])
    asked = _asked(arguments.operands[1:])
    for name in asked:
        table = tablenames.find(context.db, name)
        for column in key:
            if table is None or column not in table.columns:
                yield error(f"Unknown key {column} to {name}")
                return
    has_labels = arguments.has("H") or len(arguments.operands) > 2
    snapshot = context.db.read(asked)
    for name, columns in asked.items():
        for cells in _found(snapshot.rows(name), key, columns):
            yield from _shown(name, cells, has_labels=has_labels)


def _key(word: str) -> Key:
    """What ``=`` is followed by counts up to the next one; nothing there means NULL."""
    parts = [pair.split("=") for pair in word.split(",")]
    return {part[0]: part[1] if len(part) > 1 else None for part in parts}


def _asked(words: Sequence[str]) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for word in words:
        table, column = (*word.split("."), "")[:2]
        columns = asked.setdefault(table, [])
        if column not in columns:
            columns.append(column)
    return asked


def _found(
    rows: Sequence[Mapping[str, str | None]], key: Key, columns: Sequence[str]
) -> Iterator[dict[str, str]]:
    """These columns of the first row with the key that has a value in any of them."""
    for row in rows:
        if all(_fits(row[column], text) for column, text in key.items()):
            cells = {column: row.get(column) or "" for column in columns}
            if any(cells.values()):
                yield cells
                return


def _fits(stored: str | None, wanted: str | None) -> bool:
    return stored == wanted if wanted else stored is None


def _shown(table: str, cells: Mapping[str, str], *, has_labels: bool) -> Iterator[Reply]:
    for column, text in cells.items():
        yield data(f"{table}.{column}: {text}" if has_labels else text)
