"""One cluster with one or two management nodes: a real database, the plugins, and agents that are doubles."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.plugins.run.rig import Bomb, Killed

from xcat_aix.commands.planned.doing import journal_of
from xcat_aix.commands.planned.plans import Plans
from xcat_aix.plan.model import Target
from xcat_aix.run.testing import FakeConnection, FakeWorld, ManualClock
from xcat_aix_proto.identity import Role
from xcatd.api import Context, NodeReply, Relay, Reply, Request
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.nodes import PluginValues
from xcatd.plugins import PluginHost

from . import toy

TABLES = (
    "site",
    "nodelist",
    "nodegroup",
    "noderes",
    "hosts",
    "nics",
    "aixplan",
    "aixevent",
    "aixlock",
)
SERVED = {"n1": "sn1", "n2": "sn1", "n3": "sn1", "n4": "sn2", "n5": "sn2"}
NODES = tuple(SERVED)


def fill(db: Database, served: dict[str, str] = SERVED) -> None:
    db.create_missing_tables(TABLES)
    names = dict.fromkeys((*served.values(), *served))
    rows: dict[str, list[dict[str, str | None]]] = {
        "nodelist": [{"node": name, "groups": "service" if name[0] == "s" else "compute"} for name in names],
        "noderes": [{"node": node, "servicenode": f"{server},sn9"} for node, server in served.items()],
        "hosts": [
            {"node": name, "ip": f"10.0.{number // 250}.{number % 250 + 1}"}
            for number, name in enumerate(names)
        ],
    }  # fmt: skip
    for table, found in rows.items():
        with db.transaction(table) as transaction:
            transaction.insert(table, found)


class Said(list[Reply]):
    """The replies to one command."""

    @property
    def status(self) -> int:
        """As clients make it: all of them together."""
        codes = [
            code
            for reply in self
            for code in (reply.errorcode, *(n.errorcode for n in reply.nodes))
        ]
        status = 0
        for code in codes:
            status |= code or 0
        return status

    @property
    def lines(self) -> list[str]:
        return [str(item) for reply in self for item in (*reply.info, *reply.data)]

    @property
    def errors(self) -> list[str]:
        found = []
        for reply in self:
            found += [*reply.errors, *(f"{n.name}: {n.error}" for n in reply.nodes if n.error)]
        return found

    @property
    def nodes(self) -> list[NodeReply]:
        return [node for reply in self for node in reply.nodes]

    @property
    def text(self) -> str:
        return "\n".join([*self.lines, *self.errors])


#: Has the next commands die at a boundary, counted from 0, or at the first of a name; they are known to be dead then.
class Dying(Protocol):
    def __call__(self, at: int | None = None, *, point: str = "") -> Bomb: ...


class Fuse(Bomb):
    """Kills at the first boundary of a name."""

    point = ""

    def __call__(self, point: str, lane: str, step: str) -> None:
        with self.lock:
            if self.at is None and point == self.point:
                self.at = self.count
        super().__call__(point, lane, step)


@dataclass
class Site:
    """``agents`` outlive every daemon; ``roles`` are those as which nodes were connected to."""

    db: Database
    hostname: str = "mn1"
    world: FakeWorld = field(default_factory=FakeWorld)
    clock: ManualClock = field(default_factory=ManualClock)
    cancelled: threading.Event = field(default_factory=threading.Event)
    roles: set[tuple[str, str]] = field(default_factory=set)
    plugins: PluginHost = field(
        default_factory=lambda: PluginHost(
            {"plans": Plans(), **{name: plugin() for name, plugin in toy.PLUGINS.items()}}
        )
    )

    @classmethod
    def new(cls, directory: Path, served: dict[str, str] = SERVED) -> Site:
        directory.mkdir(exist_ok=True)
        db = Database.open(Location("SQLite", directory))
        fill(db, served)
        return cls(db)

    # What a context has

    def connect(
        self, node: str, role: Role, address: str, port: int, *, timeout: float = 3.0,
        via: Relay | None = None,
    ) -> FakeConnection:  # fmt: skip
        self.roles.add((role.value, node))
        return self.world.connect(Target(role.value, node), Target("sn", via.node) if via else None)

    def context(self) -> Context:
        return Context(
            db=self.db, clock=self.clock, agents=self,  # type: ignore[arg-type]
            cancelled=self.cancelled, version="Version 2.17", is_mn=True, hostname=self.hostname,
            runner=self._run,
        )  # fmt: skip

    def _run(self, request: Request, context: Context) -> Iterator[Reply]:
        route = PluginValues(self.db.read({"nodelist", "site"}))
        if request.command not in self.plugins.commands:
            return iter((Reply(errors=("Unsupported request",)),))
        return self.plugins.run(self.plugins.choose(request.command, (), route), request, context)

    # What users do

    def begin(self, command: str, *words: str, **more: Any) -> Iterator[Reply]:
        return self._run(Request(command, words, user="admin", **more), self.context())

    def run(self, command: str, *words: str, **more: Any) -> Said:
        return Said(self.begin(command, *words, **more))

    def plan_ids(self) -> list[str]:
        """Newest first."""
        return [found.id for found in journal_of(self.context()).list()]

    def attempt(self, *words: str) -> Said | None:
        """The same of a command that may be killed: None then."""
        try:
            return self.run(*words)
        except Killed:
            return None

    # What is so

    def comments(self) -> dict[str, str | None]:
        rows = self.db.select("nodelist", columns=("node", "comments"))
        return {str(row["node"]): row["comments"] for row in rows if row["node"] in SERVED}

    def performed(self) -> dict[tuple[str, str], int]:
        return {
            (name, kind): count
            for name, node in self.world.nodes.items()
            for kind, count in node.performed.items()
        }
