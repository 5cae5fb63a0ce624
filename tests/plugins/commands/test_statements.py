"""No statement per node: a command over a thousand nodes asks and writes as often as one over ten."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from xcat_aix.commands.servicenodes.snmove import Snmove
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcatd.context import SystemClock
from xcatd.db.database import Database
from xcatd.db.location import Location

from . import replay

FEW, MANY = 10, 1000

#: One UPDATE or DELETE names so many rows at most, for engines bound the values in a statement.
KEYS_PER_STATEMENT = 300

WRITES = ("INSERT", "UPDATE", "DELETE")


class Counter:
    """Statements of one command: those that read, and those that write (bulk ones once, by table)."""

    def __init__(self) -> None:
        self.reads = 0
        self.writes = 0

    def trace(self, statement: str) -> None:
        """Called by SQLite for every statement, and for every row of a bulk one."""
        if not statement.lstrip().upper().startswith(WRITES):
            self.reads += 1

    def before(self, _1: Any, _2: Any, statement: str, *_: Any) -> None:
        """Called by SQLAlchemy before anything is handed to the driver."""
        if statement.startswith(WRITES):
            self.writes += 1


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    counter, connect = Counter(), sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(counter.trace)
        return connection

    sa.event.listen(sa.Engine, "before_cursor_execute", counter.before)
    try:
        with monkeypatch.context() as patch:
            patch.setattr("xcatd.db.sqlite.sqlite3.connect", traced)
            yield counter
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", counter.before)


def _tables(count: int) -> dict[str, list[dict[str, str]]]:
    nodes = [f"n{number}" for number in range(1, count + 1)]
    return {
        "site": [{"key": "master", "value": "mn"}],
        "nodelist": [
            *({"node": sn, "groups": "service,all"} for sn in ("sn1", "sn2")),
            *({"node": node, "groups": f"compute,rack{int(node[1:]) % 7}"} for node in nodes),
        ],
        "hosts": [
            {"node": "sn1", "ip": "127.9.0.1", "otherinterfaces": "sn1b:127.9.1.1"},
            {"node": "sn2", "ip": "127.9.0.2", "otherinterfaces": "sn2b:127.9.1.2"},
            {"node": "compute", "ip": r"|\D+(\d+)|127.9.(10+$1/250).($1%250+1)|"},
        ],
        "networks": [{"netname": "net", "net": "127.9.0.0", "mask": "255.255.0.0"}],
        "nodehm": [
            {"node": "compute", "mgt": "hmc", "power": "hmc"},
            *({"node": node, "conserver": "sn1"} for node in nodes),
        ],
        "nodetype": [{"node": node, "os": "AIX", "provmethod": "aix"} for node in nodes],
        "noderes": [
            {"node": node, "servicenode": "sn1,sn2", "xcatmaster": "sn1b", "monserver": "sn1,sn1b"}
            for node in nodes
        ],
        "mac": [{"node": node, "mac": f"02:{number:04x}"} for number, node in enumerate(nodes)],
        "nodegroup": [
            {"groupname": "dyn", "grouptype": "dynamic", "wherevals": "mgt==hmc::mac!~^03"}
        ],
        "nimimage": [{"imagename": "aix", "nimtype": "standalone"}],
        **{name: [] for name in ("ppc", "vpd", "postscripts", "servicenode", "nics", "statelite")},
    }


def _stanzas(count: int) -> str:
    return "\n".join(
        f"m{n}:\n objtype=node\n groups=compute,rack{n % 7}\n ip=127.9.4.{n}\n mac=02:{n}\n"
        f" mgt=hmc\n os=AIX\n hcp=hmc{n}\n servicenode=sn{n % 2 + 1}"
        for n in range(count)
    )


class NoAgents:
    """Nobody listens."""

    def connect(self, node: str, *_: Any, **__: Any) -> Any:
        raise AgentError(ErrorCode.UNREACHABLE, f"{node} is not there")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One database directory of each size, to be copied."""
    made = {}
    for count in (FEW, MANY):
        made[count] = tmp_path_factory.mktemp(f"of{count}")
        database = Database.open(Location("SQLite", made[count]))
        tables = _tables(count)
        database.create_missing_tables(tables)
        for name, rows in tables.items():
            with database.transaction(name) as transaction:
                transaction.insert(name, rows)
        database.close()
    return made


def _count(line: str, directory: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> Counter:
    context = replay.context_for(
        Database.open(Location("SQLite", directory)),
        agents=NoAgents(),
        clock=SystemClock(),
        runner=lambda *_: iter(()),
    )
    words = line.replace("ALL", f"n1-n{count}").replace("COUNT", str(count)).split()
    monkeypatch.setitem(replay.PLUGINS, "snmove", Snmove)
    with counting(monkeypatch) as counter:
        printed = replay.run(words, context, _stanzas(count) if "-z" in words else None)
    assert (printed.exit, printed.stderr) == (
        0,
        [text for text in printed.stderr if "Warning" in text],
    )
    return counter


@pytest.mark.parametrize(
    "line",
    [
        "lsdef compute",
        "lsdef dyn -i ip,mac",
        "lsdef -t group -l",
        "lsdef compute -w mac=~02 -z",
        "nodels compute noderes.servicenode hosts.ip",
        "nodels noderes.servicenode==sn1,sn2",
        "tabdump mac",
        "mkdef -t node -o m1-mCOUNT groups=compute os=AIX mgt=hmc ip=127.9.4.4 mac=1",
        "mkdef -z",
        "mkdef -f -t node -o ALL groups=compute os=AIX mgt=hmc",
        "mkdef -t group -o new members=ALL",
        "mkdef -t group -o new -w mgt==hmc -w os==AIX",
        "chdef ALL servicenode=sn2,sn1 xcatmaster=sn2b ip=127.9.9.9",
        "chdef -z",
        "chdef -p ALL groups=more",
        "chdef -m ALL groups=compute",
        "chdef -t group -o compute power=hmc members=n1-n5",
        "rmdef -t node -o ALL",
        "rmdef -t group -o compute",
        "nodech ALL noderes.xcatmaster=sn2b groups,=more",
        "nodeadd k1-kCOUNT groups=compute mac.mac=1",
        "noderm ALL",
        "nodegrpch compute noderes.xcatmaster=sn2b",
        "tabch node=n1 mac.mac=5",
        "snmove -s sn1 -d sn2 -D sn2b -i",
        "snmove compute -i",
    ],
)
def test_statements_do_not_grow_with_the_nodes(
    line: str, originals: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = []
    for count, original in originals.items():
        directory = tmp_path / str(count)
        shutil.copytree(original, directory)
        counters.append(_count(line, directory, count, monkeypatch))
    few, many = counters
    assert many.reads == few.reads > 0
    assert many.writes <= few.writes * (MANY // KEYS_PER_STATEMENT + 1)
