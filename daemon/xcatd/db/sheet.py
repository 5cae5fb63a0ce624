"""One table's rows as read: tuples that share one column index, and row views over them.

Thousands of rows stay in memory during a request, so a row is a tuple; :class:`Row` is a view made
when somebody looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

Cells: TypeAlias = tuple[str | None, ...]

#: Texts of ``disable`` that leave a row live, beside NULL (docs/facts/database.md, Reading).
_LIVE = frozenset((None, "0", "no", "NO", "No", "nO"))


class Row(Mapping[str, str | None]):
    """A read-only view of one row: column name to text, None for NULL."""

    __slots__ = ("_cells", "_index")

    def __init__(self, index: Mapping[str, int], cells: Cells) -> None:
        self._index = index
        self._cells = cells

    def __getitem__(self, column: str) -> str | None:
        return self._cells[self._index[column]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return f"Row({ {k: v for k, v in self.items() if v is not None} })"


class Sheet:
    """All stored rows of one table, in physical order, and which of them are live.

    ``columns`` are the schema's, then any others found on disk.  Immutable after construction but for
    look-up tables built when first needed.
    """

    __slots__ = ("_by_column", "_live", "cells", "columns", "index")

    def __init__(self, columns: Iterable[str], cells: Sequence[Cells]) -> None:
        self.columns = tuple(columns)
        self.index = {column: place for place, column in enumerate(self.columns)}
        self.cells = cells
        self._live: Sequence[Cells] | None = None
        self._by_column: dict[str, dict[str, Sequence[Cells]]] = {}

    def __reduce__(self) -> tuple[type[Sheet], tuple[tuple[str, ...], Sequence[Cells]]]:
        return Sheet, (self.columns, self.cells)

    @property
    def live(self) -> Sequence[Cells]:
        """The rows that are not disabled."""
        if self._live is None:
            self._live = self._find_live()
        return self._live

    def _find_live(self) -> Sequence[Cells]:
        place = self.index.get("disable")
        if place is None or all(cells[place] is None for cells in self.cells):
            return self.cells
        return [cells for cells in self.cells if cells[place] in _LIVE]

    def is_live(self, cells: Cells) -> bool:
        """Whether this row counts for look-ups."""
        place = self.index.get("disable")
        return place is None or cells[place] in _LIVE

    def live_by(self, column: str, keys: Sequence[str]) -> Mapping[str, Sequence[Cells]]:
        """The live rows grouped by the value of ``column``, rows with NULL there left out.

        Rows with the same value are in the order of the primary ``keys``: that is what a look-up
        through the key's index gives.
        """
        found = self._by_column.get(column)
        if found is None:
            found = self._by_column[column] = self._group(column, keys)
        return found

    def _group(self, column: str, keys: Sequence[str]) -> dict[str, Sequence[Cells]]:
        place = self.index.get(column)
        grouped: dict[str, Sequence[Cells]] = {}
        if place is None:
            return grouped
        several: dict[str, list[Cells]] = {}
        for cells in self.live:
            key = cells[place]
            if key is None:
                continue
            if key in grouped:
                several.setdefault(key, list(grouped[key])).append(cells)
            else:
                grouped[key] = (cells,)  # nearly always the only one, so the small form
        places = [self.index[name] for name in keys if name in self.index]
        for rows in several.values():
            rows.sort(key=lambda cells: [(cells[p] is not None, cells[p] or "") for p in places])
        return grouped | several

    def view(self, cells: Cells) -> Row:
        """``cells`` by column name."""
        return Row(self.index, cells)
