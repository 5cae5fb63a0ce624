"""Reads objects of any type from a snapshot: every table once, whatever the number of objects.

Pure.  Must not: print, or read anything but the snapshot it was given; :func:`xcatd.objects.tables` says
which tables that needs.  Facts: docs/facts/database.md, Object definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import groupby

from xcatd.db import schema
from xcatd.db.snapshot import Snapshot
from xcatd.noderange import selection

from . import mapping
from .mapping import Condition, Entry

#: One object: attribute name to text; attributes without a value are left out.
Values = dict[str, str]

#: Where the attributes of objects came from: object to attribute to entry.
Places = dict[str, dict[str, Entry]]


class ObjectReader:
    """Objects as one snapshot has them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def names(self, kind: str) -> tuple[str, ...]:
        """All objects of a type: groups sorted, site's single one, others in table order."""
        match kind:
            case "site":
                return (mapping.CLUSTER_SITE,)
            case "node":
                return self._snapshot.nodes
            case "group":
                return tuple(sorted({*self._keys(kind), *self._snapshot.members}))
            case _:
                return self._keys(kind)

    def _keys(self, kind: str) -> tuple[str, ...]:
        definition = mapping.TYPES[kind]
        rows = self._snapshot.rows(definition.table)
        return tuple(dict.fromkeys(key for row in rows if (key := row[definition.key_column])))

    def read(
        self,
        kind: str,
        names: Iterable[str],
        wanted: Collection[str] | None = None,
        *,
        places: Places | None = None,
        with_empty: bool = False,
    ) -> dict[str, Values]:
        """The objects of these names with these attributes (all by default).

        Names that do not exist come back as well, without own values; objects of which nothing is
        readable at all are left out.  Values of nodes are effective, those of others as stored.
        ``places`` is filled with where each value came from.  ``with_empty``: attributes whose row exists
        but holds nothing are there as ''; conditions (``-w``) tell them from attributes without a row.
        """
        if kind in mapping.FREE_TYPES:
            return self._read_free(kind, names)
        definition = mapping.TYPES[kind]
        found: dict[str, Values] = {name: {} for name in names}
        if found and kind in mapping.LOG_TYPES:
            found = {name: {} for name in self._keys(kind) if name in found}
        if found:
            entries = definition.readable(wanted)
            _Filling(
                self._snapshot, definition.name, entries, found, places, with_empty=with_empty
            ).fill()
        if definition.always_exists:
            return found
        return {name: values for name, values in found.items() if values}

    def _read_free(self, kind: str, names: Iterable[str]) -> dict[str, Values]:
        if kind == "site":
            site = dict(self._snapshot.site)
            return {name: site for name in names if site}
        settings = self._settings()
        return {name: settings[name] for name in names if name in settings}

    def _settings(self) -> dict[str, dict[str, str]]:
        """Monitoring plug-ins' settings by plug-in."""
        settings: dict[str, dict[str, str]] = {}
        for row in self._snapshot.rows("monsetting"):
            name, key, value = row["name"], row["key"], row["value"]
            if name and key and value:
                settings.setdefault(name, {})[key] = value
        return settings

    def members(self, group: str, grouptype: str | None, wherevals: str) -> tuple[str, ...]:
        """The nodes of a group in table order; raises :class:`xcatd.text.perlre.BadPattern`."""
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
        return known[name].get(node, {}).get(name)

    return attribute


class _Filling:
    """One bulk read: goes through the entries in order, table by table, and fills the objects."""

    def __init__(
        self,
        snapshot: Snapshot,
        kind: str,
        entries: tuple[Entry, ...],
        found: dict[str, Values],
        places: Places | None,
        *,
        with_empty: bool,
    ) -> None:
        self._with_empty = with_empty and kind not in mapping.LOG_TYPES
        self._snapshot = snapshot
        self._kind = kind
        self._entries = entries
        self._found = found
        self._places = places
        self._rows: dict[tuple[object, ...], dict[str, dict[str, str]]] = {}

    def fill(self) -> None:
        for _, group in groupby(self._entries, key=lambda entry: entry.place):
            entries = list(group)
            rows = self._rows_of(entries[0])
            if rows:
                self._take(entries, rows)

    def _take(self, entries: list[Entry], rows: Mapping[str, Mapping[str, str]]) -> None:
        allowed = self._allowed(entries[0].guard, rows)
        attributes = {entry.column: entry.attribute for entry in entries}
        for name, row in allowed:
            values = self._found[name]
            for column, text in row.items():
                attribute = attributes.get(column)
                if attribute is not None:
                    values[attribute] = text
        if self._places is not None:
            for name, row in allowed:
                places = self._places.setdefault(name, {})
                places.update({e.attribute: e for e in entries if e.column in row})

    def _allowed(
        self, guard: Condition | None, rows: Mapping[str, Mapping[str, str]]
    ) -> list[tuple[str, Mapping[str, str]]]:
        if guard is None:
            return list(rows.items())
        attribute = guard.attribute
        return [
            (name, row)
            for name, row in rows.items()
            if guard.allows(self._found[name].get(attribute))
        ]

    def _rows_of(self, entry: Entry) -> dict[str, dict[str, str]]:
        """The texts this entry's rows hold: object to column to text, objects without left out."""
        key = (entry.table, entry.name_column, entry.fixed)
        if key not in self._rows:
            is_empty = self._snapshot.is_empty(entry.table)
            self._rows[key] = {} if is_empty else dict(self._read(entry))
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
        for name, row in self._snapshot.texts(table, columns, self._found).items():
            if row:
                yield name, row

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
                texts = ((column, row[column] or "") for column in columns)
                yield name, {column: text for column, text in texts if text or self._with_empty}
