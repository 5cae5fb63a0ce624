"""Doubles for everything the executor touches: clock, database, agents.

Shipped with the product, so that every command's tests and rehearsals use the same ones; the contract tests of
``tests/run`` hold them to what the real ones do.  Nothing here touches a file, a socket or the real time.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from xcat_aix.plan.model import Cell, Guard, Target
from xcat_aix_proto import codec
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import (
    JobEvent,
    JobState,
    JobStatus,
    JobUpdate,
    Outcome,
    Probe,
    Verdict,
)
from xcat_aix_proto.operations import Operation
from xcatd.api import ChangedMeanwhile

from .journal import Journal
from .store import EVENTS, Row

_START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class ManualClock:
    """Time that passes when told to."""

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._passed = 0.0

    def now(self) -> datetime:
        """The time of day."""
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._passed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds


class MemoryDatabase:
    """Tables in memory with the transactions of the real database; safe to use from several threads.

    ``commits`` counts transactions that wrote something.
    """

    def __init__(self, tables: Mapping[str, Sequence[Row]] | None = None) -> None:
        self._tables: dict[str, list[Row]] = {
            name: [dict(row) for row in rows] for name, rows in (tables or {}).items()
        }
        self._lock = threading.RLock()
        self._seq = itertools.count(1)
        self.commits = 0

    def create_missing_tables(self, names: Iterable[str]) -> None:
        """Make empty tables of those that are not there."""
        with self._lock:
            for name in names:
                self._tables.setdefault(name, [])

    @contextmanager
    def transaction(self, *tables: str) -> Iterator[MemoryTransaction]:
        """All of it or nothing."""
        with self._lock:
            self.create_missing_tables(tables)
            work = MemoryTransaction({name: list(self._tables[name]) for name in tables}, self._seq)
            yield work
            self._tables.update(work.tables)
            self.commits += work.has_written

    def select(
        self,
        table: str,
        where: Mapping[str, Any] | None = None,
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[str] = (),
    ) -> Sequence[Row]:
        """Chosen rows; none of a table that is not there."""
        with self._lock:
            return _select(self._tables.get(table, []), where, columns, order)


class MemoryTransaction:
    """One transaction of :class:`MemoryDatabase`, on copies."""

    def __init__(self, tables: dict[str, list[Row]], seq: Iterator[int]) -> None:
        self.tables = tables
        self.has_written = False
        self._seq = seq

    def select(
        self,
        table: str,
        where: Mapping[str, Any] | None = None,
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[str] = (),
    ) -> Sequence[Row]:
        """Chosen rows."""
        return _select(self.tables[table], where, columns, order)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; events are numbered."""
        self.has_written = True
        for row in rows:
            numbered = {"seq": next(self._seq), **row} if table == EVENTS else row
            self.tables[table].append({name: _text(value) for name, value in numbered.items()})

    def update(self, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Change rows."""
        self.has_written = True
        texts = {name: _text(value) for name, value in values.items()}
        count = 0
        for place, row in enumerate(self.tables[table]):
            if _matches(row, key):
                self.tables[table][place] = {**row, **texts}
                count += 1
        return count

    def delete(self, table: str, key: Mapping[str, Any]) -> int:
        """Remove rows."""
        self.has_written = True
        rows = self.tables[table]
        self.tables[table] = [row for row in rows if not _matches(row, key)]
        return len(rows) - len(self.tables[table])

    def write_cells(self, cells: Sequence[Cell], guards: Sequence[Guard]) -> None:
        """Guards, then cells; a missing row is inserted."""
        differing = tuple(
            f"{guard.table} {guard.key_column}={guard.key} {guard.column}: "
            f"read {guard.value!r}, now {now!r}"
            for guard in guards
            if (now := self._cell(guard)) != guard.value
        )
        if differing:
            raise ChangedMeanwhile(differing)
        for cell in cells:
            key = {cell.key_column: cell.key}
            if not self.update(cell.table, key, {cell.column: cell.after}):
                self.insert(cell.table, [{**key, cell.column: cell.after}])

    def _cell(self, guard: Guard) -> str | None:
        for row in self.select(guard.table, {guard.key_column: guard.key}):
            return row.get(guard.column)
        return None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _matches(row: Row, where: Mapping[str, Any] | None) -> bool:
    return all(
        row.get(name) in wanted if isinstance(wanted, tuple) else row.get(name) == wanted
        for name, wanted in (where or {}).items()
    )


def _select(
    rows: Sequence[Row],
    where: Mapping[str, Any] | None,
    columns: Sequence[str] | None,
    order: Sequence[str],
) -> Sequence[Row]:
    found = [row for row in rows if _matches(row, where)]
    for name in reversed(order):
        column = name.removeprefix("-")
        found.sort(key=lambda row: _sortable(row.get(column)), reverse=name.startswith("-"))
    if columns is None:
        return found
    return [{name: row.get(name) for name in columns} for row in found]


def _sortable(value: str | None) -> tuple[int, str]:
    text = value or ""
    return (int(text), "") if text.isdigit() else (0, text)


def memory_journal(clock: ManualClock | None = None, host: str = "mn1") -> Journal:
    """A journal in memory whose tokens are 0000, 0001, …"""
    numbers = itertools.count()
    return Journal(
        MemoryDatabase(), clock or ManualClock(), host, token=lambda: f"{next(numbers):04x}"
    )


@dataclass(slots=True)
class FakeJob:
    """A job that was accepted."""

    operation: Operation
    state: JobState
    outcome: Outcome | None = None
    events: list[JobEvent] = field(default_factory=list)


@dataclass(slots=True)
class FakeNode:
    """One host with an agent.  The sets name operation kinds that go wrong in some way."""

    is_down: bool = False
    #: Reached through a relay only.
    is_cut_off: bool = False
    #: The job ends with an error, nothing was done.
    failing: set[str] = field(default_factory=set)
    #: Jobs are over when they are submitted, and say so.
    is_fast: bool = False
    #: The job never ends.
    hanging: set[str] = field(default_factory=set)
    #: The job's process dies: before the effect, after it, or half way.
    dying_before: set[str] = field(default_factory=set)
    dying_after: set[str] = field(default_factory=set)
    dying_half_way: set[str] = field(default_factory=set)
    #: So many of the next answers get lost on their way.
    lost_answers: int = 0
    #: What is done, by kind; ``None`` is half done.
    effects: dict[str, Any] = field(default_factory=dict)
    #: How often each effect was brought about.
    performed: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)


class FakeWorld:
    """Hosts with agents, by name; a host exists once it is named.  Outlives any number of crashes.

    ``hold`` is waited for by whoever follows a hanging job; ``calls`` counts calls by name.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, FakeNode] = {}
        self.lock = threading.RLock()
        self.hold = threading.Event()
        self.calls: Counter[str] = Counter()
        self.open_connections = 0
        self.most_connections = 0
        self.on_call: Callable[[str, str], None] = lambda _node, _call: None

    def node(self, name: str) -> FakeNode:
        """The host called ``name``."""
        with self.lock:
            return self.nodes.setdefault(name, FakeNode())

    def connect(self, target: Target, via: Target | None) -> FakeConnection:
        """A connection, through ``via`` if there is no direct way; raises ``UNREACHABLE``."""
        node = self.node(target.node)
        is_relayed = via is not None and not self.node(via.node).is_down
        if node.is_down or (node.is_cut_off and not is_relayed):
            raise AgentError(ErrorCode.UNREACHABLE, "its agent cannot be connected")
        with self.lock:
            self.open_connections += 1
            self.most_connections = max(self.most_connections, self.open_connections)
        return FakeConnection(self, target.node, node)

    def state(self) -> dict[str, dict[str, Any]]:
        """What is done where: to compare the ends of two stories."""
        return {name: dict(node.effects) for name, node in self.nodes.items() if node.effects}


