"""Where the existing database is (docs/facts/database.md, Finding the database).

Reads the environment and cfgloc when asked, never at import, and never shows a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import DatabaseError

#: Engines the setting may name, in xCAT's spelling.
ENGINES = ("SQLite", "Pg", "mysql", "DB2", "CSV")

_DIRECTORY_ENGINES = ("SQLite", "CSV")


@dataclass(frozen=True, slots=True)
class Location:
    """One database.  ``directory`` for SQLite and CSV, else ``dsn``, ``user`` and ``password``."""

    engine: str
    directory: Path | None = None
    dsn: str = ""
    user: str = ""
    password: str = field(default="", repr=False)

    def describe(self) -> str:
        """The setting as an administrator knows it, without the password."""
        if self.directory is not None:
            return f"{self.engine}:{self.directory}"
        return f"{self.engine}:{self.dsn}" + (f" as {self.user}" if self.user else "")


def find(environ: Mapping[str, str], *, root: Path = Path("/")) -> Location:
    """XCATCFG, else the first line of /etc/xcat/cfgloc, else the default SQLite directories.

    ``root`` stands before the fixed paths.  Raises DatabaseError when nothing is found.
    """
    setting = environ.get("XCATCFG", "") or _first_line(root / "etc/xcat/cfgloc")
    if setting:
        return parse(setting)
    for directory in (root / "opt/xcat/cfg", root / "etc/xcat"):
        if directory.is_dir():
            return Location("SQLite", directory)
    raise DatabaseError(
        "cannot locate the xCAT database: set XCATCFG or write its place to /etc/xcat/cfgloc"
    )


def parse(setting: str) -> Location:
    """Read a setting such as ``SQLite:/etc/xcat`` or ``Pg:dbname=xcatdb;host=h|user|password``.

    Raises DatabaseError for an engine xCAT does not know.
    """
    setting = setting.removeprefix("dbi:")
    if ":" not in setting:
        return Location("SQLite", Path(setting))
    engine, _, rest = setting.partition(":")
    if engine not in ENGINES:
        raise DatabaseError(
            f"cannot use a database of type {engine!r}: the setting must begin with one of "
            + ", ".join(f"{name}:" for name in ENGINES)
        )
    if engine in _DIRECTORY_ENGINES:
        return Location(engine, Path(rest))
    dsn, _, account = rest.partition("|")
    user, _, password = account.partition("|")
    dsn, inside = _without_password(dsn)
    return Location(engine, None, dsn, user, password or inside)


def _without_password(dsn: str) -> tuple[str, str]:
    """The DSN without a pair ``password=…``, which drivers take there too, and that password."""
    shown, password = [], ""
    for pair in dsn.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "password":
            password = value
        else:
            shown.append(pair)
    return ";".join(shown), password


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip("\r\n")
    except OSError:
        return ""  # an unreadable cfgloc counts as absent
