"""Another program writes the same SQLite files all the time, as Perl's driver does; nothing is lost or refused.

The other program is a process of its own that knows nothing of us: one connection per file, the driver's busy
timeout, single statements in autocommit, and long transactions that spill into the file and so lock readers out.
Facts: docs/facts/database.md, Files, columns and transactions; Writing.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.commands import replay

from xcatd.db.database import Database

_WRITES = 60
_TABLES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "site": [{"key": "master", "value": "mn"}],
    "nodelist": [{"node": name, "groups": "all"} for name in ("shared", "ours", "theirs")],
    "noderes": [],
    "nodehm": [],
    "policy": [],
}

_OTHER = r"""
import sqlite3, sys
directory, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
def open_table(name):
    return sqlite3.connect(f"{directory}/{name}.sqlite", timeout=30, isolation_level=None)
nodelist, noderes = open_table("nodelist"), open_table("noderes")
def groups():
    return nodelist.execute("SELECT groups FROM nodelist WHERE node='shared'").fetchone()[0]
def set_groups(text):
    nodelist.execute("UPDATE nodelist SET groups=? WHERE node='shared'", (text,))
def rows(turn):
    name = f"theirs{turn}"
    found = nodelist.execute("SELECT node FROM nodelist WHERE node=?", (name,)).fetchall()
    assert not found
    nodelist.execute("INSERT INTO nodelist (node, groups) VALUES (?, 'all')", (name,))
    noderes.execute("INSERT INTO noderes (node, servicenode) VALUES (?, ?)", (name, f"sn{turn}"))
    noderes.execute("UPDATE noderes SET xcatmaster='m' WHERE node=?", (name,))
def careful(turn):
    nodelist.execute("BEGIN IMMEDIATE")
    set_groups(groups() + f",theirs{turn}")
    nodelist.execute("COMMIT")
def careless(turn):
    set_groups(groups() + f",theirs{turn}")
def long(turn):
    nodelist.execute("PRAGMA cache_size = 2")
    nodelist.execute("BEGIN IMMEDIATE")
    for number in range(400):
        nodelist.execute("INSERT OR REPLACE INTO nodelist (node, comments) VALUES (?, ?)",
                         (f"bulk{number}", f"{turn} " * 100))
    careless(turn)
    nodelist.execute("COMMIT")
print("begin", flush=True)
for turn in range(count):
    globals()[kind](turn)
"""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return replay.open_database(tmp_path, _TABLES)


@contextmanager
def other_program(database: Database, kind: str, count: int = _WRITES) -> Iterator[None]:
    """It writes while the block runs, and comes to its own end."""
    command = [sys.executable, "-c", _OTHER, str(database.location.directory), kind, str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begin\n"
        yield
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")


def run(database: Database, *argv: str) -> None:
    printed = replay.run(argv, replay.context_for(database))
    assert (printed.exit, printed.stderr) == (0, [])


def at_once(*jobs: Callable[[], None]) -> None:
    """Each in a thread of its own; the first failure is raised."""
    failures: list[BaseException] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as failure:  # noqa: BLE001 - handed to the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def groups(database: Database) -> list[str]:
    return list(database.read(["nodelist"]).groups("shared"))


def append(database: Database, name: str, count: int) -> None:
    for turn in range(count):
        run(database, "chdef", "-p", "shared", f"groups={name}{turn}")


def test_rows_of_both_are_all_there(database: Database) -> None:
    def define(name: str) -> None:
        for turn in range(_WRITES // 3):
            run(database, "mkdef", f"{name}{turn}", "groups=all", f"servicenode=sn{turn}")
            run(database, "chdef", f"{name}{turn}", "xcatmaster=m", "mgt=hmc")

    def edit() -> None:
        for turn in range(_WRITES // 3):
            run(database, "tabch", f"key=k{turn}", f"site.value={turn}")
            run(database, "tabch", f"node=t{turn}", "noderes.xcatmaster=m")

    with other_program(database, "rows"):
        at_once(lambda: define("a"), lambda: define("b"), edit)
    snapshot = database.read(["nodelist", "noderes", "site"])
    expected = {f"theirs{turn}": f"sn{turn}" for turn in range(_WRITES)}
    expected |= {f"{name}{turn}": f"sn{turn}" for name in "ab" for turn in range(_WRITES // 3)}
    expected |= {f"t{turn}": "" for turn in range(_WRITES // 3)}
    found = {row["node"]: row["servicenode"] or "" for row in snapshot.rows("noderes")}
    assert found == expected
    assert {row["xcatmaster"] for row in snapshot.rows("noderes")} == {"m"}
    assert len(snapshot.site) == 1 + _WRITES // 3


@pytest.mark.parametrize("kind", ["careful", "long"])
def test_items_of_one_list_are_all_there(database: Database, kind: str) -> None:
    count = _WRITES if kind == "careful" else 10
    with other_program(database, kind, count):
        at_once(lambda: append(database, "a", 20), lambda: append(database, "b", 20))
    expected = {f"theirs{turn}" for turn in range(count)}
    expected |= {f"{name}{turn}" for name in "ab" for turn in range(20)}
    assert sorted(groups(database)) == sorted({"all"} | expected)


def test_what_a_careless_program_wrote_is_never_undone_by_ours(database: Database) -> None:
    """It may overwrite ours with what it read before; so does Perl's chdef, even to itself."""
    with other_program(database, "careless"):
        append(database, "ours", 20)
    found = groups(database)
    assert [name for name in found if name.startswith("theirs")] == [
        f"theirs{turn}" for turn in range(_WRITES)
    ]


def test_many_of_our_own_writers_of_one_list_all_succeed(database: Database) -> None:
    at_once(*(lambda name=name: append(database, name, 8) for name in "abcdef"))
    expected = {f"{name}{turn}" for name in "abcdef" for turn in range(8)}
    assert sorted(groups(database)) == sorted({"all"} | expected)
