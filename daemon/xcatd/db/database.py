"""The existing xCAT database: snapshots of it, and guarded write transactions.

Owns the choice of engine; what is special to one lies in its adapter (:mod:`.sqlite`, :mod:`.postgres`,
:mod:`.mysql`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import sqlalchemy as sa

from . import schema, statements, transaction
from .errors import DatabaseError
from .location import Location
from .schema import OWN_TABLES, TABLES, Table
from .sheet import Row, Sheet
from .snapshot import Snapshot
from .sqlite import BUSY_TIMEOUT, SqliteAdapter
from .transaction import Transaction


class Adapter(Protocol):
    """What an engine must be able to do."""

    def create(self, tables: Iterable[Table]) -> None:
        """Create missing tables and add missing columns."""

    def read(self, tables: Sequence[Table]) -> dict[str, Sheet]:
        """All rows of these tables, one SELECT each; what does not exist is empty."""

    def reading(
        self, tables: Sequence[Table]
    ) -> AbstractContextManager[tuple[sa.Connection, Mapping[str, sa.TableClause]]]:
        """A read transaction."""

    def transaction(
        self, tables: Sequence[Table]
    ) -> AbstractContextManager[tuple[sa.Connection, Mapping[str, sa.TableClause]]]:
        """A write transaction that excludes other writers from its start."""

    def close(self) -> None:
        """Let go of everything."""


class Database:
    """One xCAT database.  Safe to use from several threads."""

    def __init__(self, adapter: Adapter, location: Location) -> None:
        self._adapter = adapter
        self.location = location

    @classmethod
    def open(cls, location: Location, *, busy_timeout: float = BUSY_TIMEOUT) -> Database:
        """Open the database; raises DatabaseError when it is not there or of another engine.

        A server is looked for when it is first needed, so one that is still starting is waited for.

        ``busy_timeout`` is how long to wait for other programs' locks, in seconds.
        """
        return cls(_adapter(location, busy_timeout), location)

    def close(self) -> None:
        """Let go of everything."""
        self._adapter.close()

    def create_missing_tables(self, names: Iterable[str] | None = None) -> None:
        """Create tables and columns as xCAT does at start; all tables, and the journal's, by default."""
        wanted = (*TABLES, *OWN_TABLES) if names is None else names
        self._adapter.create(schema.table(name) for name in wanted)

    def read(self, tables: Iterable[str]) -> Snapshot:
        """All rows of these tables, one SELECT each; a table that does not exist is empty.

        Where one of them is looked up by node, nodelist and site are read along: effective values need
        them.  Raises KeyError for a table outside the schema, DatabaseError when reading fails.
        """
        wanted = {name: schema.table(name) for name in tables}
        if any(table.node_column for table in wanted.values()):
            wanted |= {name: schema.table(name) for name in ("nodelist", "site")}
        return Snapshot(self._adapter.read(list(wanted.values())))

    @contextmanager
    def transaction(self, *tables: str) -> Iterator[Transaction]:
        """Exclusive writing to these tables: stored on leaving, undone by any exception.

        Others' locks are waited for; raises DatabaseError when they last too long, and for more tables
        than one transaction can join (ten files of the SQLite layout).
        """
        wanted = [schema.table(name) for name in dict.fromkeys(tables)]
        with self._adapter.transaction(wanted) as (connection, targets):
            yield Transaction(connection, targets)

    def select(
        self,
        table: str,
        where: statements.Where | None = None,
        *,
        above: Mapping[str, int] | None = None,
        columns: Sequence[str] | None = None,
        order: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[Row]:
        """Chosen rows of one table without a write lock; for the journal.

        Parameters as :func:`.statements.select`; a table that does not exist has no rows.
        """
        with self._adapter.reading([schema.table(table)]) as (connection, targets):
            if table not in targets:
                return []
            return transaction.select(
                connection,
                targets[table],
                where,
                above=above,
                columns=columns,
                order=order,
                limit=limit,
            )


def _adapter(location: Location, busy_timeout: float) -> Adapter:
    if location.directory is not None and location.engine == "SQLite":
        return SqliteAdapter(location.directory, busy_timeout=busy_timeout)
    if location.engine == "Pg":
        from .postgres import PostgresAdapter  # noqa: PLC0415 - with its driver, only where it is used

        return PostgresAdapter(location, busy_timeout=busy_timeout)
    if location.engine == "mysql":
        from .mysql import MysqlAdapter  # noqa: PLC0415 - with its driver, only where it is used

        return MysqlAdapter(location, busy_timeout=busy_timeout)
    raise DatabaseError(
        f"cannot use the database {location.describe()}: {location.engine} is not supported, only "
        "SQLite, PostgreSQL (Pg:) and MariaDB or MySQL (mysql:) are"
    )
