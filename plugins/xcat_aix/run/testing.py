"""Doubles for everything the executor touches: clock, database, agents.

Shipped with the product, so that every command's tests and rehearsals use the same ones; the contract tests of
``tests/run`` hold them to what the real ones do.  Nothing here touches a file, a socket or the real time.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from xcat_aix.plan.kinds import NoReverse
from xcat_aix.plan.model import Step, Target
from xcat_aix_proto import codec
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import (
    JobEvent,
    JobOutcome,
    JobState,
    JobStatus,
    JobUpdate,
    NodesProbe,
    NodesResult,
    Probe,
    Record,
    RecordState,
    Verdict,
    with_records,
)
from xcat_aix_proto.messages import BEGIN
from xcat_aix_proto.operations import Chain, ForNodes, Operation
from xcatd.api import ChangedMeanwhile
from xcatd.changes import ChangedRow, Changes, Way, named

from .journal import Journal
from .outcomes import NodeOutcomes, NodeProbes
from .store import EVENTS, Row
from .task import Task

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

    @contextmanager
    def transaction(self, *tables: str) -> Iterator[MemoryTransaction]:
        """All of it or nothing; makes empty tables of those that are not there."""
        with self._lock:
            for name in tables:
                self._tables.setdefault(name, [])
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

    def apply(self, changes: Changes) -> None:
        """Compare what was read, delete, then write."""
        differing = tuple(text for row in changes.rows for text in self._differing(row))
        if differing:
            raise ChangedMeanwhile(differing)
        for row in sorted(changes.rows, key=lambda row: row.change.way is not Way.DELETE):
            table, key, after = row.change.table, dict(row.place), dict(row.change.after)
            match row.change.way:
                case Way.DELETE:
                    self.delete(table, key)
                case Way.INSERT:
                    self.insert(table, [key | after])
                case _:
                    is_there = bool(after) and self.update(table, key, dict(row.change.stored))
                    if not is_there and any(after.values()):
                        self.insert(table, [key | after])

    def _differing(self, row: ChangedRow) -> Iterator[str]:
        table = row.change.table
        found = self.select(table, dict(row.place))
        for column, read in row.change.before:
            now = found[0].get(column) if found else None
            if now != read:
                yield f"{table} {named(row.place)} {column}: read {read!r}, now {now!r}"


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


class FakeWork:
    """``test.nodes@1``: a step whose effect is known per node.  ``world`` outlives crashes: node -> what is there.

    ``fates`` tells what becomes of a node at the next attempt: ``failed``, ``lost`` (done, and nobody heard of it),
    ``not yet``, ``silent`` (nothing is said), ``broken`` (half done, as a failure); any other is done.
    """

    kind = "test.nodes@1"
    reverse = NoReverse("it is a test")

    def __init__(self, world: dict[str, str] | None = None) -> None:
        self.world: dict[str, str] = {} if world is None else world
        self.fates: dict[str, str] = {}
        self.asked: list[tuple[str, ...]] = []
        #: How often each node's effect was brought about.
        self.performed: Counter[str] = Counter()

    def title(self, step: Step) -> str:
        """Its name."""
        return step.id

    def probe(self, task: Task) -> NodeProbes:
        """What is there, node by node."""
        return NodeProbes({node: self._seen(task, node) for node in task.nodes})

    def _seen(self, task: Task, node: str) -> Probe:
        verdicts = {"done": Verdict.DONE, "half": Verdict.BROKEN}
        return Probe(verdicts.get(self.world.get(f"{task.step.id}/{node}", ""), Verdict.NOT_DONE))

    def effect(self, task: Task) -> NodeOutcomes:
        """By the fates."""
        self.asked.append(task.nodes)
        told: dict[str, dict[str, str]] = {fate: {} for fate in ("failed", "lost", "not yet")}
        done = []
        for node in task.nodes:
            fate = self.fates.get(node, "done")
            self._do(f"{task.step.id}/{node}", fate)
            if fate in told or fate == "broken":
                told["failed" if fate == "broken" else fate][node] = f"{fate} on {node}"
            elif fate != "silent":
                done.append(node)
        return NodeOutcomes(done, told["failed"], told["lost"], told["not yet"])

    def _do(self, key: str, fate: str) -> None:
        if fate == "broken":
            self.world[key] = "half"
        elif fate not in {"failed", "not yet"}:
            self.world[key] = "done"
            self.performed[key] += 1


@dataclass(slots=True)
class FakeJob:
    """A job that was accepted: its operations, what became of each, and what it said."""

    operation: Operation
    records: list[Record] = field(default_factory=list)
    events: list[JobEvent] = field(default_factory=list)
    state: JobState = JobState.RUNNING
    #: As a test says; else by its records.
    outcome: JobOutcome | None = None


@dataclass(slots=True)
class FakeNode:
    """One host with an agent.  The sets name operation kinds that go wrong in some way; for one node: :func:`of_node`."""

    is_down: bool = False
    #: Reached through a relay only.
    is_cut_off: bool = False
    #: Its agent is as old as this says: it lacks these.
    lacking: set[str] = field(default_factory=set)
    #: The job ends with an error, nothing was done.
    failing: set[str] = field(default_factory=set)
    #: Jobs are over when they are submitted, and an agent without ``BEGIN`` says so, too.
    is_fast: bool = False
    #: Jobs do one operation each time they are asked about.
    is_slow: bool = False
    #: The job never ends.
    hanging: set[str] = field(default_factory=set)
    #: The job's process dies: before the effect, after it, or half way.
    dying_before: set[str] = field(default_factory=set)
    dying_after: set[str] = field(default_factory=set)
    dying_half_way: set[str] = field(default_factory=set)
    #: So many of the next answers get lost on their way.
    lost_answers: int = 0
    #: What queries are answered with, by kind.
    answers: dict[str, Any] = field(default_factory=dict)
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
        self._known: list[str] = []

    def knows(self, kind: str) -> bool:
        """All but what the node lacks."""
        return kind not in self._node.lacking

    def require(self, op: Operation) -> None:
        """Refuse what the agent does not know."""
        self.require_kinds(dict.fromkeys(part.kind for part in (op, *op.parts)))

    def require_kinds(self, kinds: Iterable[str]) -> None:
        """The same, of kinds."""
        if lacking := [kind for kind in kinds if not self.knows(kind)]:
            named = ", ".join(lacking)
            text = f"its agent (version 0.9) does not know {named}: update the agent"
            raise AgentError(ErrorCode.BAD_OPERATION, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def query(self, op: Operation, limit: float = 0.0) -> Any:
        """What the node's ``answers`` say."""
        del limit
        self.require(op)
        with self._call("query"):
            answer = self._node.answers[op.kind]
        if isinstance(answer, AgentError):
            raise answer
        return answer

    def probe(self, op: Operation, job_id: str = "") -> Probe:
        """Whether the effect is there; no job's record is needed here to see it."""
        del job_id
        self.require(op)
        with self._call("probe"):
            return _looked_at(self._node, op)

    def begin(self, job_id: str, op: Operation, limit: float, wait: float) -> JobUpdate:
        """Accept a job and do it; a known id is the same job.  An agent that lacks ``BEGIN`` does not say more."""
        del limit, wait
        self.require(op)
        has_begin = self.knows(BEGIN)
        with self._call("begin" if has_begin else "submit"):
            if job_id not in self._node.jobs:
                self._node.jobs[job_id] = FakeJob(op)
                if not self._node.is_slow:
                    _perform_all(self._node, self._node.jobs[job_id])
            if has_begin:
                return self._update(job_id, 0)
            if self._node.is_fast:
                return JobUpdate(self._update(job_id, 0).status)
            return JobUpdate(JobStatus(job_id, op.kind, JobState.RUNNING))

    def follow(self, job_id: str, after_seq: int, wait: float) -> JobUpdate:
        """The job's state and news."""
        with self._call("follow"):
            job = self._node.jobs.get(job_id)
            if job is None or job_id in self._node.acknowledged:
                raise AgentError(ErrorCode.JOB_UNKNOWN, f"there is no job {job_id}")
            if self._node.is_slow:
                _perform(self._node, job)
            update = self._update(job_id, after_seq)
            is_hanging = not (job.state.is_over or self._node.is_slow)
        if is_hanging:
            self._world.hold.wait(wait)
        return update

    def _update(self, job_id: str, after_seq: int) -> JobUpdate:
        job = self._node.jobs[job_id]
        status = JobStatus(job_id, job.operation.kind, job.state, len(job.events), job.outcome)
        return JobUpdate(status, tuple(job.events[after_seq:]))

    def forget(self, job_id: str) -> None:
        """Let the agent forget a job when this is closed."""
        self._known.append(job_id)

    def close(self) -> None:
        """Hang up; what is to be forgotten is told before, and gets lost if the line is broken."""
        with self._world.lock, suppress(AgentError):
            for job_id in self._known if self._is_open else ():
                with self._call("acknowledge"):
                    self._node.acknowledged.add(job_id)
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


