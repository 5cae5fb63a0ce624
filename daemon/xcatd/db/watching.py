"""A transaction that remembers what it writes to tables somebody watches.

Owns the three kinds of change a watcher is told of, in xCAT's terms.  Must not: know who watches, or what follows.
Facts: docs/facts/database.md, Notification hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from xcatd.rights import ALL, Rights

from . import rows as keyed
from .schema import Table
from .sheet import Cells
from .transaction import Expectation, Transaction, Write

#: Kinds of change: rows added, updated, deleted.
ADDED, UPDATED, DELETED = "a", "u", "d"

#: How many keys of deleted rows one change is about, as in xCAT.
KEYS_PER_DELETION = 100

#: Watched tables with the kinds of change that are watched.
Watched = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Change:
    """One change: the rows as they were (for updates and deletions), the values given (for additions and updates).

    ``columns`` name the cells of ``old``; ``new`` has the key first.
    """

    kind: str
    table: str
    columns: tuple[str, ...] = ()
    old: tuple[Cells, ...] = ()
    new: Mapping[str, str | None] | None = None


class Observer(Protocol):
    """Who wants to know what is written."""

    def watched(self) -> Watched:
        """What is watched now; asked before each transaction."""

    def committed(self, tables: Sequence[str], changes: Sequence[Change]) -> None:
        """A transaction on these tables is stored; ``changes`` are those of watched tables, in order."""


class WatchedTransaction(Transaction):
    """Writes as any transaction does, and keeps the changes of watched tables."""

    def __init__(
        self,
        connection: sa.Connection,
        targets: Mapping[str, sa.TableClause],
        tables: Mapping[str, Table],
        watched: Watched,
        rights: Rights = ALL,
    ) -> None:
        super().__init__(connection, targets, tables, rights)
        self._watched = watched
        self.changes: list[Change] = []

    def _is_watched(self, table: str, kind: str) -> bool:
        return kind in self._watched.get(table, ())

    def insert(
        self, table: str, rows: Sequence[Mapping[str, Any]], *, any_names: bool = False
    ) -> None:
        """As :meth:`Transaction.insert`."""
        super().insert(table, rows, any_names=any_names)
        if self._is_watched(table, ADDED):
            self.changes += [Change(ADDED, table, new=_texts(row)) for row in rows]

    def update(self, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """As :meth:`Transaction.update`."""
        change = None
        if self._is_watched(table, UPDATED):
            change = self._old(UPDATED, table, key, {**key, **values})
        count = super().update(table, key, values)
        if change is not None and change.old:
            self.changes.append(change)
        return count

    def delete(self, table: str, key: Mapping[str, Any]) -> int:
        """As :meth:`Transaction.delete`."""
        change = self._old(DELETED, table, key) if self._is_watched(table, DELETED) else None
        count = super().delete(table, key)
        if change is not None and change.old:
            self.changes.append(change)
        return count

    def clear(self, table: str) -> None:
        """As :meth:`Transaction.clear`."""
        change = self._old(DELETED, table, None) if self._is_watched(table, DELETED) else None
        super().clear(table)
        if change is not None and change.old:
            self.changes.append(change)

    def write_rows(self, table: str, writes: Sequence[keyed.RowWrite]) -> None:
        """As :meth:`Transaction.write_rows`."""
        updates: list[Change] = []
        if self._is_watched(table, UPDATED):
            stored = _Stored(self, table)
            for write in writes:
                values = {n: None if t == keyed.NULL_WORD else t for n, t in write.values.items()}
                updates += stored.updated(write.key, {**dict(write.key), **values})
        super().write_rows(table, writes)
        self.changes += updates

    def delete_rows(self, table: str, keys: Sequence[keyed.Key]) -> None:
        """As :meth:`Transaction.delete_rows`."""
        deletions: list[Change] = []
        if self._is_watched(table, DELETED):
            stored = _Stored(self, table)
            for start in range(0, len(keys), KEYS_PER_DELETION):
                deletions += stored.deleted(keys[start : start + KEYS_PER_DELETION])
        super().delete_rows(table, keys)
        self.changes += deletions

    def write_cells(self, cells: Sequence[Write], guards: Sequence[Expectation]) -> None:
        """As :meth:`Transaction.write_cells`."""
        rows: dict[tuple[str, str, str], dict[str, str | None]] = {}
        for cell in cells:
            if self._is_watched(cell.table, UPDATED):
                row = rows.setdefault((cell.table, cell.key_column, cell.key), {})
                row[cell.column] = cell.after
        stored = {table: _Stored(self, table) for table in {table for table, _, _ in rows}}
        updates: list[Change] = []
        for (table, column, key), row in rows.items():
            updates += stored[table].updated(((column, key),), {column: key, **row})
        super().write_cells(cells, guards)
        self.changes += updates

    def _old(
        self,
        kind: str,
        table: str,
        key: Mapping[str, Any] | None,
        new: Mapping[str, Any] | None = None,
    ) -> Change:
        rows = self.select(table, key)
        columns = tuple(self._target(table).c.keys())
        texts = None if new is None else _texts(new)
        return Change(kind, table, columns, tuple(tuple(row.values()) for row in rows), texts)


class _Stored:
    """The rows of one table as they are before a bulk write, found by any key."""

    def __init__(self, transaction: WatchedTransaction, table: str) -> None:
        self._table = table
        self._rows = transaction.rows(table)
        self._columns = tuple(self._rows[0]) if self._rows else ()
        self._indexes: dict[tuple[str, ...], dict[keyed.Key, list[Cells]]] = {}

    def _find(self, key: keyed.Key) -> list[Cells]:
        columns = keyed.columns_of(key)
        if columns not in self._indexes:
            index: dict[keyed.Key, list[Cells]] = {}
            for row in self._rows:
                found = tuple((column, row[column] or "") for column in columns)
                index.setdefault(found, []).append(tuple(row.values()))
            self._indexes[columns] = index
        return self._indexes[columns].get(key, [])

    def updated(self, key: keyed.Key, new: Mapping[str, str | None]) -> list[Change]:
        """The change of the rows with this key, if there are any."""
        old = tuple(self._find(key))
        return [Change(UPDATED, self._table, self._columns, old, new)] if old else []

    def deleted(self, keys: Sequence[keyed.Key]) -> list[Change]:
        """One change for all rows with any of these keys."""
        old = tuple(row for key in keys for row in self._find(key))
        return [Change(DELETED, self._table, self._columns, old)] if old else []


def _texts(row: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in row.items()}
