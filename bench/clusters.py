"""A cluster's database and certificates of any size, and the daemon that serves them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from xcat_aix_lab import certificates
from xcatd.db.database import Database
from xcatd.db.location import parse

from . import rows

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Site:
    """A directory with database, certificates and, while it runs, a daemon."""

    top: Path
    port: int = 0
    setting: str = ""
    environment_of_lab: Mapping[str, str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What daemon and client need to find each other."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("XCAT")}
        if self.environment_of_lab is not None:
            return {**kept, **self.environment_of_lab}
        return {
            **kept,
            "XCATCFG": self.setting,
            "XCATHOST": f"127.0.0.1:{self.port}",
            "XCATCLIENTCERTS": str(self.top / "client"),
        }

    def client(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run one command with the Python client."""
        return subprocess.run(
            [str(BIN / "xcatclient"), *words],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def good(self, *words: str, stdin: str = "") -> str:
        """The output of a command that must succeed."""
        done = self.client(*words, stdin=stdin)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def refused(self, *words: str) -> None:
        """Run a command that must fail."""
        done = self.client(*words)
        if done.returncode != 1:
            raise RuntimeError(f"{' '.join(words)}: {done.returncode} instead of 1: {done.stderr}")


def free_port() -> int:
    """A port nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make(top: Path, count: int, setting: str = "") -> Site:
    """A cluster of ``count`` nodes (see :mod:`.rows`) in an empty database; by default in SQLite's files."""
    site = Site(top, free_port(), setting=setting or f"SQLite:{top / 'db'}")
    for name in ("db", "client", "conf/cert"):
        (top / name).mkdir(parents=True, exist_ok=True)
    certificates.make(top / "conf" / "cert", top / "client", hostname="mn", now=datetime.now(UTC))
    database = Database.open(parse(site.setting))
    database.create_missing_tables()
    try:
        _fill(database, site, count)
    finally:
        database.close()
    return site


def _fill(database: Database, site: Site, count: int) -> None:
    settings = {
        "xcatdport": str(site.port),
        "xcatconfdir": str(site.top / "conf"),
        "master": "mn",
        "domain": "bench.example",
    }
    found = rows.fixed(settings)
    for table, row in rows.of_nodes(count):
        found.setdefault(table, []).append(row)
    for table, some in found.items():
        with database.transaction(table) as transaction:
            transaction.insert(table, some)


@contextlib.contextmanager
def daemon(site: Site) -> Iterator[int]:
    """The daemon, running; yields its process id."""
    with (
        (site.top / "xcatd.log").open("w") as log,
        subprocess.Popen(
            [str(BIN / "xcatd"), "-f", "-p", str(site.top / "xcatd.pid")],
            env=site.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            if process.stdout is None or "ready" not in process.stdout.readline():
                raise RuntimeError((site.top / "xcatd.log").read_text())
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)
