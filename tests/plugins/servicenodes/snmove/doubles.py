"""A context for the command: a real database directory, and doubles for names and agents."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from xcat_aix.commands.planned.plans import Plans
from xcat_aix.commands.servicenodes.snbalance import Snbalance
from xcat_aix.commands.servicenodes.snmove import Snmove
from xcat_aix_proto import codec
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.facts import HostReport, Interface, NimDatabase
from xcat_aix_proto.jobs import (
    JobOutcome,
    JobState,
    JobStatus,
    JobUpdate,
    Probe,
    Record,
    RecordState,
    Verdict,
)
from xcat_aix_proto.operations import Chain, HostFacts, NimSnapshot, Operation
from xcatd.api import Reply, Request, Targets
from xcatd.db.database import Database
from xcatd.db.location import find
from xcatd.nodes import Expansion, expand

TABLES = (
    "site",
    "nodelist",
    "nodegroup",
    "noderes",
    "nodehm",
    "nodetype",
    "nimimage",
    "networks",
    "postscripts",
    "hosts",
    "nics",
    "servicenode",
    "statelite",
)


PLANNED = {"snmove": Snmove, "snbalance": Snbalance}


class FixedClock:
    """A clock that moves a little at each look."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> datetime:
        self._seconds += 0.001
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    def advance(self, step: timedelta) -> None:
        self._seconds += step.total_seconds()


@dataclass
class Names:
    """Names to addresses, from plain data."""

    known: Mapping[str, str]
    of_nodes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def address(self, name: str) -> str | None:
        return self.known.get(name)

    def addresses(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self.known[name] for name in names if name in self.known}

    def interfaces(self, node: str) -> tuple[str, ...]:
        return tuple(self.of_nodes.get(node, ()))


_NOT_BEGUN = Record(RecordState.NOT_BEGUN)


