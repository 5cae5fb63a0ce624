"""The database as it was at one moment: immutable, pure, and the source of every effective value.

Reading rules are those of docs/facts/database.md, Reading; Effective values; Values that are expressions.
Everything is set-based: a table's
values are computed for all nodes at once, and nodes with the same groups share what they inherit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from . import lookup, schema
from .reader import Reader, Value
from .sheet import Cells, Row, Sheet

__all__ = ["Row", "Snapshot", "Value"]


class Snapshot:
    """Tables as read at one moment.

    A table that exists nowhere is empty; one that nobody asked to read raises LookupError, because
    an empty answer would be a wrong one.
    """

    def __init__(
        self,
        sheets: Mapping[str, Sheet],
        *,
        complete: bool = False,
        broken: MutableSequence[str] | None = None,
    ) -> None:
        self._sheets = dict(sheets)
        self._complete = complete
        self._broken = broken

    def with_gaps(self, broken: MutableSequence[str]) -> Snapshot:
        """The same, for who shows what there is: a stored expression that takes too long counts as no value.

        What is missing so is added to ``broken``, in words for users.  Others get :class:`.errors.BrokenValue` raised
        where they ask for such a value.
        """
        return Snapshot(self._sheets, complete=self._complete, broken=broken)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._sheets, self._complete)

    @classmethod
    def from_rows(cls, tables: Mapping[str, Iterable[Mapping[str, str | None]]]) -> Snapshot:
        """A whole database from plain data; tables not named are empty.

        Raises KeyError for a table outside the schema.
        """
        return cls({name: _sheet(name, list(rows)) for name, rows in tables.items()}, complete=True)

    def to_rows(self) -> dict[str, list[dict[str, str]]]:
        """Plain data: every stored row without its NULLs; :meth:`from_rows` is the inverse."""
        return {
            name: [_fields(sheet.columns, cells) for cells in sheet.cells]
            for name, sheet in self._sheets.items()
        }

    @property
    def tables(self) -> frozenset[str]:
        """Names of the tables that were read."""
        return frozenset(self._sheets)

    def has_table(self, table: str) -> bool:
        """Whether the table may be asked for: it was read, or this is a whole database."""
        return self._complete or table in self._sheets

    def _sheet(self, table: str) -> Sheet:
        sheet = self._sheets.get(table)
        if sheet is None:
            columns = schema.table(table).columns
            if not self._complete:
                raise LookupError(f"table {table} was not read into this snapshot")
            sheet = self._sheets[table] = Sheet(columns, ())
        return sheet

    def rows(self, table: str, *, include_disabled: bool = False) -> Sequence[Row]:
        """The table's rows in physical order; live ones only unless told otherwise."""
        sheet = self._sheet(table)
        return [sheet.view(cells) for cells in (sheet.cells if include_disabled else sheet.live)]

    def is_empty(self, table: str) -> bool:
        """Whether the table has no live row."""
        return not self._sheet(table).live

    @cached_property
    def site(self) -> Mapping[str, str]:
        """The site table: live rows with a value."""
        rows = self.rows("site")
        return MappingProxyType(
            {row["key"]: row["value"] for row in rows if row["key"] and row["value"]}
        )

    @cached_property
    def _groups_text(self) -> dict[str, str]:
        sheet = self._sheet("nodelist")
        node, groups = sheet.index["node"], sheet.index["groups"]
        texts: dict[str, str] = {}
        for cells in sheet.live:
            name = cells[node]
            if name:
                texts.setdefault(name, cells[groups] or "")
        return texts

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Names in nodelist (live rows), in table order."""
        return tuple(self._groups_text)

    def has_node(self, node: str) -> bool:
        """Whether nodelist has a live row for exactly this name."""
        return node in self._groups_text

    @cached_property
    def _groups(self) -> dict[str, tuple[str, ...]]:
        texts = self._groups_text
        split = {text: tuple(filter(None, text.split(","))) for text in set(texts.values())}
        return {node: split[text] for node, text in texts.items()}

    def groups(self, node: str) -> tuple[str, ...]:
        """The static groups of a node in listed order; none for an unknown node."""
        return self._groups.get(node, ())

    @cached_property
    def members(self) -> Mapping[str, tuple[str, ...]]:
        """Static group name to its nodes in table order."""
        members: dict[str, list[str]] = {}
        for node, groups in self._groups.items():
            for group in dict.fromkeys(groups):
                members.setdefault(group, []).append(node)
        return {group: tuple(nodes) for group, nodes in members.items()}

    @cached_property
    def _rules(self) -> lookup.Rules:
        return lookup.Rules.from_site(self.site.get("hierarchicalattrs", ""))

    def values(
        self, table: str, columns: Iterable[str], nodes: Iterable[str] | None = None
    ) -> dict[str, dict[str, Value]]:
        """Effective values: node to column to value; columns without a value are left out.

        ``nodes`` are all nodes unless given.  Where a node has several rows this is the first one.
        Raises LookupError for a column the table does not have and a table without a node column.
        """
        reader = self._reader(table, columns)
        return {node: reader.first(node) for node in self._wanted(nodes)}

    def texts(
        self, table: str, columns: Iterable[str], nodes: Iterable[str] | None = None
    ) -> dict[str, dict[str, str]]:
        """The texts alone of :meth:`values`, for those who do not ask where they come from."""
        reader = self._reader(table, columns)
        return {node: reader.texts(node) for node in self._wanted(nodes)}

    def values_all(
        self, table: str, columns: Iterable[str], nodes: Iterable[str] | None = None
    ) -> dict[str, list[dict[str, Value]]]:
        """As :meth:`values`, with every row of nodes that have several; an empty list for none."""
        reader = self._reader(table, columns)
        return {node: reader.every(node) for node in self._wanted(nodes)}

    def _wanted(self, nodes: Iterable[str] | None) -> Iterable[str]:
        return self.nodes if nodes is None else nodes

    def value(self, node: str, table: str, column: str) -> str | None:
        """One effective value; use :meth:`values` for more than a handful of nodes."""
        found = self._reader(table, (column,)).first(node).get(column)
        return found.text if found else None

    def _reader(self, table: str, columns: Iterable[str]) -> Reader:
        facts = schema.table(table)
        if facts.node_column is None:
            raise LookupError(f"table {table} has no node column")
        sheet, broken = self._sheet(table), self._broken
        if table == "nodelist":  # never inherits
            return Reader(sheet, facts, columns, {}, lookup.NO_RULES, broken=broken)
        return Reader(sheet, facts, columns, self._groups, self._rules, broken=broken)

    def own(self, table: str, node: str) -> Row | None:
        """The node's own live row as stored (the first by primary key where it has several)."""
        sheet, facts = self._sheet(table), schema.table(table)
        rows = sheet.live_by(facts.node_column or "", facts.keys).get(node)
        return sheet.view(rows[0]) if rows else None

    def stored(self, table: str, node: str) -> Row | None:
        """The node's own row, live or, where there is no live one, disabled."""
        own = self.own(table, node)
        if own is not None:
            return own
        sheet = self._sheet(table)
        cells = self._disabled(table).get(node)
        return sheet.view(cells) if cells else None

    def _disabled(self, table: str) -> Mapping[str, Cells]:
        known = self._disabled_by_table.get(table)
        if known is None:
            sheet = self._sheet(table)
            place = sheet.index[schema.table(table).node_column or "node"]
            hidden = [cells for cells in sheet.cells if not sheet.is_live(cells)]
            known = {cells[place] or "": cells for cells in reversed(hidden)}
            self._disabled_by_table[table] = known
        return known

    @cached_property
    def _disabled_by_table(self) -> dict[str, Mapping[str, Cells]]:
        return {}


def _restore(sheets: Mapping[str, Sheet], complete: bool) -> Snapshot:
    return Snapshot(sheets, complete=complete)


def _sheet(table: str, rows: Sequence[Mapping[str, str | None]]) -> Sheet:
    known = schema.table(table).columns
    extra = dict.fromkeys(column for row in rows for column in row if column not in known)
    columns = (*known, *extra)
    return Sheet(columns, [tuple(row.get(column) for column in columns) for row in rows])


def _fields(columns: Sequence[str], cells: Cells) -> dict[str, str]:
    return {column: text for column, text in zip(columns, cells, strict=True) if text is not None}
