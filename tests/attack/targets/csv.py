"""Dumped tables: read from a file, line by line, and put back by ``tabrestore``."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.attack import grammars
from tests.attack.meter import Complaint
from tests.attack.targets import Target
from tests.plugins.commands import replay

from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.rows import dumpfile
from xcatd.text import tablecsv

_TABLES = {
    "nodelist": [{"node": "n1", "groups": "all"}],
    "site": [{"key": "master", "value": "mn"}],
    "hosts": [],
}
_LINES = (
    *('"n1","all",,,,,,,,', '"n2","all,x"', "n3,all", '"n4","a ""quoted"" b"', '"n5","two', 'lines"', ",", ""),
    *("#node,groups", '#"node","groups",disable', "#nosuch,node", "#", "##", '"n6","x" y', '"', '""', '"""', "0"),
    *('"n7"' + "," * 300, '"' + "x" * 5000 + '"', "n8,é日", '"n9","1",', ",,,,,,,,,,,", "#node,node", "a,b,c,d"),
)  # fmt: skip


class Csv(Target):
    """One input is one file; every other one is also restored."""

    allowed = (dumpfile.DumpFileError, tablecsv.BadHeaderError)
    tokens = (b'"', b'""', b'",', b",", b"#", b"\n", b"\r\n", b'"\n', b",,,,", b"#node,groups\n")
    seeds = (
        b'#node,groups,status,comments,disable\n"n1","all,x","booted",,\n"n2","all",,"a ""b""\nc",\n',
        b'#key,value,comments,disable\n"master","mn",,\n"xcatdport","3001",,\n',
        b'#node,ip\nn1,10.0.0.1\n"n2","10.0.0.2"\n',
    )

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        (directory / "filled").mkdir()
        replay.open_database(directory / "filled", _TABLES).close()

    def generate(self, rng: random.Random) -> bytes:
        header = rng.choice(
            ("#node,groups", "#node,groups,comments,disable", "#key,value", "#node,ip")
        )
        return (header + "\n" + grammars.lines(rng, _LINES)).encode()

    def run(self, data: bytes) -> None:
        path = self.directory / rng_name(data)
        path.write_bytes(data)
        try:
            self._restore(path, data)
            dumpfile.read(path).rows()
        finally:
            path.unlink()

    def _restore(self, path: Path, data: bytes) -> None:
        """Nothing or all of it is stored, and what is stored reads back."""
        text = data.decode("utf-8", "replace")
        if len(data) % 2 or "\0" in text:  # XML carries no NUL
            return
        directory = self.directory / "db"
        shutil.copytree(self.directory / "filled", directory)
        database = Database.open(Location("SQLite", directory))
        try:
            self._restored(database, path, text)
        finally:
            database.close()
            shutil.rmtree(directory)

    @staticmethod
    def _restored(database: Database, path: Path, text: str) -> None:
        context = replay.context_for(database)
        before = len(database.read(["nodelist"]).rows("nodelist"))
        printed = replay.run(["tabrestore", path.name], context, text)
        rows = database.read(["nodelist"]).rows("nodelist")
        if printed.exit and len(rows) != before:
            raise Complaint(f"an error, and {len(rows)} rows instead of {before}: {printed}")
        if any("Traceback" in line for line in printed.stderr):
            raise Complaint(f"a trace is told: {printed.stderr}")


def rng_name(data: bytes) -> str:
    """Which table the file is for follows from the file."""
    return ("nodelist", "site", "hosts")[sum(data[:4]) % 3] + ".csv"


TARGET = Csv
