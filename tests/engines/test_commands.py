"""Whole commands give the same on every engine.

Servers have no order of rows, so there rows come in the order of their keys; what prints a table as it is
stored is compared line by line in any order.
"""

from __future__ import annotations

import json

import pytest
from tests.plugins.commands import replay
from tests.plugins.commands.test_recorded import FILES, _lines
from tests.plugins.servicenodes.snmove import test_command as moves
from tests.plugins.servicenodes.snmove.doubles import (
    Names,
    World,
    errors,
    exit_status,
    lines,
    stored,
)

from xcatd.db.database import Database
from xcatd.db.location import Location

#: A part is enough to find what depends on the engine; lsxcatd tells which one it is.
CASES = [
    (name, case["argv"])
    for name, found in FILES.items()
    for case in found["cases"][::4]
    if case["argv"][0] != "lsxcatd"
]


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def contexts(request, servers):
    """A context for each recorded database on one engine."""
    made = {}
    for name, recorded in FILES.items():
        database = Database.open(servers.get(request.param).new())
        fill(database, recorded["tables"])
        made[name] = replay.context_for(database)
    yield made
    for context in made.values():
        context.db.close()


def fill(database, tables):
    database.create_missing_tables({*tables, "site", "nodelist"})
    for table, rows in tables.items():
        if rows:
            with database.transaction(table) as transaction:
                transaction.insert(table, rows)


def test_recorded_command_lines_print_the_same(contexts):
    given = {
        name: replay.context_for(replay.FixedDatabase(recorded["tables"]))
        for name, recorded in FILES.items()
    }
    differing = []
    for name, argv in CASES:
        wanted = replay.run(argv, given[name])
        found = replay.run(argv, contexts[name])
        if shown(found) != shown(wanted):
            differing.append((argv, found, wanted))
    assert differing == []


def shown(printed):
    return sorted(_lines(printed.stdout)), printed.stderr, printed.exit


def world_on(database):
    fill(database, moves.rows())
    return World(database, Names(moves.ADDRESSES), moves.agents())


def told(replies):
    return lines(replies), errors(replies), exit_status(replies)


def story(database):
    """A move, a refused one, the list, an undo; and what is in the tables."""
    world = world_on(database)
    found = [told(world.snmove("n1,n2", "-d", "sn2", "--dry-run"))]
    found.append(told(world.snmove("n1,n2,d1", "-i", "-d", "sn2")))
    found.append(moves.servers(world))
    found.append(stored(database, moves.rows()))
    found.append(told(world.snmove("n1", "-d", "nobody")))
    (plan,) = database.select("aixplan", columns=["id", "outcome"])
    found.append(plan["outcome"])
    found.append(told(world.snmove("--undo", plan["id"])))
    found.append(stored(database, moves.rows()))
    text = json.dumps(found)
    for row in database.select("aixplan", columns=["id"]):
        text = text.replace(row["id"], "PLAN")  # its end is random
    return json.loads(text)


def sorted_rows(value):
    """Tables' rows in one order."""
    if isinstance(value, dict):
        return {name: sorted_rows(rows) for name, rows in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sorted(value, key=json.dumps)
    return value


def test_a_move_is_the_same_move(database, tmp_path_factory):
    reference = Database.open(Location("SQLite", tmp_path_factory.mktemp("reference")))
    wanted = [sorted_rows(part) for part in story(reference)]
    found = [sorted_rows(part) for part in story(database)]
    assert found == wanted
    assert wanted[1][2] == 0
    assert wanted[2]["n1"] == "sn2,sn1 10.1.0.12"
    assert wanted[5] == "ok"
    reference.close()
