"""What a file has and no definition knows: kept in the database, as an upgrade in place leaves it.

xCAT never drops a column, so columns of older versions stay in a database that was upgraded; a dump of such
a version loads in the same way.  Owns which columns and tables are added for that.  Must not: store rows.
Facts: docs/facts/database.md, Missing tables and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from xcatd import tablenames
from xcatd.tablenames import Table
from xcatd.text import tablecsv

if TYPE_CHECKING:
    from xcatd.db.database import Database


class Widened(NamedTuple):
    """A table that takes the file's rows, and what of them it did not know.

    ``kept`` are columns added for their values; ``empty`` are those without any, which nobody needs.
    """

    table: Table
    kept: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    is_new: bool = False


def widen(database: Database, name: str, lines: Sequence[str | None]) -> Widened | None:
    """Make room for a file's columns; None where there is no table and cannot be one.

    Raises ValueError for a column that cannot be one, :class:`.text.tablecsv.BadHeaderError`, and
    :class:`xcatd.db.errors.DatabaseError`.
    """
    columns = tablecsv.read_header(lines[0] if lines else None)
    table = tablenames.find(database, name)
    if table is None:
        return _new(database, name, columns)
    unknown = [column for column in columns if column not in table.columns]
    if not unknown:
        return Widened(table)
    used = _used(columns, lines)
    kept = tuple(column for column in unknown if column in used)
    if kept:
        database.add_columns(name, kept)
    empty = tuple(column for column in unknown if column not in used)
    return Widened(replace(table, columns=(*table.columns, *kept)), kept, empty)


def _new(database: Database, name: str, columns: tuple[str, ...]) -> Widened | None:
    if not tablenames.can_be_named(name) or not columns:
        return None
    database.add_columns(name, columns)
    table = tablenames.find(database, name)
    return None if table is None else Widened(table, columns, is_new=True)


def _used(columns: Sequence[str], lines: Sequence[str | None]) -> frozenset[str]:
    """The columns that any row has a value in."""
    return frozenset(
        column
        for record in tablecsv.read(lines[1:], len(columns))
        if not isinstance(record, str)
        for column, text in zip(columns, record.cells, strict=True)
        if text
    )


def extra_columns(database: Database) -> list[str]:
    """``table.column`` of every column that holds a value and is none of xCAT's."""
    snapshot = database.read(tablenames.names())
    found: list[str] = []
    for name in tablenames.names():
        known = set(tablenames.columns(name))
        rows = snapshot.rows(name, include_disabled=True)
        extra = [column for column in (rows[0] if rows else ()) if column not in known]
        found += [f"{name}.{column}" for column in extra if any(row[column] for row in rows)]
    return found
