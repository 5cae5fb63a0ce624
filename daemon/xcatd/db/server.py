"""What databases on a server have in common: a bounded pool, transactions, lost connections.

Owns when a connection is made anew and when a user is told; what PostgreSQL and MariaDB spell in their own
way is in :mod:`.postgres` and :mod:`.mysql`.

A write transaction takes all its locks before the first row is read, so that nothing can fail later for the
sake of other writers; only until then is anything tried again.  After that a lost connection is an error: the
server undoes what was not committed.  Errors are raised without the driver's: its texts quote stored values.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any, NoReturn, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError, StatementError
from sqlalchemy.types import TypeEngine

from . import schema, statements
from .ddl import Spelling
from .errors import DatabaseError
from .location import Location
from .schema import Table
from .sheet import Cells, Sheet

_Result = TypeVar("_Result")

#: A table's columns on disk, in their order, and how to compare and bind them.
Columns: TypeAlias = Mapping[str, TypeEngine[Any]]
Targets: TypeAlias = Mapping[str, sa.TableClause]

#: How long to wait before each further attempt to reach the server, in seconds.
PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0)

#: Connections kept, and how many more there may be while they are needed.
KEPT, MORE = 4, 12

#: A connection is made within this time, in seconds.
CONNECT_TIMEOUT = 10

#: How old what is known of a table's columns may be when it is read, in seconds; as xCAT keeps whole tables.
LAYOUT_AGE = 5.0

#: The server ends a transaction whose program has been silent for so long, in seconds: it may be cut off.
IDLE_TIMEOUT = 60


class ServerTrouble(Enum):
    """What an error of the driver means for us."""

    LOST = "the server cannot be reached, or is no longer"
    CLASH = "another transaction was in the way; the server has undone ours"
    BUSY = "a lock was not to be had in time"
    OTHER = "the statement or the account is refused"


class WholeNumber(sa.types.TypeDecorator[Any]):
    """A column of numbers, written and compared as texts by us."""

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Raises ValueError for a text that is no number."""
        return None if value is None else int(value)


