"""Attributes that an object may only have if another attribute has a certain value.

Pure.  Facts: docs/facts/database.md, Object definitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from xcatd import tablenames
from xcatd.objects import mapping
from xcatd.objects.mapping import Condition, Entry

#: Where a guard's attribute is looked for: the command's own values, the stored ones, groups' ones.
Sources = Sequence[Mapping[str, str]]


@lru_cache(maxsize=1024)
def entries_of(kind: str, attributes: frozenset[str]) -> tuple[Entry, ...]:
    """Every place of these attributes, in the order of the definition; the key has none."""
    definition = mapping.TYPES[kind]
    return tuple(
        entry
        for entry in definition.entries
        if entry.attribute in attributes and entry.attribute != definition.key
    )


def attributes_of(kind: str, attributes: Iterable[str]) -> frozenset[str]:
    """The attributes that decide whether these may be written."""
    entries = entries_of(kind, frozenset(attributes))
    return frozenset(entry.guard.attribute for entry in entries if entry.guard is not None)


class AttributeRow(NamedTuple):
    """A row in which attributes of an object are stored: what finds it, and (attribute, column) pairs."""

    table: str
    name_column: str
    fixed: tuple[tuple[str, str], ...]
    cells: tuple[tuple[str, str], ...]


class Permitted(NamedTuple):
    """Which attributes may be written, where, and what to tell about those that have no place at all.

    An attribute is in ``allowed`` once for each of its places: xCAT works it out, and complains, as often.
    """

    allowed: tuple[str, ...]
    rows: tuple[AttributeRow, ...]
    failures: tuple[str, ...]


class AttributeJudge:
    """Judges the attributes of objects of one type; objects that are alike in what decides share a verdict."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._deciders: dict[frozenset[str], frozenset[str]] = {}
        self._verdicts: dict[tuple[object, ...], Permitted] = {}

    def deciders(self, attributes: frozenset[str]) -> frozenset[str]:
        """The attributes that decide whether these may be written."""
        found = self._deciders.get(attributes)
        if found is None:
            found = self._deciders[attributes] = attributes_of(self._kind, attributes)
        return found

    def verdict(self, attributes: frozenset[str], sources: Sources) -> Permitted:
        """Where these attributes may be written, given the deciding values of ``sources``."""
        deciders = self.deciders(attributes)
        values = (source.get(name) for source in sources for name in deciders)
        key = (attributes, len(sources), *values)
        found = self._verdicts.get(key)
        if found is None:
            found = self._verdicts[key] = _verdict(self._kind, attributes, sources)
        return found


def _verdict(kind: str, attributes: frozenset[str], sources: Sources) -> Permitted:
    entries = entries_of(kind, attributes)
    allowed = [entry for entry in entries if _allows(entry, sources)]
    names = tuple(entry.attribute for entry in allowed)
    return Permitted(names, tuple(_rows(allowed)), tuple(_failures(entries, sources)))


def _allows(entry: Entry, sources: Sources) -> bool:
    """Whether any source has what this place asks for."""
    guard = entry.guard
    return guard is None or any(guard.allows(source.get(guard.attribute)) for source in sources)


def _rows(entries: Iterable[Entry]) -> Iterator[AttributeRow]:
    cells: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[tuple[str, str]]] = {}
    for entry in entries:
        place = (entry.table, name_column(entry), entry.fixed)
        cells.setdefault(place, []).append((entry.attribute, entry.column))
    return (AttributeRow(*place, tuple(pairs)) for place, pairs in cells.items())


def name_column(entry: Entry) -> str:
    """The column with the object's name; mends a slip in xCAT's own definition of firmware."""
    if tablenames.has_column(entry.table, entry.name_column):
        return entry.name_column
    return tablenames.columns(entry.table)[0]


def _failures(entries: Iterable[Entry], sources: Sources) -> Iterator[str]:
    """As in xCAT, the values named are those any attribute was looked for with, up to the one that was there."""
    unguarded: set[str] = set()
    matched: set[str] = set()
    failed: dict[str, str] = {}
    wanted: dict[str, set[str]] = {}
    for entry in entries:
        attribute, guard = entry.attribute, entry.guard
        if guard is None:
            unguarded.add(attribute)
            continue
        for value in guard.values:
            one = Condition(guard.attribute, (value,))
            if any(one.allows(source.get(guard.attribute)) for source in sources):
                matched.add(attribute)
            elif attribute not in matched:
                failed[attribute] = guard.attribute
                wanted.setdefault(guard.attribute, set()).add(value)
    for attribute, decider in failed.items():
        if attribute not in unguarded | matched:
            yield (
                f"Cannot set the attr='{attribute}' attribute unless {decider} value is "
                f"{' or '.join(sorted(wanted[decider]))}."
            )
