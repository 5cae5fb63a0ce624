"""``chtab``: rows of any table, changed in the database itself, without the daemon and its policy.

A cluster is set up with it before there is a daemon, so it needs nothing but the database that XCATCFG or
cfgloc names.  Owns: the command line and what is printed.  What its words mean is in :mod:`.rowedits`.
Facts: docs/facts/table-commands.md, tabch and chtab.
"""

from __future__ import annotations

import getopt
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TextIO

from xcatd.rows import rowedits
from xcatd.rows.rowedits import Edit

from . import __version__, tablenames
from .db import location, owntables
from .db.database import Database
from .db.errors import DatabaseError
from .tablenames import Table

USAGE = """\
Usage:
  chtab column=key[,column=key...] table.column=value [table.column+=value...]
      set values in the rows with this key, or add a row; += adds items to a list
  chtab table.column=value [table.column=value...]
      add a row
  chtab {-d|--delete} column=key[,column=key...] table [table...]
      delete the rows with this key
  chtab {-h|--help}
  chtab {-v|--version}"""

_UNPROTECTED = (
    "WARNING: chtab bypasses xcatd and does not enforce xCAT policy tables. "
    "Consider using tabch instead."
)

_CONFIGURATION = "/etc/xcat"

_Key = Mapping[str, str]


class _WrongError(ValueError):
    """Words that cannot be carried out; the text is for standard output."""


class _NoColumnError(ValueError):
    """A column that a table does not have."""


def main() -> int:
    """Run with the process's arguments; the exit status."""
    is_root = os.geteuid() == 0
    return run(sys.argv[1:], lambda: _open(os.environ), sys.stdout, sys.stderr, is_root=is_root)


def _open(environ: Mapping[str, str]) -> Database:
    """The database with the administrator's own tables; raises DatabaseError."""
    database = Database.open(location.find(environ))
    confdir = database.read(["site"]).site.get("xcatconfdir") or _CONFIGURATION
    place = Path(confdir) / owntables.DIRECTORY
    found, errors = owntables.load(place, database.location.engine)
    for error in errors:
        sys.stderr.write(f"chtab: {error}\n")
    database.define(found)
    return database


def run(
    words: Sequence[str],
    open_database: Callable[[], Database],
    out: TextIO,
    err: TextIO,
    *,
    is_root: bool = True,
) -> int:
    """Carry out a command line; the exit status.  The database is opened when it is needed."""
    try:
        given, operands = getopt.gnu_getopt(list(words), "dhv", ["delete", "help", "version"])
    except getopt.GetoptError as bad:
        err.write(f"Unknown option: {bad.opt}\n")
        out.write(f"{USAGE}\n")
        return 1
    names = {name for name, _ in given}
    if names & {"-h", "--help"}:
        out.write(f"{USAGE}\n")
        return 0
    if names & {"-v", "--version"}:
        out.write(f"chtab Version {__version__} (xcat-aix)\n")
        return 0
    if not operands or operands[0] in {"", "0"}:
        out.write(f"{USAGE}\n")
        return 1
    if not is_root:
        out.write(f"{_UNPROTECTED}\n")
    deletes = bool(names & {"-d", "--delete"})
    try:
        with closing(open_database()) as database:
            _change(operands, database, deletes=deletes)
    except _WrongError as wrong:
        out.write(f"{wrong}\n")
    except (DatabaseError, rowedits.RefusedError, _NoColumnError) as failed:
        err.write(f"chtab: {failed}\n")
    else:
        return 0
    return 1


def _change(operands: Sequence[str], database: Database, *, deletes: bool) -> None:
    has_key = not rowedits.is_assignment(operands[0])
    try:
        key = rowedits.read_key(operands[0]) if has_key else {}
    except rowedits.BadKeyError as bad:
        raise _WrongError(f'Incorrect argument "{bad}".\n{USAGE}') from None
    others = operands[1:] if has_key else operands
    if not deletes:
        _store(key, [rowedits.read_edit(word) for word in others], database)
    elif not key:
        raise _WrongError(f'Incorrect argument "{operands[0]}".\n{USAGE}')
    elif not others:
        raise _WrongError(f"Missing table name.\n{USAGE}")
    else:
        found = [_table(name, key, database) for name in others]
        rowedits.delete(database, key, [table.name for table in found])


def _store(key: _Key, edits: Sequence[Edit], database: Database) -> None:
    found: dict[str, Table] = {}
    for edit in edits:
        table = found.get(edit.table) or _table(edit.table, key, database)
        if edit.column not in table.columns:
            raise _NoColumnError(f'No column "{edit.column}" in table "{table.name}"')
        found[edit.table] = table
    try:
        rowedits.store(database, found.values(), key, edits)
    except rowedits.RefusedError as refused:
        if str(refused):  # xCAT passes over a row without values
            raise


def _table(name: str, key: _Key, database: Database) -> Table:
    table = tablenames.find(database, name)
    if table is None:
        raise _WrongError(f"Table {name} does not exist.")
    for column in key:
        if column not in table.columns:
            raise _NoColumnError(f'No column "{column}" in table "{name}"')
    return table


if __name__ == "__main__":
    sys.exit(main())
