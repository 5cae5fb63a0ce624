"""The plans of nodech, nodeadd and noderm: cells of nodes' rows, and rows that go.

Pure.  Facts: docs/facts/table-commands.md, nodech, nodeadd and noderm; docs/facts/database.md, Effective
values; Writing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from xcat_aix.plan.definitions import itemlists
from xcat_aix.plan.writing import Planned, data, error
from xcatd import tablenames
from xcatd.tablenames import Snapshot, Table, Value

from .nodewords import NOTHING, ColumnEdit, CommandWords

_Row = Mapping[str, str | None]

#: Tables beside those of the words: how nodes inherit, and which groups are dynamic.
NEEDED = frozenset(["nodelist", "nodegroup", "site"])


def tables_needed(words: CommandWords) -> frozenset[str]:
    """The tables to read."""
    return NEEDED | words.tables.keys() | words.criteria.keys()


def plan(words: CommandWords, nodes: Sequence[str], snapshot: Snapshot) -> Planned:
    """New values for those of the nodes that the criteria leave; a BadPattern is the caller's to tell."""
    planned = Planned(remarks=list(words.remarks))
    chosen = _chosen(words, nodes, snapshot)
    for name, columns in words.changes.items():
        table = words.tables[name]
        if table.node_column is None:
            planned.remarks.append(error(f"Table {name} has no rows of nodes"))
            continue
        lines = list(_warnings(columns, chosen, snapshot))
        if lines:
            planned.remarks.append(data(*lines))
        _Editor(table, columns, snapshot, planned).edit(chosen)
    return planned


def _chosen(words: CommandWords, nodes: Sequence[str], snapshot: Snapshot) -> Sequence[str]:
    left = list(nodes)
    for name, criteria in words.criteria.items():
        matchers = {column: condition.matcher for column, condition in criteria.items()}
        rows = tablenames.values_all(snapshot, name, tuple(matchers), left)
        left = [node for node in left if _fits(rows[node] or ({},), matchers)]
    return left


def _fits(
    rows: Sequence[Mapping[str, Value]], matchers: Mapping[str, Callable[[str], bool]]
) -> bool:
    """Whether every row of a node passes; what is not there is an empty text."""
    return all(
        matches(row[column].text if column in row else "")
        for row in rows
        for column, matches in matchers.items()
    )


def _warnings(
    columns: Mapping[str, Sequence[ColumnEdit]], nodes: Sequence[str], snapshot: Snapshot
) -> Iterator[str]:
    """What to say, for each node again, about groups that have no members of their own."""
    dynamic = {
        row["groupname"] for row in snapshot.rows("nodegroup") if row["grouptype"] == "dynamic"
    }
    lines = [
        f"nodegroup {group} is a dynamic node group, "
        "should not add a node into a dynamic node group statically.\n"
        for change in columns.get("groups", ())
        if not change.sign
        for group in itemlists.split(change.text)
        if group in dynamic
    ]
    for _ in nodes:
        yield from lines


class _Editor:
    """Works out the new cells of one table."""

    def __init__(
        self,
        table: Table,
        columns: Mapping[str, Sequence[ColumnEdit]],
        snapshot: Snapshot,
        planned: Planned,
    ) -> None:
        self._table = table
        self._node_column = table.node_column or ""
        self._columns = columns
        self._snapshot = snapshot
        self._planned = planned
        self._stored: dict[str, list[_Row]] = {}
        for row in snapshot.rows(table.name, include_disabled=True):
            self._stored.setdefault(row[self._node_column] or "", []).append(row)

    def edit(self, nodes: Sequence[str]) -> None:
        """Plan the cells of these nodes."""
        effective = {column: self._effective(column, nodes) for column in self._columns}
        for node in nodes:
            cells: dict[str, str] = {}
            for column, changes in self._columns.items():
                text = _changed(changes, effective[column].get(node))
                if text is not None:
                    cells[column] = text
                if any(change.sign for change in changes):
                    self._guard(node, column)
            self._set(node, cells)

    def _effective(self, column: str, nodes: Sequence[str]) -> Mapping[str, str]:
        """The values that items are added to or taken from, inherited ones too."""
        if all(change.sign == "" for change in self._columns[column][:1]):
            return {}
        if not tablenames.is_known(self._table.name):  # nothing is inherited in tables of others
            own = {node: rows[0].get(column) or "" for node, rows in self._stored.items()}
            return {node: own[node] for node in nodes if node in own}
        found = self._snapshot.values(self._table.name, (column,), nodes)
        return {node: row[column].text for node, row in found.items() if column in row}

    def _set(self, node: str, cells: Mapping[str, str]) -> None:
        if not cells:
            return
        if node not in self._stored and not any(cells.values()):
            # xCAT has no words for a row that would be empty.
            self._planned.remarks.append(error("DB error "))
            return
        place = (self._table.name, ((self._node_column, node),))
        self._planned.draft.set_row(place, cells)

    def _guard(self, node: str, column: str) -> None:
        """Bind the command to the stored cell, unless several rows hold it."""
        rows = self._stored.get(node, ())
        if len(rows) < 2:
            before = rows[0][column] if rows else None
            place = (self._table.name, ((self._node_column, node),))
            self._planned.draft.guard(place, column, before)


def _changed(changes: Iterable[ColumnEdit], effective: str | None) -> str | None:
    """What the cell gets; None when it is left as it is."""
    new: str | None = None
    for change in changes:
        present = effective if new is None else new
        if not change.sign:
            new = change.text
        elif present in {None, "", "0"}:  # to Perl a lone 0 is nothing
            new = change.text if change.sign == "," else new
        elif (text := _edited(change, present or "")) != present:
            new = text
    return new


def _edited(change: ColumnEdit, present: str) -> str:
    """The list after one change; just as it was where no item comes or goes."""
    before = itemlists.split(present)
    named = [] if change.text == NOTHING else itemlists.split(change.text)
    if change.sign == "^":
        after = [item for item in before if item not in named]
    else:
        after = before.copy()
        for item in named:
            if item not in after:
                after.insert(0, item)
    return present if after == before else ",".join(after)


def plan_deletion(words: CommandWords, names: Sequence[str], snapshot: Snapshot) -> Planned:
    """The rows of these nodes or groups in the tables of the words go; disabled ones, too."""
    planned = Planned(remarks=list(words.remarks))
    for table in words.tables.values():
        column = "node" if "node" in table.columns else table.node_column
        if column is None:
            planned.remarks.append(error(f"Table {table.name} has no rows of nodes"))
            continue
        present = {row[column] for row in snapshot.rows(table.name, include_disabled=True)}
        for name in names:
            if name in present:
                planned.draft.delete((table.name, ((column, name),)))
    return planned
