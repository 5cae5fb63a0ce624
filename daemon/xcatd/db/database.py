"""The existing xCAT database: snapshots of it, and guarded write transactions.

Owns the choice of engine; what is special to one lies in its adapter (:mod:`.sqlite`, :mod:`.postgres`,
:mod:`.mysql`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Protocol

import sqlalchemy as sa

from xcatd.changes import Changes
from xcatd.rights import ALL, Rights

from . import schema, statements, transaction
from .errors import DatabaseError
from .location import Location
from .schema import OWN_TABLES, TABLES, Table
from .sheet import Row, Sheet
from .snapshot import Snapshot
from .sqlite import BUSY_TIMEOUT, SqliteAdapter
from .transaction import Transaction, check_permitted
from .watching import Observer, RowChange, WatchedTransaction

_log = logging.getLogger(__name__)


class Adapter(Protocol):
    """What an engine must be able to do."""

    def create(self, tables: Iterable[Table]) -> None:
        """Create missing tables and add missing columns."""

    def others(self, known: Collection[str]) -> list[Table]:
        """The tables of the database beside the known ones and our own, as they are found there."""

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

    def __init__(self, adapter: Adapter, location: Location, rights: Rights = ALL) -> None:
        self._adapter = adapter
        self.location = location
        self._observer: Observer | None = None
        self._defined: Mapping[str, Table] = {}
        self._rights = rights

    def limited(self, rights: Rights) -> Database:
        """The same database for a request with these rights: it refuses to write beyond them.

        Refusing raises :class:`xcatd.rights.NotPermittedError`, and nothing of the transaction is stored.
        """
        if rights is ALL:
            return self
        other = Database(self._adapter, self.location, rights)
        other.define(self._defined.values())
        if self._observer is not None:
            other.observe(self._observer)
        return other

    def check_writing(self, changes: Changes) -> None:
        """Raise :class:`xcatd.rights.NotPermittedError` unless all these rows may be written."""
        check_permitted(self._rights, self.table, changes)

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

    def observe(self, observer: Observer) -> None:
        """Have this told of what is written; before anybody uses the database."""
        self._observer = observer

    def define(self, tables: Iterable[Table]) -> None:
        """Know the administrator's own tables (:mod:`.definitions`); before anybody uses the database."""
        self._defined = {table.name: table for table in tables}

    def user_tables(self) -> Mapping[str, Table]:
        """The administrator's own tables by name: defined ones, and those that simply exist.

        Raises DatabaseError.
        """
        found = self._adapter.others((*TABLES, *self._defined))
        return {**self._defined, **{table.name: table for table in found}}

    def table(self, name: str) -> Table:
        """What is known of a table, xCAT's or the administrator's; raises KeyError for any other name."""
        known = self._defined.get(name)
        if known is None and name not in TABLES and name not in OWN_TABLES:
            known = self.user_tables().get(name)
        return known or schema.table(name)

    def create_missing_tables(self, names: Iterable[str] | None = None) -> None:
        """Create tables and columns as xCAT does at start.

        All tables, and the journal's, by default.  One of the administrator's that the database does not take
        is told of in the log and left out: it must not keep everybody from working.
        """
        wanted = (*TABLES, *OWN_TABLES) if names is None else names
        self._adapter.create(self.table(name) for name in wanted)
        for table in self._defined.values() if names is None else ():
            try:
                self._adapter.create([table])
            except DatabaseError as error:
                _log.error("cannot make table %s as it is defined: %s", table.name, error)

    def add_columns(self, name: str, columns: Sequence[str]) -> None:
        """Add text columns that no definition has to a table; a new table where there is none.

        Raises ValueError for what cannot be a name.
        """
        wrong = [text for text in (name, *columns) if not schema.is_name(text)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} cannot be the name of a table or column")
        try:
            table = self.table(name)
        except KeyError:
            table = Table(name, (), (), found=True)
        if table.own:
            raise ValueError(f"{name!r} is not a table for others")
        self._rights.check_rows(name, None)
        new = tuple(column for column in columns if column not in table.columns)
        self._adapter.create([replace(table, columns=(*table.columns, *new))])

    def read(self, tables: Iterable[str]) -> Snapshot:
        """All rows of these tables, one SELECT each; a table that does not exist is empty.

        Where one of them is looked up by node, nodelist and site are read along: effective values need
        them.  Raises KeyError for a table outside the schema, DatabaseError when reading fails.
        """
        wanted = {name: self.table(name) for name in tables}
        if any(table.node_column for table in wanted.values()):
            wanted |= {name: schema.table(name) for name in ("nodelist", "site")}
        return Snapshot(self._adapter.read(list(wanted.values())))

    @contextmanager
    def transaction(self, *tables: str) -> Iterator[Transaction]:
        """Exclusive writing to these tables: stored on leaving, undone by any exception.

        Others' locks are waited for; raises DatabaseError when they last too long, and for more tables
        than one transaction can join (ten files of the SQLite layout).
        """
        wanted = {name: self.table(name) for name in tables}
        observer = self._observer
        # Asked before anything is locked: the table that says what is watched may be among these.
        watched = observer.watched() if observer is not None else {}
        if watched.keys().isdisjoint(wanted):
            with self._adapter.transaction(list(wanted.values())) as (connection, targets):
                yield Transaction(connection, targets, wanted, self._rights)
            changes: list[RowChange] = []
        else:
            with self._adapter.transaction(list(wanted.values())) as (connection, targets):
                watching = WatchedTransaction(connection, targets, wanted, watched, self._rights)
                yield watching
            changes = watching.changes
        if observer is not None:
            observer.committed(tuple(wanted), changes)

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
