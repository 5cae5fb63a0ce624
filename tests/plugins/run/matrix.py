"""What the crash matrix is made of: every registered kind, every golden plan, and a world of doubles for any plan.

A new kind needs a golden plan with a step of it, a new golden plan needs nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.golden.cases import load
from tests.kinds import KINDS

from xcat_aix.plan.model import Lane, Plan, Step, Target
from xcat_aix.run.chains import chain_of
from xcat_aix.run.errors import NothingToResume
from xcat_aix.run.executor import Executor
from xcat_aix.run.journal import Journal
from xcat_aix.run.testing import FakeWorld, ManualClock, MemoryDatabase
from xcat_aix.steps import kinds
from xcat_aix_proto import operations
from xcat_aix_proto.messages import BEGIN
from xcatd.api import Reply
from xcatd.changes import Way

from .rig import Bomb, Killed

GOLDEN = Path(__file__).parents[2] / "golden"

#: Steps that only plans of earlier versions have.
FORMER = (
    Step(
        "postscripts",
        "client.postscripts@1",
        {"scripts": ["syslog"], "environment": {"MASTER": "10.0.0.1", "NODE": "n1"}},
    ),
)

#: So many boundaries are tried of a plan; all of one that has not more than the second.
SAMPLED, ALL = 4, 60


@cache
def golden_plans() -> Mapping[str, Plan]:
    """Every plan that a golden case expects, by the case's name."""
    found: dict[str, Plan] = {}
    for path in sorted(GOLDEN.glob("*/*.json")):
        case = load(path)
        body = case.get("expect", {}).get("plan") if isinstance(case, dict) else None
        if body and body["lanes"]:
            found[f"{path.parent.name}/{path.stem}"] = Plan.from_json(body)
    return found


def sample(kind: str) -> Step:
    """A step of a kind; fails by name where no golden plan has one."""
    plans = golden_plans().values()
    steps = (step for plan in plans for lane in plan.lanes for step in lane.steps)
    found = next((step for step in (*FORMER, *steps) if step.kind == kind), None)
    assert found is not None, (
        f"{kind}: no golden plan has such a step: nobody knows what a crash makes of it"
    )
    return found


def plan_of(*steps: Step) -> Plan:
    """One lane with these steps."""
    named = tuple(replace(step, id=f"s{number}") for number, step in enumerate(steps))
    nodes = dict.fromkeys(node for step in steps for node in (*step.about, *_written(step)))
    lane = Lane("lane", named, "n1", target=Target("cn", "n1"))
    return Plan("test", tuple({**nodes, "n1": None}), (lane,))


def _written(step: Step) -> Iterator[str]:
    for row in step.changes.rows if step.changes else ():
        if row.node:
            yield row.node


def chained() -> Iterator[tuple[Step, ...]]:
    """For each way to join steps one of every kind that it joins."""
    groups: dict[int, list[Step]] = {}
    for kind in KINDS.kinds:
        chain = chain_of(KINDS[kind])
        if chain is not None and kind not in operations.FORMER:
            groups.setdefault(id(chain), []).append(sample(kind))
    yield from map(tuple, groups.values())


def boundaries(name: str, count: int) -> Sequence[int]:
    """Which of the boundaries of a plan are tried: always the same."""
    chosen = range(count) if count <= ALL else random.Random(name).sample(range(count), SAMPLED)
    return sorted(chosen)


@dataclass
class Stage:
    """The database as a plan expects it, its agents, and whoever runs commands; they outlive every process."""

    plan: Plan
    is_old: bool = False
    world: FakeWorld = field(default_factory=FakeWorld)
    ran: Counter[str] = field(default_factory=Counter)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.db = MemoryDatabase(_tables(self.plan))
        self._tokens = iter(range(10**6))
        if self.is_old:
            for lane in self.plan.lanes:
                if lane.target:
                    self.world.node(lane.target.node).lacking |= {operations.Chain.kind, BEGIN}

    def _command(
        self, command: str, args: tuple[str, ...], nodes: tuple[str, ...]
    ) -> Iterator[Reply]:
        self.ran[" ".join((command, *args, *nodes))] += 1
        return iter(())

    def executor(self, crash: Bomb) -> Executor:
        journal = Journal(
            self.db, self.clock, "mn1", lambda: f"{next(self._tokens):06x}", alive=lambda _: False
        )
        registry = kinds.registry(self.db, self._command)
        return Executor(journal, registry, self.clock, self.world.connect, fanout=1, crash=crash)

    def live(self, crashes: Sequence[int] = ()) -> Bomb:
        """Run it, be killed, go on, …, until it is over; the boundaries that the last process came to."""
        plan_id = ""
        for bomb in (*map(Bomb, crashes), Bomb()):
            executor = self.executor(bomb)
            try:
                claimed = executor.claim(plan_id) if plan_id else executor.open(self.plan)
                plan_id = claimed.hold.plan_id
                list(executor.run(claimed))
            except Killed:
                continue
            except NothingToResume:
                pass
        return bomb

    def end(self) -> dict[str, Any]:
        """What there is to compare."""
        journal = self.executor(Bomb()).journal
        (summary,) = journal.list()
        stored = journal.load(summary.id)
        return {
            "hosts": self.world.state(),
            "database": {name: self.db.select(name) for name in self.plan.changes.tables},
            "commands": set(self.ran),
            "lanes": stored.state.results(),
            "nodes": {node: seen.state for node, seen in stored.state.nodes().items()},
            "outcome": summary.outcome,
            "performed": {
                (name, kind): count
                for name, node in self.world.nodes.items()
                for kind, count in node.performed.items()
            },
        }


def _tables(plan: Plan) -> dict[str, list[dict[str, str | None]]]:
    """The rows that a plan was made from."""
    found: dict[str, dict[Any, dict[str, str | None]]] = {name: {} for name in plan.changes.tables}
    for row in plan.changes.rows:
        before = dict(row.change.before)
        is_there = row.change.way is Way.DELETE or any(text is not None for text in before.values())
        if is_there:
            found[row.change.table].setdefault(row.place, dict(row.place)).update(before)
    return {name: list(rows.values()) for name, rows in found.items()}


def check(name: str, plan: Plan, *, is_old: bool = False) -> int:
    """Kill a plan at its boundaries, and resume it: it must end as if nothing had happened.  How many were tried."""
    whole = Stage(plan, is_old=is_old)
    points = whole.live().points
    wanted = whole.end()
    assert wanted["outcome"] is not None and set(wanted["performed"].values()) <= {1}
    tried = boundaries(name, len(points))
    for at in tried:
        stage = Stage(plan, is_old=is_old)
        stage.live([at])
        assert stage.end() == wanted, f"{name}: {points[at]}"
    return len(tried)