class ServerAdapter(ABC):
    """One database on a server.  Safe to use from several threads."""

    spelling: Spelling

    def __init__(
        self,
        location: Location,
        engine: sa.Engine,
        *,
        busy_timeout: float,
        pauses: Sequence[float] = PAUSES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._location = location
        self._engine = engine
        self._busy_timeout = busy_timeout
        self._pauses = pauses
        self._sleep = sleep
        self._layouts: dict[str, tuple[float, sa.TableClause]] = {}

    # What engines spell in their own way

    @abstractmethod
    def _columns(self, connection: sa.Connection, names: Sequence[str]) -> dict[str, Columns]:
        """The columns of these tables, of those that exist."""

    @abstractmethod
    def _keys(self, connection: sa.Connection) -> dict[str, list[str]]:
        """All tables of the database and the columns of their primary keys."""

    @abstractmethod
    def _begin_reading(self, connection: sa.Connection) -> None:
        """Start a transaction that sees one moment of the database and writes nothing."""

    @abstractmethod
    def _begin_writing(self, connection: sa.Connection, tables: Sequence[Table]) -> None:
        """Start a transaction and keep all other writers of these tables, in sorted order, out."""

    @abstractmethod
    def _begin_defining(self, connection: sa.Connection) -> None:
        """Keep others of our kind from creating tables at the same time."""

    def _end(self, connection: sa.Connection) -> None:  # noqa: B027 - most engines have nothing to do
        """Give up locks that outlive a transaction."""

    @abstractmethod
    def _judge(self, error: StatementError) -> ServerTrouble:
        """What kind of error this is."""

    @abstractmethod
    def _cause(self, error: StatementError) -> str:
        """The server's own words, without stored values."""

    # What the database asks for

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._engine.dispose()

    def create(self, tables: Iterable[Table]) -> None:
        """Create tables and columns that are missing; existing ones stay as they are."""
        wanted = list(tables)
        self._retrying(wanted, lambda: self._create(wanted))

    def others(self, known: Collection[str]) -> list[Table]:
        """All tables beside the known ones and the journal's."""
        return self._retrying((), lambda: self._others(known))

    def _others(self, known: Collection[str]) -> list[Table]:
        with self._engine.connect() as connection:
            keys = {
                name: columns
                for name, columns in self._keys(connection).items()
                if name not in known and name not in schema.OWN_TABLES and schema.is_name(name)
            }
            columns = self._columns(connection, list(keys)) if keys else {}
        return [
            Table(name, tuple(columns[name]), tuple(keys[name]), found=True)
            for name in keys
            if name in columns
        ]

    def read(self, tables: Sequence[Table]) -> dict[str, Sheet]:
        """All rows of these tables at one moment, in the order of their keys."""
        return self._retrying(tables, lambda: self._read(tables))

    @contextmanager
    def reading(self, tables: Sequence[Table]) -> Iterator[tuple[sa.Connection, Targets]]:
        """A read transaction; tables that do not exist have no target."""
        connection, targets = self._retrying(tables, lambda: self._open_reading(tables))
        with connection, self._in_words(tables):
            yield connection, targets

    @contextmanager
    def transaction(self, tables: Sequence[Table]) -> Iterator[tuple[sa.Connection, Targets]]:
        """A write transaction on all these tables at once: all of it is stored, or nothing."""
        ordered = sorted(tables, key=lambda table: table.name)
        connection, targets = self._retrying(ordered, lambda: self._open_writing(ordered))
        with self._closing(connection):
            with self._in_words(ordered):
                yield connection, targets
            self._commit(connection, ordered)

    # Connections and their ends

    def _open_reading(self, tables: Sequence[Table]) -> tuple[sa.Connection, Targets]:
        connection = self._engine.connect()
        try:
            self._begin_reading(connection)
            return connection, self._targets(connection, tables, age=LAYOUT_AGE)
        except BaseException:
            connection.close()
            raise

    def _open_writing(self, tables: Sequence[Table]) -> tuple[sa.Connection, Targets]:
        connection = self._engine.connect()
        try:
            targets = self._targets(connection, tables)
            missing = [table for table in tables if table.name not in targets]
            if missing:
                self._create(missing)
                targets = self._targets(connection, tables)
            self._begin_writing(connection, tables)
        except BaseException:
            self._leave(connection, undo=True)
            raise
        else:
            return connection, targets

    @contextmanager
    def _closing(self, connection: sa.Connection) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._leave(connection, undo=True)
            raise
        self._leave(connection, undo=False)

    def _leave(self, connection: sa.Connection, *, undo: bool) -> None:
        """Hand the connection back without a transaction or lock, or drop it if that cannot be done."""
        try:
            if not connection.invalidated:
                if undo:
                    connection.exec_driver_sql("ROLLBACK")
                self._end(connection)
        except SQLAlchemyError:
            connection.invalidate()
        finally:
            connection.close()

    def _commit(self, connection: sa.Connection, tables: Sequence[Table]) -> None:
        try:
            connection.exec_driver_sql("COMMIT")
        except StatementError as error:
            if self._judge(error) is not ServerTrouble.LOST:
                self._fail(tables, error)
            raise DatabaseError(
                f"lost the connection to {self._describe(tables)} while the changes were being stored: "
                f"{self._cause(error)}. It is not known whether they are; look at the tables before "
                "running the command again"
            ) from None

    def _retrying(self, tables: Sequence[Table], work: Callable[[], _Result]) -> _Result:
        """What ``work`` returns; it is done again while the server is away, and after clashes."""
        for pause in self._pauses:
            try:
                return work()
            except StatementError as error:
                if self._judge(error) not in {ServerTrouble.LOST, ServerTrouble.CLASH}:
                    self._fail(tables, error)
            except SQLAlchemyError as error:
                self._fail(tables, error)
            self._sleep(pause)
        with self._in_words(tables, begun=False):
            return work()

    # Words

    @contextmanager
    def _in_words(self, tables: Sequence[Table], *, begun: bool = True) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            self._fail(tables, error, begun=begun)
        except UnicodeDecodeError as error:
            raise DatabaseError(
                f"cannot read {self._describe(tables)}: it holds text that is not UTF-8 ({error.reason})"
            ) from None

    def _fail(
        self, tables: Sequence[Table], error: SQLAlchemyError, *, begun: bool = False
    ) -> NoReturn:
        raise DatabaseError(self._explain(tables, error, begun=begun)) from None

    def _explain(self, tables: Sequence[Table], error: SQLAlchemyError, *, begun: bool) -> str:
        place = self._describe(tables)
        if not isinstance(error, StatementError):
            return f"cannot use {place}: all {KEPT + MORE} connections to the server are in use; try again"
        cause = self._cause(error)
        match self._judge(error):
            case ServerTrouble.LOST if begun:
                return (
                    f"lost the connection to {place}: {cause}. "
                    "Nothing was written; run the command again"
                )
            case ServerTrouble.LOST:
                return (
                    f"cannot reach {place}: {cause}. Tried {len(self._pauses) + 1} times; "
                    "check that the server runs, and XCATCFG or /etc/xcat/cfgloc"
                )
            case ServerTrouble.BUSY:
                return (
                    f"cannot use {place}: another program has kept one locked for "
                    f"{self._busy_timeout:g} seconds; try again"
                )
            case ServerTrouble.CLASH:
                return (
                    f"cannot write {place}, another program was changing the same rows: {cause}. "
                    "Nothing was written; run the command again"
                )
            case ServerTrouble.OTHER:
                return f"cannot use {place}: {cause}"

    def _describe(self, tables: Sequence[Table]) -> str:
        if not tables:
            return f"the database {self._location.describe()}"
        names = ", ".join(table.name for table in tables)
        return f"the tables {names} of {self._location.describe()}"

    # Tables

    def _targets(
        self, connection: sa.Connection, tables: Sequence[Table], *, age: float = 0.0
    ) -> Targets:
        """The tables that exist; ``age`` is how old what is known of them may be, in seconds."""
        now = time.monotonic()
        known = {name: table for name, (at, table) in self._layouts.items() if now - at < age}
        unknown = [table.name for table in tables if table.name not in known]
        present = self._columns(connection, unknown) if unknown else {}
        for name, columns in present.items():
            known[name] = statements.target(name, columns, types=columns)
            self._layouts[name] = now, known[name]
        return {table.name: known[table.name] for table in tables if table.name in known}

    def _read(self, tables: Sequence[Table]) -> dict[str, Sheet]:
        connection, targets = self._open_reading(tables)
        with connection:
            try:
                return {
                    table.name: _sheet(connection, table, targets.get(table.name))
                    for table in tables
                }
            except StatementError:
                self._layouts.clear()  # a column may be gone
                raise

    def _create(self, tables: Sequence[Table]) -> None:
        with self._engine.connect() as connection, self._closing(connection):
            self._begin_defining(connection)
            present = self._columns(connection, [table.name for table in tables])
            for table in tables:
                for statement in self._missing(table, present.get(table.name)):
                    connection.exec_driver_sql(statement)
            connection.exec_driver_sql("COMMIT")
        self._layouts.clear()

    def _missing(self, table: Table, present: Columns | None) -> Iterator[str]:
        if present is None:
            yield self.spelling.create(table)
            for column in table.indexed:
                yield self.spelling.index(table, column)
        else:
            for column in table.columns:
                if column not in present:
                    yield self.spelling.add(table, column)


def engine(url: str, *, wait: float, **options: Any) -> sa.Engine:
    """A bounded pool of connections that are tried before use; ``wait`` is for a free one, in seconds.

    Transactions are begun and ended by statements of ours, so the driver is told to begin none.
    """
    return sa.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=KEPT,
        max_overflow=MORE,
        pool_timeout=wait,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,
        **options,
    )


