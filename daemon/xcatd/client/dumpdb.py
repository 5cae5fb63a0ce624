"""``dumpxCATdb``: every table as a CSV file, written here from what the daemon sends.

Facts: xCAT's own program of this name; docs/facts/table-commands.md, dumpxCATdb and restorexCATdb.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import xcatd
from xcatd.rows.dumpfile import SUFFIX

from . import dumping, tablefile
from .ask import ask
from .dumping import DumpOptions, DumpUsageError, complain, say

USAGE = (
    " dumpxCATdb -h \n dumpxCATdb -v \n"
    " dumpxCATdb [-a] [-x] [-V] <-p> [path to backup directory] \n"
    " dumpxCATdb -b [-V] <-p> [path to backup directory]"
)

_EXTRA = "extra-columns"

_OTHERS_DAEMON = "the daemon does not send files, it is not xcat-aix's; use its own dumpxCATdb"


def main() -> int:
    """Run the command; returns its exit status."""
    return dumping.run(_run, os.environ)


def _run(words: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        options = dumping.parse(words, "bin", {"x": _EXTRA, _EXTRA: _EXTRA})
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
        complain(" Requires -p with path to directory to hold db files.")
        return 1
    if not _make(options.path):
        return 1
    return dumping.refuse_binary(environ) if options.binary else _dump(options, environ)


def _make(path: str) -> bool:
    """A directory that we make is for its owner alone: the tables hold passwords."""
    if Path(path).is_dir():
        return True
    if Path(path).exists():
        complain(f"cannot dump to {path}: it is not a directory")
        return False
    say(f" Creating {path} for database dump")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).mkdir(mode=0o700)
    except OSError as error:
        complain(f"Error running mkdir -p {path}: {error.strerror}")
        return False
    return True


def _dump(options: DumpOptions, environ: Mapping[str, str]) -> int:
    listed = ask("tabdump", (), environ)
    if listed.status or not listed.out:
        complain("Error running tabdump to get list of tables")
        complain(listed.err.rstrip("\n"))
        return 1
    unwanted = _unwanted(environ)
    failed = [
        table
        for table in listed.out.splitlines()
        if not _is_skipped(table, options, unwanted) and not _dump_table(table, options, environ)
    ]
    if _EXTRA not in options.others:
        _tell_of_extra_columns(environ)
    if failed:
        complain(f"Backup not complete: {len(failed)} tables are missing: {', '.join(failed)}")
        return 1
    say("Backup Complete.")
    return 0


def _unwanted(environ: Mapping[str, str]) -> frozenset[str]:
    named = environ.get("XCAT_SKIPTABLES")
    return frozenset(named.split(",")) if named else dumping.unwanted_tables(environ)


def _is_skipped(table: str, options: DumpOptions, unwanted: frozenset[str]) -> bool:
    skipped = dumping.is_skipped(table, options, unwanted)
    if skipped and options.verbose:
        say(f"Skipping {table}\n")
    return skipped


def _dump_table(table: str, options: DumpOptions, environ: Mapping[str, str]) -> bool:
    place = f"{options.path}/{table}{SUFFIX}"
    extra = (f"--{_EXTRA}",) if _EXTRA in options.others else ()
    answer = tablefile.fetch((*extra, table), environ)
    why = " ".join(answer.lines)
    if not answer.status:
        why = tablefile.store(table, place, answer) if answer.kept else _OTHERS_DAEMON
    if answer.status or why:
        complain(f"Error running tabdump -f {place} {table}, {why}")
        return False
    if options.verbose:
        say(f"Dumping {table}")
    return True


def _tell_of_extra_columns(environ: Mapping[str, str]) -> None:
    """What is not in the dump, because xCAT would not take it back."""
    answer = ask("tabdump", (f"--{_EXTRA}",), environ)
    if not answer.status and answer.out:
        names = ", ".join(answer.out.split())
        complain(
            f"Warning: these columns of the database are not xCAT's and not in the dump: {names}; "
            "-x puts them in, for our own restorexCATdb only"
        )
