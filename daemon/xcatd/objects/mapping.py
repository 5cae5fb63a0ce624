"""Object definitions: which attribute of a node, group, osimage… lies in which table and column.

Owns the types and their entries as values, and the tables an answer needs; both reading
(:mod:`.reader`) and writing commands work from them.  Must not: read a database.
Facts: docs/facts/database.md, Object definitions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from .data import TYPES as FACTS

#: The one object of type site.
CLUSTER_SITE = "clustersite"

#: Types whose attributes are whatever names the table's rows hold.
FREE_TYPES = frozenset(("site", "monitoring"))

#: The attribute of a group that is worked out from its nodes, not read.
MEMBERS = "members"

_NAME = "NAME"


@dataclass(frozen=True, slots=True)
class AttributeGuard:
    """An entry counts only for objects whose ``attribute`` has one of ``values`` as a word in it."""

    attribute: str
    values: tuple[str, ...]

    def allows(self, text: str | None) -> bool:
        """Whether an object with this value of the attribute passes."""
        return bool(text) and _words(self.values).search(text or "") is not None


@lru_cache(maxsize=64)
def _words(values: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, values))})\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """One place of one attribute.

    ``name_column`` holds the object's name in the rows that belong to it, ``fixed`` lists the other columns that
    tell them apart with their texts.
    """

    attribute: str
    table: str
    column: str
    name_column: str
    fixed: tuple[tuple[str, str], ...] = ()
    guard: AttributeGuard | None = None

    @property
    def place(self) -> tuple[str, str, tuple[tuple[str, str], ...], AttributeGuard | None]:
        """What entries read together share."""
        return (self.table, self.name_column, self.fixed, self.guard)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """The columns that find the row."""
        return (self.name_column, *(column for column, _ in self.fixed))


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One type of object.  ``key`` is the attribute that is the object's name; it is never listed."""

    name: str
    key: str
    table: str
    key_column: str
    entries: tuple[Entry, ...]

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of all attributes including the key, each once, in the order of the definition."""
        return tuple(dict.fromkeys(entry.attribute for entry in self.entries))

    def places(self, attribute: str) -> tuple[Entry, ...]:
        """Where this attribute may be stored; a later place wins."""
        return tuple(entry for entry in self.entries if entry.attribute == attribute)

    def readable(self, wanted: Collection[str] | None = None) -> tuple[Entry, ...]:
        """The entries to read for these attributes (all by default) and for the guards on them.

        Guards are closed over: a guard's attribute may be guarded itself.
        """
        names = set(self.attributes) if wanted is None else set(wanted)
        while True:
            guards = {e.guard.attribute for e in self.entries if e.guard and e.attribute in names}
            if guards <= names:
                break
            names |= guards
        return tuple(e for e in self.entries if e.attribute in names and e.attribute != self.key)

    @property
    def always_exists(self) -> bool:
        """Whether some attribute is readable whatever the object's values are."""
        return any(entry.guard is None for entry in self.readable())


def _parse(text: str) -> Iterator[ObjectType]:
    for block in re.split(r"\n(?! )", text.rstrip("\n")):
        head, _, body = block.partition("\n")
        name, key, place = head.split()
        table, _, column = place.partition(".")
        lines = re.sub(r"\n {8}", " ", body).splitlines()
        entries = tuple(entry for line in lines for entry in _entries(line))
        yield ObjectType(name, key, table, column, entries)


_LINE = re.compile(r" +(\S+) (\S+)(?: if (\w+)=(\S+))?: (.+)")


def _entries(line: str) -> Iterator[Entry]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"cannot read the object entry {line!r}")
    table, row, attribute, values, attributes = match.groups()
    guard = AttributeGuard(attribute, tuple(values.split("|"))) if attribute else None
    columns = [column.split("=") for column in row.split(",")]
    fixed = tuple((column, text) for column, text in columns if text != _NAME)
    name_column = next(column for column, text in columns if text == _NAME)
    for word in attributes.split():
        name, _, column = word.partition(":")
        yield Entry(name, table, column or name, name_column, fixed, guard)


#: Every type by name, in alphabetical order.  Those of ``site`` are any names (see :data:`FREE_TYPES`).
TYPES: Mapping[str, ObjectType] = MappingProxyType(
    {
        found.name: found
        for found in sorted(
            (*_parse(FACTS), ObjectType("site", "master", "site", "key", ())), key=lambda t: t.name
        )
    }
)


def can_vanish(kind: str) -> bool:
    """Whether an object without any value cannot be told from one that does not exist."""
    return kind in FREE_TYPES or kind in LOG_TYPES or not TYPES[kind].entries


#: Types that ``lsdef -a`` leaves out, for their tables can be huge.
LOG_TYPES = frozenset(("auditlog", "eventlog"))


def tables(types: Iterable[str], wanted: Collection[str] | None = None) -> frozenset[str]:
    """The tables needed to list objects of these types with these attributes (all by default)."""
    found = set()
    for name in types:
        found |= _tables(TYPES[name], wanted)
    return frozenset(found)


def _tables(kind: ObjectType, wanted: Collection[str] | None) -> set[str]:
    found = name_tables(kind.name) | {entry.table for entry in kind.readable(wanted)}
    if kind.name == "monitoring":
        found.add("monsetting")
    if kind.name == "node":
        found.add("site")  # inheritance has a setting there
    return found


def name_tables(kind: str) -> set[str]:
    """The tables that say which objects of a type there are."""
    return {"nodegroup", "nodelist"} if kind == "group" else {TYPES[kind].table}
