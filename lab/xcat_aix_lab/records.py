"""The lab's xCAT database: filling it once, and what it says of who serves whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xcat_aix_lab.cluster import Rows
from xcatd.db.database import Database
from xcatd.db.location import Location

# So many tables one transaction of the SQLite layout can write (docs/facts/database.md, Files, columns and
# transactions).
_TABLES_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Served:
    """What the database says of one node; empty where it says nothing."""

    service_nodes: str
    master: str


@contextmanager
def _opened(directory: Path) -> Iterator[Database]:
    database = Database.open(Location("SQLite", directory))
    try:
        yield database
    finally:
        database.close()


def fill(directory: Path, tables: Rows) -> None:
    """Make the database of a new lab; raises ``DatabaseError``."""
    with _opened(directory) as database:
        database.create_missing_tables()
        for names in _batches(list(tables)):
            with database.transaction(*names) as transaction:
                for name in names:
                    transaction.insert(name, tables[name])


def served(directory: Path) -> dict[str, Served]:
    """Who serves each node, by the database."""
    with _opened(directory) as database:
        snapshot = database.read(["noderes"])
    values = snapshot.values("noderes", ["servicenode", "xcatmaster"])
    return {
        node: Served(
            row["servicenode"].text if "servicenode" in row else "",
            row["xcatmaster"].text if "xcatmaster" in row else "",
        )
        for node, row in values.items()
    }


def _batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _TABLES_AT_ONCE):
        yield names[start : start + _TABLES_AT_ONCE]
