"""What only databases on a server know: accounts, lost connections, locks of other programs, old tables."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy.exc import StatementError

from xcatd.db import DatabaseError
from xcatd.db.database import Database
from xcatd.db.location import Location, parse
from xcatd.db.mysql import MysqlAdapter
from xcatd.db.postgres import PostgresAdapter
from xcatd.db.schema import TABLES
from xcatd.db.server import KEPT, MORE, ServerTrouble

ADAPTERS = {"Pg": PostgresAdapter, "mysql": MysqlAdapter}


def opened(location: Location, *, pauses=(), sleep=None, busy_timeout=5.0) -> Database:
    """A database that waits for nobody, or in the way told."""
    adapter = ADAPTERS[location.engine](
        location, busy_timeout=busy_timeout, pauses=pauses, sleep=sleep or (lambda _: None)
    )
    return Database(adapter, location)


@pytest.fixture
def database(server):
    found = opened(server.new(), pauses=(0.0,))
    found.create_missing_tables(["site", "noderes", "nodelist", "aixplan", "aixevent"])
    put(found, "old")
    yield found
    found.close()


def put(database, value):
    with database.transaction("site") as transaction:
        transaction.delete("site", {"key": "k"})
        transaction.insert("site", [{"key": "k", "value": value}])


def got(database):
    return database.read(["site"]).site["k"]


def name_of(location):
    return location.dsn.partition(";")[0].removeprefix("dbname=")


def column_types(server, location):
    name = name_of(location)
    rows = server.execute(
        "SELECT table_schema, table_name, column_name, lower(data_type), character_maximum_length, "
        "is_nullable FROM information_schema.columns",
        database=name,
    )
    schema = "public" if server.engine == "Pg" else name
    return {(row[1], row[2]): row[3:] for row in rows if row[0] == schema}


def test_types_are_xcats(server):
    location = server.new()
    database = Database.open(location)
    database.create_missing_tables()
    types = column_types(server, location)
    varchar = "character varying" if server.engine == "Pg" else "varchar"
    number = "integer" if server.engine == "Pg" else "int"
    assert types["site", "key"] == (varchar, 128, "NO")
    assert types["site", "value"][0] == "text"
    assert types["osimage", "osupdatename"][:2] == (varchar, 1024)
    assert types["kvm_nodedata", "xml"][:2] == (varchar, 16000)
    assert types["litetree", "directory"][::2] == ("text", "NO")
    assert types["auditlog", "recid"] == (number, None, "NO")
    assert types["aixevent", "attempt"][0] == number
    database.close()


# Connections


def test_a_killed_server_undoes_a_transaction_and_is_used_again(server, database):
    def change():
        with database.transaction("site", "aixplan") as transaction:
            transaction.update("site", {"key": "k"}, {"value": "new"})
            transaction.insert("aixplan", [{"id": "p"}])
            server.kill()
            transaction.rows("site")

    with pytest.raises(DatabaseError, match=r"lost the connection .* Nothing was written; run"):
        change()
    with pytest.raises(DatabaseError, match=r"cannot reach the tables site of .*Tried 2 times"):
        put(database, "new")
    with pytest.raises(DatabaseError, match="cannot reach"):
        database.read(["site"])
    with pytest.raises(DatabaseError, match="cannot reach"):
        database.select("site")
    server.start()
    assert got(database) == "old"
    assert database.select("aixplan") == []
    put(database, "newer")
    assert got(database) == "newer"


def test_a_restart_between_commands_goes_unnoticed(server, database):
    server.kill()
    server.start()
    put(database, "new")
    assert got(database) == "new"


def test_a_server_that_comes_back_in_time_is_waited_for(server):
    waits = []

    def sleep(pause):
        waits.append(pause)
        if len(waits) == 2:
            server.start()

    location = server.new()
    database = opened(location, pauses=(1.0, 2.0, 3.0), sleep=sleep)
    put(database, "old")
    server.kill()
    put(database, "new")
    assert waits == [1.0, 2.0]
    assert got(database) == "new"
    database.close()


def test_a_connection_lost_before_the_commit_loses_everything(server, database):
    def change():
        with database.transaction("site") as transaction:
            transaction.update("site", {"key": "k"}, {"value": "new"})
            server.kill()

    with pytest.raises(DatabaseError, match="not known whether"):
        change()
    server.start()
    assert got(database) == "old"


def test_one_ended_session_is_not_the_end(server, database):
    """An administrator ends all sessions while a transaction is open."""

    def change():
        with database.transaction("site") as transaction:
            transaction.update("site", {"key": "k"}, {"value": "new"})
            end_sessions(server)
            transaction.rows("site")

    with pytest.raises(DatabaseError, match="lost the connection"):
        change()
    assert got(database) == "old"
    put(database, "new")
    assert got(database) == "new"


def end_sessions(server):
    if server.engine == "Pg":
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'xcatadm'"
        )
    else:
        for (number,) in server.execute(
            "SELECT id FROM information_schema.processlist WHERE user = 'xcatadm'"
        ):
            server.execute(f"KILL {number}")


def test_connections_are_bounded(server):
    location = server.new()
    database = opened(location, busy_timeout=1.0)
    database.create_missing_tables(["site"])
    release = threading.Event()
    ready = threading.Barrier(KEPT + MORE + 1)

    def hold():
        with database._adapter.reading([TABLES["site"]]):
            ready.wait(30)
            release.wait(30)

    threads = [threading.Thread(target=hold) for _ in range(KEPT + MORE)]
    for thread in threads:
        thread.start()
    ready.wait(30)
    with pytest.raises(DatabaseError, match=f"all {KEPT + MORE} connections"):
        database.read(["site"])
    release.set()
    for thread in threads:
        thread.join(30)
    database.read(["site"])
    database.close()


# Accounts and settings


def variant(location, **changes):
    dsn = {**dict(pair.split("=") for pair in location.dsn.split(";")), **changes}
    user, password = dsn.pop("user", location.user), dsn.pop("word", location.password)
    return Location(
        location.engine, None, ";".join(f"{k}={v}" for k, v in dsn.items()), user, password
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"word": "wrong-s3cret"}, "(?i)authentication failed|access denied"),
        ({"user": "stranger"}, "(?i)authentication failed|access denied"),
        ({"dbname": "xcatnone"}, "(?i)does not exist|unknown database"),
    ],
)
def test_what_waiting_cannot_mend_is_told_at_once(server, changes, reason):
    waits = []
    database = opened(variant(server.new(), **changes), pauses=(1.0,), sleep=waits.append)
    with pytest.raises(DatabaseError, match=reason) as caught:
        database.read(["site"])
    assert waits == []
    assert "s3cret" not in str(caught.value)
    database.close()


def test_nobody_listens(server):
    waits = []
    database = opened(variant(server.new(), port="1"), pauses=(1.0, 2.0), sleep=waits.append)
    with pytest.raises(DatabaseError, match=r"cannot reach .* check that the server runs"):
        database.read(["site"])
    assert waits == [1.0, 2.0]
    database.close()


@pytest.mark.parametrize("engine", ["Pg", "mysql"])
@pytest.mark.parametrize(
    ("dsn", "reason"),
    [("host=h", "names no database"), ("dbname=x;port=abc", "'abc' is not a port")],
)
def test_settings_that_cannot_be(engine, dsn, reason):
    with pytest.raises(DatabaseError, match=reason) as caught:
        Database.open(parse(f"{engine}:{dsn}|u|s3cret"))
    assert "s3cret" not in str(caught.value)


def test_a_pair_nobody_knows(servers):
    with pytest.raises(DatabaseError, match="what mysql_compression in the setting means"):
        Database.open(parse("mysql:dbname=x;host=h;mysql_compression=1|u|p"))
    location = servers.get("postgres").new()
    database = opened(variant(location, colour="red"))
    with pytest.raises(DatabaseError, match="colour"):
        database.read(["site"])
    database.close()


@pytest.mark.parametrize(
    ("engine", "module", "extra"),
    [("Pg", "psycopg", "postgresql"), ("mysql", "pymysql", "mariadb")],
)
def test_a_missing_driver_is_named(monkeypatch, engine, module, extra):
    monkeypatch.setattr(f"xcatd.db.{ {'Pg': 'postgres'}.get(engine, engine) }.find_spec", {}.get)
    with pytest.raises(DatabaseError, match=rf"driver is not installed.*xcat-aix\[{extra}\]"):
        Database.open(parse(f"{engine}:dbname=x|u|p"))


def test_a_socket_will_do(server):
    location = server.new()
    if server.engine == "Pg":
        place = variant(location, host=str(server.directory))
    else:
        dsn = location.dsn.partition(";")[0] + f";mysql_socket={server.directory}/socket"
        place = Location("mysql", None, dsn, location.user, location.password)
    database = opened(place)
    put(database, "new")
    assert got(database) == "new"
    database.close()


def test_a_password_in_the_dsn_is_not_shown(server):
    location = server.new()
    dsn = f"password={location.password};{location.dsn}"
    inside = parse(f"{location.engine}:{dsn}|{location.user}|")
    assert inside == location
    assert "s3cret" not in f"{inside!r} {inside.describe()}"
    database = opened(inside)
    put(database, "new")
    assert got(database) == "new"
    database.close()


# Other programs


def test_other_programs_updates_wait_for_a_transaction(server, database):
    """As Perl's: single statements without a transaction."""
    name = name_of(database.location)
    done = threading.Event()

    def other():
        server.execute("UPDATE site SET comments = 'other'", database=name)
        done.set()

    thread = threading.Thread(target=other)
    with database.transaction("site") as transaction:
        thread.start()
        assert not done.wait(0.3)
        transaction.update("site", {"key": "k"}, {"value": "mine"})
        assert transaction.rows("site")[0]["value"] == "mine"
    assert done.wait(30)
    thread.join(30)
    (row,) = database.select("site")
    assert (row["value"], row["comments"]) == ("mine", "other")


