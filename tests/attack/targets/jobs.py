"""The agent's jobs directory with anything in it: told what can be told, and nothing runs by it."""

from __future__ import annotations

import datetime as dt
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.attack import grammars
from tests.attack.targets import Target

from xcat_aix_agent.clock import SystemClock
from xcat_aix_agent.jobs.job import Job, Spec
from xcat_aix_agent.jobs.store import JobStore, StoreLimits
from xcat_aix_proto import codec
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.jobs import JobOutcome, Record, RecordState
from xcat_aix_proto.operations import Chain, ChangeDefaultRoute, SetXcatServer

_FILES = ("spec.json", "result.json", "events", "started", "group", "rc", "acknowledged", "lock")
_FILES += ("records",)
_LIMITS = StoreLimits(kept=50, running=8, keep=3600.0)


_CHAIN = Chain.of((SetXcatServer("10.0.0.1"), ChangeDefaultRoute("10.0.0.1", "10.0.0.2")))


class Still(SystemClock):
    """Time stands still: the same input is the same tomorrow."""

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC)


class Refuses:
    """Starts nothing; keeps what it was asked to start."""

    def __init__(self) -> None:
        self.started: list[Spec] = []

    def start(self, job: Job, spec: Spec) -> None:
        self.started.append(spec)

    def is_working(self, job: Job, spec: Spec) -> bool:
        return False

    def wait(self, job: Job, done: Callable[[], bool], seconds: float) -> None:
        done()

    def cancel(self, job: Job) -> None:
        pass

    def close(self, *, abandon: bool = False) -> None:
        pass


class Jobs(Target):
    """An input is a directory's files in JSON, name to text; what is no such JSON is the ``spec.json``."""

    allowed = (AgentError,)
    spoilt = 0.3
    tokens = (
        b'"spec.json"',
        b'"events"',
        b'"operation"',
        b'"limit"',
        b"1 2026",
        b"\\n",
        b"null",
        b"[[[[",
        b"{}",
    )

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        store = self._store(directory / "made", Refuses())
        store.recover()
        store.submit("job1", SetXcatServer("10.0.0.1"), 1e6, "xcat-aix:mn:mn1")
        spec = (directory / "made" / "job1" / "spec.json").read_text()
        result = json.dumps(codec.to_wire(JobOutcome(ok=True)))
        events = "1 2026-11-23T10:00:00Z begun\n2 2026-11-23T10:00:01Z done\n"
        self._files = {"spec.json": spec, "events": events, "started": "77\n", "group": "78\n"}
        self._files |= {"result.json": result, "rc": "0\n"}
        accepted = {"spec.json": spec}
        lost = {"spec.json": spec, "events": events, "started": "77\n"}
        store = self._store(directory / "chain", Refuses())
        store.recover()
        store.submit("job1", _CHAIN, 1e6, "xcat-aix:mn:mn1")
        chain = (directory / "chain" / "job1" / "spec.json").read_text()
        record = json.dumps(codec.to_wire(Record(RecordState.DONE, "x", result={"a": 1})))
        self._chain = {
            "spec.json": chain,
            "records": f"client.xcatinfo@1 {record}\nclient.default_route@1 {record[:20]}",
            "started": "77\n",
        }
        seeds = (self._files, accepted, lost, self._chain)
        self.seeds = tuple(json.dumps(files).encode() for files in seeds)

    @staticmethod
    def _store(path: Path, runner: Refuses) -> JobStore:
        return JobStore(path, runner, Still(), _LIMITS, sync=False)

    def generate(self, rng: random.Random) -> bytes:
        files = dict(self._files if rng.random() < 0.6 else self._chain)
        for name in rng.sample(_FILES, rng.randint(0, 4)):
            files.pop(name, None)
        if "spec.json" in files and rng.random() < 0.7:
            files["spec.json"] = json.dumps(grammars.mutated(rng, json.loads(files["spec.json"])))
        for name in rng.sample(_FILES, rng.randint(0, 2)):
            files[name] = rng.choice(
                (
                    "",
                    "-1",
                    "0",
                    "1",
                    "99999999999",
                    "x",
                    "\u0660",
                    "1 x y\n" * 30,
                    'client.xcatinfo@1 {"state": "done"}\n' * 40,
                    grammars.text(rng),
                )
            )
        return grammars.dumped(files)

    def run(self, data: bytes) -> None:
        jobs = self.directory / "jobs"
        job = jobs / "job1"
        job.mkdir(parents=True)
        try:
            for name, text in _files(data).items():
                (job / name).write_bytes(text)
            self._look(jobs)
        finally:
            shutil.rmtree(jobs)

    def _look(self, jobs: Path) -> None:
        runner = Refuses()
        store = self._store(jobs, runner)
        store.recover()
        for spec in runner.started:
            spec.decoded()  # what begins is an operation of ours
        for status in store.all():
            codec.to_wire(status)
        codec.to_wire(store.follow("job1", 0, 0.0))
        for part in _CHAIN.parts:
            store.finished("job1", part)
        store.cancel("job1")
        store.submit("job2", SetXcatServer("10.0.0.2"), 60.0, "xcat-aix:mn:mn1")
        store.acknowledge("job1")


def _files(data: bytes) -> dict[str, bytes]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return {"spec.json": data}
    return {
        name: text.encode("utf-8", "surrogatepass")
        for name, text in found.items()
        if name in _FILES and isinstance(text, str)
    }


TARGET = Jobs
