"""xCAT's database on PostgreSQL (``Pg:`` in cfgloc; docs/facts/database.md, Finding the database; Files,
columns and transactions).

Everything special to PostgreSQL is here; the rest is in :mod:`.server`.  The driver is psycopg 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import StatementError
from sqlalchemy.sql.elements import ColumnElement

from . import dsn, server
from .ddl import Spelling
from .errors import DatabaseError
from .location import Location
from .schema import Table
from .server import Columns, ServerTrouble
from .statements import StoredText

#: SQLSTATEs, by what they mean to us: cannot_connect_now, too_many_connections, and the ends of a session
#: by an administrator, a crash, a dropped database and being idle; classes 08 are connections.
_LOST = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04", "53300"})
#: serialization_failure, deadlock_detected; and what a table made twice at once ends in.
_CLASH = frozenset({"40001", "40P01", "42P07", "42701", "23505-pg_type"})
_BUSY = frozenset({"55P03"})

#: Words of a refusal that another attempt can overcome; the rest are about the account or the name.
_PASSING = ("starting up", "shutting down", "recovery", "too many", "connection slots")

_COLUMNS = sa.text(
    "SELECT c.relname::text AS in_table, a.attname::text AS named, t.typname::text AS kind FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
    "JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
    "WHERE c.relname IN :names AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
    "AND pg_catalog.pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped "
    "ORDER BY c.relname, a.attnum"
).bindparams(sa.bindparam("names", expanding=True))

_KEYS = sa.text(
    "SELECT c.relname::text AS in_table, a.attname::text AS named FROM pg_catalog.pg_class c "
    "LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary "
    "LEFT JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, place) ON true "
    "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number "
    "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition "
    "AND c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(current_schema())) "
    "ORDER BY c.relname, k.place"
)

#: Any number does; all of ours use this one.
_DEFINING = 0x78434154


class PostgresText(StoredText):
    """Text, which PostgreSQL compares by bytes but orders by language."""

    def in_byte_order(self, name: ColumnElement[Any]) -> ColumnElement[Any]:
        """Ordered as C does."""
        return name.collate("C")


class PostgresOther(sa.types.UserDefinedType[str]):
    """A type that only tables of others have: read as the server writes it, which it takes again."""

    cache_ok = True

    def column_expression(self, name: ColumnElement[Any]) -> ColumnElement[Any]:
        """The server's own text of it."""
        return sa.cast(name, sa.Text)


_TEXT, _NUMBER = PostgresText(), server.WholeNumber()

_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name"), _TEXT),
    **dict.fromkeys(("int2", "int4", "int8"), _NUMBER),
}


class PostgresAdapter(server.ServerAdapter):
    """One PostgreSQL database."""

    spelling = Spelling(quote='"', auto="SERIAL")

    def __init__(self, location: Location, *, busy_timeout: float, **options: Any) -> None:
        if find_spec("psycopg") is None:
            raise DatabaseError(
                f"cannot use the database {location.describe()}: the PostgreSQL driver is not "
                "installed; install it with pip install 'xcat-aix[postgresql]'"
            )
        engine = server.engine(
            "postgresql+psycopg://", wait=busy_timeout, connect_args=_arguments(location)
        )
        # Many rows in one INSERT, instead of one after the other.
        engine.dialect.use_insertmanyvalues_wo_returning = True
        sa.event.listen(engine, "connect", _session(busy_timeout))
        super().__init__(location, engine, busy_timeout=busy_timeout, **options)

    def _columns(self, connection: sa.Connection, names: Sequence[str]) -> dict[str, Columns]:
        found = connection.execute(_COLUMNS, {"names": list(names)}).mappings()
        return server.by_table(found, _TYPES, PostgresOther())

    def _keys(self, connection: sa.Connection) -> dict[str, list[str]]:
        return server.keys_by_table(connection.execute(_KEYS).mappings())

    def _begin_reading(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def _begin_writing(self, connection: sa.Connection, tables: Sequence[Table]) -> None:
        # Readers go on, writers of every kind wait: xCAT's own UPDATEs take a conflicting lock.
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")
        names = ", ".join(f'"{table.name}"' for table in tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")

    def _begin_defining(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(f"SELECT pg_catalog.pg_advisory_xact_lock({_DEFINING})")

    def _judge(self, error: StatementError) -> ServerTrouble:
        state = getattr(error.orig, "sqlstate", None)
        if state is None:
            return ServerTrouble.LOST if _is_connection(error) else ServerTrouble.OTHER
        if state in _LOST or state.startswith("08"):
            return ServerTrouble.LOST
        if state in _CLASH:
            return ServerTrouble.CLASH
        return ServerTrouble.BUSY if state in _BUSY else ServerTrouble.OTHER

    def _cause(self, error: StatementError) -> str:
        diagnosis = getattr(error.orig, "diag", None)
        # The details that may follow quote rows.
        primary: str | None = getattr(diagnosis, "message_primary", None)
        return primary or " ".join(str(error.orig).split())


def _is_connection(error: StatementError) -> bool:
    """Whether this is about the connection, and not refused by a server that is there to refuse."""
    import psycopg  # noqa: PLC0415 - only where a PostgreSQL database is used

    if not isinstance(error.orig, psycopg.OperationalError):
        return False
    text = str(error.orig)
    return "FATAL" not in text or any(words in text for words in _PASSING)


def _arguments(location: Location) -> dict[str, Any]:
    """The parameters of libpq, which knows what DSN pairs there are."""
    pairs = dsn.pairs(location)
    if "port" in pairs:
        pairs["port"] = str(dsn.port(location, pairs["port"]))
    return {
        "connect_timeout": server.CONNECT_TIMEOUT,
        "application_name": "xcatd",
        # A server that is gone without a word is noticed after half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "prepare_threshold": None,  # connection poolers cannot keep prepared statements
        **pairs,
        "client_encoding": "utf8",
    }


def _session(busy_timeout: float) -> Any:
    settings = {
        "lock_timeout": f"{busy_timeout * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{server.IDLE_TIMEOUT}s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "4",
    }

    def prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            for name, value in settings.items():
                cursor.execute(f"SET {name} = '{value}'")
        connection.commit()

    return prepare
