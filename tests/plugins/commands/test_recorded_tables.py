"""The table commands do what xCAT's own do: recorded runs over two small databases.

A case holds a command line, what a terminal showed, and the rows that were gone and new afterwards;
``stdin`` is the file ``tabrestore`` reads.  ``any_order``: xCAT's own order of these lines is random.
``usage`` stands for a usage, which has its own words.  ``differs`` says why the outcome is not the recorded
one: only where that was an accident.  Whoever is told of changes by the table ``notification`` is not part of this.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.golden.cases import load

from xcatd.db.database import Database
from xcatd.db.location import Location

from . import replay
from .test_recorded_writes import _as_set, _changed, _stored, _written

HERE = Path(__file__).parent

FILES = {name: load(HERE / "recorded_tables" / f"{name}.json") for name in ("example", "hardware")}


def tables_of(name: str) -> dict[str, list[dict[str, str]]]:
    found = FILES[name]
    if "tables_of" in found:
        found = load(HERE / "recorded" / f"{found['tables_of']}.json")
    tables: dict[str, list[dict[str, str]]] = found["tables"]
    return tables


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A directory for each recorded database, to be copied."""
    made = {}
    for name in FILES:
        made[name] = tmp_path_factory.mktemp(name)
        replay.open_database(made[name], tables_of(name)).close()
    return made


def compare_output(printed: replay.Printed, case: dict[str, Any]) -> None:
    stderr = sorted(line for text in printed.stderr for line in text.split("\n") if line)
    assert stderr == case.get("stderr", [])
    assert printed.exit == case.get("exit", 0)
    stdout = [line for text in printed.stdout for line in text.split("\n")]
    if case.get("usage"):
        assert any("Usage:" in line for line in stdout)
    else:
        assert (sorted(stdout) if case.get("any_order") else stdout) == case.get("stdout", [])


def _name(value: object) -> str:
    return " ".join(value["argv"])[:60] if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name, recorded in FILES.items() for case in recorded["cases"]],
    ids=_name,
)
def test_does_as_recorded(
    name: str, case: dict[str, Any], originals: dict[str, Path], tmp_path: Path
) -> None:
    before, after = originals[name], tmp_path / "db"
    shutil.copytree(before, after)
    database = Database.open(Location("SQLite", after))
    printed = replay.run(case["argv"], replay.context_for(database), stdin=case.get("stdin"))
    compare_output(printed, case)
    tables = _written(before, after) | case.get("gone", {}).keys() | case.get("new", {}).keys()
    wanted = {
        word: {table: _as_set(rows) for table, rows in case.get(word, {}).items()}
        for word in ("gone", "new")
    }
    assert _changed(_stored(before, tables), _stored(after, tables)) == wanted


def test_few_outcomes_differ_and_each_says_why():
    cases = [case for recorded in FILES.values() for case in recorded["cases"]]
    assert len(cases) > 400
    differing = [case for case in cases if "differs" in case]
    assert len(differing) < len(cases) / 10
    assert all(case["differs"] for case in differing)
