"""The tables: xCAT's own, which are never altered, and our journal's.

Owns names, keys, order and types of columns as values; knows no SQL (specs/database.md, section 7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .schema_facts import JOURNAL_TABLES, XCAT_TABLES

#: Type of an automatically numbered key; each engine spells it in its own way.
AUTO = "AUTO"

_FLAGS = "*!@+"

#: A name that needs no quotes anywhere: not in statements, not in file names, not in CSV.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Table:
    """One table.  ``types`` holds only columns that are not plain text.

    ``node_column`` is the column node and group lookups use; None for tables that have none.
    ``own`` tables belong to us and are not shown to users of xCAT's tables.  A ``found`` table is described
    nowhere but in the database itself, so nothing is filled into its keys.
    """

    name: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    node_column: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    indexed: tuple[str, ...] = ()
    own: bool = False
    found: bool = False

    @property
    def auto_key(self) -> str | None:
        """The automatically numbered key column, if there is one."""
        return next((key for key in self.keys if self.types.get(key) == AUTO), None)


def _parse(text: str, *, own: bool = False) -> Iterator[Table]:
    for line in text.replace("\n    ", " ").splitlines():
        name, _, columns = line.partition(": ")
        yield _table(name, columns.split(), own)


def _table(name: str, words: list[str], own: bool) -> Table:
    words = words[:-1] if words[-1] == "-" else [*words, "comments", "disable"]
    marks, columns, types = [], [], {}
    for word in words:
        marked, _, kind = word.partition(":")
        column = marked.lstrip(_FLAGS)
        columns.append(column)
        marks.append(marked[: -len(column)])
        if kind:
            types[column] = kind
    marked_with = {
        flag: tuple(c for c, m in zip(columns, marks, strict=True) if flag in m) for flag in _FLAGS
    }
    return Table(
        name=name,
        columns=tuple(columns),
        keys=marked_with["*"],
        node_column=next(iter(marked_with["@"]), "node" if "node" in columns else None),
        types=MappingProxyType(types),
        required=frozenset(marked_with["!"]),
        indexed=marked_with["+"],
        own=own,
    )


#: xCAT's tables by name.
TABLES: Mapping[str, Table] = MappingProxyType({t.name: t for t in _parse(XCAT_TABLES)})

#: The journal's tables by name.
OWN_TABLES: Mapping[str, Table] = MappingProxyType(
    {t.name: t for t in _parse(JOURNAL_TABLES, own=True)}
)


def is_name(text: str) -> bool:
    """Whether this can be the name of a table or column that somebody else defines."""
    return _NAME.fullmatch(text) is not None


def table(name: str) -> Table:
    """The table called ``name``, xCAT's or ours; raises KeyError for any other name."""
    found = TABLES.get(name) or OWN_TABLES.get(name)
    if found is None:
        raise KeyError(f"no table {name!r} in the schema")
    return found
