"""A lab with real processes, and what can be said about its state."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals

from xcat_aix_lab import agents
from xcat_aix_lab.directory import Size
from xcat_aix_lab.lab import Lab

#: n01, n02 (diskful) and n05 (diskless) served by sn1, n03, n04 and n06 by sn2.
SIZE = Size(compute_nodes=6, service_nodes=2, diskful_percent=67)


@dataclass(frozen=True)
class Done:
    """One finished command."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class Cluster:
    """A running lab, driven by the client as an administrator would.

    ``former``: nodes whose agents are of an earlier version, by its recording; all are then in one process.
    """

    def __init__(
        self, path: Path, size: Size = SIZE, *, former: Mapping[str, Path] | None = None
    ) -> None:
        self.lab = Lab(path)
        self.lab.make(size)
        for node, recording in (former or {}).items():
            shutil.copy(recording, agents.former_file(self.lab.directory, node))
        self.lab.up(in_process=bool(former))

    def environment(self) -> dict[str, str]:
        return {**os.environ, "TERM": "dumb", **self.lab.environment()}

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [agents.script("xcatclient"), *words],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, status: int | None = 0) -> Done:
        with self.begin(*words) as process:
            out, err = process.communicate(timeout=50)
        done = Done(process.returncode, out, err)
        if status is not None:
            assert done.status == status, done.text
        return done

    def moves(self) -> dict[str, str]:
        """State of each move in the journal by its id, newest first."""
        lines = self.run("snmove", "--list").out.splitlines()
        if not lines[0].startswith("MOVE"):
            return {}
        start = lines[0].index("STATE")
        return {line.split()[0]: line[start:].strip() for line in lines[1:]}

    def newest(self) -> str:
        return next(iter(self.moves()))

    # What is so

    def rows(self, table: str) -> list[tuple[str | None, ...]]:
        path = self.lab.directory.database / f"{table}.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return sorted(database.execute(f'SELECT * FROM "{table}"'), key=repr)  # noqa: S608

    def tables(self) -> dict[str, list[tuple[str | None, ...]]]:
        """All of xCAT's tables but the audit trail."""
        paths = self.lab.directory.database.glob("*.sqlite")
        names = sorted(path.stem for path in paths)
        return {n: self.rows(n) for n in names if n not in {"auditlog", "aixjournal"}}

    def masters(self) -> dict[str, str]:
        """NIM master of each node, as the node itself says."""
        return dict(self.lab.own_masters())

    def node_state(self, node: str) -> tuple[object, ...]:
        """Everything a move changes on a node."""
        store = self.lab.directory.store
        files, host = store.files(node), store.host(node)
        return (
            files.read("/etc/niminfo"),
            files.read("/etc/xcatinfo"),
            tuple(map(tuple, host.routes)),
            str(host.bootlist),
        )

    def state(self) -> tuple[object, ...]:
        nodes = [node.name for node in self.lab.directory.cluster.of_kind("cn")]
        return self.tables(), {node: self.node_state(node) for node in nodes}

    def journal_length(self) -> int:
        path = self.lab.directory.database / "aixjournal.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            try:
                return int(database.execute("SELECT count(*) FROM aixevent").fetchone()[0])
            except sqlite3.OperationalError:  # it is not there yet, or busy
                return 0

    # Breaking things

    def kill_process(self, name: str) -> None:
        """End one of the lab's own processes at once."""
        self.lab.launcher.signal(name, Signals(SIGKILL))
        wait_for(lambda: not self.lab.launcher.is_running(name), f"{name} does not end")


def wait_for(is_so: Callable[[], bool], otherwise: str, seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, otherwise
        time.sleep(0.01)
