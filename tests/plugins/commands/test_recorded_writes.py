"""mkdef, chdef and rmdef do what xCAT's own do: recorded runs over four small databases.

A case holds command lines, what a terminal showed, and the rows that were gone and new afterwards.  xCAT
goes through objects and attributes in random order, so standard error is compared line by line in any order, and
lists of adapters, of members and of new objects as sets.  A step's ``stdin`` is often what the step before printed.  ``corrected`` says where the recorded outcome was an accident
that is not repeated here; ``usage`` stands for a usage, which has its own words.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.golden.cases import load

from xcatd.db.database import Database
from xcatd.db.location import Location

from . import replay

HERE = Path(__file__).parent

Rows = Mapping[str, list[dict[str, str]]]


FILES = {
    name: load(HERE / "recorded_writes" / f"{name}.json")
    for name in ("example", "inheritance", "empty", "odd")
}


def _tables(name: str) -> Rows:
    found = FILES[name]
    tables: Rows = (
        found["tables"]
        if "tables" in found
        else load(HERE / "recorded" / f"{found['tables_of']}.json")["tables"]
    )
    return tables


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A directory for each recorded database, to be copied."""
    made = {}
    for name in FILES:
        made[name] = tmp_path_factory.mktemp(name)
        replay.open_database(made[name], _tables(name)).close()
    return made


def _stored(directory: Path, tables: Iterable[str]) -> Rows:
    return Database.open(Location("SQLite", directory)).read(tables).to_rows()


def _written(before: Path, after: Path) -> set[str]:
    """The tables whose files are not the same any more."""
    return {
        path.stem
        for path in after.glob("*.sqlite")
        if not (old := before / path.name).exists() or old.read_bytes() != path.read_bytes()
    }


def _as_set(rows: list[dict[str, str]]) -> list[str]:
    """Rows in any order, adapters of the nics table too."""
    plain = [
        {
            column: ",".join(sorted(text.split(","))) if column.startswith("nic") else text
            for column, text in row.items()
        }
        for row in rows
    ]
    return sorted(json.dumps(row, sort_keys=True) for row in plain)


def _changed(before: Rows, after: Rows) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {"gone": {}, "new": {}}
    for table in before.keys() | after.keys():
        old, new = _as_set(before.get(table, [])), _as_set(after.get(table, []))
        for word, rows in (
            ("gone", [row for row in old if row not in new]),
            ("new", [row for row in new if row not in old]),
        ):
            if rows:
                found[word][table] = rows
    return found


def _lines(texts: list[str]) -> list[str]:
    return [_with_sorted_names(line) for text in texts for line in text.split("\n")]


def _with_sorted_names(line: str) -> str:
    head, is_members, members = line.partition("    members=")
    if is_members and not head:
        return is_members + ",".join(sorted(members.split(",")))
    if not line.startswith("New object definitions"):
        return line
    before, names, after = line.split("'")
    return f"{before}'{','.join(sorted(names.split(',')))}'{after}"


def _compare_output(printed: replay.Printed, step: dict[str, Any]) -> None:
    errors = [line for line in _lines(printed.stderr) if line]
    assert sorted(errors) == step.get("stderr", [])
    assert printed.exit == step.get("exit", 0)
    if step.get("usage"):
        assert any("Usage:" in line for line in printed.stdout)
    else:
        assert _lines(printed.stdout) == _lines(step.get("stdout", []))


def _name(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(" ".join(step["argv"]) for step in value["steps"])[:80]
    return str(value)


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
    context = replay.context_for(Database.open(Location("SQLite", after)))
    for step in case["steps"]:
        printed = replay.run(step["argv"], context, stdin=step.get("stdin", case.get("stdin")))
        _compare_output(printed, step)
    wanted = {
        word: {table: _as_set(rows) for table, rows in case.get(word, {}).items()}
        for word in ("gone", "new")
    }
    tables = _written(before, after)
    assert _changed(_stored(before, tables), _stored(after, tables)) == wanted
