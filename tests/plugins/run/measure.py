"""Figures of the executor with a fake agent: time, commits, connections, memory.

``python tests/plugins/run/measure.py [LANES [STEPS [FANOUT]]]`` prints them for a real SQLite journal in a temporary
directory; :func:`measure` gives them as a value.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

from xcat_aix.plan.model import Lane, Plan, Step, Target
from xcat_aix.run.executor import FANOUT, Executor
from xcat_aix.run.journal import Journal
from xcat_aix.run.progress import PlanEnded
from xcat_aix.run.registry import Registry
from xcat_aix.run.states import Event
from xcat_aix.run.testing import FakeWorld
from xcat_aix.steps.agent import agent_steps
from xcat_aix.steps.database import DatabaseWrite
from xcat_aix_proto import codec
from xcat_aix_proto.operations import (
    ChangeDefaultRoute,
    Operation,
    RepointClient,
    RunPostscripts,
    SetBootlist,
    SetXcatServer,
)
from xcatd.api import SystemClock
from xcatd.changes import Change, ChangedRow, Changes, Way
from xcatd.db.database import Database
from xcatd.db.location import Location


@dataclass(frozen=True, slots=True)
class Figures:
    """``seconds`` for everything; ``commit_seconds`` of them in the database; ``peak_mib`` traced, if asked."""

    outcome: str
    lanes: int
    steps: int
    fanout: int
    seconds: float
    commits: int
    commit_seconds: float
    events: int
    most_connections: int
    peak_mib: float | None = None


class Counting:
    """A database that counts and times its transactions."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.select = db.select
        self.commits = 0
        self.seconds = 0.0

    def transaction(self, *tables: str) -> Counting._Timed:
        return Counting._Timed(self, tables)

    class _Timed:
        def __init__(self, counting: Counting, tables: tuple[str, ...]) -> None:
            self._counting = counting
            self._inner = counting._db.transaction(*tables)

        def __enter__(self) -> object:
            self._start = time.perf_counter()
            return self._inner.__enter__()

        def __exit__(self, *problem: object) -> object:
            done = self._inner.__exit__(*problem)  # type: ignore[arg-type] # as they came
            self._counting.commits += 1
            self._counting.seconds += time.perf_counter() - self._start
            return done


def sample_plan(lanes: int, steps: int) -> Plan:
    """As ``snmove`` makes them: one database lane, then ``lanes`` nodes with up to five steps."""
    nodes = tuple(f"n{number}" for number in range(lanes))
    change = Change(Way.SET, "noderes", ("node",), (("servicenode", "b"),), (("servicenode", "a"),))
    changes = Changes(tuple(ChangedRow(change, (node,)) for node in nodes))
    write = Step("write", "database.write@2", changes=changes)
    database = Lane("database", (write,), subject="database")
    node_lanes = (
        Lane(node, _steps(node)[:steps], node, Target("cn", node), needs=("database",))
        for node in nodes
    )
    return Plan("measure", nodes, (database, *node_lanes))


def _steps(node: str) -> tuple[Step, ...]:
    operations: tuple[Operation, ...] = (
        RepointClient(node, "sn2"),
        SetXcatServer("10.0.0.2"),
        ChangeDefaultRoute("10.0.0.1", "10.0.0.2"),
        SetBootlist("10.0.0.9", "10.0.0.2"),
        RunPostscripts(("syslog",), "10.0.0.2", "n1"),
    )
    return tuple(
        Step(f"s{number}", operation.kind, codec.to_wire(operation))
        for number, operation in enumerate(operations)
    )


def measure(
    directory: Path, lanes: int = 300, steps: int = 5, fanout: int = FANOUT, *, trace: bool = False
) -> Figures:
    """Run a plan over an empty SQLite directory; ``trace`` adds the peak of memory and costs time."""
    db = Database.open(Location("SQLite", directory))
    db.create_missing_tables(["noderes", "aixplan", "aixevent"])
    plan = sample_plan(lanes, steps)
    with db.transaction("noderes") as transaction:
        transaction.insert("noderes", [{"node": n, "servicenode": "a"} for n in plan.nodes])
    counting, world, clock = Counting(db), FakeWorld(), SystemClock()
    journal = Journal(counting, clock, "mn1", lambda: secrets.token_hex(2))  # type: ignore[arg-type] # counts
    registry = Registry([DatabaseWrite(db), *agent_steps()])
    executor = Executor(journal, registry, clock, world.connect, fanout=fanout)
    if trace:
        tracemalloc.start()
    start = time.perf_counter()
    (last,) = deque(executor.run(executor.open(plan)), maxlen=1)
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1] / 2**20 if trace else None
    tracemalloc.stop()
    if not isinstance(last, PlanEnded) or last.outcome is None:
        raise AssertionError("the plan did not end")
    events: list[Event] = list(journal.load(last.plan_id).events)
    db.close()
    return Figures(
        outcome=last.outcome.value,
        lanes=lanes,
        steps=steps,
        fanout=fanout,
        seconds=round(seconds, 3),
        commits=counting.commits,
        commit_seconds=round(counting.seconds, 3),
        events=len(events),
        most_connections=world.most_connections,
        peak_mib=peak and round(peak, 1),
    )


def main(words: list[str]) -> None:
    for trace in (False, True):
        with tempfile.TemporaryDirectory() as directory:
            print(json.dumps(asdict(measure(Path(directory), *map(int, words), trace=trace))))


if __name__ == "__main__":
    main(sys.argv[1:])
