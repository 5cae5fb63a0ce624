"""Writes that several stored rows of one object cannot all take, because together they are the rows' key.

A node may have several rows in ``switch``, hardware several in ``mpa``: every one of them gets the new values.
Where the values make up the whole key, the rows would become the same.
Pure.  Facts: docs/facts/database.md, Writing; Tables and their columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xcatd import tablenames
from xcatd.changes import Draft, Key, Place
from xcatd.tablenames import Snapshot

Row = Mapping[str, str | None]


def settle(snapshot: Snapshot, draft: Draft) -> list[str]:
    """Take such writes out of ``draft``; what to tell about those that one of the rows does not hold already."""
    complaints = []
    for place, rows in list(_several(snapshot, draft)):
        values = draft.values.pop(place)
        if not any(all(row[name] == text for name, text in values.items()) for row in rows):
            complaints.append(_complaint(place, values))
    return complaints


def _several(snapshot: Snapshot, draft: Draft) -> Iterator[tuple[Place, Sequence[Row]]]:
    indexes: dict[tuple[str, tuple[str, ...]], dict[Key, list[Row]]] = {}
    for place, values in draft.values.items():
        table, key = place
        columns = tuple(column for column, _ in key)
        rest = set(tablenames.keys(table)) - set(columns)
        if not rest or not rest <= values.keys() or place in draft.deleted:
            continue
        if (table, columns) not in indexes:
            indexes[table, columns] = _index(snapshot, table, columns)
        rows = indexes[table, columns].get(key, ())
        if len(rows) > 1:
            yield place, rows


def _index(snapshot: Snapshot, table: str, columns: tuple[str, ...]) -> dict[Key, list[Row]]:
    found: dict[Key, list[Row]] = {}
    for row in snapshot.rows(table, include_disabled=True):
        found.setdefault(tuple((column, row[column] or "") for column in columns), []).append(row)
    return found


def _complaint(place: Place, values: Mapping[str, str | None]) -> str:
    table, key = place
    return (
        f"cannot set {', '.join(sorted(values))} of {key[0][1]} in table {table}: it has several rows there, "
        "which would become the same; change one of them with tabch"
    )