class Connection:
    """One lane's or query's connection to a scripted agent."""

    def __init__(self, agents: Agents, node: str) -> None:
        self._agents, self._node = agents, node

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def query(self, op: Operation, limit: float) -> HostReport | NimDatabase:
        interfaces, nim = self._agents.servers[self._node]
        if limit < self._agents.seconds_to_look.get(op.kind, 0.0):
            raise AgentError(ErrorCode.UNREACHABLE, "no answer in time")
        if isinstance(op, HostFacts):
            found = tuple(Interface("en0", address, "255.255.0.0") for address in interfaces)
            return HostReport(self._node, self._node, "7100", found)
        assert isinstance(op, NimSnapshot)
        return nim

    def probe(self, op: Operation, job_id: str = "") -> Probe:
        is_done = (self._node, op) in self._agents.done
        return Probe(Verdict.DONE if is_done else Verdict.NOT_DONE)

    def knows(self, kind: str) -> bool:
        return True

    def require(self, op: Operation) -> None:
        pass

    def begin(self, job_id: str, op: Operation, limit: float, wait: float) -> JobUpdate:
        records: list[Record] = []
        for part in op.parts:
            is_broken = bool(records) and not records[-1].is_done
            records.append(_NOT_BEGUN if is_broken else self._perform(part))
        problem = next((record.error for record in records if record.error), None)
        outcome = JobOutcome(ok=problem is None, error=problem)
        if isinstance(op, Chain):
            outcome = replace(outcome, result={"records": codec.to_wire(records)})
        return JobUpdate(JobStatus(job_id, op.kind, JobState.EXITED, outcome=outcome))

    def _perform(self, op: Operation) -> Record:
        if (self._node, op) in self._agents.done:
            return Record(RecordState.WAS_SO)
        if problem := self._agents.failing.get((self._node, op.kind)):
            return Record(RecordState.FAILED, error=problem.to_wire())
        self._agents.done.append((self._node, op))
        return Record(RecordState.DONE)

    def follow(self, job_id: str, after_seq: int, wait: float) -> JobUpdate:
        raise AgentError(ErrorCode.JOB_UNKNOWN, "its jobs are finished at once, and forgotten")

    def forget(self, job_id: str) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class Agents:
    """``servers``: service nodes that answer, with interfaces and NIM; ``down``: who does not."""

    servers: Mapping[str, tuple[Sequence[str], NimDatabase]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    failing: dict[tuple[str, str], AgentError] = field(default_factory=dict)
    done: list[tuple[str, Operation]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    seconds_to_look: dict[str, float] = field(default_factory=dict)

    def connect(self, node: str, role: Any, address: str, port: int, **_: Any) -> Connection:
        self.asked.append(node)
        if node in self.down or (role.value == "sn" and node not in self.servers):
            raise AgentError(ErrorCode.UNREACHABLE, f"cannot connect to {address} port {port}")
        return Connection(self, node)


@dataclass
class World:
    """The context of a request, and how to make one."""

    db: Database
    names: Names
    agents: Agents = field(default_factory=Agents)
    clock: FixedClock = field(default_factory=FixedClock)
    cancelled: threading.Event = field(default_factory=threading.Event)
    version: str = "Version 2.17 (xcat-aix)"
    is_mn: bool = True
    hostname: str = "mn"
    ran: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    offers: frozenset[str] = frozenset({"makeconservercf"})

    def expand(
        self, text: str, *, verify: bool = True, snapshot: Any = None, is_users: bool = True
    ) -> Expansion:
        return expand(self.db, text, verify=verify, snapshot=snapshot)

    def may(self, targets: Targets) -> bool:
        return True

    def resolver(self, snapshot: Any) -> Names:
        return self.names

    def run(
        self, command: str, args: tuple[str, ...] = (), nodes: tuple[str, ...] = ()
    ) -> Iterator[Reply]:
        if command in PLANNED:
            yield from PLANNED[command]().handle(Request(command, args), self)  # type: ignore[arg-type]
        elif command not in self.offers:
            yield Reply(errors=("Unsupported request",))
        else:
            self.ran.append((command, nodes))

    def snmove(self, *args: str, **environment: str) -> list[Reply]:
        return list(self.telling(*args, **environment))

    def telling(self, *args: str, **environment: str) -> Iterator[Reply]:
        """The replies, each as it comes."""
        request = Request("snmove", tuple(args), environment=environment, user="admin")
        return Snmove().handle(request, self)  # type: ignore[arg-type]

    def plans(self, *args: str) -> list[Reply]:
        request = Request("plans", tuple(args), user="admin")
        return list(Plans().handle(request, self))  # type: ignore[arg-type]


def open_world(
    directory: Path,
    rows: Mapping[str, Sequence[Mapping[str, str]]],
    names: Names,
    agents: Agents | None = None,
) -> World:
    db = Database.open(find({"XCATCFG": f"SQLite:{directory}"}))
    db.create_missing_tables(TABLES)
    for table, found in rows.items():
        if found:
            with db.transaction(table) as transaction:
                transaction.insert(table, found)
    return World(db, names, agents or Agents())


def stored(db: Database, tables: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    return {
        table: [
            {column: text for column, text in row.items() if text is not None}
            for row in db.read([table]).rows(table, include_disabled=True)
        ]
        for table in tables
    }


def errors(replies: Iterable[Reply]) -> list[str]:
    found: list[str] = []
    for reply in replies:
        found += reply.errors
        found += [f"{node.name}: {node.error}" for node in reply.nodes if node.error]
    return found


def warnings(replies: Iterable[Reply]) -> list[str]:
    return [line for reply in replies for line in reply.warnings]


def lines(replies: Iterable[Reply]) -> list[str]:
    found: list[str] = []
    for reply in replies:
        found += reply.info
        found += [item for item in reply.data if isinstance(item, str)]
    return found


def exit_status(replies: Iterable[Reply]) -> int:
    status = 0
    for reply in replies:
        status |= reply.errorcode or 0
        for node in reply.nodes:
            status |= node.errorcode or 0
    return status
