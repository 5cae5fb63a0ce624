"""xCAT's SQLite layout: a directory with one file per table (docs/facts/database.md, Files, columns and transactions).

Everything special to SQLite is here: files, ATTACH, locks, DDL.  Other programs use the files at the
same time, so a connection lives as long as one read or one transaction, and the journal mode is left as
it is: with rollback journals a commit is atomic over all attached files, with WAL it would not be.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from . import ddl, schema, statements
from .errors import DatabaseError
from .schema import Table
from .sheet import Cells, Sheet

#: SQLITE_MAX_ATTACHED of the builds in use.  The file opened first would be one more.
MOST_FILES = 10

#: The file of the journal's tables.
JOURNAL_FILE = "aixjournal.sqlite"

#: How every file of SQLite begins; an empty one has no table yet.
_MAGIC = b"SQLite format 3\0"

#: What Perl's driver waits for other programs' locks, in seconds.
BUSY_TIMEOUT = 30.0

Targets = Mapping[str, sa.TableClause]


#: How SQLite spells xCAT's definitions; what it stores of them is the same to the last blank.
SPELLING = ddl.Spelling(quote="", auto="INTEGER PRIMARY KEY AUTOINCREMENT", auto_is_key=True)


class SqliteAdapter:
    """One directory of table files.  Safe to use from several threads: nothing is shared but engines."""

    def __init__(self, directory: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        if not directory.is_dir():
            raise DatabaseError(
                f"cannot open the xCAT database: {directory} is not a directory; "
                "check XCATCFG or /etc/xcat/cfgloc"
            )
        self._directory = directory.absolute()
        self._busy_timeout = busy_timeout
        self._engines: dict[Path, sa.Engine] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forget all engines; their connections are closed already."""
        with self._lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()

    def create(self, tables: Iterable[Table]) -> None:
        """Create files, tables and columns that are missing; existing ones stay as they are."""
        for table in tables:
            path = self._path(table)
            _create_file(path)
            with self._connected([path], "BEGIN IMMEDIATE") as connection:
                _complete(connection, table)

    def others(self, known: Collection[str]) -> list[Table]:
        """Files that hold a table of their own name, beside the known ones."""
        names = [path.stem for path in sorted(self._directory.glob("*.sqlite"))]
        wanted = [Table(name, (), ()) for name in names if name not in known]
        found = (self._found(table) for table in wanted if schema.is_name(table.name))
        return [table for table in found if table.columns]

    def _found(self, table: Table) -> Table:
        path = self._path(table)
        try:
            with path.open("rb") as file:
                if file.read(len(_MAGIC)) != _MAGIC:
                    return table
        except OSError:  # gone, or not for us: no table that could be used
            return table
        with self._connected([path], "BEGIN") as connection:
            rows = connection.exec_driver_sql(f'PRAGMA table_info("{table.name}")').all()
        keys = sorted((row[5], row[1]) for row in rows if row[5])
        columns = tuple(row[1] for row in rows)
        return Table(table.name, columns, tuple(name for _, name in keys), found=True)

    def read(self, tables: Sequence[Table]) -> dict[str, Sheet]:
        """All rows of these tables, at one moment for up to :data:`MOST_FILES` of them."""
        sheets = {}
        for part in _parts(tables):
            with self._reading(part) as (connection, present):
                for table in part:
                    sheets[table.name] = _read(connection, table, present.get(table.name))
        return sheets

    @contextmanager
    def reading(self, tables: Sequence[Table]) -> Iterator[tuple[sa.Connection, Targets]]:
        """A read transaction; tables that do not exist have no target."""
        with self._reading(tables) as (connection, present):
            yield connection, _targets(connection, tables, present)

    @contextmanager
    def transaction(self, tables: Sequence[Table]) -> Iterator[tuple[sa.Connection, Targets]]:
        """A write transaction on all these tables at once: all of it is stored, or nothing.

        Tables that do not exist are created, as xCAT does when it opens one.  Locks are taken in the order
        of file names, so that two transactions never wait for each other.
        """
        paths = self._paths(tables)
        if len(paths) > MOST_FILES:
            raise DatabaseError(
                f"cannot write {len(paths)} tables in one transaction: SQLite joins at most {MOST_FILES}"
            )
        for path in paths:
            _create_file(path)
        with self._connected(paths, "BEGIN IMMEDIATE") as connection:
            namespaces = {table.name: self._namespace(paths, table) for table in tables}
            yield connection, _targets(connection, tables, namespaces, create=True)

    def _path(self, table: Table) -> Path:
        return self._directory / (JOURNAL_FILE if table.own else f"{table.name}.sqlite")

    def _paths(self, tables: Iterable[Table]) -> list[Path]:
        return sorted({self._path(table) for table in tables})

    def _namespace(self, paths: Sequence[Path], table: Table) -> str:
        place = paths.index(self._path(table))
        return f"file{place}" if place else "main"

    @contextmanager
    def _reading(
        self, tables: Sequence[Table]
    ) -> Iterator[tuple[sa.Connection, Mapping[str, str]]]:
        paths = [path for path in self._paths(tables) if path.exists()]
        with self._connected(paths, "BEGIN") as connection:
            yield (
                connection,
                {
                    table.name: self._namespace(paths, table)
                    for table in tables
                    if self._path(table) in paths
                },
            )

    @contextmanager
    def _connected(self, paths: Sequence[Path], begin: str) -> Iterator[sa.Connection]:
        """A connection to these files in one transaction; errors become words for users."""
        try:
            with self._engine(paths[0] if paths else None).connect() as connection:
                for place, path in enumerate(paths[1:], 1):
                    connection.exec_driver_sql(f"ATTACH ? AS file{place}", (_uri(path),))
                connection.exec_driver_sql(begin)
                for place in range(len(paths)):
                    # The first look at each file takes its shared lock, before any row is read.
                    name = f"file{place}" if place else "main"
                    _pragma(connection, f"{name}.schema_version")
                yield connection
                connection.commit()
        except (DBAPIError, sqlite3.Error) as error:
            names = ", ".join(path.stem for path in paths)
            cause = str(error.orig if isinstance(error, DBAPIError) else error)
            raise DatabaseError(self._explain(names, cause)) from error

    def _explain(self, names: str, cause: str) -> str:
        if "locked" in cause:
            return (
                f"cannot use the tables {names}: another program has kept one locked for "
                f"{self._busy_timeout:g} seconds; try again, and see with fuser who uses {self._directory}"
            )
        return f"cannot use the tables {names} in {self._directory}: {cause}"

    def _engine(self, path: Path | None) -> sa.Engine:
        with self._lock:
            engine = self._engines.get(path or self._directory)
            if engine is None:
                uri = "file::memory:" if path is None else _uri(path)
                engine = sa.create_engine(
                    "sqlite://",
                    creator=lambda: self._connect(uri),
                    poolclass=NullPool,
                    hide_parameters=True,
                )
                self._engines[path or self._directory] = engine
        return engine

    def _connect(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,  # we say BEGIN ourselves
            check_same_thread=False,
        )
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def _uri(path: Path) -> str:
    return f"{path.as_uri()}?mode=rw"  # never create by opening; a hot journal must be rolled back


