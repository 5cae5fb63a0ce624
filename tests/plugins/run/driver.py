"""Real processes that kill themselves at a boundary, over a real SQLite directory.

Run as a program: ``driver.py DIRECTORY``.  It forks a process that works on a plan and dies by SIGKILL at the
n-th boundary, then one that resumes it, for every n; prints one JSON line per n.  Forking from here and not from
the test keeps the interpreter's start out of the time, and other threads out of the fork.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xcat_aix.plan.kinds import NoReverse
from xcat_aix.plan.model import Lane, Plan, Step, Target
from xcat_aix.run.errors import NothingToResume, Overlap
from xcat_aix.run.executor import Executor
from xcat_aix.run.journal import Journal
from xcat_aix.run.registry import Registry
from xcat_aix.run.states import Outcome
from xcat_aix.run.task import AgentLine, Task
from xcat_aix.steps.database import DatabaseWrite
from xcat_aix_proto.jobs import Probe, Verdict
from xcatd.api import SystemClock
from xcatd.changes import Change, ChangedRow, Changes, Way
from xcatd.db.database import Database
from xcatd.db.location import Location

NODES = ("n1", "n2")


class MakeDirectory:
    """``test.directory@1``: the effect is a directory, made at one stroke; a second time fails the run."""

    kind = "test.directory@1"
    reverse = NoReverse("a test takes nothing back")

    def __init__(self, world: Path) -> None:
        self._world = world

    def title(self, step: Step) -> str:
        return step.id

    def _path(self, task: Task) -> Path:
        return self._world / f"{task.lane.id}.{task.step.id}"

    def probe(self, task: Task) -> Probe:
        return Probe(Verdict.DONE if self._path(task).exists() else Verdict.NOT_DONE)

    def effect(self, task: Task) -> Mapping[str, Any]:
        self._path(task).mkdir()
        return {}


class KillAt:
    """SIGKILL, which nothing can catch, at the n-th boundary."""

    def __init__(self, boundary: int) -> None:
        self._left = boundary
        self._lock = threading.Lock()

    def __call__(self, point: str, lane: str, step: str) -> None:
        with self._lock:
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1


def connect(target: Target, via: Target | None) -> AgentLine:
    raise AssertionError(f"nobody asked for an agent: {target}, {via}")


def sample_plan() -> Plan:
    steps = (Step("one", MakeDirectory.kind), Step("two", MakeDirectory.kind))
    lanes = [Lane(node, steps, subject=node, needs=("database",)) for node in NODES]
    change = Change(Way.SET, "noderes", ("node",), (("servicenode", "b"),), (("servicenode", "a"),))
    changes = Changes(tuple(ChangedRow(change, (node,)) for node in NODES))
    database = Lane("database", (Step("write", DatabaseWrite.kind, changes=changes),))
    return Plan("test", NODES, (database, *lanes))


def database(directory: Path) -> Database:
    return Database.open(Location("SQLite", directory))


def journal(db: Database) -> Journal:
    return Journal(db, SystemClock(), "mn1", lambda: secrets.token_hex(4))


def executor(directory: Path, boundary: int) -> Executor:
    db = database(directory)
    registry = Registry([DatabaseWrite(db), MakeDirectory(directory / "world")])
    crash = KillAt(boundary)
    return Executor(journal(db), registry, SystemClock(), connect, fanout=2, crash=crash)


def prepare(directory: Path) -> None:
    (directory / "world").mkdir(parents=True)
    db = database(directory)
    db.create_missing_tables(["noderes", "aixplan", "aixevent"])
    with db.transaction("noderes") as transaction:
        transaction.insert("noderes", [{"node": node, "servicenode": "a"} for node in NODES])


def work(directory: Path, boundary: int) -> None:
    worker = executor(directory, boundary)
    list(worker.run(worker.open(sample_plan())))


def resume(directory: Path) -> None:
    worker = executor(directory, -1)
    (summary,) = worker.journal.list()
    if summary.outcome is Outcome.OK:
        return
    if not summary.is_interrupted:
        raise AssertionError(f"the list says {summary.sentence} of a plan whose process is dead")
    try:
        list(worker.run(worker.claim(summary.id)))
    except NothingToResume as problem:
        raise AssertionError(str(problem)) from problem


def in_child(what: Callable[[], None]) -> int:
    """Exit status of a forked process, negative for the signal that ended it."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        what()
    except BaseException as problem:  # noqa: BLE001 - the parent is told by the exit status
        print(f"{type(problem).__name__}: {problem}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def end(directory: Path) -> dict[str, Any]:
    db = database(directory)
    (summary,) = journal(db).list()
    return {
        "outcome": summary.outcome and summary.outcome.value,
        "cells": {row["node"]: row["servicenode"] for row in db.select("noderes")},
        "made": sorted(path.name for path in (directory / "world").iterdir()),
    }


def main(directory: Path) -> None:
    template = directory / "template"
    in_child(lambda: prepare(template))
    codes: list[tuple[int, int]] = []
    while not codes or codes[-1][0] != 0:
        boundary = len(codes)
        here = Path(shutil.copytree(template, directory / str(boundary)))
        killed = in_child(functools.partial(work, here, boundary))
        codes.append((killed, in_child(functools.partial(resume, here))))
    # From here on nothing is forked, and databases can be opened.
    for boundary, (killed, resumed) in enumerate(codes):
        line = {"killed": killed, "resumed": resumed, "end": end(directory / str(boundary))}
        print(json.dumps(line))


def race(directory: Path) -> None:
    """Three processes open a plan for the same nodes at the same moment."""
    in_child(lambda: prepare(directory))
    go, answers, over = os.pipe(), os.pipe(), os.pipe()
    children = [_racer(directory, go, answers, over) for _ in range(3)]
    os.close(go[1])
    os.close(answers[1])
    with open(answers[0]) as lines:
        told = [json.loads(lines.readline()) for _ in children]
    os.close(over[1])
    for child in children:
        os.waitpid(child, 0)
    print(json.dumps(told))


def _racer(
    directory: Path, go: tuple[int, int], answers: tuple[int, int], over: tuple[int, int]
) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.close(go[1])
    os.close(over[1])
    own = journal(database(directory))
    os.read(go[0], 1)  # until the parent closes its end
    try:
        answer = ["opened", own.open_plan(sample_plan()).plan_id]
    except Overlap as problem:
        answer = ["refused", problem.plan_id]
    os.write(answers[1], json.dumps(answer).encode() + b"\n")
    os.read(over[0], 1)  # alive until all have asked
    os._exit(0)


if __name__ == "__main__":
    (race if sys.argv[2:] == ["race"] else main)(Path(sys.argv[1]))
