"""One CSV file of a dump: its rows, and where in the file they are.

Owns reading and writing the file, and finding the lines at fault.  Must not: know what tables there are, or a database.
Facts: docs/facts/table-commands.md, dumpxCATdb and restorexCATdb.  What a row is, is :mod:`.text.tablecsv`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xcatd import files
from xcatd.text import tablecsv
from xcatd.text.tablecsv import BadHeaderError

#: What a file of a dump is called after its table.
SUFFIX = ".csv"

#: The element by which a client asks for a file's bytes, and by which it gets them, in Base64.
EXACT = "csvbase64"

#: A row: line ends inside quotes belong to it.  What is left when a quote has no end is one more.
_ROW = re.compile(r'(?:[^"\n]++|"[^"]*+")*+\n|.+\Z', re.DOTALL)

#: xCAT's words end with where it is, which is said better.
_PLACE = re.compile(
    r" (?:in record |for record with \" characters )?on line \d+(?:, character -?\d+)?: .*",
    re.DOTALL,
)


class DumpFileError(ValueError):
    """A file cannot be read as the rows of a table; the message names it and the line."""


@dataclass(frozen=True, slots=True)
class DumpFile:
    """What a file holds.

    ``pieces`` is the text, header first and then a row each; ``lines`` the line, from 1, that each begins in.
    """

    path: Path
    columns: tuple[str, ...]
    pieces: tuple[str, ...]
    lines: tuple[int, ...]

    @property
    def table(self) -> str:
        """The table that the file is named after."""
        return table_of(self.path)

    def rows(self) -> list[Mapping[str, str]]:
        """The rows without their empty cells; raises :class:`DumpFileError` for the first bad one."""
        found: list[Mapping[str, str]] = []
        for number, record in enumerate(tablecsv.read(self.pieces[1:], len(self.columns)), 1):
            if isinstance(record, str):
                raise self.error(number, _PLACE.sub("", record))
            cells = zip(self.columns, record.cells, strict=True)
            found.append({column: text for column, text in cells if text})
        return found

    def error(self, piece: int, why: str) -> DumpFileError:
        """What is wrong with a piece."""
        place = self.lines[min(piece, len(self.lines) - 1)]
        return DumpFileError(f"{self.path}, line {place}: {why}")


def encoded(lines: Iterable[str]) -> bytes:
    """Lines as they stand in a file."""
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def write(path: Path, content: bytes) -> None:
    """Make this the file's content; it is for its owner alone, since tables hold passwords.

    Never writes through a link that others could turn elsewhere, and replaces nothing but a regular file.
    Raises :class:`xcatd.files.UnsafeError` and OSError.
    """
    files.write(path, (content,), mode=0o600)


def refusal(table: str, path: str, error: Exception) -> str:
    """Why a file could not be written: xCAT's words, and what they do not say of a place that is refused."""
    text = f"Error on tabdump of {table} to {path}. Unable to open the file for write. "
    if isinstance(error, files.UnsafeError):
        return f"{text}{error}"
    return f"{text}{error.strerror}" if isinstance(error, FileExistsError) else text


def table_of(path: Path) -> str:
    """As xCAT has it: what stands before the first dot."""
    return path.name.partition(".")[0]


def read(path: Path) -> DumpFile:
    """Read a file; raises :class:`DumpFileError` for what is no text or has no header, and OSError."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DumpFileError(f"{path}, line {line}: this is not UTF-8 text") from None
    header, end, rest = text.partition("\n")
    pieces = (header + end, *_ROW.findall(rest))
    try:
        columns = tablecsv.read_header(header)
    except BadHeaderError as error:
        raise DumpFileError(f"{path}, line 1: {error}") from None
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise DumpFileError(f"{path}, line 1: column {twice[0]!r} is named twice")
    lines = [1]
    for piece in pieces[:-1]:
        lines.append(lines[-1] + piece.count("\n"))
    return DumpFile(path, columns, pieces, tuple(lines))
