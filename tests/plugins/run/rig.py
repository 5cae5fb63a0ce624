"""Sample plans, and an executor in a world that outlives crashes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xcat_aix.plan.model import Lane, Plan, Step, Target
from xcat_aix.run.executor import Executor
from xcat_aix.run.journal import Journal
from xcat_aix.run.lane_runner import Crash
from xcat_aix.run.progress import PlanEnded, Progress
from xcat_aix.run.registry import AnyKind, Registry
from xcat_aix.run.states import Outcome
from xcat_aix.run.testing import FakeWorld, ManualClock, MemoryDatabase
from xcat_aix.steps.agent import agent_steps
from xcat_aix.steps.database import DatabaseWrite
from xcat_aix_proto import codec
from xcat_aix_proto.messages import BEGIN
from xcat_aix_proto.operations import (
    Chain,
    ChangeDefaultRoute,
    Operation,
    RepointClient,
    RunPostscripts,
    SetBootlist,
    SetXcatServer,
)
from xcatd.changes import Change, ChangedRow, Changes, Way
from xcatd.db.database import Database
from xcatd.db.location import Location

REPOINT, XCATINFO = RepointClient.kind, SetXcatServer.kind


def step(name: str, operation: Operation) -> Step:
    return Step(name, operation.kind, codec.to_wire(operation))


def steps(node: str, count: int = 2) -> tuple[Step, ...]:
    return (
        step("repoint", RepointClient(node, "sn2")),
        step("xcatinfo", SetXcatServer("10.0.0.2")),
        step("route", ChangeDefaultRoute("10.0.0.1", "10.0.0.2")),
        step("bootlist", SetBootlist("10.0.0.9", "10.0.0.2")),
        step("postscripts", RunPostscripts(("syslog",), "10.0.0.2", node)),
    )[:count]


def moved(nodes: Iterable[str]) -> Changes:
    """Their service nodes change places."""
    change = Change(
        Way.SET, "noderes", ("node",),
        (("servicenode", "sn2,sn1"),), (("servicenode", "sn1,sn2"),), (("servicenode", "sn1"),),
    )  # fmt: skip
    return Changes(tuple(ChangedRow(change, (node,)) for node in nodes))


def database(nodes: Iterable[str]) -> Lane:
    step = Step("write", DatabaseWrite.kind, changes=moved(nodes))
    return Lane("database", (step,), subject="database")


#: In a list of lanes: the one that writes the nodes of the plan.
DATABASE = database(())


def lane(node: str, count: int = 2, **more: Any) -> Lane:
    given = {"subject": node, "target": Target("cn", node), "needs": ("database",), **more}
    return Lane(node, steps(node, count), **given)


def plan(nodes: Iterable[str] = ("n1", "n2"), lanes: Sequence[Lane] | None = None, count: int = 2,
         **more: Any) -> Plan:  # fmt: skip
    nodes = tuple(nodes)
    if lanes is None:
        lanes = (DATABASE, *(lane(node, count) for node in nodes))
    lanes = [database(nodes) if lane is DATABASE else lane for lane in lanes]
    return Plan("snmove", nodes, tuple(lanes), **more)


def noderes(nodes: Iterable[str]) -> list[dict[str, str | None]]:
    return [{"node": node, "servicenode": "sn1,sn2", "xcatmaster": "sn1"} for node in nodes]


def sqlite(directory: Path, nodes: Iterable[str] = ("n1", "n2")) -> Database:
    db = Database.open(Location("SQLite", directory))
    db.create_missing_tables(["noderes", "aixplan", "aixevent"])
    with db.transaction("noderes") as transaction:
        if not transaction.rows("noderes"):
            transaction.insert("noderes", noderes(nodes))
    return db


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Bomb:
    """Kills at the given boundary, counted from 0; and whoever comes after it is dead too."""

    at: int | None = None
    count: int = 0
    points: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, point: str, lane: str, step: str) -> None:
        with self.lock:
            self.points.append(f"{point} {lane}/{step}")
            self.count += 1
            if self.at is not None and self.count > self.at:
                raise Killed(self.points[self.at])


_numbers = itertools.count()


@dataclass
class Rig:
    """One cluster: its world and database stay, processes come and go."""

    world: FakeWorld = field(default_factory=FakeWorld)
    db: Any = field(default_factory=lambda: MemoryDatabase({"noderes": noderes(_NODES)}))
    clock: ManualClock = field(default_factory=ManualClock)
    fanout: int = 4
    wrap: Callable[[AnyKind], AnyKind] = lambda kind: kind
    settings: Mapping[str, Any] = field(default_factory=dict)

    def journal(self, *, alive: bool = False, host: str = "mn1") -> Journal:
        token = lambda: f"{next(_numbers):06x}"  # noqa: E731 - as short as it is
        return Journal(self.db, self.clock, host, token, alive=lambda _: alive)

    def executor(self, crash: Crash = lambda *_: None, **more: Any) -> Executor:
        kinds = [DatabaseWrite(self.db), *agent_steps((0.0, 0.0), late=0.0)]
        settings: dict[str, Any] = {
            "clock": self.clock,
            "connect": self.world.connect,
            "fanout": self.fanout,
            "crash": crash,
            **self.settings,
            **more,
        }
        registry = Registry([self.wrap(kind) for kind in kinds])
        return Executor(self.journal(), registry, **settings)

    def run(self, plan: Plan, **more: Any) -> list[Progress]:
        executor = self.executor(**more)
        return list(executor.run(executor.open(plan)))

    def resume(self, plan_id: str, **more: Any) -> list[Progress]:
        executor = self.executor(**more)
        return list(executor.run(executor.claim(plan_id)))

    def is_old(self) -> None:
        """All agents are one version older: they know no chains."""
        for name in _NODES:
            self.world.node(name).lacking |= {Chain.kind, BEGIN}

    def only_plan(self) -> str:
        (summary,) = self.journal().list()
        return summary.id

    def servicenodes(self) -> dict[str | None, str | None]:
        rows = self.db.select("noderes", columns=("node", "servicenode"))
        return {row["node"]: row["servicenode"] for row in rows}

    def performed(self) -> dict[tuple[str, str], int]:
        return {
            (name, kind): count
            for name, node in self.world.nodes.items()
            for kind, count in node.performed.items()
        }


_NODES = [f"n{number}" for number in range(1, 10)]


def outcome(told: Sequence[Progress]) -> Outcome | None:
    assert isinstance(told[-1], PlanEnded)
    return told[-1].outcome


def results(told: Sequence[Progress]) -> dict[str, str]:
    assert isinstance(told[-1], PlanEnded)
    return {lane: result.value for lane, result in told[-1].lanes.items()}
