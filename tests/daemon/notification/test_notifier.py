"""From a command to its hooks: what is written is told, once it is stored, and nothing costs where nobody listens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.drafts import Read, Write, made
from tests.plugins.commands import replay

from xcatd.db.database import Database
from xcatd.db.errors import ChangedMeanwhile
from xcatd.db.location import Location
from xcatd.notification.hooks import HookCall
from xcatd.notification.notifier import MEMORY, TABLE, Notifier
from xcatd.site import Settings

TABLES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "site": [{"key": "domain", "value": "example.org"}],
    "nodelist": [{"node": f"n{i}", "groups": "all,g"} for i in range(1, 5)],
    "nodehm": [{"node": "n1", "mgt": "hmc"}, {"node": "g", "cons": "x"}],
    "switch": [
        {"node": "n1", "switch": "s1", "port": "1"},
        {"node": "n1", "switch": "s2", "port": "2"},
    ],
}


class Told:
    """Takes calls instead of running them."""

    def __init__(self) -> None:
        self.calls: list[HookCall] = []

    def add(self, calls: Sequence[HookCall]) -> None:
        self.calls += calls

    def forget(self) -> None:
        self.calls = []

    @property
    def texts(self) -> list[str]:
        found = [call.stdin for call in self.calls]
        self.calls = []
        return found


class Bench:
    """A database that is watched, and a clock that stands still."""

    def __init__(self, directory: Path, *rows: Mapping[str, str]) -> None:
        replay.open_database(directory, {**TABLES, TABLE: rows}).close()
        self.database = Database.open(Location("SQLite", directory))
        self.now = 0.0
        self.reads = 0
        self.told = Told()
        notifier = Notifier(self._read, lambda: self.now, {}, self.told, self._is_on)  # type: ignore[arg-type]  # a double
        self.database.observe(notifier)
        self.context = replay.context_for(self.database)

    def _read(self) -> Any:
        self.reads += 1
        return self.database.select(TABLE)

    def _is_on(self) -> bool:
        site = {"xcatdport": "3001", **self.database.read(["site"]).site}
        return Settings.of(site).notification

    def run(self, *argv: str) -> list[str]:
        """The hooks' input after a command that must succeed."""
        printed = replay.run(argv, self.context)
        assert (printed.stderr, printed.exit) == ([], 0)
        return self.told.texts


HOOK = {"filename": "/hook", "tables": "nodelist,nodehm,site,switch", "tableops": "a,u,d"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, HOOK)


NODEHM = (
    "node,power,mgt,cons,termserver,termport,conserver,serialport,serialspeed,serialflow,getmac,cmdmapping,"
    "consoleondemand,consoleenabled,comments,disable"
)


def test_added_rows(bench: Bench):
    assert bench.run("mkdef", "n9", "groups=all", "mgt=hmc") == [
        "a\nnodehm\n[old data]\n[new data]\nnode,mgt\nn9,hmc\n",
        "a\nnodelist\n[old data]\n[new data]\nnode,groups\nn9,all\n",
    ]


def test_updated_rows(bench: Bench):
    assert bench.run("chdef", "n1,n2", "mgt=ipmi") == [
        "a\nnodehm\n[old data]\n[new data]\nnode,mgt\nn2,ipmi\n",
        f"u\nnodehm\n[old data]\n{NODEHM}\nn1,,hmc{',' * 13}\n[new data]\nnode,mgt\nn1,ipmi\n",
    ]


def test_all_rows_of_one_key(bench: Bench):
    assert bench.run("chdef", "n1", "switchvlan=7") == [
        (
            "u\nswitch\n[old data]\nnode,switch,port,vlan,interface,comments,disable\nn1,s1,1,,,,\nn1,s2,2,,,,\n"
            "[new data]\nnode,vlan\nn1,7\n"
        )
    ]


def test_deleted_rows(bench: Bench):
    texts = bench.run("rmdef", "n1,n2")
    assert [text.split("\n")[:2] for text in texts] == [
        ["d", "nodehm"],
        ["d", "switch"],
        ["d", "nodelist"],
    ]
    assert texts[2].split("\n")[4:6] == ["n1,all,g" + "," * 11, "n2,all,g" + "," * 11]


def test_a_removed_setting(bench: Bench):
    assert bench.run("chdef", "-t", "site", "domain=") == [
        "d\nsite\n[old data]\nkey,value,comments,disable\ndomain,example.org,,\n[new data]\n"
    ]


