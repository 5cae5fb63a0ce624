"""Rows found, updated and deleted in bulk, each by a key of one or more columns.

Owns how few statements do that.  Must not: open a transaction, or decide what is written.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import sqlalchemy as sa

from xcatd.changes import Values

from . import statements
from .sheet import Cells, Sheet

#: Texts of a key's columns.
Texts: TypeAlias = tuple[str, ...]

#: How many keys one statement names; engines bound the binds of a statement.
_MOST_KEYS = 300


class StoredRows:
    """Stored rows by the texts of their key, as far as they were read; of several, the first live one speaks."""

    def __init__(self, sheet: Sheet, width: int) -> None:
        self.index = sheet.index
        self.rows: dict[tuple[str | None, ...], Cells] = {}
        are_all_live = sheet.live is sheet.cells
        for cells in sheet.cells if are_all_live else (*sheet.live, *sheet.cells):
            self.rows.setdefault(cells[:width], cells)

    def __contains__(self, key: Texts) -> bool:
        return key in self.rows

    def reader(self, columns: Sequence[str]) -> Callable[[Texts], Cells]:
        """Gives these columns of the row with a key; NULL where there is no such row."""
        places = [self.index[column] for column in columns]
        none = (None,) * len(places)
        rows = self.rows

        def read(key: Texts) -> Cells:
            cells = rows.get(key)
            return none if cells is None else tuple([cells[place] for place in places])

        return read


def find(
    connection: sa.Connection,
    target: sa.TableClause,
    columns: Sequence[str],
    keys: Sequence[Texts],
    *,
    more: Iterable[str],
    order: Sequence[str],
) -> StoredRows:
    """The rows with these keys, disabled ones too, and ``more`` of their columns: one SELECT.

    ``columns`` are those of the key, ``order`` those that sort rows with the same one.  Where many are asked for, all
    rows are read.
    """
    wanted = dict.fromkeys((*columns, *more))
    if len(wanted) > len(columns) and "disable" in target.c:
        wanted["disable"] = None
    statement = statements.select(target, list(wanted), order=order)
    if len(keys) <= _MOST_KEYS:
        statement = statement.where(*_conditions(target, columns, keys))
    return StoredRows(Sheet(wanted, statements.rows(connection, statement)), len(columns))


def update(
    connection: sa.Connection,
    target: sa.TableClause,
    columns: Sequence[str],
    changes: Iterable[tuple[Values, Sequence[Texts]]],
) -> None:
    """Give all rows with each key its values: a statement for some hundred keys with the same values."""
    alone: dict[Texts, list[dict[str, str | None]]] = {}
    for values, keys in changes:
        if len(keys) == 1:
            names = tuple([name for name, _ in values])
            alone.setdefault(names, []).append(_binds(keys[0], values))
            continue
        texts = {statements.column(target, name): text for name, text in values}
        for where in _conditions(target, columns, keys):
            connection.execute(sa.update(target).where(where).values(texts))
    for names, binds in alone.items():
        connection.execute(_update_one(target, columns, names), binds)


def _update_one(target: sa.TableClause, keys: Sequence[str], columns: Sequence[str]) -> sa.Update:
    """An UPDATE to be executed many times, with the binds :func:`_binds` makes."""
    places = [statements.column(target, name) for name in keys]
    values = [statements.column(target, name) for name in columns]
    return (
        sa.update(target)
        .where(*(c == sa.bindparam(f"key{i}__", type_=c.type) for i, c in enumerate(places)))
        .values({c: sa.bindparam(f"value{i}__", type_=c.type) for i, c in enumerate(values)})
    )


def _binds(key: Texts, values: Values) -> dict[str, str | None]:
    keys: dict[str, str | None] = {f"key{i}__": text for i, text in enumerate(key)}
    return keys | {f"value{i}__": text for i, (_, text) in enumerate(values)}


def delete(
    connection: sa.Connection, target: sa.TableClause, columns: Sequence[str], keys: Sequence[Texts]
) -> None:
    """Delete all rows with each key."""
    for where in _conditions(target, columns, keys):
        connection.execute(sa.delete(target).where(where))


def _conditions(
    target: sa.TableClause, columns: Sequence[str], keys: Sequence[Texts]
) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that together find all these keys, each of bounded size."""
    places = [statements.column(target, name) for name in columns]
    for start in range(0, len(keys), _MOST_KEYS):
        part = keys[start : start + _MOST_KEYS]
        if len(places) == 1:
            yield places[0].in_([text for (text,) in part])
        else:
            yield sa.or_(*(sa.and_(*map(operator.eq, places, texts)) for texts in part))


def grouped(
    rows: Iterable[Mapping[str, str | None]],
) -> dict[Texts, list[Mapping[str, str | None]]]:
    """Rows by the columns they have."""
    groups: dict[Texts, list[Mapping[str, str | None]]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return groups