class FakeConnection:
    """A connection to one fake agent."""

    def __init__(self, world: FakeWorld, name: str, node: FakeNode) -> None:
        self._world = world
        self._name = name
        self._node = node
        self._is_open = True

    def probe(self, op: Operation, job_id: str = "") -> Probe:
        """Whether the effect is there; no job's record is needed here to see it."""
        del job_id
        with self._call("probe"):
            if op.kind not in self._node.effects:
                return Probe(Verdict.NOT_DONE, "nothing of it is there")
            effect = self._node.effects[op.kind]
            if effect is None:
                return Probe(Verdict.BROKEN, "half of it is there")
            is_done = effect == codec.to_wire(op)
            return Probe(Verdict.DONE if is_done else Verdict.NOT_DONE, "it was looked at")

    def submit(self, job_id: str, op: Operation, limit: float) -> JobStatus:
        """Accept a job and do it; a known id is the same job."""
        del limit
        with self._call("submit"):
            if job_id not in self._node.jobs:
                self._node.jobs[job_id] = _job(self._node, op)
            job = self._node.jobs[job_id]
            if self._node.is_fast:
                return JobStatus(job_id, op.kind, job.state, len(job.events), job.outcome)
            return JobStatus(job_id, op.kind, JobState.RUNNING)

    def follow(self, job_id: str, after_seq: int, wait: float) -> JobUpdate:
        """The job's state and news."""
        with self._call("follow"):
            job = self._node.jobs.get(job_id)
            if job is None or job_id in self._node.acknowledged:
                raise AgentError(ErrorCode.JOB_UNKNOWN, f"there is no job {job_id}")
            kind = job.operation.kind
            status = JobStatus(job_id, kind, job.state, len(job.events), job.outcome)
            update = JobUpdate(status, tuple(job.events[after_seq:]))
        if not job.state.is_over:
            self._world.hold.wait(wait)
        return update

    def acknowledge(self, job_id: str) -> None:
        """Forget a job."""
        with self._call("acknowledge"):
            self._node.acknowledged.add(job_id)

    def close(self) -> None:
        """Hang up."""
        with self._world.lock:
            self._world.open_connections -= self._is_open
            self._is_open = False

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        self._world.on_call(self._name, name)
        with self._world.lock:
            if not self._is_open or self._node.is_down:
                raise AgentError(ErrorCode.UNREACHABLE, "the line is broken")
            self._world.calls[name] += 1
            yield
            if self._node.lost_answers:
                self._node.lost_answers -= 1
                self.close()
                raise AgentError(ErrorCode.UNREACHABLE, "the answer was lost")


def _job(node: FakeNode, op: Operation) -> FakeJob:
    """What becomes of a new job on this host."""
    kind = op.kind
    if kind in node.hanging:
        return FakeJob(op, JobState.RUNNING)
    events = [JobEvent(1, "2026-11-23T12:00:00+00:00", f"working on {kind}")]
    if kind in node.failing:
        error = AgentError(ErrorCode.COMMAND_FAILED, "the command failed", "0042-000 output")
        return FakeJob(op, JobState.EXITED, Outcome(ok=False, error=error.to_wire()), events)
    if kind in node.dying_before:
        return FakeJob(op, JobState.LOST, events=events)
    node.performed[kind] += 1
    node.effects[kind] = None if kind in node.dying_half_way else codec.to_wire(op)
    if kind in node.dying_half_way | node.dying_after:
        return FakeJob(op, JobState.LOST, events=events)
    return FakeJob(op, JobState.EXITED, Outcome(ok=True, result={"was": "done"}), events)
