"""Tables and columns that are not xCAT's: made, listed, dumped, restored and left alone on every engine."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.daemon.rows.talk import Talk
from tests.daemon.rows.test_programs import SAMPLE, files
from tests.plugins.commands import replay

from xcatd.db import owntables
from xcatd.db.database import Database
from xcatd.db.errors import DatabaseError

DEFINITION = """\
[assets]
cols = node owner price comments disable
keys = node
types = price: INTEGER
"""

#: What others might have made, by engine.
OTHERS = {
    "SQLite": "CREATE TABLE lent (id INTEGER PRIMARY KEY, since TEXT, much REAL, note TEXT)",
    "Pg": "CREATE TABLE lent (id INTEGER PRIMARY KEY, since TIMESTAMP, much BOOLEAN, note BYTEA)",
    "mysql": "CREATE TABLE lent (id INTEGER PRIMARY KEY, since DATETIME, much DECIMAL(9,2), note BLOB) ENGINE=InnoDB",
}
VALUES = {
    "SQLite": ("2", "2015-03-01 10:00:00", "1.5", "x"),
    "Pg": ("2", "2015-03-01 10:00:00", "true", "\\x00ff"),
    "mysql": ("2", "2015-03-01 10:00:00", "1.50", "x"),
}


@pytest.fixture
def defined(database, tmp_path) -> Database:
    (tmp_path / "own.ini").write_text(DEFINITION)
    tables, errors = owntables.load(tmp_path, database.location.engine)
    assert not errors
    database.define(tables)
    database.create_missing_tables(["site", "nodelist", "assets"])
    return database


@pytest.fixture
def talk(defined, monkeypatch) -> Talk:
    made = Talk(replay.context_for(defined))
    made.connect(monkeypatch)
    return made


def execute(database, statement, *binds):
    """As another program would; in the file of table ``lent`` where tables are files."""
    if database.location.engine == "SQLite":
        (database.location.directory / "lent.sqlite").touch()
        database.add_columns("lent", ["id"])
        with database.transaction("lent") as transaction:
            connection = transaction._connection
            connection.exec_driver_sql("DROP TABLE lent")
            connection.exec_driver_sql(statement)
        return
    with database.transaction("site") as transaction:
        transaction._connection.execute(sa.text(statement), *binds)


def rows(database, table):
    return database.read([table]).to_rows()[table]


def test_defined_tables_are_made_filled_and_listed(talk, defined, tmp_path):
    assert "assets" in replay.run(["tabdump"], talk.context).stdout
    row = {"node": "n1", "owner": 'it\'s "x";\n%s', "price": "7"}
    with defined.transaction("assets") as transaction:
        transaction.insert("assets", [row])
    assert rows(defined, "assets") == [row]
    file = tmp_path / "assets.csv"
    replay.run(["tabdump", "-f", str(file), "assets"], talk.context)
    text = file.read_text()
    assert talk.tabrestore(str(file)) == 0
    replay.run(["tabdump", "-f", str(file), "assets"], talk.context)
    assert file.read_text() == text


def test_columns_that_a_definition_has_since_are_added(talk, defined, tmp_path):
    (tmp_path / "own.ini").write_text(DEFINITION.replace("owner price", "owner shelf price"))
    defined.define(owntables.load(tmp_path, defined.location.engine)[0])
    with defined.transaction("assets") as transaction:
        transaction.insert("assets", [{"node": "n0", "owner": "x"}])
    defined.create_missing_tables(["assets"])
    defined.create_missing_tables(["assets"])
    with defined.transaction("assets") as transaction:
        transaction.insert("assets", [{"node": "n1", "shelf": "A"}])
    assert {row["node"]: row.get("shelf") for row in rows(defined, "assets")} == {
        "n0": None,
        "n1": "A",
    }


def test_tables_that_simply_exist_keep_their_types(talk, defined, tmp_path):
    engine = defined.location.engine
    execute(defined, OTHERS[engine])
    assert "lent" in replay.run(["tabdump"], talk.context).stdout
    values = dict(zip(("id", "since", "much", "note"), VALUES[engine], strict=True))
    with defined.transaction("lent") as transaction:
        transaction.insert("lent", [values])
    assert rows(defined, "lent") == [values]
    file = tmp_path / "lent.csv"
    replay.run(["tabdump", "-f", str(file), "lent"], talk.context)
    text = file.read_text()
    assert text == "#id,since,much,note\n" + ",".join(f'"{v}"' for v in values.values()) + "\n"
    assert talk.tabrestore(str(file)) == 0
    assert rows(defined, "lent") == [values]
    defined.create_missing_tables()
    assert rows(defined, "lent") == [values]


def test_a_value_that_does_not_fit_changes_nothing(talk, defined, tmp_path, capsys):
    if defined.location.engine == "SQLite":
        expected = 0  # SQLite takes any text in any column
    else:
        expected = 4
    execute(defined, OTHERS[defined.location.engine].replace("TEXT", "INTEGER"))
    file = tmp_path / "lent.csv"
    file.write_text("#id,since\n1,2015-03-01 10:00:00\n")
    assert talk.tabrestore(str(file)) == 0
    file.write_text("#id,since\n2,2015-03-01 10:00:00\n3,never\n")
    assert talk.tabrestore(str(file)) == expected
    assert [row["id"] for row in rows(defined, "lent")] == (["1"] if expected else ["2", "3"])


def test_our_own_tables_are_not_listed(defined):
    defined.create_missing_tables()
    assert set(defined.user_tables()) == {"assets"}
    with pytest.raises(KeyError):
        defined.table("nosuch")
    with pytest.raises(ValueError, match="not a table for others"):
        defined.add_columns("aixplan", ["more"])


def test_columns_are_added_once_and_never_by_a_wrong_name(defined):
    defined.add_columns("site", ["old", "old2"])
    defined.add_columns("site", ["old"])
    with defined.transaction("site") as transaction:
        transaction.insert("site", [{"key": "a", "value": "1", "old": "x"}])
    assert rows(defined, "site") == [{"key": "a", "value": "1", "old": "x"}]
    with pytest.raises(ValueError, match="cannot be the name"):
        defined.add_columns("site", ["x TEXT; DROP TABLE site"])
    assert rows(defined, "site")


def test_an_old_dump_is_loaded_and_comes_back(talk, defined, tmp_path, capsys):
    assert talk.restore("-p", str(SAMPLE)) == 0
    first, second = tmp_path / "first", tmp_path / "second"
    assert talk.dump("-x", "-p", str(first)) == 0
    assert talk.restore("-p", str(first)) == 0
    assert talk.dump("-x", "-p", str(second)) == 0
    assert files(first) == files(second)
    for name in ("site", "hosts", "nimimage", "inventory", "passwd", "policy"):
        lines = (SAMPLE / f"{name}.csv").read_text().splitlines()
        found = (first / f"{name}.csv").read_text().splitlines()
        assert found[0] == lines[0]
        assert sorted(found) == sorted(lines)


def test_a_restore_is_one_transaction(talk, defined, tmp_path, capsys):
    with defined.transaction("site") as transaction:
        transaction.insert("site", [{"key": "a", "value": "1"}])
    file = tmp_path / "site.csv"
    file.write_text("#key,value\nb,2\nb,3\n")
    assert talk.tabrestore(str(file)) == 4
    assert rows(defined, "site") == [{"key": "a", "value": "1"}]


def test_an_emptied_table_is_full_again_when_the_transaction_fails(defined):
    def empty_and_fail():
        with defined.transaction("site") as transaction:
            transaction.clear("site")
            transaction.select("nosuch")

    with defined.transaction("site") as transaction:
        transaction.insert("site", [{"key": "a", "value": "1"}])
    with pytest.raises(DatabaseError):
        empty_and_fail()
    assert rows(defined, "site") == [{"key": "a", "value": "1"}]


def test_a_required_column_is_added_to_a_table_with_rows(defined, tmp_path):
    with defined.transaction("assets") as transaction:
        transaction.insert("assets", [{"node": "n0"}])
    text = DEFINITION.replace("node owner", "node tag owner") + "required = tag\n"
    (tmp_path / "own.ini").write_text(text)
    defined.define(owntables.load(tmp_path, defined.location.engine)[0])
    defined.create_missing_tables()
    assert rows(defined, "assets") == [{"node": "n0"}]


def test_a_definition_that_the_database_refuses_stops_nobody(defined, tmp_path, caplog):
    text = DEFINITION.replace("[assets]", "[select]") + "\n" + DEFINITION.replace("assets", "good")
    (tmp_path / "own.ini").write_text(text)
    defined.define(owntables.load(tmp_path, defined.location.engine)[0])
    defined.create_missing_tables()
    assert "cannot make table select as it is defined" in caplog.text
    assert rows(defined, "good") == []
    assert rows(defined, "policy") == []
