"""``restorexCATdb``: tables from the CSV files of a directory, each whole or not at all.

Facts: xCAT's own program of this name; docs/facts/table-commands.md, dumpxCATdb and restorexCATdb.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import xcatd
from xcatd.rows import dumpfile
from xcatd.rows.dumpfile import DumpFileError

from . import dumping, tabrestore
from .ask import DaemonLine, TooLongError
from .dumping import DumpOptions, DumpUsageError, complain, say

USAGE = (
    " restorexCATdb  -h \n restorexCATdb -v \n"
    " restorexCATdb [-a] [-V] [--strict] <-p> [path to restore .csv files]\n"
    " restorexCATdb -b [-V] <-t> [timestamp on restore backup file]  <-p> [path to restore backup file]"
)

_OTHERS = {"t=": "timestamp", "timestamp=": "timestamp", "strict": "strict"}

#: Restored last, over the connection that is there: what they allow may be less than what is needed for the rest.
_LAST = ("site", "policy")


def main() -> int:
    """Run the command; returns its exit status."""
    return dumping.run(_run, os.environ)


def _run(words: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        options = dumping.parse(words, "binary", _OTHERS)
    except DumpUsageError as error:
        complain(f"{error}\n{USAGE}")
        return 1
    if options.wants_help:
        say(USAGE)
        return 0
    if options.wants_version:
        say(f"Version {xcatd.__version__}")
        return 0
    if not options.path:
        complain(" -p with path to database files is required \n")
        return 1
    if not Path(options.path).exists():
        complain(" Input path must exist \n")
        return 1
    return dumping.refuse_binary(environ) if options.binary else _restore(options, environ)


def _restore(options: DumpOptions, environ: Mapping[str, str]) -> int:
    try:
        files = sorted(path for path in Path(options.path).iterdir() if path.name != ".")
    except OSError as error:
        complain(f" Unable to read directory {options.path}: {error.strerror}\n")
        return 1
    unwanted = dumping.unwanted_tables(environ)
    chosen = list(_chosen(files, options, unwanted))
    if not chosen:
        complain(f"There is no file *{dumpfile.SUFFIX} to restore in {options.path}")
        return 1
    with closing(DaemonLine(environ)) as line:
        failed = [p.name for p in chosen if not _restore_file(p, options, environ, line)]
    if failed:
        complain(
            f"Restore of Database not complete: {len(failed)} of {len(chosen)} files were refused, their "
            f"tables are as they were: {', '.join(failed)}"
        )
        return 1
    say("Restore of Database Complete.")
    return 0


def _chosen(
    files: Sequence[Path], options: DumpOptions, unwanted: frozenset[str]
) -> Iterator[Path]:
    """The files of a dump among all files of its directory."""
    last = {table: place for place, table in enumerate(_LAST, 1)}
    ordered = sorted(files, key=lambda path: last.get(dumpfile.table_of(path), 0))
    for path in ordered:
        table = dumpfile.table_of(path)
        is_wanted = path.name == f"{table}{dumpfile.SUFFIX}" and path.is_file()
        if is_wanted and not dumping.is_skipped(table, options, unwanted):
            yield path
        elif options.verbose:
            say(f"Skipping {path.name}\n")


def _restore_file(
    path: Path, options: DumpOptions, environ: Mapping[str, str], line: DaemonLine
) -> bool:
    try:
        content = dumpfile.read(path)
        content.rows()
        answer = tabrestore.send(content, environ, keeps="strict" not in options.others, line=line)
    except (DumpFileError, TooLongError, OSError) as error:
        complain(f"Error running tabrestore {path}, {tabrestore.explain(path, error)}")
        return False
    if answer.status:
        complain(f"Error running tabrestore {path}, {' '.join(answer.lines)}")
        return False
    for text in answer.lines:
        complain(text)
    if options.verbose:
        say(f"Restoring {path.name}.\n")
    return True
