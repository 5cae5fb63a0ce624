"""Table rows as lines of CSV, as ``tabdump`` writes and ``tabrestore`` reads them.

Owns: quoting in both directions, and what is wrong with a line.  Must not: know which tables or columns there
are, read a file, or touch the database.  Facts: docs/facts/table-commands.md, tabdump; tabrestore.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

#: Blanks at the end of a line do not count, not even inside quotes.
_BLANKS = " \t\n\v\f\r"


class CsvRecord(NamedTuple):
    """One row: its cells in the order of the header (None: nothing between the commas), and where it ended.

    ``number`` counts lines after the header from 0; ``line`` is the first one, for messages.
    """

    cells: tuple[str | None, ...]
    number: int
    line: str


class BadHeaderError(ValueError):
    """The first line is not ``#column,column,…``."""


class _BadLine(ValueError):  # noqa: N818 - reads as what it is
    """A line cannot be read; the text is for the user."""


def header(columns: Iterable[str]) -> str:
    """The first line of a table."""
    return "#" + ",".join(columns)


def line(cells: Iterable[str | None]) -> str:
    """One row: everything that is not empty in quotes."""
    return ",".join(_quoted(text) for text in cells)


def _quoted(text: str | None) -> str:
    return '"' + text.replace('"', '""') + '"' if text else ""


def rows(columns: Sequence[str], found: Iterable[Mapping[str, str | None]]) -> Iterator[str]:
    """The lines of a table; cells may have newlines in them."""
    yield header(columns)
    for row in found:
        yield line(row[column] for column in columns)


def read_header(text: str | None) -> tuple[str, ...]:
    """The columns; raises BadHeaderError."""
    if not text or not text.startswith("#"):
        raise BadHeaderError("Data missing header line starting with #")
    names = text.replace('"', "").removeprefix("#").rstrip(_BLANKS).split(",")
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def read(lines: Sequence[str | None], width: int) -> Iterator[CsvRecord | str]:
    """The rows below a header of ``width`` columns; a text for each line that is none, to be shown.

    A missing cell at the end of a line is an empty one.
    """
    reader = _Reader(lines)
    while reader.has_more:
        try:
            cells = reader.cells(width)
        except _BadLine as bad:
            yield str(bad)
        else:
            yield CsvRecord(cells, reader.number, reader.first)
        reader.number += 1


class _Reader:
    """Reads line after line; a quoted cell may need further ones."""

    def __init__(self, lines: Sequence[str | None]) -> None:
        self._lines = lines
        self.number = 0
        self.first = ""
        self._rest = ""

    @property
    def has_more(self) -> bool:
        return self.number < len(self._lines)

    def _text(self) -> str:
        return (self._lines[self.number] if self.has_more else None) or ""

    def cells(self, width: int) -> tuple[str | None, ...]:
        self.first = self._rest = self._text().rstrip(_BLANKS)
        cells = tuple(self._cell() for _ in range(width))
        if self._rest not in {"", "0"}:  # to Perl a lone 0 is nothing
            raise _BadLine(f"Too many fields on line {self.number}: {self.first} | {self._rest}")
        return cells

    def _cell(self) -> str | None:
        before_comma = self._rest.partition(",")[0]
        if not before_comma:
            self._rest = self._rest.removeprefix(",")
            return None
        if '"' in before_comma:
            return self._quoted()
        self._rest = self._rest[len(before_comma) + 1 :]
        return before_comma

    def _quoted(self) -> str:
        if not self._rest.startswith('"'):
            raise self._bad('CSV missing opening " for record with " characters')
        place = 1
        while True:
            place = self._next_quote(place) + 1
            follows = self._rest[place : place + 1]
            if follows in {"", ","}:
                break
            if follows != '"':
                raise self._bad('CSV unescaped " in record')
            place += 1
        text = self._rest[1 : place - 1]
        self._rest = self._rest[place + 1 :]
        return text.replace('""', '"')

    def _next_quote(self, place: int) -> int:
        """Where the next quote is, on this line or a further one."""
        found = self._rest.find('"', place)
        if found >= 0:
            return found
        # Joined once: a cell of a thousand lines is not copied a thousand times.
        parts = [self._rest]
        while self.has_more:
            self.number += 1
            if more := self._text().rstrip(_BLANKS):
                parts.append(more)
                if '"' in more:
                    start = sum(map(len, parts)) + len(parts) - 1 - len(more)
                    self._rest = "\n".join(parts)
                    return self._rest.index('"', max(start, place))
        self._rest = "\n".join(parts)
        raise self._bad('CSV unmatched " in record')

    def _bad(self, what: str) -> _BadLine:
        place = self.first.find(self._rest)
        return _BadLine(f"{what} on line {self.number}, character {place}: {self.first}")
