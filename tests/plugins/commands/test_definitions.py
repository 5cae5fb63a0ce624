"""What recorded runs cannot show: odd values, other writers, many tables, many nodes, templates, round trips."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from xcat_aix.commands import storing
from xcatd.api import DatabaseError, Reply, Request
from xcatd.changes import Changes
from xcatd.db.database import Database
from xcatd.db.transaction import Transaction
from xcatd.messages import info

from . import replay

TABLES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "site": [{"key": "master", "value": "mn"}],
    "nodelist": [{"node": f"cn{i:03}", "groups": "all"} for i in range(30)],
    "noderes": [{"node": "all", "servicenode": "sn1"}],
    "policy": [],
}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return replay.open_database(tmp_path, TABLES)


def run(database: Database, *argv: str, stdin: str | None = None, **changes: Any) -> replay.Printed:
    return replay.run(argv, replay.context_for(database, **changes), stdin)


def cells(database: Database, table: str, column: str) -> dict[str | None, str | None]:
    return {row["node"]: row[column] for row in database.read((table,)).rows(table)}


ODD = [
    "it's",
    'a "quoted" word',
    "two\nlines",
    "100% %s %d",
    "a; DROP TABLE nodelist; --",
    "Zürich ☃ 日本",
    "x" * 10_000,
    "back\\slash $1 | | !",
    "'; DELETE FROM nodelist WHERE ''='",
    "=",
    ":name",
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_values_survive(database: Database, text: str) -> None:
    assert run(database, "mkdef", "n1", "groups=all", f"usercomment={text}").exit == 0
    assert cells(database, "nodelist", "comments")["n1"] == text
    assert run(database, "chdef", "n1", f"os={text}").exit == 0
    assert cells(database, "nodetype", "os")["n1"] == text
    assert run(database, "chdef", "-t", "site", f"k={text}").exit == 0
    assert database.read(("site",)).site["k"] == text
    assert len(database.read(("nodelist",)).nodes) == 31


@pytest.mark.parametrize("name", ["o'x", 'o"x', "o;x", "o%x", "ü", "o x"])
def test_odd_names_survive(database: Database, name: str) -> None:
    assert run(database, "mkdef", "-t", "policy", "-o", name, "rule=allow").exit == 0
    assert run(database, "chdef", "-t", "policy", "-o", name, "rule=deny").exit == 0
    rows = database.read(("policy",)).rows("policy")
    assert [(row["priority"], row["rule"]) for row in rows] == [(name, "deny")]
    assert run(database, "rmdef", "-t", "policy", "-o", name).exit == 0
    assert not database.read(("policy",)).rows("policy")


def test_the_lines_of_the_manual_work(database: Database) -> None:
    values = ("servicenode=xcatsn1a,xcatsn2a", "xcatmaster=xcatsn1b")
    assert run(database, "chdef", "cn000-cn004", *values).exit == 0
    assert run(database, "chdef", "cn005-cn009", "servicenode=SN27").exit == 0
    made = run(database, "mkdef", "-t", "group", "-o", "SN27group", "-w", "servicenode=SN27")
    assert made.stdout == ["1 object definitions have been created or modified."]
    context = replay.context_for(database)
    assert context.expand("SN27group").nodes == tuple(f"cn{i:03}" for i in range(5, 10))
    assert cells(database, "noderes", "xcatmaster")["cn004"] == "xcatsn1b"


def test_a_dump_of_definitions_makes_the_same_objects(tmp_path: Path) -> None:
    first = replay.open_database(tmp_path, TABLES)
    run(
        first,
        "chdef",
        "cn000-cn009",
        "mgt=hmc",
        "hcp=hmc1",
        "id=3",
        "mac=a:b",
        "nicips.en0=1.2.3.4",
    )
    run(first, "mkdef", "-t", "group", "-o", "dyn", "-d", "-w", "mgt==hmc")
    run(first, "mkdef", "-t", "osimage", "-o", "img", "imagetype=NIM", "spot=s", "synclists=a,b")
    (tmp_path / "second").mkdir()
    second = replay.open_database(tmp_path / "second", {"site": [], "nodelist": []})
    for kinds in ("node", "group,osimage"):  # members of a group must exist before it is made
        dump = run(first, "lsdef", "-t", kinds, "-l", "-z")
        made = run(second, "mkdef", "-z", "-f", stdin="\n".join(dump.stdout))
        assert made.stderr == []
        again = run(second, "lsdef", "-t", kinds, "-l", "-z")
        assert _definitions(again.stdout) == _definitions(dump.stdout)


def _definitions(texts: list[str]) -> list[str]:
    """The lines but for a static group's type, which only its own row tells."""
    lines = [line for text in texts for line in text.split("\n")]
    return sorted(line for line in lines if line != "    grouptype=static")


