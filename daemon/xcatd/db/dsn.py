"""The data source name of a server's location, such as ``dbname=xcatdb;host=10.0.0.1;port=5432``.

Splits it; what a pair means is the engine's business.
"""

from __future__ import annotations

from .errors import DatabaseError
from .location import Location

#: Another spelling of the database's name in either engine's DSN.
_NAMES = {"db": "dbname", "database": "dbname", "hostname": "host"}


def pairs(location: Location) -> dict[str, str]:
    """The pairs by name, the account's user and password among them; raises DatabaseError.

    A name without a value is that of the database, as DBI allows.
    """
    found: dict[str, str] = {}
    for part in filter(None, location.dsn.split(";")):
        name, equals, value = (text.strip() for text in part.partition("="))
        if not equals:
            name, value = "dbname", name
        found[_NAMES.get(name, name)] = value
    account = {"user": location.user, "password": location.password}
    found |= {name: value for name, value in account.items() if value}
    if not found.get("dbname"):
        raise DatabaseError(
            f"cannot use the database {location.describe()}: the setting names no database; "
            "it must look like Pg:dbname=xcatdb;host=10.0.0.1|user|password"
        )
    return found


def port(location: Location, text: str) -> int:
    """A port number; raises DatabaseError for anything else."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16):
        raise DatabaseError(
            f"cannot use the database {location.describe()}: {text!r} is not a port number"
        )
    return int(text)
