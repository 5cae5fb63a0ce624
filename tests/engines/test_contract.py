"""What every engine must do, the same on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import threading

import pytest
from tests.drafts import Read, Write, made

from xcatd.db import ChangedMeanwhile, DatabaseError
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.db.schema import OWN_TABLES, TABLES

#: Texts that a careless program would take for something else.
ODD = (
    "it's",
    'say "so"',
    "two\nlines\r\n",
    "100 % %s %(x)s ?",
    "a;b--c/*d*/",
    "back\\slash\\",
    "Grüße, 節点 🂡",
    "`tick`",
    ":name {brace} $1",
    " blanks ",
    "'; DROP TABLE site; --",
    "\t",
    "x" * 10_000,
)


def write(node, column, after, *, table="noderes"):
    return Write(table, "node", node, column, after)


def guard(node, column, value, *, table="noderes"):
    return Read(table, "node", node, column, value)


def fill(database, table, *rows):
    with database.transaction(table) as transaction:
        transaction.insert(table, rows)


def stored(database, table):
    return database.read([table]).to_rows()[table]


def test_what_does_not_exist_is_empty(database):
    snapshot = database.read(["noderes", "policy"])
    assert snapshot.nodes == ()
    assert snapshot.rows("policy") == []
    assert database.select("aixplan") == []


def test_all_tables_are_created_and_creating_them_again_changes_nothing(database):
    database.create_missing_tables()
    database.create_missing_tables()
    for name in TABLES:
        assert database.read([name]).rows(name) == []
    for name in OWN_TABLES:
        assert database.select(name) == []


def test_every_table_takes_and_gives_back_a_row(database):
    database.create_missing_tables()
    for table in TABLES.values():
        row = {column: f"v {column}" for column in table.columns if column != table.auto_key}
        row |= {table.name_column: "v-name"} if table.name_column else {}
        fill(database, table.name, row)
        if table.auto_key:
            row[table.auto_key] = "1"
        assert stored(database, table.name) == [row]


def test_several_threads_may_create_at_once(location):
    opened = [Database.open(location) for _ in range(4)]
    failed = []

    def create(database):
        try:
            database.create_missing_tables(["site", "policy", "aixplan", "aixevent"])
        except DatabaseError as error:
            failed.append(error)

    run(create, opened)
    assert failed == []
    for database in opened:
        assert database.read(["site"]).site == {}
        database.close()


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_texts_come_back_as_they_were(database, text):
    key = text[:100]
    fill(database, "site", {"key": key, "value": text, "comments": text})
    assert stored(database, "site") == [{"key": key, "value": text, "comments": text}]
    assert [row["value"] for row in database.select("site", {"key": key})] == [text]
    with database.transaction("site") as transaction:
        transaction.apply(
            made(
                [Write("site", "key", key, "value", f"{text}!")],
                [Read("site", "key", key, "value", text)],
            )
        )
        assert transaction.update("site", {"key": key}, {"comments": f"{text}?"}) == 1
    assert stored(database, "site") == [{"key": key, "value": f"{text}!", "comments": f"{text}?"}]
    with database.transaction("site") as transaction:
        assert transaction.delete("site", {"value": f"{text}!"}) == 1


def test_reserved_words_are_columns(database):
    fill(database, "passwd", {"key": "system", "username": "root", "password": "x"})
    fill(database, "litefile", {"image": "i", "file": "/etc/x", "options": "rw"})
    fill(database, "policy", {"priority": "1", "time": "always", "rule": "allow"})
    fill(database, "nodelist", {"node": "n1", "groups": "all"})
    fill(database, "switch", {"node": "n1", "switch": "s", "port": "1"})
    fill(database, "prescripts", {"node": "n1", "begin": "b", "end": "e"})
    snapshot = database.read(["passwd", "litefile", "policy", "switch", "prescripts"])
    assert snapshot.groups("n1") == ("all",)
    assert snapshot.rows("policy")[0]["time"] == "always"
    assert snapshot.rows("litefile")[0]["file"] == "/etc/x"
    assert snapshot.value("n1", "switch", "port") == "1"


def test_empty_and_null_are_kept_apart(database):
    fill(database, "noderes", {"node": "n1", "servicenode": "", "xcatmaster": None})
    (row,) = database.read(["noderes"]).rows("noderes")
    assert row["servicenode"] == ""
    assert row["xcatmaster"] is None
    assert len(database.select("noderes", {"xcatmaster": None})) == 1
    assert len(database.select("noderes", {"servicenode": None})) == 0


def test_missing_keys_are_empty(database):
    fill(database, "passwd", {"key": "system", "password": "x"})
    assert stored(database, "passwd") == [{"key": "system", "username": "", "password": "x"}]


def test_names_are_compared_to_the_letter(database):
    rows = [{"node": name, "switch": name, "port": "1"} for name in ("n1", "N1x", "e_")]
    fill(database, "switch", *rows)
    with database.transaction("switch") as transaction:
        assert transaction.update("switch", {"node": "N1"}, {"vlan": "1"}) == 0
        assert transaction.update("switch", {"node": "n1 "}, {"vlan": "1"}) == 0
        assert transaction.delete("switch", {"node": ["e", "n1X", "N1"]}) == 0
        transaction.apply(made([write("n1", "vlan", "7", table="switch")], []))
    assert {row["node"]: row.get("vlan") for row in stored(database, "switch")} == {
        "n1": "7",
        "N1x": None,
        "e_": None,
    }


def test_rows_are_chosen_and_ordered_by_bytes(database):
    names = ["b", "B", "a-1", "a1", "Z", "é", "a 1", "_"]
    fill(database, "site", *({"key": str(place), "value": n} for place, n in enumerate(names)))
    found = database.select("site", columns=["value"], order=["value"])
    assert [row["value"] for row in found] == sorted(names)
    found = database.select("site", columns=["value"], order=["-value"], limit=2)
    assert [row["value"] for row in found] == ["é", "b"]
    found = database.select("site", {"value": ("b", "é", "zz")}, order=["value"])
    assert [row["value"] for row in found] == ["b", "é"]


def test_cells_are_written_with_their_guards(database):
    other = {"node": "n2", "servicenode": "a", "comments": "mine"}
    fill(database, "noderes", {"node": "n1", "servicenode": "a", "netboot": "nimol"}, other)
    with database.transaction("noderes") as transaction:
        transaction.apply(
            made(
                [
                    write("n1", "servicenode", "b"),
                    write("n1", "xcatmaster", None),
                    write("n3", "servicenode", "c"),
                    write("n4", "servicenode", None),
                ],
                [
                    guard("n1", "servicenode", "a"),
                    guard("n1", "xcatmaster", None),
                    guard("n3", "servicenode", None),
                ],
            )
        )
    assert stored(database, "noderes") == [
        {"node": "n1", "servicenode": "b", "netboot": "nimol"},
        other,
        {"node": "n3", "servicenode": "c"},
    ]


def test_every_change_is_named_and_nothing_is_written(database):
    fill(database, "noderes", {"node": "n1", "servicenode": "b", "netboot": ""}, {"node": "n2"})
    before = stored(database, "noderes")
    with pytest.raises(ChangedMeanwhile) as caught, database.transaction("noderes") as transaction:
        transaction.apply(
            made(
                [write("n2", "servicenode", "x"), write("n9", "servicenode", "x")],
                [
                    guard("n1", "servicenode", "a"),
                    guard("n1", "netboot", None),
                    guard("n2", "servicenode", None),
                    guard("n9", "servicenode", "z"),
                ],
            )
        )
    assert caught.value.cells == (
        "noderes node=n9 servicenode: read 'z', now None",
        "noderes node=n1 servicenode: read 'a', now 'b'",
        "noderes node=n1 netboot: read None, now ''",
    )
    assert stored(database, "noderes") == before


def test_thousands_of_cells(database):
    names = [f"n{number:04}" for number in range(3000)]
    fill(database, "noderes", *({"node": name, "servicenode": "a"} for name in names))
    with database.transaction("noderes") as transaction:
        transaction.apply(
            made(
                [
                    *(write(name, "servicenode", "b") for name in names),
                    *(write(name, "xcatmaster", f"m{name}") for name in names[:50]),
                    *(write(f"new{name}", "servicenode", "c") for name in names),
                ],
                [guard(name, "servicenode", "a") for name in names],
            )
        )
    rows = stored(database, "noderes")
    assert len(rows) == 6000
    assert sum(row["servicenode"] == "b" for row in rows) == 3000
    assert all(row["xcatmaster"] == f"m{row['node']}" for row in rows if "xcatmaster" in row)


def fail_halfway(database):
    with database.transaction("noderes", "nodelist", "aixplan") as transaction:
        transaction.apply(made([write("n1", "servicenode", "b")], []))
        transaction.insert("nodelist", [{"node": "n1"}])
        transaction.insert("aixplan", [{"id": "p1"}])
        raise RuntimeError


def test_an_exception_undoes_everything(database):
    fill(database, "noderes", {"node": "n1", "servicenode": "a"})
    with pytest.raises(RuntimeError):
        fail_halfway(database)
    assert stored(database, "noderes") == [{"node": "n1", "servicenode": "a"}]
    assert stored(database, "nodelist") == []
    assert database.select("aixplan") == []
    fill(database, "aixplan", {"id": "p1"})


def test_a_refused_statement_is_in_words_and_undone(database):
    fill(database, "site", {"key": "a", "value": "1"})
    rows = [{"key": "b", "value": "2"}, {"key": "a", "value": "2"}]
    with pytest.raises(DatabaseError, match=r"cannot use the tables site"):
        fill(database, "site", *rows)
    assert database.read(["site"]).site == {"a": "1"}


def test_values_are_in_no_error(database):
    fill(database, "passwd", {"key": "system", "username": "root", "password": "abc-word"})
    with pytest.raises(DatabaseError) as caught, database.transaction("passwd") as transaction:
        transaction.insert(
            "passwd", [{"key": "system", "username": "root", "password": "xyz-word"}]
        )
    shown = str(caught.value)
    error = caught.value.__cause__
    while error is not None:
        shown += str(error)
        error = error.__cause__
    assert "-word" not in shown


def test_numbers_of_events_grow_and_are_found(database):
    with database.transaction("aixevent") as transaction:
        transaction.insert("aixevent", [{"plan": "p", "attempt": n} for n in range(12)])
    fill(database, "aixevent", {"plan": "q", "attempt": 7})
    rows = database.select("aixevent", {"plan": "p"}, order=["seq"])
    assert [row["attempt"] for row in rows] == [str(n) for n in range(12)]
    numbers = [int(row["seq"]) for row in rows]
    assert numbers == sorted(set(numbers))
    found = database.select("aixevent", {"plan": "p"}, above={"seq": numbers[8]}, order=["seq"])
    assert [row["attempt"] for row in found] == ["9", "10", "11"]
    found = database.select("aixevent", {"attempt": "7"}, columns=["plan"], order=["-seq"], limit=1)
    assert [dict(row) for row in found] == [{"plan": "q"}]


def test_a_long_plan_fits_into_the_journal(database):
    body = "é" * 400_000
    fill(database, "aixplan", {"id": "p", "body": body})
    assert database.select("aixplan", columns=["body"])[0]["body"] == body


def test_columns_are_added_and_foreign_ones_kept(database):
    database.create_missing_tables(["nodelist", "site"])
    execute = runner(database)
    execute(
        "nodehm", "CREATE TABLE nodehm (node VARCHAR(128), olden TEXT, number INTEGER, mgt TEXT)"
    )
    execute("nodehm", "INSERT INTO nodehm VALUES ('n1', 'kept', 7, 'hmc')")
    (row,) = database.read(["nodehm"]).rows("nodehm")
    assert list(row)[:3] == ["node", "power", "mgt"]
    assert list(row)[-2:] == ["olden", "number"]
    assert (row["olden"], row["number"], row["mgt"], row["cons"]) == ("kept", "7", "hmc", None)
    with (
        pytest.raises(DatabaseError, match="'cons': table nodehm has no such column"),
        database.transaction("nodehm") as transaction,
    ):
        transaction.apply(made([write("n1", "cons", "x", table="nodehm")], []))
    database.create_missing_tables(["nodehm"])
    with database.transaction("nodehm") as transaction:
        transaction.apply(made([write("n1", "cons", "x", table="nodehm")], []))
    assert stored(database, "nodehm") == [
        {"node": "n1", "mgt": "hmc", "cons": "x", "olden": "kept", "number": "7"}
    ]


def runner(database):
    """Executes statements as another program would."""
    if database.location.engine == "SQLite":
        import sqlite3

        def execute(table, statement):
            connection = sqlite3.connect(database.location.directory / f"{table}.sqlite")
            connection.execute(statement)
            connection.commit()
            connection.close()
    else:

        def execute(table, statement):
            with database._adapter._engine.connect() as connection:
                connection.exec_driver_sql(statement)

    return execute


def test_a_snapshot_is_of_one_moment(database):
    """Two tables are always changed together; no reader sees only one of the changes."""
    fill(database, "site", {"key": "k", "value": "0"})
    fill(database, "policy", {"priority": "k", "name": "0"})
    stop = threading.Event()
    torn = []

    def look(_):
        while not stop.is_set():
            snapshot = database.read(["site", "policy"])
            values = snapshot.site["k"], snapshot.rows("policy")[0]["name"]
            if values[0] != values[1]:
                torn.append(values)

    def change(_):
        try:
            for number in range(1, 40):
                with database.transaction("policy", "site") as transaction:
                    transaction.update("site", {"key": "k"}, {"value": number})
                    transaction.update("policy", {"priority": "k"}, {"name": number})
        finally:
            stop.set()

    run(lambda work: work(None), [look, change])
    assert torn == []


def run(work, items):
    threads = [threading.Thread(target=work, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
        assert not thread.is_alive()


def test_no_update_is_lost(location):
    """Threads over databases of their own, as processes on several management nodes."""
    opened = [Database.open(location) for _ in range(4)]
    failed = []

    def count(database):
        try:
            for _ in range(15):
                with database.transaction("site") as transaction:
                    rows = transaction.select("site", {"key": "count"})
                    value = rows[0]["value"] if rows else None
                    transaction.apply(
                        made(
                            [Write("site", "key", "count", "value", str(int(value or 0) + 1))],
                            [Read("site", "key", "count", "value", value)],
                        )
                    )
        except DatabaseError as error:
            failed.append(error)

    run(count, opened)
    assert failed == []
    assert opened[0].read(["site"]).site == {"count": "60"}
    for database in opened:
        database.close()


def test_transactions_on_tables_in_any_order_do_not_block_each_other(location):
    opened = [Database.open(location, busy_timeout=20) for _ in range(3)]
    orders = [("site", "policy", "noderes"), ("noderes", "site"), ("policy", "noderes", "site")]
    failed = []

    def work(pair):
        database, tables = pair
        try:
            for number in range(10):
                with database.transaction(*tables) as transaction:
                    for table, key in (("site", "key"), ("noderes", "node")):
                        if table in tables:
                            transaction.delete(table, {key: "x"})
                            transaction.insert(table, [{key: "x", "comments": str(number)}])
        except DatabaseError as error:
            failed.append(error)

    run(work, list(zip(opened, orders, strict=True)))
    assert failed == []
    for database in opened:
        database.close()


def test_a_writer_that_waits_too_long_is_told(location):
    holder = Database.open(location)
    waiter = Database.open(location, busy_timeout=1)
    fill(holder, "site", {"key": "a"})
    with holder.transaction("site"):
        with (
            pytest.raises(DatabaseError, match=r"kept (one|it) locked for 1 seconds"),
            waiter.transaction("site"),
        ):
            raise AssertionError
        assert waiter.read(["site"]).rows("site")[0]["key"] == "a"  # readers do not wait
    fill(waiter, "site", {"key": "b"})
    holder.close()
    waiter.close()


def test_tables_of_a_transaction_only(database):
    with (
        pytest.raises(DatabaseError, match="not part of this transaction"),
        database.transaction("noderes") as transaction,
    ):
        transaction.rows("site")


def test_the_password_is_nowhere(database):
    location: Location = database.location
    assert "s3cret" not in f"{location!r} {location.describe()} {database._adapter!r}"
    if location.engine != "SQLite":
        assert "s3cret" not in f"{database._adapter._engine!r} {database._adapter._engine.url}"
