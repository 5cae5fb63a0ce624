"""``nodegrpch``: columns of groups, which their members then have no values of their own in.

Facts: docs/facts/table-commands.md, nodegrpch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from xcat_aix.commands import options
from xcat_aix.commands.options import Arguments
from xcat_aix.plan.noderows import nodewords
from xcat_aix.plan.noderows.nodewords import Words, WrongWordError
from xcatd.api import EVERYTHING, Context, DatabaseError, Reply, Request, Targets, data, error
from xcatd.tables import Snapshot, Table

from . import nodech

USAGE = (
    "Usage: nodegrpch group,... table.column=value...",
    "         set the groups' values; values of their own are taken from the members",
    "       nodegrpch {-d|--delete} group,... table...",
    "         delete the groups' rows",
    "       nodegrpch {-v|--version}",
    "       nodegrpch {-?|-h|--help}",
)

_Cells = dict[str, str]


class _RowWrite(NamedTuple):
    key: tuple[tuple[str, str], ...]
    values: Mapping[str, str | None]


class Nodegrpch:
    """The plugin."""

    commands = ("nodegrpch",)

    def targets(self, _request: Request, _context: Context) -> Targets:
        """Groups are of all nodes."""
        return EVERYTHING

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Change columns of groups."""
        try:
            arguments = options.parse(request.words, nodech.OPTIONS)
        except options.OptionError:
            yield Reply(data=USAGE, errorcode=1)
            return
        if arguments.has("h"):
            yield data(*USAGE)
        elif arguments.has("v"):
            yield data(context.version)
        elif not arguments.operands:
            yield Reply(data=USAGE, errorcode=1)
        else:
            yield from _change(arguments, context)


def _change(arguments: Arguments, context: Context) -> Iterator[Reply]:
    groups = [group for group in arguments.operands[0].split(",") if group]
    others = arguments.operands[1:]
    if arguments.has("d"):
        yield from nodech.delete(groups, others, context)
        return
    try:
        words = nodewords.parse(others, nodech.finder(context))
        _check(words)
    except WrongWordError as wrong:
        yield error(str(wrong))
        return
    yield from words.replies
    try:
        members = {group: context.expand(group).nodes for group in groups}
        _store(words, groups, members, context)
    except (DatabaseError, ValueError) as failed:
        yield error(str(failed))


def _check(words: Words) -> None:
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


def _store(
    words: Words, groups: Sequence[str], members: Mapping[str, Sequence[str]], context: Context
) -> None:
    names = tuple(words.changes)
    if not names:
        return
    watched = _watched(context.db.read(("notification",)))
    with context.db.transaction(*names) as transaction:
        for name, columns in words.changes.items():
            table = words.tables[name]
            values = {column: changes[-1].text for column, changes in columns.items()}
            rows = _rows(table, values, groups, members)
            place = table.node_column or ""
            stored = {row[place] for row in transaction.select(name, columns=(place,))}
            writes = [_RowWrite(((place, row),), cells) for row, cells in rows.items()]
            transaction.write_rows(name, writes)
            # Empty rows are xCAT's own way in bulk, for tables that nobody watches.
            if name not in watched:
                transaction.insert(name, list(_empty(place, stored, rows)))


def _rows(
    table: Table,
    values: Mapping[str, str],
    groups: Iterable[str],
    members: Mapping[str, Sequence[str]],
) -> dict[str, _Cells]:
    """The cells of every row, groups' and members'; what comes later counts."""
    cleared = {column: "" for column in values if column != table.node_column}
    rows: dict[str, _Cells] = {}
    for group in groups:
        rows.setdefault(group, {}).update(values)
        for node in members[group] if cleared else ():
            rows.setdefault(node, {}).update(cleared)
    return rows


def _empty(
    place: str, stored: set[str | None], rows: Mapping[str, _Cells]
) -> Iterator[Mapping[str, str]]:
    for row, cells in rows.items():
        if row not in stored and not any(cells.values()):
            yield {place: row, **cells}


def _watched(snapshot: Snapshot) -> frozenset[str]:
    """Tables whose new or changed rows somebody is told of."""
    return frozenset(
        table
        for row in snapshot.rows("notification", include_disabled=True)
        if not row["disable"] or row["disable"] == "0"
        if {"a", "u"} & set(row["tableops"] or "")
        for table in (row["tables"] or "").split(",")
    )
