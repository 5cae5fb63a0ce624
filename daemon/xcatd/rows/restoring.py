"""Rows of a table put back from CSV lines, as ``tabrestore`` has it: all of them, or none.

Owns: which rows a list of lines stores, what is refused, and the one transaction.  Must not: print, or read
files.  Facts: docs/facts/table-commands.md, tabrestore; docs/facts/database.md, Writing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from xcatd import tablenames
from xcatd.changes import Draft
from xcatd.tablenames import Table
from xcatd.text import tablecsv
from xcatd.text.tablecsv import BadHeaderError, CsvRecord

from . import rowlimits

if TYPE_CHECKING:
    from xcatd.db.database import Database
    from xcatd.db.transaction import Transaction

_Row = Mapping[str, str | None]
_Cells = tuple[str | None, ...]


class Problem(NamedTuple):
    """Why nothing was stored, in xCAT's words, and the error code of it."""

    text: str
    code: int = 4


def restore(
    database: Database,
    name: str,
    lines: Sequence[str | None],
    *,
    adds: bool = False,
    widened: Table | None = None,
    odd: list[str] | None = None,
) -> list[Problem]:
    """Make these lines the table's rows, or add them to its rows; whatever is wrong, nothing is stored.

    ``lines`` start with the header.  Where the table was ``widened`` for them, columns that it still lacks are
    empty ones and are left out.  Names that no node or group can have are refused unless the table has them
    already; where ``odd`` is given they are kept, and added to it.  Returns every problem, an empty list when all is stored.  Raises
    :class:`xcatd.db.errors.DatabaseError` when the database cannot be used at all.
    """
    table = widened or tablenames.find(database, name)
    if table is None:
        return [Problem(f"Unable to open {name}")]
    try:
        columns = _columns(None if widened else table, lines[0] if lines else None)
    except BadHeaderError as bad:
        return [Problem(str(bad), 1)]
    records = tablecsv.read(lines[1:], len(columns))
    with database.transaction(name) as transaction:
        stored = transaction.rows(name)
        rows = _Rows(table, columns, stored if adds else (), _names(table, stored), odd)
        problems = rows.add_all(records)
        if not problems:
            _store(transaction, name, rows.new, adds=adds)
    return problems


def _columns(table: Table | None, header: str | None) -> tuple[str, ...]:
    """The header's columns; ``table`` must have them all where it is given."""
    columns = tablecsv.read_header(header)
    for column in columns:
        if table is not None and column not in table.columns:
            raise BadHeaderError(
                f"The header line indicates that column '{column}' should exist, "
                f"which is not defined in the schema for '{table.name}'"
            )
    return columns


def _store(transaction: Transaction, name: str, rows: Sequence[_Row], *, adds: bool) -> None:
    if not adds:
        transaction.clear(name)
    draft = Draft()
    for row in rows:
        draft.insert((name, ()), row)
    transaction.apply(draft.done(), any_names=True)


def _names(table: Table, rows: Iterable[_Row]) -> frozenset[str | None]:
    column = table.name_column
    return frozenset() if column is None else frozenset(row.get(column) for row in rows)


class _Rows:
    """The rows to be stored; refuses what no engine would take, with the same words for all of them."""

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        stored: Iterable[_Row],
        names: Collection[str | None],
        odd: list[str] | None,
    ) -> None:
        self._names = names
        self._odd = odd
        self.new: list[_Row] = []
        self._table = table
        self._columns = columns
        known = set(table.columns) - {table.auto_key}
        self._kept = [column for column in columns if column in known]
        self._keys = () if table.auto_key else table.keys
        self._cells: set[_Cells] = set()
        self._taken: set[_Cells] = set()
        for row in stored:
            self._cells.add(self._of(row, self._kept))
            self._taken.add(self._of(row, self._keys))

    def add_all(self, records: Iterable[CsvRecord | str]) -> list[Problem]:
        """Take every record that can be stored; what is wrong with the others."""
        problems = []
        for record in records:
            if isinstance(record, str):
                problems.append(Problem(record))
            elif (refused := self._add(record)) is not None:
                where = f"with line {record.number}: {record.line}"
                problems.append(Problem(f"DB error {refused} {where}"))
        return problems

    def _add(self, record: CsvRecord) -> str | None:
        given = dict(zip(self._columns, record.cells, strict=True))
        row = {column: given[column] for column in self._kept}
        if self._is_stored(row):
            return None
        if not any(row.values()):
            return ""
        refused = self._refused(row)
        if refused is None:
            self._cells.add(self._of(row, self._kept))
            self._taken.add(self._key(row))
            self.new.append(row)
        return refused

    def _is_stored(self, row: _Row) -> bool:
        """Whether just this row is there: to xCAT that is an update.  NULL is never equal."""
        cells = tuple(row.values())
        return bool(cells) and None not in cells and cells in self._cells

    def _refused(self, row: _Row) -> str | None:
        if self._keys and self._key(row) in self._taken:
            return rowlimits.lacking(self._table, row) or rowlimits.taken(self._table)
        return rowlimits.lacking(self._table, row) or self._misnamed(row)

    def _misnamed(self, row: _Row) -> str | None:
        name = row.get(self._table.name_column or "")
        if not name or name in self._names or self._table.takes_name(name):
            return None
        if self._odd is None:
            return tablenames.refusal_of_key(self._table, name)
        self._odd.append(name)
        return None

    def _key(self, row: _Row) -> _Cells:
        return tuple(row.get(key) or "" for key in self._keys)

    @staticmethod
    def _of(row: _Row, columns: Sequence[str]) -> _Cells:
        return tuple(row.get(column) for column in columns)
