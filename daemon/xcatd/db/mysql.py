"""xCAT's database on MariaDB or MySQL (``mysql:`` in cfgloc; docs/facts/database.md, Finding the database;
Files, columns and transactions).

Everything special to them is here; the rest is in :mod:`.server`.  The driver is PyMySQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import StatementError
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import ColumnElement, quoted_name

from . import dsn, server
from .ddl import Spelling
from .errors import DatabaseError
from .location import Location
from .schema import Table
from .server import Columns, ServerTrouble
from .statements import StoredText

#: Error numbers: cannot connect, gone away, lost, killed, shutting down, too many connections.
_LOST = frozenset({2002, 2003, 2006, 2013, 2014, 2055, 4031, 1927, 1053, 1040, 1203, 1226, 3169})
#: Deadlock; and a table or column that somebody else has just made.
_CLASH = frozenset({1213, 1050, 1060, 1061})
_BUSY = frozenset({1205})

#: The columns of one table.  Asked for by equality the server opens that table alone, else all of them.
_COLUMNS = (
    "SELECT t.table_name AS in_table, t.engine AS storage, c.column_name AS named, "
    "LOWER(c.data_type) AS kind, c.ordinal_position AS place "
    "FROM information_schema.tables t, information_schema.columns c "
    "WHERE t.table_schema = DATABASE() AND t.table_name = :{0} "
    "AND c.table_schema = DATABASE() AND c.table_name = :{0}"
)

_KEYS = sa.text(
    "SELECT t.table_name AS in_table, k.column_name AS named FROM information_schema.tables t "
    "LEFT JOIN information_schema.statistics k ON k.table_schema = t.table_schema "
    "AND k.table_name = t.table_name AND k.index_name = 'PRIMARY' "
    "WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' "
    "ORDER BY t.table_name, k.seq_in_index"
)

#: Row locks also cover the gaps where others would insert; reads come from one moment.
_REPEATABLE = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"

#: Key of a connection's notes that has the names of its locks.
_HELD = "xcatd locks"

#: Where the server of this machine listens; ``localhost`` means it, as in xCAT's driver.
_SOCKETS = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # noqa: S108 - the vendor's place

#: DSN pairs of DBD::mysql, by what PyMySQL calls them.
_PAIRS = {
    "dbname": "database",
    "host": "host",
    "user": "user",
    "password": "password",
    "port": "port",
    "mysql_socket": "unix_socket",
    "mysql_ssl_ca_file": "ssl_ca",
    "mysql_ssl_client_cert": "ssl_cert",
    "mysql_ssl_client_key": "ssl_key",
    "mysql_read_default_file": "read_default_file",
    "mysql_read_default_group": "read_default_group",
}

#: Pairs that make no difference here.
_IGNORED = frozenset(
    {"mysql_auto_reconnect", "mysql_enable_utf8", "mysql_enable_utf8mb4", "mysql_server_prepare"}
)


def _bytes(name: ColumnElement[Any]) -> ColumnElement[Any]:
    """The bytes of a text in UTF-8, whatever the column's character set and collation."""
    text = sa.cast(name, mysql.CHAR(charset="utf8mb4"))
    return sa.type_coerce(sa.cast(text, sa.LargeBinary()), sa.Text())


class MysqlText(StoredText):
    """Text, which MariaDB compares without regard to case and to blanks at the end.

    xCAT means the exact text: ``n1`` is not ``N1``.  The first comparison finds the row by its key, the
    second one tells whether it is the one.
    """

    class Comparator(sa.Text.Comparator[str]):
        """Equality by bytes."""

        def operate(self, op: Any, *other: Any, **options: Any) -> ColumnElement[Any]:
            """The usual, and for equality the bytes' too."""
            loose: ColumnElement[Any] = super().operate(op, *other, **options)
            if op is operators.eq or op is operators.in_op:
                return sa.and_(loose, op(_bytes(self.expr), *other))
            return loose

    comparator_factory = Comparator

    def in_byte_order(self, name: ColumnElement[Any]) -> ColumnElement[Any]:
        """Ordered by bytes."""
        return _bytes(name)


_TEXT, _NUMBER = MysqlText(), server.WholeNumber()

_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    **dict.fromkeys(("text", "tinytext", "mediumtext", "longtext", "varchar", "char"), _TEXT),
    **dict.fromkeys(("int", "bigint", "smallint", "mediumint", "tinyint"), _NUMBER),
}


