"""One write transaction: guarded cells of xCAT's tables, plain rows of the journal.

Owns what is written and when it is refused; the engine owns locks, commit and rollback.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from xcatd.rights import ALL, Rights

from . import rows as keyed
from . import schema, statements
from .errors import BadNameError, ChangedMeanwhile, DatabaseError
from .sheet import Cells, Row, Sheet


class Write(Protocol):
    """What :meth:`Transaction.write_cells` reads of a cell to write; plans have their own class."""

    @property
    def table(self) -> str: ...
    @property
    def key_column(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def after(self) -> str | None: ...


class Expectation(Protocol):
    """What :meth:`Transaction.write_cells` reads of a guard."""

    @property
    def table(self) -> str: ...
    @property
    def key_column(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def value(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class CellWrite:
    """One cell to write; ``before`` is kept for people, guards are given apart."""

    table: str
    key_column: str
    key: str
    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class CellGuard:
    """A stored cell that must still hold ``value``; None: NULL, or no such row."""

    table: str
    key_column: str
    key: str
    column: str
    value: str | None


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

    def insert(
        self, table: str, rows: Sequence[Mapping[str, Any]], *, any_names: bool = False
    ) -> None:
        """Insert rows in bulk; those with different columns go in separate statements.

        Primary keys without a value get an empty one, as xCAT does (docs/facts/database.md, Writing).
        ``any_names`` is for rows as they once were: else raises :class:`.errors.BadNameError` for a node or group
        that cannot be called so.
        """
        target = self._target(table)
        self._permit(table, rows)
        if not any_names:
            self._check_names(table, rows)
        for columns, group in _by_columns(_with_keys(self._tables[table], rows)).items():
            self._connection.execute(statements.insert(target, columns), group)

    def update(self, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Update all rows with this key; the number of rows changed."""
        self._permit(table, [key, {**key, **values}])
        texts = {name: _text(value) for name, value in values.items()}
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

    def write_rows(self, table: str, writes: Sequence[keyed.RowWrite]) -> None:
        """Set values for keys: all stored rows with the key (even disabled ones), else a new row.

        A row that would hold nothing beside its key is not inserted; primary key columns that are not
        given become ''.  Each key may appear once.
        """
        target = self._target(table)
        self._permit(
            table, (row for w in writes for row in (dict(w.key), {**dict(w.key), **w.values}))
        )
        self._check_names(table, [write.values for write in writes])
        empty = dict.fromkeys(self._tables[table].keys, "")
        groups: dict[tuple[str, ...], list[keyed.RowWrite]] = {}
        for write in writes:
            groups.setdefault(keyed.columns_of(write.key), []).append(write)
        for columns, group in groups.items():
            present = keyed.present(self._connection, target, columns)
            known = [write for write in group if keyed.texts_of(write.key) in present]
            keyed.update(self._connection, target, known)
            self.insert(
                table,
                [
                    {**empty, **dict(write.key), **write.values}
                    for write in group
                    if keyed.texts_of(write.key) not in present and any(write.values.values())
                ],
            )

    def delete_rows(self, table: str, keys: Sequence[keyed.Key]) -> None:
        """Delete all rows with any of these keys."""
        self._permit(table, map(dict, keys))
        keyed.delete(self._connection, self._target(table), keys)

    def write_cells(self, cells: Sequence[Write], guards: Sequence[Expectation]) -> None:
        """Compare every guard with the stored value, then write every cell.

        A stored row with the key (even a disabled one) is updated, all of them where there are several;
        otherwise a row is inserted, unless it would hold nothing.  Raises ChangedMeanwhile naming every
        differing cell before anything is written.
        """
        if self._rights is not ALL:
            for cell in cells:
                row = {cell.key_column: cell.key}
                self._permit(cell.table, [row, {**row, cell.column: cell.after}])
        parts = _by_place(cells, guards)
        stored = {place: self._stored(place, [*part[0], *part[1]]) for place, part in parts.items()}
        if not all(_hold(part[1], stored[place]) for place, part in parts.items()):
            raise ChangedMeanwhile(tuple(_differing(guards, stored)))
        for place, (part_cells, _) in parts.items():
            self._write(place, part_cells, stored[place])

    def _stored(
        self, place: _Place, wanted: Sequence[Write | Expectation]
    ) -> dict[str, Mapping[str, str | None]]:
        table, key_column = place
        target = self._target(table)
        columns = dict.fromkeys((key_column, *(item.column for item in wanted)))
        if "disable" in target.c:
            columns["disable"] = None
        keys = [key for key in self._tables[table].keys if key in target.c]
        statement = statements.select(target, list(columns), order=keys)
        sheet = Sheet(columns, _fetch(self._connection, statement))
        found: dict[str, Mapping[str, str | None]] = {}
        for cells in (*sheet.live, *sheet.cells):  # a live row speaks before a disabled one
            found.setdefault(cells[0] or "", sheet.view(cells))
        return found

    def _write(
        self,
        place: _Place,
        cells: Sequence[Write],
        stored: Mapping[str, Mapping[str, str | None]],
    ) -> None:
        table, key_column = place
        rows: dict[str, dict[str, str | None]] = {}
        for cell in cells:
            rows.setdefault(cell.key, {})[cell.column] = cell.after
        self._check_names(table, rows.values())
        self._update_rows(
            table, key_column, {key: row for key, row in rows.items() if key in stored}
        )
        self.insert(
            table,
            [
                {key_column: key, **row}
                for key, row in rows.items()
                if key not in stored and any(row.values())
            ],
        )

    def _update_rows(
        self, table: str, key_column: str, rows: Mapping[str, Mapping[str, str | None]]
    ) -> None:
        target = self._target(table)
        alike: dict[tuple[tuple[str, str | None], ...], list[str]] = {}
        for key, row in rows.items():  # most commands give many nodes the same values
            alike.setdefault(tuple(row.items()), []).append(key)
        alone: dict[tuple[str, ...], list[dict[str, str | None]]] = {}
        for values, keys in alike.items():
            row = dict(values)
            if len(keys) == 1:
                alone.setdefault(tuple(row), []).append({statements.KEY_BIND: keys[0], **row})
            else:
                self._update_keys(target, key_column, keys, row)
        for columns, binds in alone.items():
            self._connection.execute(statements.update_each(target, key_column, columns), binds)

    def _update_keys(
        self,
        target: sa.TableClause,
        key_column: str,
        keys: Sequence[str],
        row: Mapping[str, str | None],
    ) -> None:
        for start in range(0, len(keys), _MOST_KEYS):
            some = {key_column: keys[start : start + _MOST_KEYS]}
            self._connection.execute(statements.update_where(target, some, row))