def test_what_happened_while_a_writer_waited_is_seen(server, database):
    second = Database.open(database.location)
    seen = []

    def wait():
        with second.transaction("site") as transaction:
            seen.extend(transaction.rows("site"))

    thread = threading.Thread(target=wait)
    with database.transaction("site") as transaction:
        thread.start()
        thread.join(0.3)
        transaction.update("site", {"key": "k"}, {"value": "new"})
    thread.join(30)
    assert [row["value"] for row in seen] == ["new"]
    second.close()


def test_tables_without_transactions_are_not_written(servers):
    server = servers.get("mariadb")
    location = server.new()
    name = name_of(location)
    server.execute(
        "CREATE TABLE site (`key` VARCHAR(128), `value` TEXT, comments TEXT, disable TEXT, "
        "PRIMARY KEY (`key`)) ENGINE=MyISAM",
        database=name,
    )
    server.execute("INSERT INTO site VALUES ('k', 'v', NULL, NULL)", database=name)
    database = opened(location)
    assert got(database) == "v"
    with pytest.raises(DatabaseError, match=r"tables site .* ENGINE=InnoDB"):
        put(database, "new")
    database.close()


def test_a_text_that_does_not_fit_is_refused_not_cut(servers):
    database = opened(servers.get("mariadb").new())
    with pytest.raises(DatabaseError, match=r"(?i)data too long"):
        put(database, "x" * 70_000)
    database.close()


