"""The plan of nodegrpch: cells of groups' rows, which their members then have no values of their own in.

Pure.  Facts: docs/facts/table-commands.md, nodegrpch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xcat_aix.plan.writing import Planned
from xcatd.tablenames import Snapshot, Table

from .nodewords import CommandWords, WrongWordError

_NOTIFICATION = "notification"


def check(words: CommandWords) -> None:
    """Raises WrongWordError for what groups cannot have."""
    for name, columns in words.changes.items():
        place = words.tables[name].node_column
        for column, changes in columns.items():
            if any(change.sign for change in changes):
                raise WrongWordError(",= and ^= are not supported by nodegrpch")
            if column == "groups":
                raise WrongWordError("Group membership is not changeable via nodegrpch")
            if column == place:
                raise WrongWordError(f"cannot set {name}.{column}: it is the name of the group")
        if name == "nodelist":
            raise WrongWordError(
                "cannot set values of groups in nodelist: nodes inherit none there"
            )
        if place is None:
            raise WrongWordError(f"Table {name} has no rows of nodes")


def tables_needed(words: CommandWords) -> frozenset[str]:
    """The tables to read."""
    return frozenset([_NOTIFICATION, *words.changes])


def plan(
    words: CommandWords,
    groups: Sequence[str],
    members: Mapping[str, Sequence[str]],
    snapshot: Snapshot,
) -> Planned:
    """The groups' values, and empty ones for their members; what comes later counts."""
    planned = Planned()
    watched = _watched(snapshot)
    for name, columns in words.changes.items():
        values = {column: changes[-1].text for column, changes in columns.items()}
        rows: dict[str, dict[str, str]] = {}
        for group in groups:
            rows.setdefault(group, {}).update(values)
            for node in members[group]:
                rows.setdefault(node, {}).update(dict.fromkeys(values, ""))
        _write(planned, words.tables[name], rows, snapshot, has_empty=name not in watched)
    return planned


def _write(
    planned: Planned,
    table: Table,
    rows: Mapping[str, Mapping[str, str]],
    snapshot: Snapshot,
    *,
    has_empty: bool,
) -> None:
    """Empty rows are xCAT's own way in bulk, for tables that nobody watches."""
    column = table.node_column or ""
    stored = {row[column] for row in snapshot.rows(table.name, include_disabled=True)}
    for name, cells in rows.items():
        place = (table.name, ((column, name),))
        if name in stored or any(cells.values()):
            planned.draft.set_row(place, cells)
        elif has_empty:
            planned.draft.guard(place, column, None)
            planned.draft.insert(place, cells)


def _watched(snapshot: Snapshot) -> frozenset[str]:
    """Tables whose new or changed rows somebody is told of."""
    return frozenset(
        table
        for row in snapshot.rows(_NOTIFICATION, include_disabled=True)
        if not row["disable"] or row["disable"] == "0"
        if {"a", "u"} & set(row["tableops"] or "")
        for table in (row["tables"] or "").split(",")
    )
