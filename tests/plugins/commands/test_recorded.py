"""Our commands print what xCAT's own print: recorded runs over four small databases.

The files hold the rows of a database and, per command line, what a terminal showed.  ``compare`` says
how: ``any order`` where xCAT's own order is random, ``own words`` where only standard error and the exit
status are compared (usages), ``labels`` where descriptions stand behind them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.golden.cases import load

from . import replay

RECORDED = Path(__file__).parent / "recorded"


FILES = {
    name: load(RECORDED / f"{name}.json") for name in ("example", "inheritance", "empty", "odd")
}


@pytest.fixture(scope="module")
def contexts() -> dict[str, replay.Context]:
    """A context over each recorded database."""
    return {
        name: replay.context_for(replay.FixedDatabase(recorded["tables"]))
        for name, recorded in FILES.items()
    }


def _lines(texts: list[str]) -> list[str]:
    """Printed texts as lines; members of a group in any order, for dynamic ones have none."""
    lines = [line for text in texts for line in text.split("\n")]
    return [_sorted_members(line) for line in lines]


def _sorted_members(line: str) -> str:
    head, found, names = line.partition("    members=")
    return head + found + ",".join(sorted(names.split(","))) if found and not head else line


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name, recorded in FILES.items() for case in recorded["cases"]],
    ids=lambda value: " ".join(value["argv"]) if isinstance(value, dict) else str(value),
)
def test_prints_as_recorded(
    name: str, case: dict[str, Any], contexts: dict[str, replay.Context]
) -> None:
    printed = replay.run(case["argv"], contexts[name])
    stdout, stderr = _lines(printed.stdout), _lines(printed.stderr)
    wanted = _lines(case.get("stdout", []))
    match case.get("compare", "exact"):
        case "any order":
            assert sorted(stdout) == sorted(wanted)
            stderr.sort()
        case "own words":
            assert stdout
        case "labels":
            labels = re.findall(r"^([\w.-]+):\t", "\n".join(stdout), re.MULTILINE)
            assert labels == case["labels"]
        case _:
            assert stdout == wanted
    assert stderr == case.get("stderr", [])
    assert printed.exit == case.get("exit", 0)