def _looked_at(node: FakeNode, op: Operation) -> Probe:
    if isinstance(op, ForNodes):
        found = {name: _seen(node, of_node(op.kind, name), op.only([name])) for name in op.nodes}
        is_done = all(probe.verdict is Verdict.DONE for probe in found.values())
        return NodesProbe(Verdict.DONE if is_done else Verdict.NOT_DONE, "", found)
    return _seen(node, op.kind, op)


def _seen(node: FakeNode, name: str, op: Operation) -> Probe:
    if name not in node.effects:
        return Probe(Verdict.NOT_DONE, "nothing of it is there")
    effect = node.effects[name]
    if effect is None:
        return Probe(Verdict.BROKEN, "half of it is there")
    is_done = effect == codec.to_wire(op)
    return Probe(Verdict.DONE if is_done else Verdict.NOT_DONE, "it was looked at")


def of_node(kind: str, node: str) -> str:
    """How an operation for several nodes is named for one of them, wherever a kind is named else."""
    return f"{kind} {node}"


def _perform_all(node: FakeNode, job: FakeJob) -> None:
    """Work on a job until it is over or hangs."""
    before = -1
    while before < len(job.records) and job.state is JobState.RUNNING:
        before = len(job.records)
        _perform(node, job)


def _perform(node: FakeNode, job: FakeJob) -> None:
    """Do the next operation of a job that is running."""
    parts = job.operation.parts
    if job.state is not JobState.RUNNING or parts[len(job.records)].kind in node.hanging:
        return
    op, is_chain = parts[len(job.records)], isinstance(job.operation, Chain)
    if is_chain and _looked_at(node, op).verdict is Verdict.DONE:
        job.records.append(Record(RecordState.WAS_SO, "it was looked at"))
    else:
        mark = f"[{len(job.records) + 1}/{len(parts)}] " if is_chain else ""
        text = f"{mark}working on {op.kind}"
        job.events.append(JobEvent(len(job.events) + 1, "2026-11-23T12:00:00+00:00", text))
        job.records.append(_done(node, op))
    if len(job.records) == len(parts) or not job.records[-1].is_done:
        _finish(job)