def _name(value: Any) -> str | None:
    """A key's text; of several at once, or of none, nothing that any node is called."""
    return value if isinstance(value, str) else None


_Place = tuple[str, str]  # table and key column

#: How many keys one UPDATE names; engines bound the binds of a statement.
_MOST_KEYS = 400


def _by_place(
    cells: Iterable[Write], guards: Iterable[Expectation]
) -> dict[_Place, tuple[list[Write], list[Expectation]]]:
    parts: dict[_Place, tuple[list[Write], list[Expectation]]] = {}
    for cell in cells:
        parts.setdefault((cell.table, cell.key_column), ([], []))[0].append(cell)
    for guard in guards:
        parts.setdefault((guard.table, guard.key_column), ([], []))[1].append(guard)
    return parts


def _by_columns(
    rows: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return groups


def _with_keys(
    table: schema.Table, rows: Iterable[Mapping[str, Any]]
) -> Iterator[dict[str, str | None]]:
    """The rows with every value as text."""
    keys = () if table.found or table.auto_key is not None else table.keys
    for row in rows:
        texts = {name: _text(value) for name, value in row.items()}
        yield texts | {key: texts.get(key) or "" for key in keys}


_Stored = Mapping[str, Mapping[str, str | None]]  # rows by key


def _hold(guards: Iterable[Expectation], rows: _Stored) -> bool:
    """Whether every stored cell is as expected, in the rows of one place."""
    return all(_cell(rows, guard) == guard.value for guard in guards)


def _cell(rows: _Stored, guard: Expectation) -> str | None:
    row = rows.get(guard.key)
    return None if row is None else row[guard.column]


def _differing(guards: Iterable[Expectation], stored: Mapping[_Place, _Stored]) -> Iterator[str]:
    for guard in guards:
        now = _cell(stored[guard.table, guard.key_column], guard)
        if now != guard.value:
            yield (
                f"{guard.table} {guard.key_column}={guard.key} {guard.column}: "
                f"read {guard.value!r}, now {now!r}"
            )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


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
    return [Row(index, cells) for cells in _fetch(connection, statement)]


def _fetch(connection: sa.Connection, statement: sa.Select[Any]) -> list[Cells]:
    return [tuple(map(_text, row)) for row in connection.execute(statement)]
