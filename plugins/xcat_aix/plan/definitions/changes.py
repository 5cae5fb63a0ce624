"""What a command writes: values for rows, rows to delete, and the stored cells this was worked out from.

Owns the value every planner of object commands ends with.  Must not: know objects or attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from xcat_aix.plan.model import Guard

#: Columns and texts that find rows, e.g. ``(("node", "n1"),)``.
Key = tuple[tuple[str, str], ...]

#: A table and a key in it.
Place = tuple[str, Key]


class RowChange(NamedTuple):
    """Values for all rows with this key; a row is made where there is none."""

    key: Key
    values: Mapping[str, str | None]


@dataclass(slots=True)
class Changes:
    """Collects while a plan is made; a later value for a cell replaces an earlier one.

    Deletions come before values, whatever the order in which they were asked for.
    """

    values: dict[Place, dict[str, str | None]] = field(default_factory=dict)
    deleted: dict[Place, None] = field(default_factory=dict)
    guards: dict[tuple[str, str, str, str], Guard] = field(default_factory=dict)

    def set(self, place: Place, column: str, text: str | None) -> None:
        """Write one cell."""
        self.values.setdefault(place, {})[column] = text

    def set_row(self, place: Place, cells: Mapping[str, str | None]) -> None:
        """Write several cells of a row."""
        self.values.setdefault(place, {}).update(cells)

    def delete(self, place: Place) -> None:
        """Delete the rows with this key."""
        self.deleted[place] = None

    def guard(self, guard: Guard) -> None:
        """Refuse to write unless this cell is still as it was read."""
        self.guards.setdefault((guard.table, guard.key_column, guard.key, guard.column), guard)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables written, nodelist last: a node is listed only when all else about it is there."""
        names = {table for table, _ in (*self.values, *self.deleted)}
        return tuple(sorted(names, key=lambda name: (name == "nodelist", name)))

    def by_table(self) -> Mapping[str, tuple[Sequence[Key], Sequence[RowChange]]]:
        """Per table: the keys of rows to delete, then the rows to write."""
        found: dict[str, tuple[list[Key], list[RowChange]]] = {
            table: ([], []) for table in self.tables
        }
        for table, key in self.deleted:
            found[table][0].append(key)
        for (table, key), values in self.values.items():
            found[table][1].append(RowChange(key, values))
        return found

    def guards_of(self, tables: Sequence[str]) -> Iterator[Guard]:
        """The guards on cells of these tables."""
        wanted = set(tables)
        return (guard for guard in self.guards.values() if guard.table in wanted)