def _done(node: FakeNode, op: Operation) -> Record:
    """What becomes of one operation on this host."""
    if isinstance(op, ForNodes):
        return _done_for_nodes(node, op)
    kind = op.kind
    if kind in node.failing:
        error = AgentError(ErrorCode.COMMAND_FAILED, "the command failed", "0042-000 output")
        return Record(RecordState.FAILED, error=error.to_wire())
    if kind in node.dying_before:
        return Record(RecordState.LOST)
    node.performed[kind] += 1
    node.effects[kind] = None if kind in node.dying_half_way else codec.to_wire(op)
    if kind in node.dying_half_way | node.dying_after:
        return Record(RecordState.LOST)
    return Record(RecordState.DONE, result={"was": "done"})


def _done_for_nodes(node: FakeNode, op: ForNodes) -> Record:
    """Node by node; where the job dies, it dies after the first half of them."""
    if op.kind in node.failing:
        error = AgentError(ErrorCode.COMMAND_FAILED, "the command failed", "0042-000 output")
        return Record(RecordState.FAILED, error=error.to_wire())
    if op.kind in node.dying_before:
        return Record(RecordState.LOST)
    is_half = op.kind in node.dying_half_way
    begun = op.nodes[: len(op.nodes) // 2] if is_half else op.nodes
    done, failed = [], {}
    for name in begun:
        own = of_node(op.kind, name)
        if own in node.failing:
            failed[name] = "the command failed"
            continue
        node.performed[own] += 1
        node.effects[own] = codec.to_wire(op.only([name]))
        done.append(name)
    if is_half or op.kind in node.dying_after:
        return Record(RecordState.LOST)
    return Record(RecordState.DONE, result=NodesResult(tuple(done), failed).fitted())


def _finish(job: FakeJob) -> None:
    last, count = job.records[-1], len(job.operation.parts)
    job.state = JobState.LOST if last.state is RecordState.LOST else JobState.EXITED
    error = last.failure()
    if isinstance(job.operation, Chain):
        left = RecordState.LOST if job.state is JobState.LOST else RecordState.NOT_BEGUN
        records = job.records + [Record(left)] * (count - len(job.records))
        if job.state is JobState.LOST:
            error = AgentError(ErrorCode.JOB_LOST, "its process died")
        job.outcome = with_records(records, error)
    elif job.state is JobState.EXITED:
        result = dict(last.result)
        job.outcome = JobOutcome(last.is_done, result, None if error is None else error.to_wire())