def by_table(
    rows: Iterable[sa.RowMapping],
    types: Mapping[str, TypeEngine[Any]],
    other: TypeEngine[Any] = sa.types.NULLTYPE,
) -> dict[str, Columns]:
    """Columns by table, from a catalogue's rows with ``in_table``, ``named`` and ``kind``.

    ``other`` is for kinds that ``types`` does not have: xCAT's tables never do.
    """
    found: dict[str, dict[str, TypeEngine[Any]]] = {}
    for row in rows:
        kind = types.get(row["kind"], other)
        found.setdefault(row["in_table"], {})[row["named"]] = kind
    return dict(found)


def keys_by_table(rows: Iterable[sa.RowMapping]) -> dict[str, list[str]]:
    """Key columns by table, from a catalogue's rows with ``in_table`` and ``named``."""
    found: dict[str, list[str]] = {}
    for row in rows:
        columns = found.setdefault(row["in_table"], [])
        if row["named"] is not None:
            columns.append(row["named"])
    return found


def _sheet(connection: sa.Connection, table: Table, target: sa.TableClause | None) -> Sheet:
    on_disk: Sequence[str] = () if target is None else target.c.keys()
    columns = (*table.columns, *(name for name in on_disk if name not in table.columns))
    if target is None:
        return Sheet(columns, ())
    keys = [key for key in table.keys if key in on_disk]
    found = statements.select(target, [name for name in columns if name in on_disk], order=keys)
    rows = connection.execute(found)
    if len(on_disk) == len(columns) and not _has_others(target):
        return Sheet(columns, [_cells(row) for row in rows])
    return Sheet(columns, [_completed(columns, row._mapping) for row in rows])  # noqa: SLF001 - SQLAlchemy's public name


def _cells(row: Sequence[Any]) -> Cells:
    return tuple(row)


def _has_others(target: sa.TableClause) -> bool:
    return any(not isinstance(column.type, sa.Text) for column in target.c)


def _completed(columns: Sequence[str], row: Mapping[Any, Any]) -> Cells:
    """A row with NULL for columns that are not on disk, and every value as text."""
    return tuple(_text(name, row.get(name)) for name in columns)


def _text(column: str, value: Any) -> str | None:
    """Raises DatabaseError for what has no text; only tables that others define can hold it."""
    if not isinstance(value, bytes):
        return None if value is None else str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DatabaseError(f"cannot read column {column}: it holds binary data") from None
