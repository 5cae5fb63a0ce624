"""``tabrestore``: reads a CSV file here and has the daemon make it the rows of a table.

Facts: docs/facts/table-commands.md, tabrestore.
"""

from __future__ import annotations

import getopt
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import xcatd
from xcatd.rows import dumpfile
from xcatd.rows.dumpfile import DumpFile, DumpFileError

from . import dumping
from .ask import DaemonAnswer, DaemonLine, TooLongError, ask
from .printer import write

USAGE = """\
Usage: tabrestore <tablename>.csv
       tabrestore -a <tablename>.csv
       tabrestore -k <tablename>.csv
       tabrestore [-?|-h|--help]
       tabrestore [-v|--version]
"""

#: Characters that no request can carry.
_UNSENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

#: The daemon counts what we sent, a row as a line, from 0 after the header.
_NUMBER = re.compile(r"(?:with|on) line (\d+)")


def send(
    content: DumpFile,
    environ: Mapping[str, str],
    *,
    adds: bool = False,
    keeps: bool = False,
    line: DaemonLine | None = None,
) -> DaemonAnswer:
    """Have a file's rows stored; ``adds`` them to those that are there; ``keeps`` unknown columns.

    Each row is sent as one piece, so that line ends and blanks in it stay what they are.  Raises
    :class:`DumpFileError`, and what :func:`.ask.ask` raises.
    """
    for number, piece in enumerate(content.pieces):
        if found := _UNSENDABLE.search(piece):
            raise content.error(number, f"the character {found.group()!r} cannot be sent")
    more = {"table": [content.table], "data": content.pieces}
    more |= {"addrows": ["yes"]} if adds else {}
    more |= {"keepcolumns": ["yes"]} if keeps else {}
    answer = ask("tabrestore", (), environ, more, line)
    return answer._replace(err=_with_places(answer.err, content))


def _with_places(text: str, content: DumpFile) -> str:
    """Error texts with the line of the file, as an editor counts."""
    lines = []
    for line in text.splitlines():
        number = _NUMBER.search(line)
        piece = min(int(number.group(1)) + 1, len(content.lines) - 1) if number else 0
        lines.append(f"{line} ({content.path}, line {content.lines[piece]})" if number else line)
    return "".join(f"{line}\n" for line in lines)


def explain(path: Path, error: Exception) -> str:
    """An error of :func:`send` or of reading the file, for people."""
    if isinstance(error, OSError):
        return f"cannot read {path}: {error.strerror}"
    return f"{path} is too long: {error}" if isinstance(error, TooLongError) else str(error)


def main() -> int:
    """Run the command; returns its exit status."""
    return dumping.run(_run, os.environ)


def _run(words: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        found, operands = getopt.gnu_getopt(
            list(words), "h?vak", ["help", "version", "addrows", "keep-columns"]
        )
    except getopt.GetoptError as error:
        sys.stderr.write(f"Unknown option: {error.opt}\n")
        return _usage(1)
    names = {name for name, _ in found}
    if names & {"-v", "--version"}:
        dumping.say(f"Version {xcatd.__version__}")
        return 0
    if names & {"-h", "-?", "--help"}:
        return _usage(0)
    if not operands:
        return _usage(2)
    adds, keeps = bool(names & {"-a", "--addrows"}), bool(names & {"-k", "--keep-columns"})
    return _restore(Path(operands[0]), environ, adds=adds, keeps=keeps)


def _usage(status: int) -> int:
    sys.stdout.write(USAGE)
    return status


def _restore(path: Path, environ: Mapping[str, str], *, adds: bool, keeps: bool) -> int:
    try:
        answer = send(dumpfile.read(path), environ, adds=adds, keeps=keeps)
    except OSError:
        sys.stdout.write(f"Error: Unable to open {path} for reading.\n")
        return 3
    except (DumpFileError, TooLongError) as error:
        sys.stderr.write(f"Error: {explain(path, error)}\n")
        return 1
    write(sys.stdout, answer.out)
    write(sys.stderr, answer.err)
    return answer.status
