"""The tables: xCAT's own, which are never altered, and our journal's.

Owns names, keys, order and types of columns as values; knows no SQL (docs/facts/database.md, Tables and their columns).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .schema_facts import JOURNAL_TABLES, PRUNABLE_TABLES, XCAT_TABLES

#: Type of an automatically numbered key; each engine spells it in its own way.
AUTO = "AUTO"

_FLAGS = "*!@+"

#: A name that needs no quotes anywhere: not in statements, not in file names, not in CSV.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


#: What nodes and groups can be called: no sign of a shell, a path or a noderange, and no option's dash in front.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")

#: What stands in the node column of a table that takes noderanges there: no sign of a shell or a path, either.
_RANGE = re.compile(r"[A-Za-z0-9_(@][A-Za-z0-9_.:,@+=~()\[\]-]*")
_WITH_RANGES = frozenset(["statelite"])

#: Letters of the longest name, as of host names.
LONGEST_KEY = 255

#: Letters of a refused name that are told.
_SHOWN = 60

#: Tables whose ``node`` is a word about a record, not the name of anything that is kept.
_NO_KEYS = frozenset(["eventlog"])


@dataclass(frozen=True, slots=True)
class Table:
    """One table.  ``types`` holds only columns that are not plain text.

    ``node_column`` is the column node and group lookups use; None for tables that have none.
    ``own`` tables belong to us and are not shown to users of xCAT's tables.  A ``found`` table is described
    nowhere but in the database itself, so nothing is filled into its keys.  The rows of a ``prunable`` one are
    mere records, which may all go.
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
    prunable: bool = False

    @property
    def name_column(self) -> str | None:
        """The column with names of nodes or groups, where it may only hold what can be one."""
        if self.own or self.name in _NO_KEYS:
            return None
        return "groupname" if self.name == "nodegroup" else self.node_column

    def takes_name(self, text: str) -> bool:
        """Whether the name column may hold this."""
        if self.name in _WITH_RANGES:
            return len(text) <= LONGEST_KEY and _RANGE.fullmatch(text) is not None
        return is_key(text)

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
        prunable=name in PRUNABLE_TABLES,
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


def is_key(text: str) -> bool:
    """Whether a node or group can be called so, as far as tables are concerned."""
    return len(text) <= LONGEST_KEY and _KEY.fullmatch(text) is not None


def refusal_of_key(table: Table, text: str) -> str:
    """Why a name is not stored; a long one is cut."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return (
        f"cannot store {shown!r} in {table.name}.{table.name_column}: names of nodes and groups have letters, "
        f"digits and _ - . : only, begin with a letter, digit or _, and are {LONGEST_KEY} long at most"
    )


def table(name: str) -> Table:
    """The table called ``name``, xCAT's or ours; raises KeyError for any other name."""
    found = TABLES.get(name) or OWN_TABLES.get(name)
    if found is None:
        raise KeyError(f"no table {name!r} in the schema")
    return found
