"""The database after ours is the database after the Perl command: recorded cases, run through the command.

``said`` in a case is what Perl said; where docs/facts/snmove.md, New values, declares a difference, it is in the test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.golden.cases import find, load

from xcatd.api import Reply

from .doubles import Names, errors, exit_status, lines, open_world, stored, warnings

DIRECTORY = Path(__file__).parents[3] / "golden" / "snmove_db"
CASES = find(DIRECTORY)

#: Said as an error by Perl, which goes on; ours warns.
WARNINGS = (
    "The service node attribute cannot have more than two values.",
    "The current value of the monserver attribute is not valid.  It will not be reset.",
)


def _by_key(tables: dict[str, list[dict[str, str]]]) -> dict[str, list[list[tuple[str, str]]]]:
    """New rows come in Perl's hash order, which means nothing."""
    return {table: sorted(sorted(row.items()) for row in rows) for table, rows in tables.items()}


def _expected(case: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """What Perl left, with the differences that the case declares and gives a reason for."""
    rows = {**case["before"], **case["after"]}
    for table, nodes in case.get("ours", {}).items():
        if table != "because":
            rows[table] = [{**row, **nodes.get(row["node"], {})} for row in rows[table]]
    return rows


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_as_perl_leaves_it(path: Path, tmp_path: Path) -> None:
    case = load(path)
    world = open_world(tmp_path, case["before"], Names(case["addresses"], case["interfaces"]))
    replies = world.snmove(*case["args"])
    assert _by_key(stored(world.db, case["before"])) == _by_key(_expected(case)), errors(replies)
    _check_said(case, replies)
    ran = [("makeconservercf", tuple(nodes)) for name, nodes in case["ran"] if name != "nodeset"]
    assert [(name, tuple(sorted(nodes))) for name, nodes in world.ran] == ran


def _check_said(case: dict[str, Any], replies: list[Reply]) -> None:
    said = [
        line.partition(": ")[2]
        for line in case["said"]
        if line.startswith(("error: ", "data: ")) and "makeconservercf" not in line
    ]
    refused = [line for line in said if line not in WARNINGS]
    assert errors(replies) == refused
    assert exit_status(replies) == (1 if refused else 0)
    for text in set(said) & set(WARNINGS):
        assert any(text in line for line in warnings(replies))
    moving = [line.partition(": ")[2] for line in case["said"] if line.startswith("info: ")]
    assert [line for line in lines(replies) if line in moving] == moving


def test_the_cases_are_there() -> None:
    assert len(CASES) >= 25
