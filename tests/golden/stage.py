"""From a run's file to a cluster that it can run on: the lab's hosts with real agents, and a database with a daemon."""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from xcat_aix_agent.shell import Commands, Completed
from xcat_aix_lab.crew import Crew, Papers
from xcat_aix_lab.inprocess import ModelCommands
from xcat_aix_lab.sim.commands import operation_of
from xcat_aix_lab.sim.faults import FAIL, Fault
from xcat_aix_lab.sim.objects import MACHINES, READY, SimulatedObject
from xcat_aix_lab.sim.state import state_of
from xcat_aix_lab.sim.store import MemoryStore
from xcat_aix_lab.staging import Client, Stage, store_of
from xcatd.client import commands as client_commands
from xcatd.client.printer import Printer
from xcatd.context import SystemClock
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.db.schema import TABLES
from xcatd.db.snapshot import Snapshot
from xcatd.plugins import PluginHost
from xcatd.serving.guesses import Guesses
from xcatd.serving.peernames import PeerName
from xcatd.serving.session import Services, Session
from xcatd.wire.requests import RequestReader
from xcatd.wire.stream import ResponseReader
from xcatd.wire.tree import DocumentLimits, layout

from . import lines

Run = Mapping[str, Any]

#: Rows that the recording's own programs needed not; they are there before and after.
_POLICY = {"priority": "1", "name": "root", "rule": "allow"}
_RECORDS = frozenset(["auditlog", "hosts", "policy"])

#: What is in a file of which only the name was recorded.
_UNKNOWN = "recorded\n"

#: Seconds for a simulated command.
_LIMIT = 60.0


def plan_of(run: Run) -> Stage:
    """What the run says of its cluster."""
    tables = Snapshot.from_rows({table: run["db_before"].get(table, ()) for table in _NEEDED})
    return Stage(
        management=_management(run, tables),
        hosts=run["hosts"],
        interfaces=run["interfaces"],
        nim=run["nim_state_before"],
        clients=dict(_clients(run, tables)),
        networks=[
            (row["net"] or "", row["mask"] or "")
            for row in tables.rows("networks")
            if row.get("net") and row.get("mask")
        ],
        down=frozenset(run["down"]),
    )


_NEEDED = ("site", "nodelist", "noderes", "nodetype", "nimimage", "networks")


def _management(run: Run, tables: Snapshot) -> str:
    """The host at site.master."""
    master = tables.site.get("master", "")
    for name, found in run["interfaces"].items():
        if name == master or any(line.split()[1] == master for line in found):
            return str(name)
    raise ValueError(f"no host has the address {master!r} of site.master")


def _clients(run: Run, tables: Snapshot) -> Iterator[tuple[str, Client]]:
    """The nodes that are no NIM master and have an address."""
    named = {name for line in run["hosts"] for name in line.split()[1:]}
    images = {row.get("imagename"): row for row in tables.rows("nimimage")}
    noderes = tables.texts("noderes", ("servicenode", "xcatmaster"), tables.nodes)
    nodetype = tables.texts("nodetype", ("provmethod",), tables.nodes)
    for node in tables.nodes:
        if node not in named or node in run["interfaces"] or node in run["nim_state_before"]:
            continue
        own = noderes.get(node, {})
        image = images.get(nodetype.get(node, {}).get("provmethod"), {})
        yield (
            node,
            Client(
                master=own.get("xcatmaster") or own.get("servicenode", "").partition(",")[0],
                is_diskless=image.get("nimtype", "standalone") != "standalone",
            ),
        )


def known_clients(run: Run) -> Iterator[tuple[str, str]]:
    """(name, master) of each niminit of the recording: there every master knows every client.

    The recorded niminit and nimclient are fakes that ask no master.  Ours make sure that the master answers for
    the client, so it has to have been defined there, as it would have been by nimnodeset.
    """
    for one in run["other_commands"]:
        if one.get("cmd") == "niminit" and one.get("rc") == 0:
            given = dict(word.partition("=")[::2] for word in one["argv"] if "=" in word)
            yield given["name"], given["master"]


def _scripts(run: Run) -> set[str]:
    """Every postscript that the tables or the recorded commands name."""
    found: set[str] = set()
    for row in run["db_before"].get("postscripts", ()):
        found.update(f"{row.get('postscripts', '')},{row.get('postbootscripts', '')}".split(","))
    for one in run["other_commands"]:
        if one.get("sub") == "updatenode" and one["arg"][:1] == ["-P"]:
            found.update(one["arg"][1].split(","))
    return {name.split()[0] for name in found if name.strip()}


def store_for(run: Run, stage: Stage, roots: Path) -> MemoryStore:
    """The simulated hosts before the run."""
    store = store_of(stage, roots)
    for name, master in known_clients(run):
        _define_client(store, name, master)
    for name in stage.clients:
        for script in _scripts(run):
            path = f"/xcatpost/{script}"
            store.files(name).write(path, "#!/bin/sh\n")
            (roots / name / path.lstrip("/")).chmod(0o755)
    for host, paths in run["files_written"].items():
        for path in paths:
            if lines.is_staged(run, host, path):
                store.files(host).write(path, _UNKNOWN)
    return store


