"""dumpxCATdb, restorexCATdb and tabrestore: what users see, and what the database has afterwards."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.plugins.commands import replay

from xcatd.client import tablefile
from xcatd.db.schema import TABLES

from .talk import Talk

SAMPLE = Path(__file__).parent / "sample29"


@pytest.fixture
def talk(tmp_path, monkeypatch) -> Talk:
    (tmp_path / "cfg").mkdir()
    made = Talk(
        replay.context_for(replay.open_database(tmp_path / "cfg", {"site": [], "nodelist": []}))
    )
    made.connect(monkeypatch)
    return made


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "dump"


def rows(talk: Talk, table: str) -> list[dict[str, str]]:
    return talk.context.db.read([table]).to_rows()[table]


def files(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


# Dumps


def test_a_dump_has_every_table_but_the_logs(talk, place, capsys):
    assert talk.dump("-p", str(place)) == 0
    assert capsys.readouterr().out == f" Creating {place} for database dump\nBackup Complete.\n"
    assert files(place).keys() == {f"{name}.csv" for name in TABLES} - {
        "auditlog.csv",
        "eventlog.csv",
    }
    assert (place / "site.csv").read_text() == "#key,value,comments,disable\n"
    assert place.stat().st_mode & 0o77 == 0
    assert talk.dump("-a", "-p", str(place)) == 0
    assert len(files(place)) == len(TABLES)


def test_tables_may_be_left_out(talk, place, capsys):
    talk.skipped = "hosts,passwd"
    assert talk.dump("-V", "--path", str(place)) == 0
    told = capsys.readouterr().out
    assert "Skipping hosts\n\n" in told
    assert "Dumping site\n" in told
    assert not (place / "passwd.csv").exists()
    talk.environ["XCAT_SKIPTABLES"] = "site"
    assert talk.dump("-p", str(place)) == 0
    assert (place / "hosts.csv").exists()


def test_what_cannot_be_dumped_is_told_and_the_rest_is_dumped(talk, place, capsys):
    (place / "site.csv").mkdir(parents=True)
    assert talk.dump("-p", str(place)) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "Error running tabdump -f" in told.err
    assert "Backup not complete: 1 tables are missing: site\n" in told.err
    assert (place / "zone.csv").exists()


def test_a_place_that_is_no_directory(talk, place, capsys):
    place.write_text("")
    assert talk.dump("-p", str(place)) == 1
    assert talk.dump("-p", str(place / "below")) == 1
    told = capsys.readouterr().err
    assert "it is not a directory" in told
    assert "Error running mkdir -p" in told


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ([], 1, "path"),
        (["-z"], 1, "Unknown option: z"),
        (["-h"], 0, "-h"),
        (["-v"], 0, "Version"),
        (["-b", "-p", "."], 1, "Binary dump (-b) is not supported for SQLITE"),
    ],
)
def test_command_lines(talk, capsys, words, status, text):
    for program in (talk.dump, talk.restore):
        assert program(*words) == status
        told = capsys.readouterr()
        assert text in (told.out if status == 0 else told.err)


def test_a_restore_from_nowhere(talk, tmp_path, capsys):
    assert talk.restore("-p", str(tmp_path / "nowhere")) == 1
    assert capsys.readouterr().err == " Input path must exist \n\n"
    (tmp_path / "file").write_text("")
    assert talk.restore("-p", str(tmp_path / "file")) == 1
    assert "Unable to read directory" in capsys.readouterr().err


# Restores


def test_an_old_clusters_dump_is_loaded_and_what_is_not_known_is_kept(talk, place, capsys):
    assert talk.restore("-p", str(SAMPLE)) == 0
    told = capsys.readouterr()
    assert told.out == "Restore of Database Complete.\n"
    assert told.err.splitlines() == [
        "Warning: [mn]: table inventory is not xCAT's: it was made anew, with every column a text",
        "Warning: [mn]: table nodehm: kept columns that are not xCAT's: hdwctlpt",
        "Warning: [mn]: table nodetype: left out columns that are not xCAT's and empty: oldempty",
    ]
    nodes = {row["node"]: row for row in rows(talk, "nodelist")}
    assert nodes["dn02"]["comments"] == 'two\nlines, and "quotes"; Grüße'
    assert nodes["oldnode"]["disable"] == "1"
    assert rows(talk, "nodehm")[0]["hdwctlpt"] == "hmc1"
    assert rows(talk, "inventory")[0] == {"node": "dn01", "asset": "A-17", "owner": 'lab "north"'}
    found = talk.context.db.read(["noderes", "nodelist", "site"])
    assert found.value("dn01", "noderes", "xcatmaster") == "xcatsn1a-hf0"
    assert not rows(talk, "auditlog")


def test_what_was_loaded_is_dumped_again(talk, place, capsys):
    talk.restore("-p", str(SAMPLE))
    capsys.readouterr()
    assert talk.dump("-p", str(place)) == 0
    told = capsys.readouterr()
    assert (
        "these columns of the database are not xCAT's and not in the dump: nodehm.hdwctlpt"
        in told.err
    )
    for name in ("site", "hosts", "nodetype", "nimimage", "passwd", "inventory"):
        original = (SAMPLE / f"{name}.csv").read_text()
        if name in {"site", "hosts", "nimimage", "passwd", "inventory"}:
            assert (place / f"{name}.csv").read_text() == original
    again, first = place.parent / "again", files(place)
    assert talk.restore("-p", str(place)) == 0
    assert talk.dump("-p", str(again)) == 0
    assert files(again) == first


def test_extra_columns_go_round_when_asked_for(talk, place):
    talk.restore("-p", str(SAMPLE))
    assert talk.dump("-x", "-p", str(place)) == 0
    header, first, *_ = (place / "nodehm.csv").read_text().splitlines()
    assert header.endswith(",comments,disable,hdwctlpt")
    assert first.endswith(',"hmc1"')
    assert talk.restore("-p", str(place)) == 0
    assert rows(talk, "nodehm")[0]["hdwctlpt"] == "hmc1"


def test_strictly_unknown_columns_are_refused(talk, capsys):
    assert talk.restore("--strict", "-p", str(SAMPLE)) == 1
    told = capsys.readouterr().err
    assert "column 'hdwctlpt' should exist, which is not defined in the schema for 'nodehm'" in told
    assert "3 of 34 files were refused" in told
    assert "inventory.csv, nodehm.csv, nodetype.csv" in told
    assert not rows(talk, "nodehm")
    assert rows(talk, "nodelist")


def test_a_broken_file_is_refused_with_its_line_and_nothing_is_lost(talk, place, capsys):
    shutil.copytree(SAMPLE, place)
    assert talk.restore("-p", str(place)) == 0
    before = rows(talk, "site")
    text = (place / "site.csv").read_text().replace('"tftpdir",', '"tftpdir"x,')
    (place / "site.csv").write_text(text)
    (place / "hosts.csv").write_text("#node,ip\nn1,10.0.0.1\nn1,10.0.0.2\n")
    capsys.readouterr()
    assert talk.restore("-p", str(place)) == 1
    told = capsys.readouterr()
    assert f'{place}/site.csv, line 8: CSV unescaped "' in told.err
    assert (
        f"UNIQUE constraint failed: hosts.node with line 1: n1,10.0.0.2 ({place}/hosts.csv, line 3)"
        in told.err
    )
    assert (
        "2 of 34 files were refused, their tables are as they were: hosts.csv, site.csv" in told.err
    )
    assert rows(talk, "site") == before
    assert len(rows(talk, "hosts")) == 10


def test_other_files_are_no_tables(talk, place, capsys):
    place.mkdir()
    assert talk.restore("-p", str(place)) == 1
    assert f"There is no file *.csv to restore in {place}" in capsys.readouterr().err
    for name in ("README", "site.csv.bak", "eventlog.csv", "x_tealalert.csv", "isnm_perf.csv"):
        (place / name).write_text("nonsense")
    (place / "site.csv").write_text("#key,value\nmaster,mn\n")
    assert talk.restore("-V", "-p", str(place)) == 0
    told = capsys.readouterr().out
    assert "Skipping README\n\n" in told
    assert "Skipping eventlog.csv\n\n" in told
    assert "Restoring site.csv.\n\n" in told
    assert rows(talk, "site") == [{"key": "master", "value": "mn"}]


def test_a_file_that_cannot_be_read_or_sent(talk, place, capsys):
    place.mkdir()
    (place / "site.csv").write_text("#key,value\nmaster,\x01\n")
    (place / "hosts.csv").write_bytes(b"#node,ip\nn\xff,1\n")
    assert talk.restore("-p", str(place)) == 1
    told = capsys.readouterr().err
    assert "site.csv, line 2: the character '\\x01' cannot be sent" in told
    assert "hosts.csv, line 2: this is not UTF-8 text" in told


# tabrestore


def test_tabrestore_replaces_and_adds(talk, place, capsys):
    place.mkdir()
    file = place / "site.csv"
    file.write_text("#key,value\nmaster,mn\n")
    assert talk.tabrestore(str(file)) == 0
    file.write_text("#key,value\ndomain,x\n")
    assert talk.tabrestore("-a", str(file)) == 0
    assert [row["key"] for row in rows(talk, "site")] == ["master", "domain"]
    assert talk.tabrestore("-a", str(file.with_name("nosuch.csv"))) == 3
    file.write_text('#key,value\n"two\nlines",1\nb,2,3\n')
    assert talk.tabrestore(str(file)) == 4
    told = capsys.readouterr()
    assert told.out == f"Error: Unable to open {place}/nosuch.csv for reading.\n"
    assert f"Error: [mn]: Too many fields on line 1: b,2,3 | 3 ({file}, line 4)\n" in told.err
    assert talk.tabrestore() == 2
    assert talk.tabrestore("-z") == 1
    assert talk.tabrestore("-h") == 0
    assert talk.tabrestore("-v") == 0


def test_tabrestore_keeps_columns_only_when_told(talk, place, capsys):
    place.mkdir()
    file = place / "site.csv"
    file.write_text("#key,value,extra\nmaster,mn,1\n")
    assert talk.tabrestore(str(file)) == 1
    assert "column 'extra' should exist" in capsys.readouterr().err
    assert talk.tabrestore("-k", str(file)) == 0
    assert rows(talk, "site") == [{"key": "master", "value": "mn", "extra": "1"}]
    file.write_text("#key,value,ex tra\nmaster,mn,1\n")
    assert talk.tabrestore("-k", str(file)) == 1
    assert "'ex tra' cannot be the name of a table or column" in capsys.readouterr().err
    (place / "aixplan.csv").write_text("#id\n1\n")
    assert talk.tabrestore("-k", str(place / "aixplan.csv")) == 4


# Tables that simply exist


def test_tables_that_simply_exist_are_dumped_and_restored(talk, place, tmp_path):
    with sqlite3.connect(tmp_path / "cfg" / "order_items.sqlite") as connection:
        connection.execute(
            'CREATE TABLE order_items (id INTEGER PRIMARY KEY, "order" TEXT, price REAL)'
        )
        connection.execute("INSERT INTO order_items VALUES (7, 'a  \n \nb ', 1.5)")
    (tmp_path / "cfg" / "notes.sqlite").write_text("no database at all")
    (tmp_path / "cfg" / "odd name.sqlite").write_bytes(b"")
    assert talk.dump("-p", str(place)) == 0
    assert "notes.csv" not in files(place)
    assert (place / "order_items.csv").read_text() == '#id,order,price\n"7","a  \n \nb ","1.5"\n'
    assert talk.restore("-p", str(place)) == 0
    with sqlite3.connect(tmp_path / "cfg" / "order_items.sqlite") as connection:
        assert list(connection.execute("SELECT * FROM order_items")) == [(7, "a  \n \nb ", 1.5)]


# Files


def test_every_file_of_a_dump_is_its_owners_alone(talk, place):
    place.mkdir()
    place.chmod(0o755)
    for name in ("passwd.csv", "token.csv"):
        (place / name).touch()
        (place / name).chmod(0o666)
    assert talk.dump("-p", str(place)) == 0
    assert {file.stat().st_mode & 0o777 for file in place.iterdir()} == {0o600}


def test_a_dump_goes_through_no_link(talk, place, tmp_path, capsys):
    place.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (place / "site.csv").symlink_to(victim)
    assert talk.dump("-p", str(place)) == 1
    assert "something that is no regular file" in capsys.readouterr().err
    assert victim.read_text() == "untouched"


def test_the_client_writes_what_the_daemon_sends(talk, tmp_path, capsys, monkeypatch):
    talk.restore("-p", str(SAMPLE))
    monkeypatch.chdir(tmp_path)
    assert tablefile.run(["-f", "out.csv", "nodelist"], {}) == 0
    assert (tmp_path / "out.csv").read_bytes() == (SAMPLE / "nodelist.csv").read_bytes()
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600
    assert talk.written == []
    assert tablefile.run(["-w", "node==dn01", "-fout.csv", "nodelist"], {}) == 0
    assert (tmp_path / "out.csv").read_text().count("\n") == 2
    capsys.readouterr()
    (tmp_path / "link").symlink_to(tmp_path / "out.csv")
    assert tablefile.run(["-f", "link", "site"], {}) == 1
    assert capsys.readouterr().err.startswith("Error: Error on tabdump of site to link. ")
    assert tablefile.run(["-f", "out.csv", "nosuch"], {}) == 1
    assert capsys.readouterr().err == "Error: [mn]: No such table: nosuch\n"


@pytest.mark.parametrize(
    "words",
    [
        ["site"],
        ["-f", "x"],
        ["-f"],
        ["-n", "3", "-f", "x", "auditlog"],
        ["-d", "-f", "x", "site"],
        ["-h", "-f", "x", "site"],
        ["-f", "x", "a", "b"],
        ["--bogus", "-f", "x", "a"],
    ],
)
def test_other_command_lines_are_the_daemons(words):
    assert tablefile.read(words) is None


@pytest.mark.parametrize("kind", ["link", "fifo", "others link above"])
def test_the_daemon_writes_through_no_link_either(talk, tmp_path, kind):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    place = tmp_path / "x.csv"
    match kind:
        case "link":
            place.symlink_to(victim)
        case "fifo":
            os.mkfifo(place)
        case "others link above":
            (tmp_path / "real").mkdir()
            (tmp_path / "link").symlink_to(tmp_path / "real")
            os.chown(tmp_path / "link", 12345, -1, follow_symlinks=False)
            place = tmp_path / "link/victim"
    answer = talk.ask("tabdump", ["-f", str(place), "site"], {})
    assert answer.status == 1
    assert "Unable to open the file for write. " in answer.err
    assert victim.read_text() == "untouched"
    assert not (tmp_path / "real/victim").exists()


def test_what_the_daemon_writes_is_roots_alone(talk, tmp_path):
    place = tmp_path / "x.csv"
    place.touch()
    place.chmod(0o666)
    assert talk.ask("tabdump", ["-f", str(place), "passwd"], {}).status == 0
    assert place.stat().st_mode & 0o777 == 0o600


# Names


def test_names_that_nobody_could_have_today_are_put_back_and_told(talk, place, capsys):
    place.mkdir()
    (place / "nodelist.csv").write_text('#node,groups\n"n1","all"\n"$(id)","all"\n"a;b","all"\n')
    assert talk.restore("--strict", "-p", str(place)) == 1
    assert "cannot store '$(id)' in nodelist.node" in capsys.readouterr().err
    assert rows(talk, "nodelist") == []
    assert talk.tabrestore(str(place / "nodelist.csv")) == 4
    assert rows(talk, "nodelist") == []
    capsys.readouterr()
    assert talk.restore("-p", str(place)) == 0
    assert "table nodelist: kept 2 names that no new node or group could have: '$(id)', 'a;b'" in (
        capsys.readouterr().err
    )
    assert [row["node"] for row in rows(talk, "nodelist")] == ["n1", "$(id)", "a;b"]
    assert talk.tabrestore(str(place / "nodelist.csv")) == 0  # they are there already
