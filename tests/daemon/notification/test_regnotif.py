"""regnotif and unregnotif: rows written, usages and exit statuses as xCAT's."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.plugins.commands import replay

from xcatd.api import Context
from xcatd.db.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    rows = [{"filename": "/old", "tables": "site", "tableops": "a", "disable": "1"}]
    return replay.open_database(tmp_path, {"notification": rows})


@pytest.fixture
def context(database: Database) -> Context:
    return replay.context_for(database)


def stored(database: Database) -> set[tuple[str | None, ...]]:
    names = ("filename", "tables", "tableops", "disable")
    return {tuple(row[name] for name in names) for row in database.select("notification")}


OLD = ("/old", "site", "a", "1")


@pytest.mark.parametrize(
    ("words", "row"),
    [
        (("test.pm", "nodelist", "-o", "a,d"), ("test.pm", "nodelist", "a,d", None)),
        (("-o", "u", "/x/y", "nodelist,nodehm"), ("/x/y", "nodelist,nodehm", "u", None)),
        (("/x", "nodelist"), ("/x", "nodelist", "a,d,u", None)),
        (("/x", "nodelist", "more", "words"), ("/x", "nodelist", "a,d,u", None)),
        (("/x", "--operation=d,a,u", "nosuchtable"), ("/x", "nosuchtable", "d,a,u", None)),
        (("/x", "site", "-oa"), ("/x", "site", "a", None)),
    ],
)
def test_registers(
    words: tuple[str, ...], row: tuple[str, ...], context: Context, database: Database
):
    printed = replay.run(("regnotif", *words), context)
    assert (printed.stdout, printed.stderr, printed.exit) == ([], [], 0)
    assert stored(database) == {OLD, row}


@pytest.mark.parametrize(
    "filename",
    ["/x y", "/x'; drop table site; --", "x", "./x", "/x/../y", "/x;y", "$(id)", "a b.pm"],
)
def test_what_is_no_path_is_refused(filename: str, context: Context, database: Database):
    printed = replay.run(("regnotif", filename, "site"), context)
    assert (printed.stdout, printed.exit) == ([], 1)
    assert "as a notification hook: it must be one absolute path" in printed.stderr[0] or (
        "'..' may not be in its path" in printed.stderr[0]
    )
    assert stored(database) == {OLD}


@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_that_others_could_change_is_refused(
    is_there: bool, tmp_path: Path, context: Context, database: Database
):
    hook = tmp_path / "folder/hook"
    hook.parent.mkdir()
    if is_there:
        hook.touch()
        hook.chmod(0o777)
    else:
        hook.parent.chmod(0o777)
    printed = replay.run(("regnotif", str(hook), "site"), context)
    assert (printed.stdout, printed.exit) == ([], 1)
    assert (
        f"cannot trust {hook if is_there else hook.parent}: others may write it"
        in (printed.stderr[0])
    )
    assert stored(database) == {OLD}


def test_what_cannot_be_called_can_be_unregistered(context: Context, database: Database):
    replay.run(("tabch", "filename=/x y", "notification.tables=site"), context)
    assert replay.run(("unregnotif", "/x y"), context).exit == 0
    assert stored(database) == {OLD}


def test_registering_again_replaces_and_stays_disabled(context: Context, database: Database):
    replay.run(("regnotif", "/old", "nodelist", "-o", "d"), context)
    assert stored(database) == {("/old", "nodelist", "d", "1")}


def test_unregisters(context: Context, database: Database):
    printed = replay.run(("unregnotif", "/old"), context)
    assert (printed.stdout, printed.exit) == ([], 0)
    assert stored(database) == set()
    assert replay.run(("unregnotif", "/never"), context).exit == 0


@pytest.mark.parametrize(
    "argv",
    [
        ("regnotif",),
        ("regnotif", "-h"),
        ("regnotif", "--help"),
        ("regnotif", "/x"),
        ("regnotif", "/x", "-o", "a"),
        ("regnotif", "--bogus", "/x", "site"),
        ("regnotif", "/x", "site", "-o"),
        ("unregnotif",),
        ("unregnotif", "-h"),
        ("unregnotif", "-help"),
    ],
)
def test_wrong_arguments_are_answered_with_the_usage(
    argv: tuple[str, ...], context: Context, database: Database
):
    printed = replay.run(argv, context)
    assert printed.stdout[0] == "Usage:"
    assert (printed.stderr, printed.exit) == ([], 0)
    assert stored(database) == {OLD}


@pytest.mark.parametrize("operations", ["x", "a,", "a,b", "ad", "a,d,u,a", "A", "a\n"])
def test_operations_are_three_letters(operations: str, context: Context, database: Database):
    printed = replay.run(("regnotif", "/x", "site", "-o", operations), context)
    assert printed.stdout == [f"Invalid table operations: {operations}"]
    assert printed.exit == 0
    assert stored(database) == {OLD}


@pytest.mark.parametrize("command", ["regnotif", "unregnotif"])
def test_version(command: str, context: Context):
    assert replay.run((command, "-v"), context).stdout == [f"{command} version 1.0"]
