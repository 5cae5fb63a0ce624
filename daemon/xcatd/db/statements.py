"""SQL that every engine understands, over explicit columns (SQLAlchemy Core).

Builds statements from names that are known to exist; executes only what reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement, quoted_name
from sqlalchemy.types import TypeEngine

from .errors import DatabaseError

Where: TypeAlias = Mapping[str, Any]


class StoredText(sa.Text):
    """Text of a column on disk; engines whose comparison is not by bytes have a type of their own."""

    def in_byte_order(self, name: ColumnElement[Any]) -> ColumnElement[Any]:
        """What to order by so that texts come in the order of their bytes."""
        return name


def target(
    name: str,
    columns: Iterable[str],
    namespace: str | None = None,
    types: Mapping[str, TypeEngine[Any]] = MappingProxyType({}),
) -> sa.TableClause:
    """A table with these columns; every name is quoted, for xCAT uses reserved words.

    ``types`` has those of columns that are not compared as SQLite compares text.
    """
    text = StoredText()
    return sa.table(
        quoted_name(name, quote=True),
        *(
            sa.column(quoted_name(column, quote=True), types.get(column, text))
            for column in columns
        ),
        schema=None if namespace is None else quoted_name(namespace, quote=True),
    )


def column(table: sa.TableClause, name: str) -> sa.ColumnClause[Any]:
    """One column; raises DatabaseError when the table on disk does not have it."""
    try:
        return table.c[name]
    except KeyError:
        raise DatabaseError(
            f"cannot use column {name!r}: table {table.name} has no such column on disk; "
            "restart xcatd to have it added"
        ) from None


def _columns(table: sa.TableClause, names: Iterable[str]) -> Iterator[sa.ColumnClause[Any]]:
    return (column(table, name) for name in names)


def condition(table: sa.TableClause, where: Where | None) -> list[ColumnElement[bool]]:
    """``column: text`` means equal, ``None`` means NULL, a tuple, list or set means one of these."""
    return [_matches(column(table, name), wanted) for name, wanted in (where or {}).items()]


def _matches(name: sa.ColumnClause[Any], wanted: Any) -> ColumnElement[bool]:
    if wanted is None:
        return name.is_(None)
    if isinstance(wanted, (tuple, list, set, frozenset)):
        return name.in_(list(wanted))
    matches: ColumnElement[bool] = name == wanted
    return matches


def select(
    table: sa.TableClause,
    columns: Sequence[str],
    where: Where | None = None,
    *,
    above: Mapping[str, int] | None = None,
    order: Sequence[str] = (),
    limit: int | None = None,
) -> sa.Select[Any]:
    """Chosen rows; ``above`` asks for numbers greater than the given one; ``-name`` orders downwards."""
    statement = sa.select(*(column(table, name) for name in columns))
    statement = statement.where(*condition(table, where))
    for name, number in (above or {}).items():
        statement = statement.where(sa.cast(column(table, name), sa.Integer) > number)
    for name in order:
        by = _sortable(column(table, name.removeprefix("-")))
        statement = statement.order_by(by.desc() if name.startswith("-") else by)
    return statement if limit is None else statement.limit(limit)


def _sortable(name: sa.ColumnClause[Any]) -> ColumnElement[Any]:
    return name.type.in_byte_order(name) if isinstance(name.type, StoredText) else name


@lru_cache(maxsize=1024)
def insert(table: sa.TableClause, columns: tuple[str, ...]) -> sa.Insert:
    """INSERT with one bind per column, named as the column."""
    return sa.insert(table).values(
        {place: sa.bindparam(place.name, type_=place.type) for place in _columns(table, columns)}
    )


def update_where(
    table: sa.TableClause, where: Where, values: Mapping[str, str | None]
) -> sa.Update:
    """UPDATE of the rows :func:`condition` selects."""
    new = {column(table, name): value for name, value in values.items()}
    return sa.update(table).where(*condition(table, where)).values(new)


def delete(table: sa.TableClause, where: Where) -> sa.Delete:
    """DELETE of the rows :func:`condition` selects."""
    return sa.delete(table).where(*condition(table, where))


def text(value: Any) -> str | None:
    """A value as xCAT has it: every one is a text, or NULL."""
    return None if value is None else str(value)


def rows(connection: sa.Connection, statement: sa.Select[Any]) -> list[tuple[str | None, ...]]:
    """What a SELECT finds."""
    return [tuple(map(text, row)) for row in connection.execute(statement)]