def test_guarded_cells_as_snmove_writes_them(bench: Bench):
    with bench.database.transaction("nodehm") as transaction:
        transaction.apply(
            made(
                [
                    Write("nodehm", "node", "n1", "cons", "c"),
                    Write("nodehm", "node", "n1", "power", "p"),
                    Write("nodehm", "node", "n3", "cons", "c"),
                ],
                [Read("nodehm", "node", "n1", "mgt", "hmc")],
            )
        )
    assert bench.told.texts == [
        "a\nnodehm\n[old data]\n[new data]\nnode,cons\nn3,c\n",
        f"u\nnodehm\n[old data]\n{NODEHM}\nn1,,hmc{',' * 13}\n[new data]\nnode,cons,power\nn1,c,p\n",
    ]


def test_plain_writes(bench: Bench):
    with bench.database.transaction("nodehm") as transaction:
        transaction.insert("nodehm", [{"node": "n4", "mgt": "x"}])
        transaction.update("nodehm", {"node": "n4"}, {"mgt": None})
        transaction.update("nodehm", {"node": "nobody"}, {"mgt": "x"})
        transaction.delete("nodehm", {"node": "n4"})
        transaction.delete("nodehm", {"node": "n4"})
        transaction.clear("nodehm")
    texts = bench.told.texts
    assert [text.split("\n")[0] for text in texts] == ["a", "u", "d", "d"]
    assert texts[3].count("\n") == 7  # both rows that are left


def test_nothing_is_told_of_what_is_not_stored(bench: Bench):
    with pytest.raises(ChangedMeanwhile):
        _write_too_late(bench.database)
    assert bench.told.texts == []


def _write_too_late(database: Database) -> None:
    with database.transaction("nodehm") as transaction:
        transaction.insert("nodehm", [{"node": "n4"}])
        transaction.apply(made((), [Read("nodehm", "node", "n1", "mgt", "another")]))


def test_only_what_is_registered_is_told(tmp_path: Path):
    bench = Bench(tmp_path, {**HOOK, "tables": "nodelist", "tableops": "d"})
    assert bench.run("mkdef", "n9", "groups=all", "mgt=hmc") == []
    assert len(bench.run("rmdef", "n9")) == 1


def test_many_deleted_rows_are_told_a_hundred_at_a_time(tmp_path: Path):
    bench = Bench(tmp_path, {**HOOK, "tables": "nodelist"})
    assert len(bench.run("mkdef", "m[1-250]", "groups=all")) == 250
    texts = bench.run("rmdef", "m[1-250]")
    assert [text.count("\n") - 5 for text in texts] == [100, 100, 50]


def test_without_a_hook_one_short_look_at_the_table_is_all(tmp_path: Path):
    bench = Bench(tmp_path)
    for _ in range(3):
        assert bench.run("chdef", "n1", "mgt=ipmi") == []
    assert bench.reads == 1
    bench.now = MEMORY
    bench.run("chdef", "n1", "mgt=ipmi")
    assert bench.reads == 2


def test_a_hook_is_in_force_with_the_next_command(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.run("chdef", "n1", "mgt=ipmi")
    bench.run("regnotif", "/hook", "nodehm")
    assert len(bench.run("chdef", "n1", "mgt=ipmi")) == 1
    bench.run("unregnotif", "/hook")
    assert bench.run("chdef", "n1", "mgt=ipmi") == []


def test_values_are_told_as_they_are(bench: Bench):
    odd = "'; $(reboot) \"\nline 2, 100% ☃"
    (text,) = bench.run("chdef", "n1", f"usercomment={odd}")
    assert text.endswith(f"[new data]\nnode,comments\nn1,{odd}\n")


def test_a_database_that_cannot_be_read_changes_nothing(tmp_path: Path):
    bench = Bench(tmp_path, HOOK)
    bench.run("chdef", "n1", "mgt=ipmi")
    (tmp_path / f"{TABLE}.sqlite").write_bytes(b"not a database at all, but long enough" * 50)
    bench.now = MEMORY
    assert len(bench.run("chdef", "n1", "mgt=hmc")) == 1


@pytest.mark.parametrize("word", ["no", "NO", "n", "0", "off"])
def test_a_site_attribute_turns_hooks_off(bench: Bench, word: str):
    assert len(bench.run("chdef", "n1", "mgt=ipmi")) == 1
    bench.run("chdef", "-t", "site", f"aixnotification={word}")
    assert bench.run("chdef", "n1", "mgt=hmc") == []
    bench.run("chdef", "-t", "site", "aixnotification=yes")
    assert len(bench.run("chdef", "n1", "mgt=ipmi")) == 1


def test_a_row_that_cannot_be_called_is_told_once_and_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    bench = Bench(tmp_path, HOOK, {**HOOK, "filename": "/hook; reboot"})
    for _ in range(3):
        bench.now += MEMORY
        assert len(bench.run("chdef", "n1", "mgt=ipmi")) == 1
    assert caplog.text.count("cannot use '/hook; reboot' as a notification hook") == 1
