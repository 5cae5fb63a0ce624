"""Which columns and attributes hold secrets: they are masked in records, and selecting by them is for few.

Pure.  Whether a row is chosen by ``ipmi.password=~^a`` tells the secret letter by letter, so that only who may read
everything may choose so.
"""

from __future__ import annotations

from collections.abc import Iterable

from .db import schema

#: Columns of this name hold secrets, whatever the table.
_COLUMNS = frozenset(["community", "authkey", "privkey", "tokenid", "snmpc", "productkey"])
#: So does what has this in its name.
_PART = "passw"
_OTHERS = frozenset([("prodkey", "key")])


def is_secret(table: str, column: str) -> bool:
    """Whether this column of this table holds secrets."""
    return (table, column) in _OTHERS or column in _COLUMNS or _PART in column.lower()


def is_secret_name(name: str) -> bool:
    """Whether a condition's left side, ``table.column``, a column or an attribute, is about a secret."""
    table, _, column = name.strip().rpartition(".")
    if table in schema.TABLES and column in schema.TABLES[table].columns:
        return is_secret(table, column)
    return is_secret("", column) or _PART in table.lower()


def any_selected(names: Iterable[str]) -> bool:
    """Whether any of these left sides of conditions is about a secret."""
    return any(map(is_secret_name, names))
