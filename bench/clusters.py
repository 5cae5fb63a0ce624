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
from xcatd.db.location import Location

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Site:
    """A directory with database, certificates and, while it runs, a daemon."""

    top: Path
    port: int = 0
    environment_of_lab: Mapping[str, str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What daemon and client need to find each other."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("XCAT")}
        if self.environment_of_lab is not None:
            return {**kept, **self.environment_of_lab}
        return {
            **kept,
            "XCATCFG": f"SQLite:{self.top / 'db'}",
            "XCATHOST": f"127.0.0.1:{self.port}",
            "XCATCLIENTCERTS": str(self.top / "client"),
        }

    def client(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command with the Python client."""
        return subprocess.run(
            [str(BIN / "xcatclient"), *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


def free_port() -> int:
    """A port nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make(top: Path, count: int) -> Site:
    """A cluster of ``count`` AIX nodes served by sn1, with sn2 as the backup."""
    site = Site(top, free_port())
    for name in ("db", "client", "conf/cert"):
        (top / name).mkdir(parents=True)
    certificates.make(top / "conf" / "cert", top / "client", hostname="mn", now=datetime.now(UTC))
    database = Database.open(Location("SQLite", directory=top / "db"))
    database.create_missing_tables()
    try:
        _fill(database, site, count)
    finally:
        database.close()
    return site


def _fill(database: Database, site: Site, count: int) -> None:
    nodes = [f"n{number:05d}" for number in range(1, count + 1)]
    settings = {
        "xcatdport": str(site.port),
        "xcatconfdir": str(site.top / "conf"),
        "master": "mn",
        "domain": "bench.example",
    }
    rows: dict[str, list[dict[str, str]]] = {
        "site": [{"key": key, "value": value} for key, value in settings.items()],
        "policy": [{"priority": "1", "name": "root", "rule": "allow"}],
        "nodelist": [{"node": sn, "groups": "service,all"} for sn in ("sn1", "sn2")],
        "hosts": [
            {"node": sn, "ip": f"127.90.255.{i}", "otherinterfaces": f"{sn}b:127.91.255.{i}"}
            for i, sn in enumerate(("sn1", "sn2"), 1)
        ],
        "networks": [
            {
                "netname": "nodes",
                "net": "127.91.0.0",
                "mask": "255.255.0.0",
                "gateway": "<xcatmaster>",
            }
        ],
        "nodetype": [],
        "noderes": [],
        "nodehm": [{"node": "compute", "power": "hmc", "mgt": "hmc"}],
        "postscripts": [{"node": "xcatdefaults", "postscripts": "syslog,aixremoteshell"}],
        "osimage": [{"imagename": "aix73", "imagetype": "NIM", "osname": "AIX"}],
        "nimimage": [{"imagename": "aix73", "nimtype": "standalone", "spot": "aix73"}],
        "mac": [],
        "vpd": [],
    }
    for number, node in enumerate(nodes):
        address = f"127.91.{number // 250}.{number % 250 + 1}"
        rows["nodelist"].append({"node": node, "groups": "compute,aix,all", "status": "booted"})
        rows["hosts"].append({"node": node, "ip": address})
        rows["nodetype"].append(
            {"node": node, "os": "AIX", "arch": "ppc64", "provmethod": "aix73", "profile": "aix73"}
        )
        rows["noderes"].append(
            {
                "node": node,
                "servicenode": "sn1,sn2",
                "xcatmaster": "sn1b",
                "nfsserver": "sn1b",
                "tftpserver": "sn1b",
                "monserver": "sn1,sn1b",
            }
        )
        rows["nodehm"].append({"node": node, "cons": "hmc", "conserver": "sn1"})
        rows["mac"].append(
            {
                "node": node,
                "mac": f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
            }
        )
        rows["vpd"].append({"node": node, "serial": f"S{number:06d}", "mtm": "9009-42A"})
    for table, some in rows.items():
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