def test_latin_1_tables_hold_what_they_can(servers):
    server = servers.get("mariadb")
    location = server.new()
    name = name_of(location)
    server.execute(f"ALTER DATABASE {name} CHARACTER SET latin1")
    database = opened(location)
    put(database, "Grüße")
    assert got(database) == "Grüße"
    assert len(database.select("site", {"value": "Grüße"}, order=["value"])) == 1
    with pytest.raises(DatabaseError, match=r"(?i)incorrect string value"):
        put(database, "節点")
    database.close()


def test_a_zero_byte_is_an_error_in_words(servers):
    database = opened(servers.get("postgres").new())
    with pytest.raises(DatabaseError, match="cannot use the tables site"):
        put(database, "a\0b")
    database.close()


def test_clashes_are_tried_again_and_then_told(server, database, monkeypatch):
    """A deadlock can only happen while locks are taken; it is made up here."""
    adapter = database._adapter
    real, count = adapter._begin_writing, []

    def begin(connection, tables):
        count.append(1)
        if len(count) == 1:
            raise StatementError("deadlock", "", {}, RuntimeError("deadlock"))
        real(connection, tables)

    monkeypatch.setattr(adapter, "_begin_writing", begin)
    judged = adapter._judge
    monkeypatch.setattr(
        adapter,
        "_judge",
        lambda error: ServerTrouble.CLASH if "deadlock" in str(error) else judged(error),
    )
    put(database, "new")
    assert got(database) == "new"
    assert len(count) == 2
    count[:] = []
    monkeypatch.setattr(adapter, "_pauses", ())
    with pytest.raises(
        DatabaseError, match=r"another program was changing .* run the command again"
    ):
        put(database, "newer")
    assert got(database) == "new"
