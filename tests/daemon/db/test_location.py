"""Where the database is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcatd.db.database import Database
from xcatd.db.errors import DatabaseError
from xcatd.db.location import Location, find, parse


def _cfgloc(root: Path, text: str) -> None:
    (root / "etc/xcat").mkdir(parents=True)
    (root / "etc/xcat/cfgloc").write_text(text)


def test_the_environment_comes_first(tmp_path):
    _cfgloc(tmp_path, "SQLite:/elsewhere\n")
    assert find({"XCATCFG": "SQLite:/a/b"}, root=tmp_path) == Location("SQLite", Path("/a/b"))


def test_then_the_first_line_of_cfgloc(tmp_path):
    _cfgloc(tmp_path, "SQLite:/from/file\nmysql:ignored\n")
    assert find({}, root=tmp_path).directory == Path("/from/file")


def test_an_empty_setting_counts_as_none(tmp_path):
    _cfgloc(tmp_path, "\n")
    assert find({"XCATCFG": ""}, root=tmp_path).directory == tmp_path / "etc/xcat"


def test_then_the_usual_directories(tmp_path):
    (tmp_path / "etc/xcat").mkdir(parents=True)
    assert find({}, root=tmp_path).directory == tmp_path / "etc/xcat"
    (tmp_path / "opt/xcat/cfg").mkdir(parents=True)
    assert find({}, root=tmp_path).directory == tmp_path / "opt/xcat/cfg"


def test_nothing_found_is_an_error(tmp_path):
    with pytest.raises(DatabaseError, match="cannot locate the xCAT database"):
        find({}, root=tmp_path)


def test_a_setting_without_a_colon_is_a_directory():
    assert parse("/etc/xcat") == Location("SQLite", Path("/etc/xcat"))


def test_dbi_is_ignored():
    assert parse("dbi:SQLite:/x") == Location("SQLite", Path("/x"))


@pytest.mark.parametrize("engine", ["Pg", "mysql", "DB2"])
def test_servers_have_an_account_whose_password_is_never_shown(engine):
    location = parse(f"{engine}:dbname=xcatdb;host=10.0.0.1|xcatadm|se|cret")
    assert (location.dsn, location.user) == ("dbname=xcatdb;host=10.0.0.1", "xcatadm")
    assert location.password == "se|cret"
    assert "cret" not in location.describe() + repr(location)


def test_an_unknown_engine_is_named():
    with pytest.raises(DatabaseError, match="'oracle'"):
        parse("oracle:x")


@pytest.mark.parametrize("setting", ["DB2:x|u|p", "CSV:/d"])
def test_other_engines_are_refused_clearly(setting):
    with pytest.raises(DatabaseError, match=r"not supported, only SQLite, PostgreSQL .* are"):
        Database.open(parse(setting))


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(DatabaseError, match="is not a directory"):
        Database.open(Location("SQLite", tmp_path / "none"))
