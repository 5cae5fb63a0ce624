"""A cluster's dump as a lab takes it: the tables that matter, without secrets and without hooks.

Owns reading the directory that ``dumpxCATdb`` made and what is left out of it.  Must not: know addresses.
Facts: docs/facts/database.md, Tables and their columns; docs/facts/table-commands.md, dumpxCATdb and restorexCATdb.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from xcatd.db.schema import TABLES
from xcatd.rows import dumpfile
from xcatd.rows.dumpfile import DumpFileError

#: Tables that a rehearsal needs none of: logs, logins, and programs that would be run on this machine.
_LEFT_OUT = frozenset(("auditlog", "eventlog", "notification", "passwd", "token"))

#: Columns with secrets, in whatever table.
_SECRETS = frozenset(
    (
        *("password", "passwd", "adminpassword", "sshpassword", "vidpassword", "community"),
        *("auth", "authkey", "privacy", "privkey"),
    )
)

#: Without these there is no cluster.
_NEEDED = ("site", "nodelist", "nodetype", "noderes")


class DumpError(ValueError):
    """A dump that no lab can be made from; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Dump:
    """The rows of known tables.

    ``left_out`` has tables and columns that are not taken, for people.
    """

    directory: Path
    tables: Mapping[str, list[dict[str, str]]]
    left_out: tuple[str, ...]


def read(directory: Path) -> Dump:
    """Read every CSV file of a directory; raises :class:`DumpError`."""
    try:
        paths = sorted(directory.glob(f"*{dumpfile.SUFFIX}"))
    except OSError as error:
        raise DumpError(f"cannot read {directory}: {error.strerror}") from None
    missing = sorted(set(_NEEDED) - {dumpfile.table_of(path) for path in paths})
    if missing:
        names = ", ".join(f"{name}{dumpfile.SUFFIX}" for name in missing)
        raise DumpError(
            f"cannot use {directory} as a dump: there is no {names}; make one with dumpxCATdb -p DIR"
        )
    tables, left_out = {}, []
    for path in paths:
        name = dumpfile.table_of(path)
        if name not in TABLES:
            left_out.append(f"table {name} (not xCAT's)")
        elif name in _LEFT_OUT:
            left_out.append(f"table {name}")
        else:
            rows = _rows(path)
            left_out += _unknown(name, rows)
            tables[name] = [_cleaned(name, row) for row in rows]
    return Dump(directory, tables, tuple(left_out))


def _rows(path: Path) -> list[Mapping[str, str]]:
    try:
        return dumpfile.read(path).rows()
    except DumpFileError as error:
        raise DumpError(f"cannot use the dump: {error}") from None
    except OSError as error:
        raise DumpError(f"cannot read {path}: {error.strerror}") from None


def _unknown(name: str, rows: list[Mapping[str, str]]) -> Iterator[str]:
    used = {column for row in rows for column in row}
    for column in sorted(used - set(TABLES[name].columns)):
        yield f"column {name}.{column} (not xCAT's)"
    for column in sorted(used & _SECRETS):
        yield f"column {name}.{column}"


def _cleaned(name: str, row: Mapping[str, str]) -> dict[str, str]:
    known = set(TABLES[name].columns) - _SECRETS
    return {column: text for column, text in row.items() if column in known}