class Interrupted:
    """A database that somebody else writes just before its first transactions."""

    def __init__(self, database: Database, writes: list[tuple[str, ...]]) -> None:
        self._database = database
        self._writes = writes
        self.location = database.location
        self.transactions: list[tuple[str, ...]] = []

    def read(self, tables: Any) -> Any:
        return self._database.read(tables)

    def check_writing(self, changes: Changes) -> None:
        self._database.check_writing(changes)

    @contextmanager
    def transaction(self, *tables: str) -> Iterator[Transaction]:
        if self._writes:
            run(self._database, *self._writes.pop(0))
        self.transactions.append(tables)
        with self._database.transaction(*tables) as transaction:
            yield transaction


def test_an_addition_is_not_lost_when_somebody_adds_meanwhile(database: Database) -> None:
    busy: Any = Interrupted(database, [("chdef", "-p", "cn001", "groups=theirs")])
    assert run(busy, "chdef", "-p", "cn001", "groups=ours").exit == 0
    assert cells(database, "nodelist", "groups")["cn001"] == "all,theirs,ours"


def test_members_are_not_lost_when_somebody_adds_meanwhile(database: Database) -> None:
    busy: Any = Interrupted(database, [("mkdef", "-t", "group", "-o", "g1", "members=cn001")])
    assert run(busy, "mkdef", "-t", "group", "-o", "g2", "members=cn001").exit == 0
    assert cells(database, "nodelist", "groups")["cn001"] == "all,g1,g2"


def test_a_node_made_meanwhile_is_not_made_again(database: Database) -> None:
    busy: Any = Interrupted(database, [("mkdef", "n1", "groups=theirs")])
    printed = run(busy, "mkdef", "n1", "groups=ours")
    assert printed.exit == 1
    assert "A definition for 'n1' already exists." in printed.stderr[0]
    assert cells(database, "nodelist", "groups")["n1"] == "theirs"


def test_others_who_never_stop_are_named(database: Database) -> None:
    writes = [("chdef", "-p", "cn001", f"groups=g{i}") for i in range(storing.MOST_ATTEMPTS)]
    printed = run(Interrupted(database, writes), "chdef", "-p", "cn001", "groups=ours")  # type: ignore[arg-type]  # a double
    assert printed.exit == 1
    assert "nodelist node=cn001 groups" in printed.stderr[0]


def test_nodelist_is_in_the_last_of_several_transactions(database: Database) -> None:
    busy: Any = Interrupted(database, [])
    many = ("os=AIX", "servicenode=a", "mgt=hmc", "ip=1.1.1.1", "mac=m", "serial=1", "hcp=h")
    more = ("chain=a", "rack=1", "kernel=k", "postscripts=p", "switch=s", "osvolume=v")
    assert run(busy, "mkdef", "n1", "groups=all", *many, *more).exit == 0
    first, second = busy.transactions
    assert len(second) == storing.MOST_FILES
    assert "nodelist" in second
    assert "nodelist" not in first


def test_a_command_of_few_tables_is_one_transaction(database: Database) -> None:
    busy: Any = Interrupted(database, [])
    run(busy, "chdef", "all", "servicenode=a", "os=AIX", "mgt=hmc")
    assert busy.transactions == [("nodehm", "noderes", "nodetype")]


