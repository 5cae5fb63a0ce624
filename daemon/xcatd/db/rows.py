"""Rows of xCAT's tables written and deleted in bulk, each found by a key of one or more columns.

Owns what "set these values for this key" means in xCAT (docs/facts/database.md, Writing).  Must not: open a
transaction, or decide what is written.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import sqlalchemy as sa

from . import statements

#: Columns and texts that find a row, in a fixed order.
Key: TypeAlias = tuple[tuple[str, str], ...]

#: What a user types to have a stored text replaced by SQL's NULL.
NULL_WORD = "NULL"

_Values: TypeAlias = tuple[tuple[str, str | None], ...]
_Shape: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]  # key columns, value columns

#: How many keys one statement names; engines bound the binds of a statement.
_MOST_KEYS = 300


class RowWrite(Protocol):
    """Values for the rows with one key."""

    @property
    def key(self) -> Key: ...
    @property
    def values(self) -> Mapping[str, str | None]: ...


def columns_of(key: Key) -> tuple[str, ...]:
    """The names of a key's columns."""
    return tuple(column for column, _ in key)


def texts_of(key: Key) -> tuple[str, ...]:
    """The texts of a key's columns."""
    return tuple(text for _, text in key)


def present(
    connection: sa.Connection, target: sa.TableClause, columns: Sequence[str]
) -> frozenset[tuple[str | None, ...]]:
    """The texts of these columns in every stored row, disabled ones too: one SELECT."""
    found = connection.execute(statements.select(target, columns))
    return frozenset(tuple(None if cell is None else str(cell) for cell in row) for row in found)


def update(connection: sa.Connection, target: sa.TableClause, writes: Iterable[RowWrite]) -> None:
    """Update all rows with each key; the text ``NULL`` stores NULL."""
    alone: dict[_Shape, list[dict[str, str | None]]] = {}
    for (columns, values), keys in _by_values(writes).items():
        if len(keys) == 1:
            shape = (columns, tuple(name for name, _ in values))
            alone.setdefault(shape, []).append(_binds(keys[0], values))
            continue
        texts = {statements.column(target, name): _stored(text) for name, text in values}
        for where in _conditions(target, columns, keys):
            connection.execute(sa.update(target).where(where).values(texts))
    for shape, binds in alone.items():
        connection.execute(_update_one(target, *shape), binds)


def _update_one(target: sa.TableClause, keys: Sequence[str], columns: Sequence[str]) -> sa.Update:
    """An UPDATE to be executed many times, with the binds :func:`_binds` makes."""
    places = [statements.column(target, name) for name in keys]
    values = [statements.column(target, name) for name in columns]
    return (
        sa.update(target)
        .where(*(c == sa.bindparam(f"key{i}__", type_=c.type) for i, c in enumerate(places)))
        .values({c: sa.bindparam(f"value{i}__", type_=c.type) for i, c in enumerate(values)})
    )


def _binds(key: Key, values: _Values) -> dict[str, str | None]:
    keys = {f"key{i}__": text for i, (_, text) in enumerate(key)}
    return keys | {f"value{i}__": _stored(text) for i, (_, text) in enumerate(values)}


def delete(connection: sa.Connection, target: sa.TableClause, keys: Iterable[Key]) -> None:
    """Delete all rows with each key."""
    groups: dict[tuple[str, ...], list[Key]] = {}
    for key in keys:
        groups.setdefault(columns_of(key), []).append(key)
    for columns, group in groups.items():
        for where in _conditions(target, columns, group):
            connection.execute(sa.delete(target).where(where))


def _by_values(
    writes: Iterable[RowWrite],
) -> dict[tuple[tuple[str, ...], _Values], list[Key]]:
    """Keys by what their rows get: most commands give many objects the same values."""
    groups: dict[tuple[tuple[str, ...], _Values], list[Key]] = {}
    for write in writes:
        group = (columns_of(write.key), tuple(sorted(write.values.items())))
        groups.setdefault(group, []).append(write.key)
    return groups


def _conditions(
    target: sa.TableClause, columns: Sequence[str], keys: Sequence[Key]
) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that together find all these keys, each of bounded size."""
    if not columns:
        raise ValueError("a statement without a key would touch the whole table")
    places = [statements.column(target, name) for name in columns]
    for start in range(0, len(keys), _MOST_KEYS):
        part = [texts_of(key) for key in keys[start : start + _MOST_KEYS]]
        if len(places) == 1:
            yield places[0].in_([text for (text,) in part])
        else:
            yield sa.or_(*(sa.and_(*map(operator.eq, places, texts)) for texts in part))


def _stored(text: str | None) -> str | None:
    return None if text == NULL_WORD else text
