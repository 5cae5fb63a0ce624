"""Tables as users name them: which there are, their columns, and rows for nodes.

What commands that work on any table need.  Must not: know any particular table.
Facts: docs/facts/database.md, Writing; Tables and their columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .db import schema
from .db.schema import Table
from .db.snapshot import Snapshot, Value

if TYPE_CHECKING:
    from .db.database import Database

__all__ = [
    "Snapshot",
    "Table",
    "Value",
    "all_names",
    "can_be_named",
    "columns",
    "find",
    "has_column",
    "is_key",
    "is_known",
    "is_name",
    "names",
    "number_column",
    "prunable",
    "refusal_of_key",
    "values_all",
]


def names() -> tuple[str, ...]:
    """All tables of xCAT, sorted; our own are not among them."""
    return tuple(sorted(schema.TABLES))


def is_known(table: str) -> bool:
    """Whether there is such a table."""
    return table in schema.TABLES


def find(database: Database, name: str) -> Table | None:
    """What is known of a table, xCAT's or the administrator's; None for any other name, and for our own.

    Raises :class:`xcatd.db.errors.DatabaseError`.
    """
    try:
        table = database.table(name)
    except KeyError:
        return None
    return None if table.own else table


def all_names(database: Database) -> tuple[str, ...]:
    """Tables of xCAT and of the administrator, sorted; raises :class:`xcatd.db.errors.DatabaseError`."""
    return tuple(sorted({*schema.TABLES, *database.user_tables()}))


def is_name(text: str) -> bool:
    """Whether others' tables and columns can be called so."""
    return schema.is_name(text)


def is_key(text: str) -> bool:
    """Whether a node or group can be called so, as far as tables are concerned."""
    return schema.is_key(text)


def refusal_of_key(table: Table, text: str) -> str:
    """Why a name of a node or group is not stored."""
    return schema.refusal_of_key(table, text)


def prunable(database: Database) -> tuple[str, ...]:
    """The tables whose rows are mere records, sorted; raises :class:`xcatd.db.errors.DatabaseError`."""
    known = {**schema.TABLES, **database.user_tables()}
    return tuple(sorted(name for name, table in known.items() if table.prunable))


def can_be_named(name: str) -> bool:
    """Whether a new table can have this name."""
    is_own = name in schema.OWN_TABLES or name in schema.TABLES
    return schema.is_name(name) and not is_own


def columns(table: str) -> tuple[str, ...]:
    """The columns in schema order; raises KeyError for an unknown table."""
    return schema.TABLES[table].columns


def keys(table: str) -> tuple[str, ...]:
    """The primary key's columns; raises KeyError for an unknown table."""
    return schema.TABLES[table].keys


def has_column(table: str, column: str) -> bool:
    """Whether there are such a table and column."""
    return table in schema.TABLES and column in schema.TABLES[table].columns


def number_column(table: str) -> str | None:
    """The automatically numbered column, in the tables that have one."""
    return schema.TABLES[table].auto_key


def values_all(
    snapshot: Snapshot, table: str, wanted: Iterable[str], nodes: Sequence[str]
) -> Mapping[str, Sequence[Mapping[str, Value]]]:
    """Every effective row of each node; none at all for tables that are not about nodes.

    The node column is the node's own name, wherever the other values come from.
    """
    key = schema.TABLES[table].node_column
    if key is None:
        return dict.fromkeys(nodes, ())
    found = snapshot.values_all(table, wanted, nodes)
    return {
        node: [{**row, key: Value(node, (), node)} if key in row else row for row in rows]
        for node, rows in found.items()
    }
