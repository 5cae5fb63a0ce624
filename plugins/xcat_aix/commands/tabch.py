"""``tabch``: add, change and delete rows of any table by their keys.

Facts: specs/object-commands.md, section 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xcatd import rowedits, tables
from xcatd.api import Context, DatabaseError, Reply, Request, data, error
from xcatd.rowedits import Edit

from . import options
from .options import flag

OPTIONS = (flag("d", "delete"), flag("h", "help"), flag("v", "version"))

USAGE = (
    "Usage: tabch column=key[,column=key...] table.column=value [table.column+=value...]",
    "         set values in the rows with this key, or add a row; += adds items to a list",
    "       tabch table.column=value [table.column=value...]",
    "         add a row",
    "       tabch {-d|--delete} column=key[,column=key...] table [table...]",
    "         delete the rows with this key",
    "       tabch {-h|--help}",
    "       tabch {-v|--version}",
)

#: Exit status of what the database refuses.
DATABASE_REFUSED = 4


class Tabch:
    """The plugin."""

    commands = ("tabch",)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Change rows."""
        try:
            arguments = options.parse(request.words, OPTIONS)
        except options.OptionError:
            yield Reply(data=USAGE, errorcode=1)
            return
        if arguments.has("h"):
            yield data(*USAGE)
        elif arguments.has("v"):
            yield data(f"tabch :{context.version}")
        elif not arguments.operands or arguments.operands[0] in {"", "0"}:
            yield Reply(data=USAGE, errorcode=1)
        else:
            yield from _change(arguments.operands, context, deletes=arguments.has("d"))


def _change(words: Sequence[str], context: Context, *, deletes: bool) -> Iterator[Reply]:
    try:
        has_key = not rowedits.is_assignment(words[0])
        key = rowedits.read_key(words[0]) if has_key else {}
    except rowedits.BadKeyError as bad:
        yield _incorrect(f'Incorrect argument "{bad}".\n')
        return
    others = words[1:] if has_key else words
    if deletes and not key:
        yield _incorrect(f'Incorrect argument "{words[0]}".\n')
    elif deletes:
        yield from _delete(key, others, context)
    else:
        yield from _store(key, [rowedits.read_edit(word) for word in others], context)


def _incorrect(text: str) -> Reply:
    return Reply(data=(text, "Check man tabch or tabch -h\n"), errorcode=1)


def _delete(key: dict[str, str], names: Sequence[str], context: Context) -> Iterator[Reply]:
    if not names:
        yield _incorrect("Missing table name.\n")
        return
    unknown = rowedits.unknown_tables(names)
    for name in unknown:
        yield Reply(data=(f"Table {name} does not exist.",), errorcode=1)
    known = [name for name in names if name not in unknown]
    for name in known:
        if missing := _missing(name, key):
            yield from missing
            return
    try:
        rowedits.delete(context.db, key, known)
    except DatabaseError as failed:
        yield error(str(failed), code=DATABASE_REFUSED)


def _store(key: dict[str, str], edits: Sequence[Edit], context: Context) -> Iterator[Reply]:
    for edit in edits:
        if refused := _refused(key, edit):
            yield from refused
            return
    try:
        rowedits.store(context.db, key, edits)
    except DatabaseError as failed:
        yield error(str(failed), code=DATABASE_REFUSED)


def _refused(key: dict[str, str], edit: Edit) -> list[Reply]:
    """Why this edit cannot be made; nothing is written then."""
    if not tables.is_known(edit.table):
        return [Reply(data=(f"Table {edit.table} does not exist.\n",), errorcode=1)]
    if missing := _missing(edit.table, key):
        return missing
    if not tables.has_column(edit.table, edit.column):
        return [error(f"{edit.table}.{edit.column} not a valid table.column description")]
    return []


def _missing(table: str, key: dict[str, str]) -> list[Reply]:
    return [
        error(f'No column "{column}" in table "{table}"')
        for column in key
        if not tables.has_column(table, column)
    ]
