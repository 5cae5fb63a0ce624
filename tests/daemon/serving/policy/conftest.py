"""A daemon with every real plugin, and users whom the policy lets do this or that: real sockets, real TLS."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.daemon.serving.conftest import PATIENT, Authority, Cluster, Sample, _fill, _prepare

from xcatd import nodes
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.db.snapshot import Snapshot
from xcatd.main import Daemon, Machine
from xcatd.plugins import PluginHost

#: What everybody may read beside the nodes; so that commands find something to show and change.
TABLES: dict[str, list[dict[str, str]]] = {
    "nodelist": [{"node": f"n{number}", "groups": "compute,all"} for number in range(1, 5)],
    "ipmi": [
        {"node": "n1", "bmc": "n1-bmc", "username": "adm", "password": "s3cret-one"},
        {"node": "n2", "bmc": "n2-bmc", "username": "adm", "password": "s3cret-two"},
    ],
    "nodehm": [{"node": "compute", "mgt": "ipmi", "power": "ipmi"}],
    "noderes": [{"node": "compute", "servicenode": "sn1,sn2", "xcatmaster": "sn1"}],
    "postscripts": [{"node": "xcatdefaults", "postscripts": "syslog"}],
    "policy": [
        {"priority": "1", "name": "root", "rule": "allow"},
        {"priority": "1.2", "name": "mn", "rule": "trusted"},
        {"priority": "3", "name": "few", "noderange": "n1", "rule": "allow"},
        {"priority": "4", "name": "most", "noderange": "n2", "rule": "deny"},
        {"priority": "4.1", "name": "most", "rule": "allow"},
        {
            "priority": "5",
            "name": "reader",
            "commands": "nodels,lsdef,gettab,tabdump",
            "rule": "allow",
        },
        {
            "priority": "6",
            "name": "writer",
            "commands": "nodech,nodeadd,noderm,chdef,mkdef,rmdef,tabch,tabrestore,tabprune,regnotif,unregnotif",
            "rule": "allow",
        },
    ],
}


@dataclass
class Watch:
    """Counts what the daemon looks at."""

    tables: list[str] = field(default_factory=list)
    noderanges: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def clear(self) -> None:
        self.tables.clear()
        self.noderanges.clear()
        self.files.clear()


class Other:
    """A plugin of somebody else, which does not say what it touches."""

    commands = ("foreign",)

    def handle(self, request, context):
        yield from ()


def start(directory: Path, authority: Authority) -> Cluster:
    """A daemon with what is installed."""
    installed = PluginHost.load()
    plugins = {
        handler.name: handler.plugin for found in installed._handlers.values() for handler in found
    }
    machine = Machine("mn", {"XCATCFG": f"SQLite:{directory / 'db'}"}, directory / "mn")
    daemon = Daemon(machine, plugins=PluginHost({**plugins, "foreign": Other()}))
    sock = socket.create_server(("127.0.0.1", 0), backlog=512)
    sock.setblocking(False)
    server = daemon.server([sock], PATIENT, 1024)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()

    def stop() -> None:
        server.stop()
        thread.join(20)
        daemon.close()

    return Cluster(directory, authority, daemon, server, Sample(), sock.getsockname()[1], stop)


def fill(directory: Path, tables: Mapping[str, Iterable[Mapping[str, str]]]) -> None:
    database = Database.open(Location("SQLite", directory))
    for name, rows in tables.items():
        with database.transaction(name) as transaction:
            transaction.clear(name)
            transaction.insert(name, list(rows))
    database.close()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database directory to copy."""
    directory = tmp_path_factory.mktemp("filled")
    _fill(directory)
    return directory


@pytest.fixture
def doors(tmp_path: Path, authority: Authority, filled: Path) -> Iterator[Cluster]:
    """A daemon of its own."""
    _prepare(tmp_path, authority, filled)
    fill(tmp_path / "db", TABLES)
    cluster = start(tmp_path, authority)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def standing(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, filled: Path
) -> Iterator[Cluster]:
    """One daemon for tests that change nothing."""
    directory = _prepare(tmp_path_factory.mktemp("doors") / "top", authority, filled)
    fill(directory / "db", TABLES)
    cluster = start(directory, authority)
    yield cluster
    cluster.stop()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """What the daemon reads, expands and opens from here on."""
    found = Watch()
    read, expand, read_file = Database.read, nodes.expand, nodes.read_file

    def watched_read(self: Database, tables: Iterable[str]) -> Snapshot:
        wanted = list(tables)
        found.tables += wanted
        return read(self, wanted)

    def watched_expand(database, text, **options):
        found.noderanges.append(text)
        return expand(database, text, **options)

    def watched_file(path, *rest):
        found.files.append(path)
        return read_file(path, *rest)

    monkeypatch.setattr(Database, "read", watched_read)
    monkeypatch.setattr(nodes, "expand", watched_expand)
    monkeypatch.setattr(nodes, "read_file", watched_file)
    return found
