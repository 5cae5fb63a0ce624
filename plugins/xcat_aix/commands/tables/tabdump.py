"""``tabdump``: the tables, and the rows of one as CSV.

Facts: docs/facts/table-commands.md, tabdump.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from xcat_aix.commands import asking, options
from xcat_aix.commands.batches import batches
from xcat_aix.commands.options import Arguments, Option, flag, value
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
from xcatd.objects import descriptions
from xcatd.rows import dumpfile, keeping
from xcatd.tablenames import Table
from xcatd.text import perlre, tablecsv

from . import tabdump_where

OPTIONS = (
    flag("v", "version"),
    flag("h", "?", "help"),
    value("n", "lines"),
    flag("d"),
    value("f"),
    value("w"),
    flag("extra-columns"),
)

USAGE = (
    "Usage: tabdump                                      names of the tables",
    "       tabdump [-w column==value ...] table         rows, -w: those that match",
    "       tabdump [-w column==value ...] -f FILE table the same into a file on the server",
    "       tabdump -n N {auditlog | eventlog}           the last N records",
    "       tabdump -d [table]                           what tables or columns are for",
    "       tabdump --extra-columns [-f FILE] [table]    columns that are not xCAT's: which, or with them",
    "       tabdump {-v|--version}",
    "       tabdump {-?|-h|--help}",
)

LINES_PER_REPLY = 500

#: The tables ``-n`` is for.
LOGS = ("auditlog", "eventlog")

#: Options that ``-n`` excludes.
_WITHOUT_N = ("d", "w", "f")

#: Tables of a program that has its own tools for them.
_TEAL = "x_teal"

Row = Mapping[str, str | None]


class Tabdump:
    """The plugin."""

    commands = ("tabdump",)

    def targets(self, _request: Request, _context: Context) -> Targets:
        """Whole tables."""
        return EVERYTHING

    def needs_everything(self, request: Request) -> bool:
        """Whether it writes a file as root, chooses rows by a secret, or shows what makes one somebody else."""
        try:
            arguments = _parsed(request.words, OPTIONS)
        except options.OptionError:
            return False
        if arguments.has("f") or not SECRET_TABLES.isdisjoint(arguments.operands):
            return True
        return secrets.any_selected(tabdump_where.columns(arguments.values("w")))

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """List tables or rows."""
        arguments = asking.read(request.words, OPTIONS, USAGE, context.version, parse=_parsed)
        if isinstance(arguments, Reply):
            yield arguments
        else:
            yield from _answer(arguments, request, context)


def _parsed(words: Sequence[str], known: Sequence[Option]) -> Arguments:
    """Everything after the first operand is one; raises OptionError for what is no number, too."""
    arguments = options.parse(words, known, operands_end_options=True)
    number = arguments.value("n", "0").removeprefix("-")
    if not (number.isascii() and number.isdigit()):
        raise options.OptionError(f"option -n: {number!r} is not a number")
    return arguments


def _answer(arguments: Arguments, request: Request, context: Context) -> Iterator[Reply]:
    for other in _WITHOUT_N:
        if arguments.has("n") and arguments.has(other):
            yield error(f"You  cannot use the -n and -{other} flag together. ")
            return
    match arguments.operands:
        case ():
            yield from _tables(arguments, context)
        case (table,):
            yield from _one_table(table, arguments, request, context)
        case _:
            yield Reply(data=USAGE, errorcode=1)


def _tables(arguments: Arguments, context: Context) -> Iterator[Reply]:
    if arguments.has("f"):
        yield error("table name missing from the command input. ")
    elif arguments.has("d"):
        yield data(*_spaced(descriptions.tables().items(), is_sorted=True))
    elif arguments.has("extra-columns"):
        yield data(*keeping.extra_columns(context.db))
    else:
        yield data(*tablenames.all_names(context.db))


def _spaced(texts: Iterable[tuple[str, str]], *, is_sorted: bool = False) -> list[str]:
    """Descriptions, an empty line after each but the last."""
    lines = [descriptions.labelled(name, text) + "\n" for name, text in texts]
    if is_sorted:
        lines.sort()
    return [*lines[:-1], lines[-1].removesuffix("\n")]


def _one_table(
    name: str, arguments: Arguments, request: Request, context: Context
) -> Iterator[Reply]:
    if arguments.has("n") and name not in LOGS:
        yield error(
            f"{name} table is not supported in tabdump -n. "
            "You may only use this option on the auditlog or the eventlog."
        )
    elif name.startswith(_TEAL):
        yield error(f"{name} table is not supported in tabdump. Use Teal maintenance commands. ")
    elif (table := tablenames.find(context.db, name)) is None:
        missing = (
            f"table {name} does not exist." if arguments.has("d") else f"No such table: {name}"
        )
        yield error(missing)
    elif arguments.has("d"):
        yield data(*_spaced((column, _description(table, column)) for column in table.columns))
    elif arguments.has("f"):
        yield from _to_file(table, arguments, request, context)
    elif request.extra.get(dumpfile.EXACT):
        yield from _exactly(table, arguments, context)
    else:
        yield from _rows(table, arguments, context)


def _description(table: Table, column: str) -> str:
    """What a column of xCAT's is for; others' columns have no text."""
    return descriptions.column(table.name, column) if tablenames.is_known(table.name) else ""


def _rows(table: Table, arguments: Arguments, context: Context) -> Iterator[Reply]:
    try:
        lines = _lines(table, arguments, context)
    except _Refused as refused:
        yield error(str(refused))
        return
    if lines is None:
        yield data(f"Nothing to display from {table.name}.")
        return
    for batch in batches(lines, LINES_PER_REPLY):
        yield data(*batch)


class _Refused(ValueError):  # noqa: N818 - reads as what it is
    """The rows cannot be chosen as asked."""


def _lines(table: Table, arguments: Arguments, context: Context) -> Iterable[str] | None:
    """The CSV lines with their header; None when a log has no record at all."""
    conditions = _conditions(table, arguments)
    name = table.name
    snapshot = context.db.read((name,))
    rows: Sequence[Row]
    if arguments.has("n"):
        rows = snapshot.rows(name)
        numbers = [_number(row) for row in rows]
        if not numbers:
            return None
        first = max(numbers) - int(arguments.value("n"))
        rows = [row for row in rows if _number(row) > first]
    elif conditions:
        number_column = table.auto_key
        rows = [
            row
            for row in snapshot.rows(name)
            if all(condition.holds(row, number_column) for condition in conditions)
        ]
    else:
        rows = snapshot.rows(name, include_disabled=True)
    columns = table.columns
    if arguments.has("extra-columns") and rows:
        columns = (*columns, *(column for column in rows[0] if column not in columns))
    return tablecsv.rows(_checked(columns), rows)


def _checked(columns: Sequence[str]) -> Sequence[str]:
    """Others' tables may have columns that the first line of a CSV file cannot name."""
    for column in columns:
        if not tablenames.is_name(column):
            raise _Refused(f"cannot write column {column!r} as CSV")
    return columns