def _define_client(store: MemoryStore, name: str, master: str) -> None:
    found = store.topology.find(master)
    database = store.nim(found[0]) if found else None
    if found is None or database is None or name in database.objects:
        return
    attributes = {"connect": "nimsh", "if1": f"find_net {name} 0", "Cstate": READY}
    changed = database.draft()
    changed.add(SimulatedObject(name, MACHINES, "standalone", attributes))
    store.save_nim(found[0], changed)


# The NIM commands of the recording


def nim_commands(run: Run) -> Iterator[tuple[str, list[str], int]]:
    """(host, argv, exit code) of what changed NIM on masters; hosts are set up first."""
    for one in run["other_commands"]:
        if one.get("cmd") in lines.NIM_PROGRAMS:
            yield one["host"], [one["cmd"], *one["argv"]], one["rc"]
    for one in run["nim_commands"]:
        yield one["host"], [lines.program(one["argv"][0]), *one["argv"][1:]], one["rc"]


def break_as_recorded(run: Run, stage: Stage, store: MemoryStore, scratch: Path) -> None:
    """What failed in the recording and would not by itself fails here too, as often.

    To know which these are the recorded commands are run on hosts of their own first.
    """
    if not any(rc for _, _, rc in nim_commands(run)):
        return
    trial = store_for(run, stage, scratch)
    for host, argv, rc in nim_commands(run):
        before = trial.nim(host)
        done = ModelCommands(trial, host).run(argv, timeout=_LIMIT)
        if rc and not done.rc:
            trial.save_nim(host, before)
            faults = store.faults(host)
            text = "failed in the recording"
            rule = Fault(
                argv[0],
                FAIL,
                operation=operation_of(argv[1:]),
                number=rc,
                text=text,
                times=1,
                word=argv[-1],
            )
            faults.rules.append(rule)
            store.save_faults(host, faults)


# The commands that run


