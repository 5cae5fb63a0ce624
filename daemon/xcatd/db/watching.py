"""A transaction that remembers what it writes to tables somebody watches.

Owns the three kinds of change a watcher is told of, in xCAT's terms.  Must not: know who watches, or what follows.
Facts: docs/facts/database.md, Notification hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from xcatd.changes import ChangedRow, Key
from xcatd.rights import ALL, Rights

from . import keyed
from .schema import Table
from .sheet import Cells
from .transaction import Transaction

#: Kinds of change: rows added, updated, deleted.
ADDED, UPDATED, DELETED = "a", "u", "d"

#: How many keys of deleted rows one change is about, as in xCAT.
KEYS_PER_DELETION = 100

#: Watched tables with the kinds of change that are watched.
Watched = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class RowChange:
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

    def committed(self, tables: Sequence[str], changes: Sequence[RowChange]) -> None:
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
        self.changes: list[RowChange] = []
        self._updates: list[RowChange] = []  # are told after the new rows of their table

    def _is_watched(self, table: str, kind: str) -> bool:
        return kind in self._watched.get(table, ())

    def _insert(self, table: str, rows: Sequence[Mapping[str, str | None]]) -> None:
        super()._insert(table, rows)
        if self._is_watched(table, ADDED):
            self.changes += [RowChange(ADDED, table, new=row) for row in rows]

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

    def _write(self, table: str, *args: Any, **options: Any) -> None:
        super()._write(table, *args, **options)
        self.changes += self._updates
        self._updates = []

    def _update(self, table: str, rows: Sequence[ChangedRow]) -> None:
        if self._is_watched(table, UPDATED):
            stored = _Stored(self, table)
            for row in rows:
                self._updates += stored.updated(
                    row.place, {**dict(row.place), **dict(row.change.stored)}
                )
        super()._update(table, rows)

    def _delete(self, table: str, columns: tuple[str, ...], keys: Sequence[keyed.Texts]) -> None:
        deletions: list[RowChange] = []
        if self._is_watched(table, DELETED):
            stored = _Stored(self, table)
            places = [tuple(zip(columns, key, strict=True)) for key in keys]
            for start in range(0, len(places), KEYS_PER_DELETION):
                deletions += stored.deleted(places[start : start + KEYS_PER_DELETION])
        super()._delete(table, columns, keys)
        self.changes += deletions

    def _old(
        self,
        kind: str,
        table: str,
        key: Mapping[str, Any] | None,
        new: Mapping[str, Any] | None = None,
    ) -> RowChange:
        rows = self.select(table, key)
        columns = tuple(self._target(table).c.keys())
        texts = None if new is None else _texts(new)
        return RowChange(kind, table, columns, tuple(tuple(row.values()) for row in rows), texts)


class _Stored:
    """The rows of one table as they are before a bulk write, found by any key."""

    def __init__(self, transaction: WatchedTransaction, table: str) -> None:
        self._table = table
        self._rows = transaction.rows(table)
        self._columns = tuple(self._rows[0]) if self._rows else ()
        self._indexes: dict[tuple[str, ...], dict[Key, list[Cells]]] = {}

    def _find(self, key: Key) -> list[Cells]:
        columns = tuple(column for column, _ in key)
        if columns not in self._indexes:
            index: dict[Key, list[Cells]] = {}
            for row in self._rows:
                found = tuple((column, row[column] or "") for column in columns)
                index.setdefault(found, []).append(tuple(row.values()))
            self._indexes[columns] = index
        return self._indexes[columns].get(key, [])

    def updated(self, key: Key, new: Mapping[str, str | None]) -> list[RowChange]:
        """The change of the rows with this key, if there are any."""
        old = tuple(self._find(key))
        return [RowChange(UPDATED, self._table, self._columns, old, new)] if old else []

    def deleted(self, keys: Sequence[Key]) -> list[RowChange]:
        """One change for all rows with any of these keys."""
        old = tuple(row for key in keys for row in self._find(key))
        return [RowChange(DELETED, self._table, self._columns, old)] if old else []


def _texts(row: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in row.items()}