def _number(row: Row) -> int:
    return int(row["recid"] or 0)


def _conditions(table: Table, arguments: Arguments) -> tuple[tabdump_where.Where, ...]:
    try:
        conditions = tabdump_where.parse(arguments.values("w"))
    except tabdump_where.BadWhere as bad:
        raise _Refused(f"Unsupported operator:{bad} on -w flag input") from None
    except perlre.BadPattern as bad:
        raise _Refused(f"cannot use the text of -w: {bad}") from None
    for condition in conditions:
        if condition.column not in table.columns:
            raise _Refused(f'No column "{condition.column}" in table "{table.name}"')
    return conditions


def _exactly(table: Table, arguments: Arguments, context: Context) -> Iterator[Reply]:
    """The bytes of a file, for our own client to write: as ``data`` a reply holds no letter beyond ASCII."""
    try:
        lines = _lines(table, arguments, context)
    except _Refused as refused:
        yield error(str(refused))
        return
    for batch in batches(lines or (), LINES_PER_REPLY):
        content = base64.b64encode(dumpfile.encoded(batch)).decode("ascii")
        yield Reply(extra={dumpfile.EXACT: (content,)})


def _to_file(
    table: Table, arguments: Arguments, request: Request, context: Context
) -> Iterator[Reply]:
    """For clients that do not write files themselves."""
    given = arguments.value("f")
    path = given if given.startswith("/") else f"{request.cwd or ''}/{given}"
    try:
        lines = _lines(table, arguments, context)
        dumpfile.write(Path(path), dumpfile.encoded(lines or ()))
    except (OSError, ValueError) as failed:
        yield error(
            str(failed)
            if isinstance(failed, _Refused)
            else dumpfile.refusal(table.name, path, failed)
        )
