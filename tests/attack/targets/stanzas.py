"""Stanza files into ``mkdef`` and ``chdef``: stored, or told why not."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.attack import grammars
from tests.attack.meter import MIB, Bounds, Complaint
from tests.attack.targets import Target
from tests.plugins.commands import replay

from xcat_aix.commands.definitions import stanzas
from xcatd.db.database import Database
from xcatd.db.location import Location

_TABLES = {
    "site": [{"key": "master", "value": "mn"}],
    "nodelist": [{"node": "n1", "groups": "all"}, {"node": "n2", "groups": "all,compute"}],
    "nodegroup": [{"groupname": "compute", "grouptype": "static"}],
    "nodehm": [{"node": "compute", "mgt": "ipmi"}],
    "networks": [],
    "osimage": [],
}
_LINES = (
    *("n1:", "n2:", "n3:", "n[1-3]:", "default-node:", "default-group:", "compute:", "net1:", "img1:", ":", "a=b:"),
    *("../../etc/x:", "$(id):", "a;b:", "x" * 300 + ":", "    objtype=node", "    objtype=group", "    objtype=network"),
    *("    objtype=osimage", "    objtype=nosuch", "    objtype=site", "    groups=all,x", "    mgt=hmc", "    os=AIX"),
    *("    groups=", "    wherevals=os=~(a+)+$", "    grouptype=dynamic", "    members=n1,n[1-99]", "    net=10.0.0.0"),
    *("    mask=255.0.0.0", "    provmethod=diskless", "    usercomment=a=b=c", "    nosuch=1", "    =x", "x", "#c"),
    *("    nicips.eth0=10.0.0.1", "    nicips.=x", "    ip=|n(\\d+)|10.0.0.($1+0)|", '    os="q"', "    status=é日"),
)  # fmt: skip


class Stanzas(Target):
    """One input is one file; the database is new for each."""

    longest = 32 << 10
    # Four commands, of which one may name as many members as a noderange makes at most.
    bounds = Bounds(seconds=15.0, memory=160 * MIB)
    tokens = (
        b":\n",
        b"=",
        b"    objtype=node\n",
        b"default-",
        b"\n\n",
        b"#",
        b'"',
        b",",
        b"n9:\n",
        b"default-node:\n",
    )
    seeds = (
        b"# <xCAT data object stanza file>\n\nn3:\n    objtype=node\n    groups=all\n    mgt=hmc\n    os=AIX\n",
        b"default-node:\n    groups=all\n    arch=ppc64\nn4:\n    objtype=node\nn5:\n    objtype=node\n    arch=x86_64\n",
        b"g1:\n    objtype=group\n    grouptype=dynamic\n    wherevals=arch==ppc64\n",
        b"net1:\n    objtype=network\n    net=10.0.0.0\n    mask=255.255.255.0\n",
    )  # fmt: skip

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        (directory / "filled").mkdir()
        replay.open_database(directory / "filled", _TABLES).close()

    def generate(self, rng: random.Random) -> bytes:
        return grammars.lines(rng, _LINES, 24).encode()

    def run(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        stanzas.parse(text)
        if "\0" in text:  # XML carries no NUL
            return
        directory = self.directory / "db"
        shutil.copytree(self.directory / "filled", directory)
        database = Database.open(Location("SQLite", directory))
        try:
            for command in (["mkdef", "-z"], ["chdef", "-z"], ["mkdef", "-z", "-f"]):
                _check(replay.run(command, replay.context_for(database), text))
            _check(
                replay.run(
                    ["lsdef", "-z", "-t", "node,group,network"], replay.context_for(database)
                )
            )
        finally:
            database.close()
            shutil.rmtree(directory)


def _check(printed: replay.Printed) -> None:
    size = sum(map(len, (*printed.stdout, *printed.stderr)))
    if size > 32 << 20:
        raise Complaint(f"{size} characters are answered")
    if any("Traceback" in line for line in printed.stderr):
        raise Complaint(f"a trace is told: {printed.stderr}")


TARGET = Stanzas