def _parts(tables: Sequence[Table]) -> Iterator[Sequence[Table]]:
    ordered = sorted(tables, key=lambda table: table.name)
    for start in range(0, len(ordered), MOST_FILES):
        yield ordered[start : start + MOST_FILES]


def _create_file(path: Path) -> None:
    """An empty file only root may read; the process-wide umask is not ours to change.

    What is there already must be a file itself: behind a link, SQLite would write wherever that leads.
    """
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise DatabaseError(
                f"cannot use {path}: it is no regular file; put the table's file itself there"
            ) from None
    except OSError as error:
        raise DatabaseError(f"cannot create {path}: {error.strerror}") from error


def _create(connection: sa.Connection, table: Table, namespace: str) -> None:
    connection.exec_driver_sql(SPELLING.create(table, f"{namespace}."))
    for column in table.indexed:
        connection.exec_driver_sql(SPELLING.index(table, column, f"{namespace}."))


def _complete(connection: sa.Connection, table: Table) -> None:
    present = _columns(connection, table, "main")
    if not present:
        _create(connection, table, "main")
        return
    for column in table.columns:
        if column not in present:
            connection.exec_driver_sql(SPELLING.add(table, column))


def _columns(connection: sa.Connection, table: Table, namespace: str) -> dict[str, str]:
    """Columns on disk and their declared types; none when the file has no such table."""
    rows = _pragma(connection, f'{namespace}.table_info("{table.name}")')
    return {row[1]: row[2].upper() for row in rows}


def _pragma(connection: sa.Connection, text: str) -> list[tuple[Any, ...]]:
    """Asked of the driver itself: every transaction asks several, and its rows are what is wanted."""
    driver: Any = connection.connection.dbapi_connection
    return list(driver.execute(f"PRAGMA {text}"))


def _targets(
    connection: sa.Connection,
    tables: Iterable[Table],
    namespaces: Mapping[str, str],
    *,
    create: bool = False,
) -> dict[str, sa.TableClause]:
    """The tables that are there, by name; with ``create`` all of them."""
    targets = {}
    for table in tables:
        namespace = namespaces.get(table.name)
        columns = _columns(connection, table, namespace) if namespace else {}
        if namespace and create and not columns:
            _create(connection, table, namespace)
            columns = _columns(connection, table, namespace)
        if columns:
            targets[table.name] = _target(table.name, tuple(columns), namespace)
    return targets


#: A statement on the same target is put into words once.
_target = lru_cache(maxsize=1024)(statements.target)


def _read(connection: sa.Connection, table: Table, namespace: str | None) -> Sheet:
    on_disk = _columns(connection, table, namespace) if namespace else {}
    columns = (*table.columns, *(name for name in on_disk if name not in table.columns))
    if not on_disk:
        return Sheet(columns, ())
    text = _select(table.name, namespace or "main", tuple(on_disk.items()), columns)
    return Sheet(columns, _fetch(connection, text))


@lru_cache(maxsize=1024)
def _select(
    name: str,
    namespace: str,
    on_disk: tuple[tuple[str, str], ...],
    columns: tuple[str, ...],
) -> str:
    """The SELECT of all rows; ``on_disk`` are the columns there are, with their declared types."""
    kinds = dict(on_disk)
    target = statements.target(name, kinds, namespace)
    chosen = (
        _as_text(target, column) if column in kinds else sa.null().label(column)
        for column in columns
    )
    statement = sa.select(*chosen).order_by(sa.literal_column("rowid"))
    return str(statement.compile(dialect=sqlite_dialect()))


def _as_text(target: sa.TableClause, name: str) -> sa.ColumnElement[str]:
    """Any program may have stored a number or bytes, whatever the column's type: a cell is always read as text."""
    return sa.cast(statements.column(target, name), sa.Text).label(name)


def _fetch(connection: sa.Connection, statement: str) -> list[Cells]:
    """Rows as the driver's own tuples: a large table is read several times a minute."""
    driver: Any = connection.connection.dbapi_connection
    try:
        return list(driver.execute(statement))
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise DatabaseError(f"cannot read the database: {error}") from error
    driver.text_factory = _decode
    return list(driver.execute(statement))


def _decode(text: bytes) -> str:
    """Other programs may have stored Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