def test_what_cannot_be_stored_is_an_error_and_no_result(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_context: object, _changes: Changes) -> None:
        raise DatabaseError("cannot write: disk full")

    monkeypatch.setattr(storing, "store", fail)
    printed = run(database, "chdef", "all", "os=AIX")
    assert (printed.stdout, printed.stderr) == ([], ["Error: cannot write: disk full"])


def test_the_number_of_selects_does_not_grow_with_the_nodes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(*argv: str) -> int:
        statements: list[str] = []
        connect = sqlite3.connect

        def traced(*args: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*args, **options)
            connection.set_trace_callback(statements.append)
            return connection

        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", traced)
            assert run(database, *argv).exit == 0
        return sum(text.lstrip().upper().startswith("SELECT") for text in statements)

    run(database, "chdef", "all", "servicenode=w", "postscripts=w", "mgt=w")  # makes the tables
    few = count("chdef", "-p", "cn000-cn001", "servicenode=x", "postscripts=y", "mgt=hmc")
    assert count("chdef", "-p", "cn000-cn029", "servicenode=z", "postscripts=z", "mgt=zz") == few


def test_shipped_templates_fill_what_is_not_given(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "root" / "share" / "xcat" / "templates" / "objects" / "node"
    folder.mkdir(parents=True)
    text = (
        "aix:\n  objtype=node\n  groups=lpar,all\n  mgt=hmc\n"
        "  hcp=MANDATORY: the console\n  cons=OPTIONAL: how\n"
    )
    (folder / "aix.stanza").write_text(text)
    environ = {"XCATROOT": str(tmp_path / "root")}
    argv = ("mkdef", "--template", "aix", "n1")
    refused = run(database, *argv, environ=environ)
    assert refused.stderr == ['Error: The attribute "hcp" must be specified!']
    assert run(database, *argv, "hcp=h1", "mgt=fsp", environ=environ).exit == 0
    assert cells(database, "nodelist", "groups")["n1"] == "lpar,all"
    assert cells(database, "nodehm", "mgt")["n1"] == "fsp"


def test_cleaning_up_runs_the_other_commands_first(database: Database) -> None:
    asked: list[tuple[str, tuple[str | None, ...], tuple[str, ...]]] = []

    def runner(request: Request, _context: object) -> Iterator[Reply]:
        asked.append((request.command, request.args, request.nodes))
        yield info("not shown")

    printed = run(database, "rmdef", "-C", "cn000,nosuch", runner=runner)
    assert asked == [
        ("nodeset", ("offline",), ("cn000",)),
        ("makeconservercf", ("-d",), ("cn000",)),
    ]
    assert printed.stdout == ["1 object definitions have been removed."]


def test_everything_is_removed_with_all_and_force(database: Database) -> None:
    run(database, "mkdef", "-t", "group", "-o", "g", "members=cn001")
    assert run(database, "rmdef", "-a", "-f").exit == 0
    left = database.read(("nodelist", "noderes", "nodegroup", "site", "policy"))
    assert not any(left.to_rows().values())


def test_all_is_not_for_making_and_changing(database: Database) -> None:
    printed = run(database, "chdef", "-a", "mgt=x")
    assert printed.stderr == ["Error: The '-a' option is not valid for the chdef command."]
    assert printed.exit == 1


def test_a_broken_noderange_of_members_is_an_error(database: Database) -> None:
    printed = run(database, "mkdef", "-t", "group", "-o", "g", "members=(cn001")
    assert printed.stderr == ["Error: Unbalanced parentheses in noderange"]


@pytest.mark.parametrize("command", ["mkdef", "chdef", "rmdef"])
def test_help_and_version(database: Database, command: str) -> None:
    assert run(database, command, "-v").stdout == [f"{command} - {replay.VERSION}"]
    assert "Usage:" in run(database, command, "-h").stdout[0]
    assert (
        "attribute names for object type 'route'"
        in run(database, command, "-t", "route", "-h").stdout[0]
    )
