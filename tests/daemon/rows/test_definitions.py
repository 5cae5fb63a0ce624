"""Administrators' own tables as data: what a definition says, and what is refused."""

from __future__ import annotations

import logging
import sqlite3

import pytest
from tests.plugins.commands import replay

from xcatd.db import owntables
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.db.schema import AUTO
from xcatd.main import Daemon
from xcatd.site import Settings

ASSETS = """\
[assets]
cols = node, tag, price, comments, disable
keys = node
required = tag
types = price: INTEGER
table_desc = what was bought

[changes]
cols = number what comments disable
keys = number
types = number: INTEGER AUTO_INCREMENT
        what: VARCHAR(512)
"""


def load(directory, text, name="own.ini", engine="SQLite"):
    (directory / name).write_text(text)
    return owntables.load(directory, engine)


def test_a_definition_has_what_a_perl_module_would_have(tmp_path):
    tables, errors = load(tmp_path, ASSETS)
    assert not errors
    assets, changes = tables
    assert assets.columns == ("node", "tag", "price", "comments", "disable")
    assert (assets.keys, assets.node_column, assets.required) == (("node",), "node", {"tag"})
    assert assets.types == {"price": "INTEGER"}
    assert changes.auto_key == "number"
    assert changes.types == {"number": AUTO, "what": "VARCHAR(512)"}
    assert changes.node_column is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[site]\ncols = key\nkeys = key\n", "table site: this is a table of xCAT"),
        ("[aixplan]\ncols = id\nkeys = id\n", "this is a table of xCAT"),
        ("[t]\ncols = a\n", "both 'cols' and 'keys' are needed"),
        ("[t]\ncols = a a\nkeys = a\n", "a column is named twice"),
        ("[t]\ncols = a\nkeys = b\n", "there is no column 'b' in 'cols'"),
        ("[t]\ncols = a\nkeys = a\nnodecol = b\n", "there is no column 'b' in 'cols'"),
        ("[t]\ncols = a;b\nkeys = a\n", "'a;b' cannot be a name"),
        ("[t t]\ncols = a\nkeys = a\n", "'t t' cannot be a name"),
        (
            "[t]\ncols = a\nkeys = a\ntypes = a: TEXT; DROP TABLE site\n",
            "'' cannot be the type of a column",
        ),
        ("[t]\ncols = a\nkeys = a\ntypes = a: TEXT)--\n", "cannot be the type"),
        ("[t]\ncols = a\nkeys = a\nColumns = a\n", "there is no setting 'Columns'"),
        ("cols = a\n", "no section headers"),
        ("[t]\ncols = a\nkeys = a\n[t]\ncols = b\nkeys = b\n", "already exists"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_and_the_others_are_used(tmp_path, text, words):
    (tmp_path / "good.ini").write_text(ASSETS)
    tables, (error,) = load(tmp_path, text)
    assert [table.name for table in tables] == ["assets", "changes"]
    assert f"cannot use the table definitions in {tmp_path}/own.ini: " in str(error)
    assert words in str(error)


def test_a_table_is_defined_once(tmp_path):
    (tmp_path / "first.ini").write_text(ASSETS)
    tables, (error,) = load(tmp_path, "[assets]\ncols = a\nkeys = a\n")
    assert len(tables) == 2
    assert "another file defines table assets already" in str(error)


def test_files_may_be_for_one_engine(tmp_path):
    for suffix in ("mysql", "pgsql", "sqlite", "db2", "else"):
        (tmp_path / f"t_{suffix}.ini").write_text(f"[t{suffix}]\ncols = a\nkeys = a\n")
    names = {
        engine: [table.name for table in owntables.load(tmp_path, engine)[0]]
        for engine in ("SQLite", "Pg", "mysql")
    }
    assert names == {
        "SQLite": ["telse", "tsqlite"],
        "Pg": ["telse", "tpgsql"],
        "mysql": ["telse", "tmysql"],
    }
    assert owntables.load(tmp_path / "none", "Pg") == ([], [])


def test_defined_tables_are_created_as_xcat_creates_them(tmp_path):
    tables, _ = load(tmp_path, ASSETS)
    database = Database.open(Location("SQLite", tmp_path))
    database.define(tables)
    database.create_missing_tables()
    with sqlite3.connect(tmp_path / "assets.sqlite") as connection:
        ((statement,),) = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")
    assert statement == (
        "CREATE TABLE assets (\n  node VARCHAR(128) ,\n  tag TEXT NOT NULL,\n  price INTEGER,\n  comments TEXT,\n"
        "  disable TEXT,\n  PRIMARY KEY (node)\n)"
    )


def test_commands_list_and_describe_them(tmp_path):
    tables, _ = load(tmp_path, ASSETS)
    database = Database.open(Location("SQLite", tmp_path))
    database.define(tables)
    context = replay.context_for(database)
    assert {"assets", "changes", "site"} <= set(replay.run(["tabdump"], context).stdout)
    assert replay.run(["tabdump", "assets"], context).stdout == ["#node,tag,price,comments,disable"]
    assert replay.run(["tabdump", "-d", "assets"], context).exit == 0
    assert replay.run(["tabdump", "-w", "tag==x", "assets"], context).exit == 0
    assert replay.run(["tabdump", "-w", "no==x", "assets"], context).stderr == [
        'Error: No column "no" in table "assets"'
    ]
    assert replay.run(["tabdump", "nosuch"], context).stderr == ["Error: No such table: nosuch"]


def test_the_daemon_tells_of_a_file_it_cannot_use(tmp_path, caplog):
    place = tmp_path / owntables.DIRECTORY
    place.mkdir()
    (place / "bad.ini").write_text("[site]\n")
    (place / "good.ini").write_text(ASSETS)
    daemon = Daemon.__new__(Daemon)
    daemon._database = Database.open(Location("SQLite", tmp_path))
    daemon.settings = Settings(port=3001, confdir=tmp_path)
    with caplog.at_level(logging.ERROR):
        daemon._define_tables()
    assert "bad.ini: table site: this is a table of xCAT" in caplog.text
    assert set(daemon._database.user_tables()) == {"assets", "changes"}
