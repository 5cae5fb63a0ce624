"""Rows of any texts come back from the lines they were written as."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xcatd.text import tablecsv
from xcatd.text.tablecsv import CsvRecord

#: Lines are cut where the client reads them: blanks at their ends are lost, and so are empty ones.
CELL = st.text(st.characters(exclude_characters="\n\r\v\f", exclude_categories=["Cs"])).map(
    lambda text: text.rstrip(" \t")
)
CELLS = st.lists(CELL, min_size=1, max_size=3).map(lambda lines: "\n".join(filter(None, lines)))


def read(text: str, width: int) -> list[CsvRecord | str]:
    return list(tablecsv.read(text.split("\n"), width))


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=5))
def test_what_was_written_is_read_again(rows):
    text = "\n".join(tablecsv.line(row) for row in rows)
    found = read(text, 3) if rows else []
    assert [record.cells for record in found] == [
        tuple(cell or None for cell in row) for row in rows
    ]


@given(st.lists(st.text(), max_size=5), st.integers(0, 4))
def test_any_lines_are_read_to_their_end(lines, width):
    for record in tablecsv.read(lines, width):
        assert isinstance(record, str) or len(record.cells) == width


def test_a_line_of_too_few_cells_has_empty_ones():
    assert read("a,b", 4) == [CsvRecord(("a", "b", None, None), 0, "a,b")]


def test_a_quote_that_is_never_closed_is_named_where_it_starts():
    assert read('a,b\nc,"d\ne', 2)[1:] == [
        'CSV unmatched " in record on line 3, character -1: c,"d'
    ]
