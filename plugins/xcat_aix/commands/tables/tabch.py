"""``tabch``: add, change and delete rows of any table by their keys.

Facts: docs/facts/table-commands.md, tabch and chtab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xcat_aix.commands import asking
from xcat_aix.commands.options import flag
from xcatd import tablenames
from xcatd.api import EVERYTHING, Context, DatabaseError, Reply, Request, Targets, error, secrets
from xcatd.rows import rowedits
from xcatd.rows.rowedits import Edit
from xcatd.tablenames import Table

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

_Key = Mapping[str, str]


class Tabch:
    """The plugin."""

    commands = ("tabch",)

    def targets(self, _request: Request, _context: Context) -> Targets:
        """Whole tables."""
        return EVERYTHING

    def needs_everything(self, request: Request) -> bool:
        """Whether it finds rows by a secret: that a row was there tells it."""
        return secrets.any_selected(rowedits.key_columns(request.words))

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Change rows."""
        arguments = asking.read(
            request.words, OPTIONS, USAGE, f"tabch :{context.version}", at_least=1
        )
        if isinstance(arguments, Reply):
            yield arguments
        elif arguments.operands[0] in {"", "0"}:
            yield asking.wrong(USAGE)
        else:
            yield from _change(arguments.operands, context, deletes=arguments.has("d"))


def _change(words: Sequence[str], context: Context, *, deletes: bool) -> Iterator[Reply]:
    has_key = not rowedits.is_assignment(words[0])
    try:
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


def _delete(key: _Key, names: Sequence[str], context: Context) -> Iterator[Reply]:
    if not names:
        yield _incorrect("Missing table name.\n")
        return
    known: dict[str, Table] = {}
    for name in names:
        table = tablenames.find(context.db, name)
        if table is None:
            yield Reply(data=(f"Table {name} does not exist.",), errorcode=1)
        elif missing := _missing(table, key):
            yield from missing
            return
        else:
            known[name] = table
    try:
        rowedits.delete(context.db, key, known)
    except DatabaseError as failed:
        yield error(str(failed), code=DATABASE_REFUSED)


def _store(key: _Key, edits: Sequence[Edit], context: Context) -> Iterator[Reply]:
    known: dict[str, Table] = {}
    for edit in edits:
        table = known.get(edit.table) or tablenames.find(context.db, edit.table)
        if table is None:
            yield Reply(data=(f"Table {edit.table} does not exist.\n",), errorcode=1)
            return
        known[edit.table] = table
        if refused := _refused(table, key, edit):
            yield from refused
            return
    try:
        rowedits.store(context.db, known.values(), key, edits)
    except (DatabaseError, rowedits.RefusedError) as failed:
        yield error(f"DB error {failed}", code=DATABASE_REFUSED)


def _refused(table: Table, key: _Key, edit: Edit) -> list[Reply]:
    """Why this edit cannot be made; nothing is written then."""
    if missing := _missing(table, key):
        return missing
    if edit.column not in table.columns:
        return [error(f"{edit.table}.{edit.column} not a valid table.column description")]
    return []


def _missing(table: Table, key: _Key) -> list[Reply]:
    return [
        error(f'No column "{column}" in table "{table.name}"')
        for column in key
        if column not in table.columns
    ]
