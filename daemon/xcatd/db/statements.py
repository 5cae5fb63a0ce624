"""SQL that every engine understands, over explicit columns (SQLAlchemy Core).

Builds statements from names that are known to exist; executes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement, quoted_name

from .errors import DatabaseError

Where: TypeAlias = Mapping[str, Any]

#: Name of the bind with the key's value in an UPDATE; no column is called so.
KEY_BIND = "key__"


def target(name: str, columns: Iterable[str], namespace: str | None = None) -> sa.TableClause:
    """A table with these columns; every name is quoted, for xCAT uses reserved words."""
    return sa.table(
        quoted_name(name, quote=True),
        *(sa.column(quoted_name(column, quote=True), sa.Text()) for column in columns),
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
        by = column(table, name.removeprefix("-"))
        statement = statement.order_by(by.desc() if name.startswith("-") else by)
    return statement if limit is None else statement.limit(limit)


def insert(table: sa.TableClause, columns: Iterable[str]) -> sa.Insert:
    """INSERT with one bind per column, named as the column."""
    return sa.insert(table).values(
        {column(table, name): sa.bindparam(name, type_=sa.Text()) for name in columns}
    )


def update_each(table: sa.TableClause, key: str, columns: Iterable[str]) -> sa.Update:
    """UPDATE for many keys: a bind per column, named as the column, and :data:`KEY_BIND`."""
    statement = sa.update(table).values(
        {column(table, name): sa.bindparam(name, type_=sa.Text()) for name in columns}
    )
    return statement.where(column(table, key) == sa.bindparam(KEY_BIND, type_=sa.Text()))


def update_where(
    table: sa.TableClause, where: Where, values: Mapping[str, str | None]
) -> sa.Update:
    """UPDATE of the rows :func:`condition` selects."""
    new = {column(table, name): value for name, value in values.items()}
    return sa.update(table).where(*condition(table, where)).values(new)


def delete(table: sa.TableClause, where: Where) -> sa.Delete:
    """DELETE of the rows :func:`condition` selects."""
    return sa.delete(table).where(*condition(table, where))
