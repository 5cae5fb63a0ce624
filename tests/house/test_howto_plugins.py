"""The plugins of docs/how-to/plugins.md do what the page says."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xcatd.api import Answer, Context, Ended, Failure, Question, Request, SystemClock, Targets
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.plugins import PluginHost
from xcatd.testing import FakeDns, FakeSsh
from xcatd.watching.watching import checked

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "plugins.md"


def examples() -> dict[str, Any]:
    """What the page's code defines."""
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(code, names)  # noqa: S102 - our own page
    return names


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    database = Database.open(Location("SQLite", tmp_path))
    database.create_missing_tables(["nodelist", "site"])
    with database.transaction("nodelist") as transaction:
        transaction.insert("nodelist", [{"node": name} for name in ("n1", "n2")])
    yield Context(
        db=database,
        clock=SystemClock(),
        agents=None,  # type: ignore[arg-type]
        cancelled=threading.Event(),
        version="",
        is_mn=True,
        hostname="mn",
        ssh=FakeSsh({"n1": lambda words, _: Ended(0, f"{words[0]} 3 days\n")}),
        dns=FakeDns({None: {Question("n1"): Answer(frozenset(["10.0.0.1"]))}}),
    )
    database.close()


def test_the_command(context: Context) -> None:
    plugin = examples()["Uptime"]()
    request = Request("nodeuptime", nodes=("n1", "n2"))
    host = PluginHost({"uptime": plugin})
    assert host.targets(request, context) == Targets.of(["n1", "n2"])
    replies = [node for reply in plugin.handle(request, context) for node in reply.nodes]
    told = {node.name: node.error or node.data.contents for node in replies}
    assert told == {"n1": "uptime 3 days", "n2": "cannot reach n2 by ssh: no such host"}


def test_the_watcher(context: Context) -> None:
    watcher = checked("names", examples()["Names"]())
    (notice,) = watcher.look(context)
    assert (notice.key, notice.node) == ("n2", "n2")
    assert notice.words == f"n2 has no address: {Failure.NO_NAME.value}"
