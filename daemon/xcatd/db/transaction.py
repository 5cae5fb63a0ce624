"""One write transaction: changes of xCAT's tables, plain rows of the journal.

Owns what is written and when it is refused; the engine owns locks, commit and rollback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from xcatd.changes import Change, ChangedRow, Changes, Values, Way, named
from xcatd.rights import ALL, Rights

from . import keyed, schema, statements
from .errors import BadNameError, ChangedMeanwhile, DatabaseError
from .sheet import Row


class Transaction:
    """Reads and writes inside one transaction; made by :meth:`Database.transaction`."""

    def __init__(
        self,
        connection: sa.Connection,
        targets: Mapping[str, sa.TableClause],
        tables: Mapping[str, schema.Table],
        rights: Rights = ALL,
    ) -> None:
        self._connection = connection
        self._targets = targets
        self._tables = tables
        self._rights = rights

    def _target(self, table: str) -> sa.TableClause:
        target = self._targets.get(table)
        if target is None:
            raise DatabaseError(f"cannot use table {table}: it is not part of this transaction")
        return target

    def _permit(self, table: str, keys: Iterable[Mapping[str, Any]] | None) -> None:
        """Raise NotPermittedError unless the rows with these keys may be written; None: any row."""
        known = self._tables.get(table)
        if self._rights is ALL or known is None or known.own:
            return
        place = known.node_column
        nodes = None if place is None or keys is None else [_name(key.get(place)) for key in keys]
        self._rights.check_rows(table, nodes)

    def _check_names(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Every writer comes by here: raises BadNameError for a new name that no node or group can have."""
        facts = self._tables[table]
        column = facts.name_column
        if column is None:
            return
        for row in rows:
            text = row.get(column)
            if text and not facts.takes_name(str(text)):
                raise BadNameError(schema.refusal_of_key(facts, str(text)))

    def rows(self, table: str) -> list[Row]:
        """All rows, disabled ones too, in the order in which a snapshot has them.

        That is the physical one in SQLite's files, and that of the keys on servers.
        """
        self._target(table)
        is_file = self._connection.dialect.name == "sqlite"
        return self.select(table, order=() if is_file else self._tables[table].keys)

    def select(
        self,
        table: str,
        where: statements.Where | None = None,
        *,
        above: Mapping[str, int] | None = None,
        columns: Sequence[str] | None = None,
        order: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[Row]:
        """Chosen rows, every value as text; parameters as :func:`.statements.select`."""
        return select(
            self._connection,
            self._target(table),
            where,
            above=above,
            columns=columns,
            order=order,
            limit=limit,
        )

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows in bulk; those with different columns go in separate statements.

        Primary keys without a value get an empty one, as xCAT does (docs/facts/database.md, Writing).  Raises
        :class:`.errors.BadNameError` for a node or group that cannot be called so.
        """
        self._target(table)
        self._permit(table, rows)
        self._check_names(table, rows)
        self._insert(table, list(_with_keys(self._tables[table], rows)))

    def _insert(self, table: str, rows: Sequence[Mapping[str, str | None]]) -> None:
        """Every new row comes by here."""
        target = self._target(table)
        for columns, group in keyed.grouped(rows).items():
            self._connection.execute(statements.insert(target, columns), group)

    def update(self, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Update all rows with this key; the number of rows changed."""
        self._permit(table, [key, {**key, **values}])
        texts = {name: statements.text(value) for name, value in values.items()}
        self._check_names(table, [texts])
        statement = statements.update_where(self._target(table), key, texts)
        return self._connection.execute(statement).rowcount

    def delete(self, table: str, key: Mapping[str, Any]) -> int:
        """Delete all rows with this key; the number of rows deleted."""
        if not key:
            raise ValueError("a delete without a key would empty the table")
        self._permit(table, [key])
        return self._connection.execute(statements.delete(self._target(table), key)).rowcount

    def clear(self, table: str) -> None:
        """Delete all rows."""
        self._permit(table, None)
        self._connection.execute(sa.delete(self._target(table)))

    def apply(self, changes: Changes, *, any_names: bool = False) -> None:
        """Compare everything that was read with what is stored now, then write, in bulk.

        Of several rows with a key the first live one is compared, and all are written.  Raises
        :class:`xcatd.rights.NotPermittedError`; :class:`.errors.ChangedMeanwhile`, which names every cell that is
        another now; :class:`.errors.BadNameError`, but not for new rows with ``any_names``; and ValueError for a change
        without a key: nothing is written then.
        """
        check_permitted(self._rights, self._tables.get, changes)
        found = self._compared(changes)
        for table, rows in changes.by_table().items():
            self._write(table, rows, found, any_names=any_names)

    def compare(self, changes: Changes) -> None:
        """The first half of :meth:`apply`: raises :class:`.errors.ChangedMeanwhile`, and writes nothing."""
        self._compared(changes)

    def _compared(self, changes: Changes) -> _Stored:
        found = self._found(changes)
        if differing := tuple(_differing(changes, found)):
            raise ChangedMeanwhile(differing)
        return found

    def _found(self, changes: Changes) -> _Stored:
        """The rows that are compared or set, one SELECT for each table and columns of keys."""
        wanted: dict[_Shape, tuple[dict[keyed.Texts, None], dict[str, None]]] = {}
        last: Change | None = None
        keys: dict[keyed.Texts, None] = {}
        is_needed = False
        for change, key in changes.rows:
            if change is not last:
                last = change
                if change.way is not Way.INSERT and not key:
                    raise ValueError("a change without a key would touch the whole table")
                is_needed = bool(change.before) or change.way in _SETS
                if is_needed:
                    keys, columns = wanted.setdefault((change.table, change.key), ({}, {}))
                    columns.update(dict.fromkeys([column for column, _ in change.before]))
            if is_needed:
                keys[key] = None
        return {
            shape: self._find(shape, list(some), columns)
            for shape, (some, columns) in wanted.items()
        }

    def _find(
        self, shape: _Shape, keys: Sequence[keyed.Texts], columns: Iterable[str]
    ) -> keyed.StoredRows:
        table, key = shape
        target = self._target(table)
        order = [name for name in self._tables[table].keys if name in target.c]
        return keyed.find(self._connection, target, key, keys, more=columns, order=order)

    def _write(
        self, table: str, rows: Sequence[ChangedRow], found: _Stored, *, any_names: bool
    ) -> None:
        """Deletions, then values for rows that are there, then new rows."""
        deleted: dict[tuple[str, ...], list[keyed.Texts]] = {}
        for change, key in rows:
            if change.way is Way.DELETE:
                deleted.setdefault(change.key, []).append(key)
        for columns, keys in deleted.items():
            self._delete(table, columns, keys)
        if deleted:
            rows = [row for row in rows if row.change.way is not Way.DELETE]
            found = self._found(Changes(tuple(rows)))
        there, new = _sorted(rows, found)
        self._update(table, there)
        if new:
            added = list(_new_rows(self._tables[table], new))
            if not any_names:
                self._check_names(table, added)
            self._insert(table, added)

    def _delete(self, table: str, columns: tuple[str, ...], keys: Sequence[keyed.Texts]) -> None:
        keyed.delete(self._connection, self._target(table), columns, keys)

    def _update(self, table: str, rows: Sequence[ChangedRow]) -> None:
        groups: dict[tuple[str, ...], dict[Values, list[keyed.Texts]]] = {}
        last, keys = None, []
        for (
            change,
            key,
        ) in rows:  # most commands give many rows the same values, one after the other
            if change is not last:
                last, values = change, change.stored
                keys = groups.setdefault(change.key, {}).setdefault(values, [])
            keys.append(key)
        for columns, alike in groups.items():
            self._check_names(table, map(dict, alike))
            keyed.update(self._connection, self._target(table), columns, alike.items())


_Shape = tuple[str, tuple[str, ...]]  # table and the columns of a key

_Stored = Mapping[_Shape, keyed.StoredRows]

_SETS = frozenset([Way.SET, Way.TYPED])


def check_permitted(
    rights: Rights, find: Callable[[str], schema.Table | None], changes: Changes
) -> None:
    """Raise :class:`xcatd.rights.NotPermittedError` unless all these rows may be written.

    A row that becomes another node's must be permitted as both.
    """
    if rights is ALL:
        return
    for table, rows in changes.by_table().items():
        known = find(table)
        written = [row for row in rows if row.change.writes]
        if known is not None and not known.own and written:
            place = known.node_column
            names = None if place is None else [n for row in written for n in _nodes(row, place)]
            rights.check_rows(table, names)


def _nodes(row: ChangedRow, place: str) -> Iterator[str | None]:
    """Whose row it is, and whose it becomes."""
    key = dict(row.place)
    yield key.get(place)
    if row.change.way is not Way.DELETE:
        yield {**key, **dict(row.change.after)}.get(place)


def _name(value: Any) -> str | None:
    """A key's text; of several at once, or of none, nothing that any node is called."""
    return value if isinstance(value, str) else None


def _sorted(
    rows: Iterable[ChangedRow], found: _Stored
) -> tuple[list[ChangedRow], list[ChangedRow]]:
    """The rows that are there and get values, and those to be added."""
    there: list[ChangedRow] = []
    new: list[ChangedRow] = []
    for row in rows:
        change, key = row
        if change.way is Way.INSERT:
            new.append(row)
        elif change.after and key in found[change.table, change.key]:
            there.append(row)
        elif any(text for _, text in change.after):
            new.append(row)
    return there, new


def _new_rows(table: schema.Table, rows: Iterable[ChangedRow]) -> Iterator[dict[str, str | None]]:
    """The rows with keys and values; primary keys without a value get an empty one."""
    filled = _filled(table)
    last: Change | None = None
    blank: dict[str, str | None] = {}
    renamed: dict[str, str | None] = {}
    for change, key in rows:
        if change is not last:
            last, after = change, dict(change.after)
            blank = {**dict.fromkeys((*filled, *change.key), ""), **after}
            blank |= {name: "" for name in filled if blank[name] is None}
            renamed = {name: blank[name] for name in change.key if name in after}
        yield {**blank, **dict(zip(change.key, key, strict=True)), **renamed}


def _filled(table: schema.Table) -> Sequence[str]:
    """The columns that are empty texts rather than NULL in new rows."""
    return () if table.found or table.auto_key is not None else table.keys


def _with_keys(
    table: schema.Table, rows: Iterable[Mapping[str, Any]]
) -> Iterator[dict[str, str | None]]:
    """The rows with every value as text."""
    for row in rows:
        texts = {name: statements.text(value) for name, value in row.items()}
        yield texts | {key: texts.get(key) or "" for key in _filled(table)}


def _differing(changes: Changes, found: _Stored) -> Iterator[str]:
    """Every cell that is not as it was read, in words."""
    last: Change | None = None
    columns: Sequence[str] = ()
    before: tuple[str | None, ...] = ()
    read: Callable[[keyed.Texts], tuple[str | None, ...]] | None = None
    for row in changes.rows:
        change, key = row
        if change is not last:
            last = change
            columns = [column for column, _ in change.before]
            before = tuple([text for _, text in change.before])
            read = found[change.table, change.key].reader(columns) if columns else None
        if read is not None and (now := read(key)) != before:
            for column, was, text in zip(columns, before, now, strict=True):
                if text != was:
                    where = f"{change.table} {named(row.place)} {column}"
                    yield f"{where}: read {was!r}, now {text!r}"


def select(
    connection: sa.Connection,
    target: sa.TableClause,
    where: statements.Where | None = None,
    *,
    columns: Sequence[str] | None = None,
    **options: Any,
) -> list[Row]:
    """Rows of one table as views, every value as text."""
    names = list(columns or target.c.keys())
    index = {name: place for place, name in enumerate(names)}
    statement = statements.select(target, names, where, **options)
    return [Row(index, cells) for cells in statements.rows(connection, statement)]
