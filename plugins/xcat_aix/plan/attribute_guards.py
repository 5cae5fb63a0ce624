"""Attributes that an object may only have if another attribute has a certain value.

Pure.  Facts: specs/database.md, section 8 (guard when writing).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from xcatd.objects import mapping
from xcatd.objects.mapping import Entry

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


def allows(entry: Entry, sources: Sources) -> bool:
    """Whether any source has what this place asks for."""
    guard = entry.guard
    return guard is None or any(guard.allows(source.get(guard.attribute)) for source in sources)


def failures(kind: str, attributes: Mapping[str, str], sources: Sources) -> list[str]:
    """What to tell about attributes that have no place at all; empty when all have one."""
    entries = entries_of(kind, frozenset(attributes))
    allowed: set[str] = set()
    failed: dict[str, str] = {}
    wanted: dict[str, set[str]] = {}
    for entry in entries:
        if allows(entry, sources):
            allowed.add(entry.attribute)
        elif entry.guard is not None and entry.attribute not in allowed:
            failed[entry.attribute] = entry.guard.attribute
            wanted.setdefault(entry.guard.attribute, set()).update(entry.guard.values)
    return [
        f"Cannot set the attr='{attribute}' attribute unless {decider} value is "
        f"{' or '.join(sorted(wanted[decider]))}."
        for attribute, decider in failed.items()
        if attribute not in allowed
    ]
