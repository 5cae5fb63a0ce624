"""Where a cluster's database lies, for each engine; servers are those of the tests."""

from __future__ import annotations

from pathlib import Path

from tests.servers import Servers

from xcatd.db.location import Location

ENGINES = ("sqlite", "postgres", "mariadb")


class Engines:
    """Places for databases; servers start when first asked for, and end with :meth:`close`."""

    def __init__(self) -> None:
        self._servers = Servers()

    def setting(self, engine: str, top: Path) -> str:
        """What XCATCFG says of a new, empty database."""
        if engine == "sqlite":
            (top / "db").mkdir(parents=True, exist_ok=True)
            return f"SQLite:{top / 'db'}"
        return _setting(self._servers.get(engine).new())

    def close(self) -> None:
        """End the servers."""
        self._servers.close()


def _setting(location: Location) -> str:
    return f"{location.engine}:{location.dsn}|{location.user}|{location.password}"
