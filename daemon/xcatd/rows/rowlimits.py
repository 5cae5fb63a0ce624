"""What no row of a table may be: one more with the same key, or one without a text it needs.

Every engine refuses such rows, each in its own words and after the fact; asking first gives the same words
everywhere, which are SQLite's.  Must not: write.  Facts: docs/facts/database.md, Files, columns and
transactions; Reading; Writing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xcatd.tablenames import Table

if TYPE_CHECKING:
    from xcatd.db.transaction import Transaction

_Row = Mapping[str, str | None]

#: Values of ``disable`` of rows that count.
LIVE = frozenset([None, "0", "no", "NO", "No", "nO"])


class RefusedError(ValueError):
    """A row that cannot be stored; the text says which rule forbids it."""


def lacking(table: Table, row: _Row) -> str | None:
    """The rule against a new row without a text it needs; keys get an empty text."""
    for column in table.columns:
        if column in table.required and column not in table.keys and row.get(column) is None:
            return f"NOT NULL constraint failed: {table.name}.{column}"
    return None


def taken(table: Table) -> str:
    """The rule against a second row with the same key."""
    columns = ", ".join(f"{table.name}.{key}" for key in table.keys)
    return f"UNIQUE constraint failed: {columns}"


def check_insert(transaction: Transaction, table: Table, row: _Row) -> None:
    """Raises RefusedError when this row cannot be added."""
    if (rule := lacking(table, row)) is not None:
        raise RefusedError(rule)
    number = table.auto_key
    if not table.keys or (number is not None and row.get(number) is None):
        return
    key = {column: row.get(column) or "" for column in table.keys}
    if transaction.select(table.name, key):
        raise RefusedError(taken(table))


def check_updates(
    transaction: Transaction, table: Table, stored: Sequence[_Row], values: _Row
) -> None:
    """Raises RefusedError when these rows cannot all get these values."""
    if values.keys().isdisjoint(table.keys):
        return
    before = {_key(table, row) for row in stored}
    after = [_key(table, {**row, **values}) for row in stored]
    others = {_key(table, row) for row in transaction.select(table.name)} - before
    if len(set(after)) < len(after) or others & set(after):
        raise RefusedError(taken(table))


def _key(table: Table, row: _Row) -> tuple[str | None, ...]:
    return tuple(row.get(column) for column in table.keys)