@dataclass(slots=True)
class Log:
    """The commands of all hosts, in the order of their ends."""

    entries: list[tuple[str, tuple[str, ...], int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, host: str, argv: Sequence[str], rc: int) -> None:
        with self._lock:
            self.entries.append((host, tuple(argv), rc))

    def lines(self) -> list[str]:
        """One line each; the postscripts that one host runs one after the other are one line."""
        found: list[str] = []
        for host, argv, _ in self.entries:
            if "/xcatpost/" not in argv[0]:
                found.append(lines.ran(host, argv))
                continue
            script = ",".join([lines.program(argv[0]), *argv[1:]])
            before = next((one for one in reversed(found) if one.split()[1] == host), "")
            if before.startswith(f"run {host} postscripts "):
                found[len(found) - 1 - found[::-1].index(before)] = f"{before},{script}"
            else:
                found.append(f"run {host} postscripts {script}")
        return found


@dataclass(frozen=True, slots=True)
class _Logged:
    """Commands that are noted."""

    inner: Commands
    host: str
    log: Log

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        done = self.inner.run(argv, **more)
        self.log.add(self.host, argv, done.rc)
        return done


class LoggingCrew(Crew):
    """Agents whose commands are noted."""

    log: Log

    def commands(self, name: str) -> Commands:
        return _Logged(super().commands(name), name, self.log)


# The database and the daemon


@functools.cache
def _papers() -> Papers:
    return Papers.create(datetime.now(UTC))


@functools.cache
def _empty_database() -> tempfile.TemporaryDirectory[str]:
    """All of xCAT's tables, to be copied."""
    directory = tempfile.TemporaryDirectory(prefix="golden-")
    database = Database.open(Location("SQLite", Path(directory.name)))
    database.create_missing_tables()
    database.close()
    return directory


def open_database(run: Run, stage: Stage, directory: Path) -> Database:
    """The tables before the run.  Names have their addresses in the table hosts, as makehosts would know them."""
    shutil.copytree(_empty_database().name, directory)
    database = Database.open(Location("SQLite", directory))
    tables = {**run["db_before"], "hosts": _hosts_rows(stage), "policy": [_POLICY]}
    for name, rows in tables.items():
        if rows:
            with database.transaction(name) as transaction:
                transaction.insert(name, rows)
    return database


def _hosts_rows(stage: Stage) -> list[dict[str, str]]:
    topology = stage.topology()
    rows: dict[str, dict[str, str]] = {}
    addresses = stage.addresses()
    for node in topology.kinds:
        own = addresses.get(node)
        others = [
            (name, address)
            for name, (host, address) in topology.names.items()
            if host == node and name not in (node, address)
        ]
        rows[node] = {
            "node": node,
            "ip": own or "",
            "hostnames": " ".join(name for name, address in others if address == own),
            "otherinterfaces": ",".join(
                f"{name}:{address}" for name, address in others if address != own
            ),
        }
    return [{column: text for column, text in row.items() if text} for row in rows.values()]


def _tables(database: Database) -> dict[str, list[dict[str, str | None]]]:
    names = [name for name in TABLES if name not in _RECORDS]
    snapshot = database.read(names)
    return {
        name: [dict(row) for row in snapshot.rows(name, include_disabled=True)] for name in names
    }


class _Caller:
    """Root on the management node."""

    user = "root"
    address = "127.0.0.1"
    port = 0
    is_lost = False

    def __init__(self) -> None:
        self.cancelled = threading.Event()


class _Channel:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.connection = _Caller()
        self.sent = bytearray()

    def send(self, document: bytes) -> None:
        self.sent += document

    end = send


class _NoRecords:
    """Nobody audits here."""

    def write(self, entry: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Said:
    """What the user sees."""

    stdout: str
    stderr: str
    rc: int


class Theatre:
    """One staged run.  Use as a context manager."""

    def __init__(self, run: Run, plugins: PluginHost) -> None:
        self.run = run
        self.stage = plan_of(run)
        self._plugins = plugins
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        place = Path(self._undo.enter_context(tempfile.TemporaryDirectory(prefix="golden-")))
        self.roots = place / "roots"
        self.store = store_for(self.run, self.stage, self.roots)
        break_as_recorded(self.run, self.stage, self.store, place / "trial")
        self.topology = self.store.topology
        self.database = open_database(self.run, self.stage, place / "db")
        self._undo.callback(self.database.close)
        self.log = Log()
        self.crew = LoggingCrew(self.store, self.roots, place / "agents", _papers())
        self.crew.log = self.log
        self._undo.callback(self.crew.close)
        self.crew.start(name for name in self.topology.kinds if name not in self.stage.down)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def play(self) -> list[str]:
        """Run the command, and tell everything that it did."""
        tables, states, files = _tables(self.database), self._states(), self._files()
        said = self._command(self.run["argv"])
        return [
            *self.log.lines(),
            *self._changed_states(states),
            *lines.database(tables, _tables(self.database)),
            *self._changed_files(files),
            *lines.said(said.stdout, said.stderr, said.rc),
        ]

    def play_nim(self) -> list[str]:
        """Run the recorded NIM commands themselves on the simulated hosts: whether the stage is good enough.

        Files are there as they were after the run: what was copied is not copied here.
        """
        for host, paths in self.run["files_written"].items():
            for path in paths:
                if self.store.files(host).read(path) is None:
                    self.store.files(host).write(path, _UNKNOWN)
        states = self._states()
        told = [lines.returned(*one) for one in self._nim_results()]
        return [*told, *self._changed_states(states)]

    def _nim_results(self) -> Iterator[tuple[str, Sequence[str], int]]:
        for host, argv, _ in nim_commands(self.run):
            yield host, argv, ModelCommands(self.store, host).run(argv, timeout=_LIMIT).rc

    def _changed_states(self, before: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        for host, after in self._states().items():
            yield from lines.state(host, before[host], after)

    def _changed_files(self, before: Mapping[str, Mapping[str, bytes]]) -> Iterator[str]:
        known = _known_texts(self.run)
        for host, after in self._files().items():
            yield from lines.files(host, before[host], after, known.get(host, frozenset()))

    def _command(self, argv: Sequence[str]) -> Said:
        """What the real client prints for what the real daemon answers."""
        tree = client_commands.build(argv[0], argv[1:], cwd="/", stdin=(), environ={})
        document = layout("xcatrequest", tree).encode()
        channel = _Channel()
        (incoming,) = RequestReader(DocumentLimits()).feed(document)
        self._session()(channel, incoming)
        out, err = io.BytesIO(), io.BytesIO()
        printer = Printer(out, err, shows_server=client_commands.shows_server(argv[0], argv[1:]))
        for response in ResponseReader().feed(bytes(channel.sent)):
            printer.show(response)
        printer.flush()
        return Said(out.getvalue().decode(), err.getvalue().decode(), printer.status)

    def _session(self) -> Session:
        clock = SystemClock()
        return Session(
            Services(
                database=self.database,
                plugins=self._plugins,
                clock=clock,
                agents=self.crew,
                hostname=self.stage.management,
                version="Version 2.17",
                is_mn=True,
                writer=_NoRecords(),  # type: ignore[arg-type]
                name_of=lambda _: PeerName(self.stage.management, self.stage.management),
                guesses=Guesses(clock.monotonic),
            )
        )

    def _states(self) -> dict[str, dict[str, Any]]:
        return {host: state_of(self.store.nim(host)) for host in self.topology.kinds}

    def _files(self) -> dict[str, dict[str, bytes]]:
        return {
            host: {
                f"/{path.relative_to(self.roots / host)}": path.read_bytes()
                for path in (self.roots / host).rglob("*")
                if path.is_file()
            }
            for host in self.topology.kinds
        }


def _known_texts(run: Run) -> dict[str, frozenset[str]]:
    """By host: the files of which the recording tells the content, after the run or by an ``echo``."""
    found: dict[str, set[str]] = {host: set(texts) for host, texts in run["files_after"].items()}
    for one in run["other_commands"]:
        for word in one.get("arg") or ():
            if word.startswith("echo ") and " > " in word:
                for node in one["node"]:
                    found.setdefault(node, set()).add(word.rpartition(" > ")[2].strip())
    return {host: frozenset(paths) for host, paths in found.items()}
