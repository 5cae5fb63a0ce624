"""Reads objects of any type from a snapshot: every table once, whatever the number of objects.

Pure.  Must not: print, or read anything but the snapshot it was given; :func:`xcatd.objects.tables` says
which tables that needs.  Facts: specs/database.md, section 8.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from . import objects, selection
from .db import schema
from .db.snapshot import Snapshot
from .objects import Entry, ObjectType


class Found(NamedTuple):
    """One attribute of one object: its text, and the entry it came from (None for free types)."""

    text: str
    entry: Entry | None


#: One object: attribute name to value; attributes without a value are left out.
Values = dict[str, Found]


class ObjectReader:
    """Objects as one snapshot has them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def names(self, kind: str) -> tuple[str, ...]:
        """All objects of a type: groups sorted, site's single one, others in table order."""
        match kind:
            case "site":
                return (objects.CLUSTER_SITE,)
            case "node":
                return self._snapshot.nodes
            case "group":
                return tuple(sorted({*self._keys(kind), *self._snapshot.members}))
            case _:
                return self._keys(kind)

    def _keys(self, kind: str) -> tuple[str, ...]:
        definition = objects.TYPES[kind]
        rows = self._snapshot.rows(definition.table)
        return tuple(dict.fromkeys(key for row in rows if (key := row[definition.key_column])))

    def read(
        self, kind: str, names: Iterable[str], wanted: Collection[str] | None = None
    ) -> dict[str, Values]:
        """The objects of these names with these attributes (all by default).

        Names that do not exist come back as well, without own values; objects of which nothing is
        readable at all are left out.  Values of nodes are effective, those of others as stored.
        """
        if kind in objects.FREE_TYPES:
            return self._read_free(kind, names)
        definition = objects.TYPES[kind]
        found: dict[str, Values] = {name: {} for name in names}
        if found:
            _Filling(self._snapshot, definition, definition.readable(wanted), found).fill()
        return {
            name: values for name, values in found.items() if values or definition.always_exists
        }

    def _read_free(self, kind: str, names: Iterable[str]) -> dict[str, Values]:
        if kind == "site":
            texts = {"": dict(self._snapshot.site)}
        else:
            texts = self._settings()
        found = {name: texts.get("" if kind == "site" else name) for name in names}
        return {
            name: {key: Found(text, None) for key, text in settings.items()}
            for name, settings in found.items()
            if settings
        }

    def _settings(self) -> dict[str, dict[str, str]]:
        """Monitoring plug-ins' settings by plug-in."""
        settings: dict[str, dict[str, str]] = {}
        for row in self._snapshot.rows("monsetting"):
            name, key, value = row["name"], row["key"], row["value"]
            if name and key and value:
                settings.setdefault(name, {})[key] = value
        return settings

    def members(self, group: str, grouptype: str | None, wherevals: str) -> tuple[str, ...]:
        """The nodes of a group in table order; raises :class:`xcatd.perlre.BadPattern`."""
        match grouptype or "static":
            case "static":
                return self._snapshot.members.get(group, ())
            case "dynamic":
                nodes = self._snapshot.nodes
                return tuple(selection.dynamic_members(wherevals, nodes, self._attribute))
            case _:
                return ()

    @cached_property
    def _attribute(self) -> Callable[[str, str], str | None]:
        return attribute_lookup(self._snapshot)


def texts(values: Values) -> dict[str, str]:
    """An object's values as plain text."""
    return {attribute: found.text for attribute, found in values.items()}


def attribute_lookup(snapshot: Snapshot) -> Callable[[str, str], str | None]:
    """A function (node, attribute) -> effective value, for dynamic groups.

    The first question about an attribute reads it for all nodes.
    """
    reader = ObjectReader(snapshot)
    known: dict[str, dict[str, Values]] = {}

    def attribute(node: str, name: str) -> str | None:
        if name == "node":
            return node
        if name not in known:
            known[name] = reader.read("node", snapshot.nodes, (name,))
        found = known[name].get(node, {}).get(name)
        return found.text if found else None

    return attribute


class _Filling:
    """One bulk read: goes through the entries in order, table by table, and fills the objects."""

    def __init__(
        self,
        snapshot: Snapshot,
        definition: ObjectType,
        entries: Iterable[Entry],
        found: dict[str, Values],
    ) -> None:
        self._snapshot = snapshot
        self._kind = definition.name
        self._entries = tuple(entries)
        self._found = found
        self._rows: dict[tuple[object, ...], dict[str, dict[str, str]]] = {}

    def fill(self) -> None:
        for _, group in groupby(self._entries, key=lambda entry: entry.place):
            entries = list(group)
            rows = self._rows_of(entries[0])
            if rows:
                self._take(entries, rows)

    def _take(self, entries: list[Entry], rows: Mapping[str, Mapping[str, str]]) -> None:
        guard = entries[0].guard
        by_column = {entry.column: entry for entry in entries}
        for name, row in rows.items():
            values = self._found[name]
            if guard is not None:
                guarding = values.get(guard.attribute)
                if guarding is None or not guard.allows(guarding.text):
                    continue
            for column, text in row.items():
                entry = by_column.get(column)
                if entry is not None:
                    values[entry.attribute] = Found(text, entry)

    def _rows_of(self, entry: Entry) -> dict[str, dict[str, str]]:
        """The texts this entry's rows hold: object to column to text, objects without left out."""
        key = (entry.table, entry.name_column, entry.fixed)
        if key not in self._rows:
            self._rows[key] = dict(self._read(entry)) if self._snapshot.rows(entry.table) else {}
        return self._rows[key]

    def _read(self, entry: Entry) -> Iterator[tuple[str, dict[str, str]]]:
        columns = self._columns(entry.table)
        is_by_node = entry.name_column == schema.table(entry.table).node_column and not entry.fixed
        if self._kind == "node" and is_by_node:
            return self._effective(entry.table, columns)
        if self._kind == "group" and is_by_node:
            return self._own(entry.table, columns)
        return self._stored(entry, columns)

    def _columns(self, table: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(e.column for e in self._entries if e.table == table))

    def _effective(
        self, table: str, columns: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, str]]]:
        for name, row in self._snapshot.values(table, columns, self._found).items():
            if row:
                yield name, {column: value.text for column, value in row.items()}

    def _own(self, table: str, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
        for name in self._found:
            row = self._snapshot.own(table, name)
            if row is not None:
                yield name, {column: text for column in columns if (text := row[column])}

    def _stored(
        self, entry: Entry, columns: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, str]]]:
        # Rows are not unique in every table; the last one is what counts.
        for row in self._snapshot.rows(entry.table):
            name = row.get(entry.name_column)
            if name in self._found and all(row.get(column) == text for column, text in entry.fixed):
                yield name, {column: text for column in columns if (text := row[column])}
