"""The SQLite layout: files of other programs read as they are, and left as they are."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from xcatd.db.database import Database
from xcatd.db.errors import DatabaseError
from xcatd.db.location import Location


@pytest.fixture
def database(tmp_path):
    opened = Database.open(Location("SQLite", tmp_path), busy_timeout=0.2)
    yield opened
    opened.close()


def _sql(directory: Path, table: str, *statements: str) -> None:
    connection = sqlite3.connect(directory / f"{table}.sqlite", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_missing_files_are_empty_tables_and_stay_missing(database, tmp_path):
    snapshot = database.read(["noderes", "site"])
    assert snapshot.rows("noderes") == []
    assert snapshot.nodes == ()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_an_empty_table(database, tmp_path):
    (tmp_path / "site.sqlite").touch()
    assert database.read(["site"]).site == {}


def test_what_is_read_along_and_what_is_not(database):
    assert database.read(["nodehm"]).tables == {"nodehm", "nodelist", "site"}
    assert database.read(["policy"]).tables == {"policy"}
    with pytest.raises(LookupError, match="hosts was not read"):
        database.read(["nodehm"]).rows("hosts")


def test_more_tables_than_one_connection_joins(database):
    names = [
        "mac",
        "ppc",
        "vpd",
        "nics",
        "hosts",
        "chain",
        "nodepos",
        "domain",
        "iscsi",
        "mp",
        "vm",
        "mpa",
    ]
    database.create_missing_tables(names)
    assert set(names) <= database.read(names).tables


def test_columns_are_found_by_name_whatever_their_order(database, tmp_path):
    _sql(
        tmp_path,
        "nodehm",
        "CREATE TABLE nodehm (olden TEXT, mgt TEXT, node VARCHAR(128), number INTEGER, raw)",
        "INSERT INTO nodehm VALUES ('kept', 'hmc', 'n1', 7, x'6162')",
    )
    (row,) = database.read(["nodehm"]).rows("nodehm")
    assert list(row)[:3] == ["node", "power", "mgt"]
    assert list(row)[-3:] == ["olden", "number", "raw"]
    assert dict(row) | {"node": "n1", "mgt": "hmc", "olden": "kept", "number": "7"} == dict(row)
    assert row["cons"] is row["disable"] is None
    assert row["raw"] == "ab"


def test_rows_come_in_physical_order(database, tmp_path):
    _sql(
        tmp_path,
        "site",
        "CREATE TABLE site (key VARCHAR(128), value TEXT, comments TEXT, disable TEXT, PRIMARY KEY (key))",
        "INSERT INTO site (key) VALUES ('z'), ('a'), ('m')",
    )
    assert [row["key"] for row in database.read(["site"]).rows("site")] == ["z", "a", "m"]


def test_text_that_is_not_utf8(database, tmp_path):
    database.create_missing_tables(["site"])
    _sql(
        tmp_path,
        "site",
        "INSERT INTO site (key, value) VALUES ('l', CAST(x'e9' AS TEXT)), ('u', CAST(x'c3a9' AS TEXT))",
    )
    assert database.read(["site"]).site == {"l": "é", "u": "é"}


def test_a_cell_of_bytes_is_a_text(database, tmp_path):
    """Whatever a program has stored: no row of it may stop the others."""
    database.create_missing_tables(["nodelist", "policy"])
    _sql(
        tmp_path,
        "nodelist",
        "INSERT INTO nodelist (node, groups) VALUES (x'6e31', x'616c6c'), ('n2', 'all'), (x'ff00', 'all')",
    )
    _sql(tmp_path, "policy", "INSERT INTO policy (priority, rule) VALUES (x'31', x'ff00'), (2, 7)")
    snapshot = database.read(["nodelist", "policy"])
    assert snapshot.members["all"] == ("n1", "n2", "\xff\x00")
    assert [row["rule"] for row in snapshot.rows("policy")] == ["\xff\x00", "7"]
    assert [row["priority"] for row in snapshot.rows("policy")] == ["1", "2"]


def test_new_columns_are_added_and_nothing_else_changes(database, tmp_path):
    _sql(
        tmp_path,
        "ppchcp",
        "CREATE TABLE ppchcp (hcp VARCHAR(128), olden TEXT, username TEXT, PRIMARY KEY (hcp))",
        "INSERT INTO ppchcp VALUES ('h', 'kept', 'root')",
    )
    for _ in range(2):
        database.create_missing_tables(["ppchcp"])
    (row,) = database.read(["ppchcp"]).rows("ppchcp")
    assert {name: text for name, text in row.items() if text} == {
        "hcp": "h",
        "username": "root",
        "olden": "kept",
    }
    with sqlite3.connect(tmp_path / "ppchcp.sqlite") as connection:
        columns = [column[1] for column in connection.execute("PRAGMA table_info(ppchcp)")]
    assert columns == ["hcp", "olden", "username", "password", "comments", "disable"]


def test_the_journal_mode_is_left_alone(database, tmp_path):
    with database.transaction("site", "aixplan") as transaction:
        transaction.insert("site", [{"key": "a", "value": "b"}])
    for name in ("site", "aixjournal"):
        with sqlite3.connect(tmp_path / f"{name}.sqlite") as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_another_programs_lock_is_waited_for(tmp_path):
    patient = Database.open(Location("SQLite", tmp_path), busy_timeout=20)
    patient.create_missing_tables(["site"])
    other = sqlite3.connect(tmp_path / "site.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("INSERT INTO site (key, value) VALUES ('late', 'yes')")
    release = threading.Timer(0.3, other.execute, ["COMMIT"])
    release.start()
    try:
        assert patient.read(["site"]).site == {"late": "yes"}
    finally:
        release.join()
        other.close()


def test_a_lock_that_lasts_is_an_error_for_people(database, tmp_path):
    database.create_missing_tables(["site", "policy"])
    other = sqlite3.connect(tmp_path / "site.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with (
        pytest.raises(DatabaseError, match=r"policy, site.*locked for 0.2 seconds"),
        database.transaction("site", "policy"),
    ):
        pass
    other.execute("ROLLBACK")
    other.close()
    with database.transaction("site", "policy"):
        pass


def test_a_file_that_is_no_database(database, tmp_path):
    (tmp_path / "site.sqlite").write_bytes(b"key,value\n" * 500)
    with pytest.raises(DatabaseError, match=r"site .*not a database"):
        database.read(["site"])


def test_too_many_tables_for_one_transaction(database):
    names = [
        "mac",
        "ppc",
        "vpd",
        "nics",
        "hosts",
        "chain",
        "nodepos",
        "domain",
        "iscsi",
        "mp",
        "vm",
    ]
    with pytest.raises(DatabaseError, match="at most 10"), database.transaction(*names):
        pass


def test_ten_files_join_in_one_transaction(database):
    names = ["mac", "ppc", "vpd", "nics", "hosts", "chain", "nodepos", "domain", "iscsi"]
    with database.transaction(*names, "aixplan", "aixevent") as transaction:
        for name in names:
            transaction.insert(name, [{"node": name}])
        transaction.insert("aixplan", [{"id": "p"}])
    snapshot = database.read([*names, "aixplan"])
    assert [snapshot.rows(name)[0]["node"] for name in names] == names


def test_a_name_with_special_characters_in_the_path(tmp_path):
    directory = tmp_path / "a b?c#d%41"
    directory.mkdir()
    database = Database.open(Location("SQLite", directory))
    with database.transaction("site", "policy") as transaction:
        transaction.insert("site", [{"key": "k", "value": "v"}])
    assert database.read(["site"]).site == {"k": "v"}
    assert {path.name for path in directory.iterdir()} == {"site.sqlite", "policy.sqlite"}
    assert {path.name for path in tmp_path.iterdir()} == {directory.name}


def test_writers_in_several_threads_take_turns(tmp_path):
    database = Database.open(Location("SQLite", tmp_path), busy_timeout=20)
    database.create_missing_tables(["site", "policy"])

    def work(worker: int) -> None:
        for turn in range(5):
            with database.transaction("policy", "site") as transaction:
                transaction.insert("site", [{"key": f"{worker}-{turn}", "value": "x"}])
                transaction.insert("policy", [{"priority": f"{worker}-{turn}"}])

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = database.read(["site", "policy"])
    assert len(snapshot.rows("site")) == len(snapshot.rows("policy")) == 20


def test_a_reader_never_sees_half_a_transaction(tmp_path):
    database = Database.open(Location("SQLite", tmp_path), busy_timeout=20)
    database.create_missing_tables(["site", "policy", "nodelist"])

    def write() -> None:
        for turn in range(15):
            with database.transaction("site", "policy") as transaction:
                transaction.insert("policy", [{"priority": str(turn)}])
                transaction.insert("site", [{"key": str(turn), "value": "x"}])

    writer = threading.Thread(target=write)
    writer.start()
    counts = []
    while writer.is_alive():
        snapshot = database.read(["policy", "site"])
        counts.append((len(snapshot.rows("policy")), len(snapshot.rows("site"))))
    writer.join()
    assert counts
    assert all(policies == sites for policies, sites in counts)
