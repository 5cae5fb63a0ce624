"""``^file`` in a noderange: read here, with the user's own rights, so that the daemon need not.

What goes to the daemon are the file's lines, each a noderange of its own.  Of a file that is not here goes the
absolute path, as xCAT's own client sends it: the daemon's host may have one that is for everybody.
Must start fast: see :mod:`.main`.
Facts: docs/facts/noderange.md, Files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from xcatd.text import brackets

#: Larger files, in bytes, are nobody's list of nodes.
LARGEST = 4 << 20

#: A noderange without nodes that is not the same as none.
NOTHING = ","


class FileError(Exception):
    """The file cannot be read; the text says which and why."""


def put_in(noderange: str) -> str:
    """The noderange with its files' lines in their places; raises FileError.

    ``-^file`` and ``x@^file`` become ``-line`` and ``x@line`` for every line.
    """
    noderange = noderange.rstrip(",")
    if "^" not in noderange:
        return noderange
    pieces = brackets.separated(noderange, ",", ("[]", "()"))[::2]
    written = [term for piece in pieces for term in _terms(piece)]
    return ",".join(written) or NOTHING


def _terms(term: str) -> list[str]:
    """What stands for one term; nothing at all where its file names nothing."""
    atoms = [_opened(atom) for atom in brackets.separated(term, "@", ("()",))[::2]]
    place = next((i for i, atom in enumerate(atoms) if atom.lstrip("-").startswith("^")), None)
    if place is None:
        return ["@".join(atoms)]
    dash, _, path = atoms[place].partition("^")
    text = _read(path)
    if text is None:
        there = path if path.startswith("/") else os.path.realpath(path)
        return ["@".join([*atoms[:place], f"{dash}^{there}", *atoms[place + 1 :]])]
    lines = _lines(text)
    if term.startswith("@"):  # of all that stands before it, so all lines at once
        return [f"@({','.join(lines)})" + "".join(f"@{atom}" for atom in atoms[2:])]
    return [
        one
        for line in lines
        for one in _terms("@".join([*atoms[:place], dash + line, *atoms[place + 1 :]]))
    ]


def _opened(atom: str) -> str:
    """An atom with the files named in its parentheses."""
    place = brackets.first_parenthesised(atom) if "^" in atom else None
    if place is None:
        return atom
    start, end = place
    return f"{atom[: start + 1]}{put_in(atom[start + 1 : end - 1])}{atom[end - 1 :]}"


def _lines(text: str) -> Sequence[str]:
    """The noderanges in a file, those that are more than one term in parentheses."""
    lines = (_first_word(line) for line in text.split("\n") if not line.startswith(("#", "^")))
    return [
        f"({line})" if "," in line or "(" in line else line
        for line in lines
        if line and not line.startswith(("-", "@"))  # alone they name nothing
    ]


def _read(path: str) -> str | None:
    """The file's text; None where there is no file."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise FileError(f"cannot read {os.path.abspath(path)}: {why}") from None  # noqa: PTH100 - start-up time
    if len(data) > LARGEST:
        raise FileError(f"{path} has more than {LARGEST >> 20} MB")
    return data.decode("utf-8", "surrogateescape")


def _first_word(line: str) -> str:
    """A line's text up to the first blank, tab or colon, without quotes."""
    for sign in " \t:":
        line = line.partition(sign)[0]
    return line.replace("'", "").replace('"', "")
