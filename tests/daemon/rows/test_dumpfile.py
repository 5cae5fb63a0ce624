"""Files of a dump are read as they were written; what is wrong with one is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.rows import dumpfile
from xcatd.rows.dumpfile import DumpFileError
from xcatd.text import tablecsv

COLUMNS = ("key", "value", "comments", "disable")

TEXTS = st.none() | st.text(alphabet="a1, \"\n\t#'é\\|%\r", min_size=1, max_size=12)
ROWS = st.lists(
    st.fixed_dictionaries(dict.fromkeys(COLUMNS, TEXTS)).filter(lambda row: any(row.values())),
    max_size=6,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "site.csv"


def written(file: Path, text: str) -> dumpfile.DumpFile:
    file.write_bytes(text.encode())
    return dumpfile.read(file)


@given(rows=ROWS)
def test_what_was_dumped_is_read_again(file, rows):
    text = "".join(f"{line}\n" for line in tablecsv.rows(COLUMNS, rows))
    found = written(file, text)
    assert found.table == "site"
    assert found.columns == COLUMNS
    assert "".join(found.pieces) == text
    assert found.rows() == [{column: cell for column, cell in row.items() if cell} for row in rows]
    lines = text.split("\n")
    for piece, line in zip(found.pieces, found.lines, strict=True):
        assert lines[line - 1] == piece.partition("\n")[0]


@given(text=st.text(alphabet='a,"\n #', max_size=30))
def test_any_text_is_read_or_refused_with_a_line_that_exists(file, text):
    found = written(file, "#a,b\n" + text)
    assert "".join(found.pieces) == "#a,b\n" + text
    try:
        found.rows()
    except DumpFileError as error:
        line = int(str(error).partition(", line ")[2].partition(":")[0])
        assert 2 <= line <= text.count("\n") + 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#a,b\n1,2,3\n", "line 2: Too many fields"),
        ('#a,b\n"x\ny",2\n3,"4"5\n', 'line 4: CSV unescaped "'),
        ('#a,b\n1,2\n\n3,4"\n', 'line 4: CSV missing opening "'),
        ('#a,b\n1,2\n"3\n4\n', 'line 3: CSV unmatched "'),
        ("a,b\n1,2\n", "line 1: Data missing header line starting with #"),
        ("", "line 1: Data missing header line starting with #"),
        ("#a,b,a\n", "line 1: column 'a' is named twice"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(file, text, words):
    with pytest.raises(DumpFileError) as raised:
        written(file, text).rows()
    assert str(raised.value) == f"{file}, {words}"


def test_text_that_is_not_utf8(file):
    file.write_bytes(b"#a,b\n1,2\n3,\xe9\n")
    with pytest.raises(DumpFileError, match="line 3: this is not UTF-8"):
        dumpfile.read(file)