class MysqlAdapter(server.ServerAdapter):
    """One MariaDB or MySQL database."""

    spelling = Spelling(quote="`", auto="INTEGER AUTO_INCREMENT", own_text="LONGTEXT")

    def __init__(self, location: Location, *, busy_timeout: float, **options: Any) -> None:
        if find_spec("pymysql") is None:
            raise DatabaseError(
                f"cannot use the database {location.describe()}: the MariaDB driver is not "
                "installed; install it with pip install 'xcat-aix[mariadb]'"
            )
        arguments = _arguments(location, busy_timeout)
        self._database = arguments["database"]
        self._storage: dict[str, str | None] = {}  # storage engines by table, as last seen
        engine = server.engine("mysql+pymysql://", wait=busy_timeout, connect_args=arguments)
        super().__init__(location, engine, busy_timeout=busy_timeout, **options)

    def _columns(self, connection: sa.Connection, names: Sequence[str]) -> dict[str, Columns]:
        given = {f"name{place}": name for place, name in enumerate(names)}
        statement = sa.text(" UNION ALL ".join(map(_COLUMNS.format, given)))
        rows = connection.execute(statement, given).mappings()
        found = sorted(rows, key=lambda row: (row["in_table"], row["place"]))
        self._storage.update({row["in_table"]: row["storage"] for row in found})
        return server.by_table(found, _TYPES)

    def _keys(self, connection: sa.Connection) -> dict[str, list[str]]:
        return server.keys_by_table(connection.execute(_KEYS).mappings())

    def _begin_reading(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(_REPEATABLE)
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def _begin_writing(self, connection: sa.Connection, tables: Sequence[Table]) -> None:
        """Locks by name among programs of our kind, and on all rows against others.

        Row locks alone would not do: two transactions may lock the same empty table.  Tables that only grow
        are not locked row by row, others' new rows do not matter there.
        """
        self._refuse_untransactional(tables)
        for table in tables:
            self._lock(connection, table.name)
        connection.exec_driver_sql(_REPEATABLE)
        connection.exec_driver_sql("START TRANSACTION")
        for table in tables:
            if table.auto_key is None and not table.own:
                rows = sa.table(quoted_name(table.name, quote=True))
                connection.execute(sa.select(sa.func.count()).select_from(rows).with_for_update())

    def _begin_defining(self, connection: sa.Connection) -> None:
        self._lock(connection, "")  # definitions commit themselves

    def _end(self, connection: sa.Connection) -> None:
        for lock in connection.info.pop(_HELD, ()):
            connection.execute(sa.text("SELECT RELEASE_LOCK(:lock)"), {"lock": lock})

    def _lock(self, connection: sa.Connection, name: str) -> None:
        # Locks belong to the whole server, and their names must be short.
        digest = hashlib.sha256(f"{self._database}.{name}".encode()).hexdigest()[:40]
        lock, wait = f"xcatd.{digest}", max(1, round(self._busy_timeout))
        statement = sa.text("SELECT GET_LOCK(:lock, :wait)")
        if connection.execute(statement, {"lock": lock, "wait": wait}).scalar() != 1:
            raise DatabaseError(
                f"cannot use the table {name or 'definitions'} of {self._location.describe()}: another "
                f"program has kept it locked for {wait} seconds; try again"
            )
        connection.info.setdefault(_HELD, []).append(lock)

    def _refuse_untransactional(self, tables: Sequence[Table]) -> None:
        bad = [table.name for table in tables if self._storage.get(table.name) != "InnoDB"]
        if bad:
            raise DatabaseError(
                f"cannot write the tables {', '.join(bad)} of {self._location.describe()}: their storage "
                "engine cannot undo a change; convert each with ALTER TABLE … ENGINE=InnoDB"
            )

    def _judge(self, error: StatementError) -> ServerTrouble:
        number = _number(error)
        if number in _LOST or _is_closed(error):
            return ServerTrouble.LOST
        if number in _CLASH:
            return ServerTrouble.CLASH
        return ServerTrouble.BUSY if number in _BUSY else ServerTrouble.OTHER

    def _cause(self, error: StatementError) -> str:
        arguments: tuple[Any, ...] = getattr(error.orig, "args", ())
        if _is_closed(error) and not _number(error):
            return "the connection is closed"
        return str(arguments[1] if _number(error) else error.orig)


def _number(error: StatementError) -> int:
    """The server's or the driver's number of this error; 0 without one."""
    arguments: tuple[Any, ...] = getattr(error.orig, "args", ())
    return arguments[0] if len(arguments) > 1 and isinstance(arguments[0], int) else 0


def _is_closed(error: StatementError) -> bool:
    return getattr(error, "connection_invalidated", False) is True


def _arguments(location: Location, busy_timeout: float) -> dict[str, Any]:
    pairs = dsn.pairs(location)
    secure = pairs.pop("mysql_ssl", "0") not in {"", "0"}
    unknown = [name for name in pairs if name not in _PAIRS and name not in _IGNORED]
    if unknown:
        raise DatabaseError(
            f"cannot use the database {location.describe()}: this version does not know what "
            f"{unknown[0]} in the setting means"
        )
    given: dict[str, Any] = {_PAIRS[name]: text for name, text in pairs.items() if name in _PAIRS}
    if "port" in given:
        given["port"] = dsn.port(location, given["port"])
    if given.get("host", "localhost") == "localhost" and "port" not in given:
        given.setdefault("unix_socket", next(filter(_is_socket, _SOCKETS), None))
    if secure:
        given.setdefault("ssl", {"check_hostname": False})
    answer = round(busy_timeout) + 30
    return {
        "charset": "utf8mb4",
        "connect_timeout": server.CONNECT_TIMEOUT,
        "read_timeout": answer,
        "write_timeout": answer,
        # A text that does not fit is an error, never cut off.
        "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
        "init_command": f"SET SESSION innodb_lock_wait_timeout = {max(1, round(busy_timeout))}, "
        f"SESSION wait_timeout = {server.IDLE_TIMEOUT}",
        **given,
    }


def _is_socket(path: str) -> bool:
    return Path(path).is_socket()
