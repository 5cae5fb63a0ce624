"""Runs a command's plugin as the daemon and the client together do, and prints as the client prints."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xcat_aix.commands.definitions.chdef import Chdef
from xcat_aix.commands.definitions.lsdef import Lsdef
from xcat_aix.commands.definitions.mkdef import Mkdef
from xcat_aix.commands.definitions.rmdef import Rmdef
from xcat_aix.commands.lsxcatd import Lsxcatd
from xcat_aix.commands.tables.gettab import Gettab
from xcat_aix.commands.tables.nodech import Nodeadd, Nodech
from xcat_aix.commands.tables.nodegrpch import Nodegrpch
from xcat_aix.commands.tables.nodels import Nodels
from xcat_aix.commands.tables.noderm import Noderm
from xcat_aix.commands.tables.regnotif import Regnotif
from xcat_aix.commands.tables.rnoderange import Rnoderange
from xcat_aix.commands.tables.tabch import Tabch
from xcat_aix.commands.tables.tabdump import Tabdump
from xcat_aix.commands.tables.tabgrep import Tabgrep
from xcat_aix.commands.tables.tabprune import Tabprune
from xcat_aix.commands.tables.tabrestore import Tabrestore
from xcatd import chtab
from xcatd.api import Contents, Context, NodeReply, Plugin, Reply, Request, error
from xcatd.db import schema
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.db.sheet import Sheet
from xcatd.db.snapshot import Snapshot

PLUGINS: Mapping[str, Callable[[], Plugin]] = {
    "lsdef": Lsdef,
    "mkdef": Mkdef,
    "chdef": Chdef,
    "rmdef": Rmdef,
    "nodels": Nodels,
    "tabdump": Tabdump,
    "lsxcatd": Lsxcatd,
    "tabrestore": Tabrestore,
    "tabch": Tabch,
    "gettab": Gettab,
    "nodech": Nodech,
    "nodeadd": Nodeadd,
    "noderm": Noderm,
    "nodegrpch": Nodegrpch,
    "tabgrep": Tabgrep,
    "tabprune": Tabprune,
    "rnoderange": Rnoderange,
    "regnotif": Regnotif,
    "unregnotif": Regnotif,
}

#: Commands whose first operand is a noderange, expanded by the daemon.
WITH_NODERANGE = frozenset(["nodels", "nodech", "noderm", "tabgrep"])

#: What the daemon says its version is.
VERSION = "Version 2.17 (git commit 0, built today)"


class FixedClock:
    """Time stands still."""

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 10, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class NoAgents:
    """Nothing here asks agents."""


@dataclass(slots=True)
class Printed:
    """What a terminal would show, and the exit status."""

    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    exit: int = 0

    def show(self, reply: Reply) -> None:
        """Print one reply: docs/facts/wire.md, Reply elements and printing, without the server's name."""
        self.exit |= reply.errorcode or 0
        self.stderr += [f"Error: {text}" for text in reply.errors]
        self.stderr += [f"Warning: {text}" for text in reply.warnings]
        self.stdout += reply.info
        self.stdout += [_node_line(node) for node in reply.nodes]
        self.stdout += [text for text in map(_data_line, reply.data) if text not in {"", "0"}]


def _data_line(item: str | Contents) -> str:
    if isinstance(item, str):
        return item
    return item.contents if item.desc is None else f"{item.desc}: {item.contents}"


def _node_line(node: NodeReply) -> str:
    return node.name if node.data is None else f"{node.name}: {_data_line(node.data)}"


def open_database(directory: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Database:
    """A database directory as xCAT would have it, with these rows."""
    database = Database.open(Location("SQLite", directory))
    database.create_missing_tables(tables)
    for name, rows in tables.items():
        with database.transaction(name) as transaction:
            for row in rows:  # one by one: their order is what is read back
                transaction.insert(name, [row])
    return database


class FixedDatabase:
    """Tables that stay in memory; a read hands out exactly the tables it names, as the real one does."""

    location = Location("SQLite", Path("/nowhere"))

    def __init__(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self._sheets = {name: _sheet(name, tables.get(name, ())) for name in schema.TABLES}
        self.reads: list[frozenset[str]] = []

    def user_tables(self) -> Mapping[str, schema.Table]:
        return {}

    def table(self, name: str) -> schema.Table:
        return schema.table(name)

    def read(self, tables: Iterable[str]) -> Snapshot:
        wanted = set(tables)
        if any(schema.table(name).node_column for name in wanted):
            wanted |= {"nodelist", "site"}
        self.reads.append(frozenset(wanted))
        return Snapshot({name: self._sheets[name] for name in wanted})


def _sheet(name: str, rows: Sequence[Mapping[str, Any]]) -> Sheet:
    columns = schema.table(name).columns
    return Sheet(columns, [tuple(row.get(column) for column in columns) for row in rows])


def context_for(database: Database | FixedDatabase, **changes: Any) -> Context:
    """The world of a request on a management node."""
    given: dict[str, Any] = {
        "db": database,
        "clock": FixedClock(),
        "agents": NoAgents(),
        "cancelled": threading.Event(),
        "version": VERSION,
        "is_mn": True,
        "hostname": "mn",
    }
    return Context(**{**given, **changes})


def request_for(argv: Sequence[str], context: Context, stdin: str | None = None) -> Request | Reply:
    """The request the plugin gets; a reply where the daemon refuses it."""
    command, *words = argv
    if command == "tabrestore":
        return restore_request(words, stdin or "")
    # The wire cannot tell an empty argument from none.
    args = tuple(word if word.strip() else None for word in words)
    if command not in WITH_NODERANGE:
        return Request(command, args, cwd="/tmp", stdin=stdin)
    noderange = next((word for word in words if not word.startswith("-")), "")
    if not noderange:
        return Request(command, args)
    place = words.index(noderange)
    expansion = context.expand(noderange)
    if expansion.missed:
        return error(f"Invalid nodes and/or groups in noderange: {','.join(expansion.missed)}")
    return Request(
        command,
        (*args[:place], *args[place + 1 :]),
        noderange=noderange,
        nodes=expansion.nodes,
        empty_noderange=not expansion.nodes,
    )


def restore_request(words: Sequence[str], text: str) -> Request:
    """What the client of ``tabrestore [-a] TABLE.csv`` sends: it reads the file itself."""
    lines = text.splitlines(keepends=True)
    extra: dict[str, tuple[str | None, ...]] = {
        "table": (words[-1].partition(".")[0],),
        "data": tuple(line if line.strip() else None for line in lines),
    }
    if "-a" in words:
        extra["addrows"] = ("yes",)
    return Request("tabrestore", extra=extra)


def replies(argv: Sequence[str], context: Context, stdin: str | None = None) -> Iterator[Reply]:
    """What the daemon sends for this command line."""
    request = request_for(argv, context, stdin)
    if isinstance(request, Reply):
        yield request
        return
    yield from PLUGINS[argv[0]]().handle(request, context)


def run_chtab(words: Sequence[str], database: Database) -> Printed:
    """What the local command prints."""
    out, err = io.StringIO(), io.StringIO()
    status = chtab.run(words, lambda: database, out, err)
    return Printed(out.getvalue().splitlines(), err.getvalue().splitlines(), status)


def run(argv: Sequence[str], context: Context, stdin: str | None = None) -> Printed:
    """What the user sees."""
    if argv[0] == "chtab":
        return run_chtab(argv[1:], context.db)
    printed = Printed()
    for reply in replies(argv, context, stdin):
        printed.show(reply)
    return printed
