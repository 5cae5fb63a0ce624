"""Two management nodes over one database: plans that need the same lock wait for each other, and say so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from xcat_aix.run.testing import FakeWorld
from xcatd.db.database import Database
from xcatd.db.location import Location

from .stage import SERVED, Dying, Said, Site, fill
from .test_notes import KIND, notes

LIMIT = 20.0  # seconds that a test waits for another thread


class Running:
    """A command in a thread of its own."""

    def __init__(self, site: Site, *words: str) -> None:
        self.said = Said()
        self.problems: list[BaseException] = []
        self.heard = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(site, words), daemon=True)
        self._thread.start()

    def _run(self, site: Site, words: tuple[str, ...]) -> None:
        try:
            for reply in site.begin(*words):
                with self.heard:
                    self.said.append(reply)
                    self.heard.notify_all()
        except BaseException as problem:  # noqa: BLE001 - the test looks at it
            self.problems.append(problem)

    def until(self, text: str) -> None:
        with self.heard:
            assert self.heard.wait_for(lambda: text in self.said.text, LIMIT), self.said.text

    def end(self, pass_time: Callable[[], None] = lambda: None) -> Said:
        """Wait for the end, while time passes."""
        while self._thread.is_alive():
            pass_time()
            self._thread.join(0.05)
        assert not self.problems
        return self.said


@pytest.fixture(params=["sqlite", "postgres"])
def sites(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Any
) -> Iterator[tuple[Site, Site]]:
    location = (
        Location("SQLite", tmp_path)
        if request.param == "sqlite"
        else servers.get(request.param).new()
    )
    first, second = Database.open(location), Database.open(location)
    fill(first)
    mn1 = Site(first)
    yield mn1, replace(mn1, db=second, hostname="mn2")
    mn1.world.hold.set()
    first.close()
    second.close()


def begun(world: FakeWorld, node: str) -> Callable[[], bool]:
    return lambda: bool(world.node(node).jobs)


def holding(sites: tuple[Site, Site]) -> tuple[Running, str]:
    """A plan of the first management node that is at work on sn1, and does not come to an end."""
    site = sites[0]
    site.world.node("sn1").hanging.add(KIND)
    reached = threading.Event()
    site.world.on_call = lambda node, call: reached.set() if call == "follow" else None
    first = Running(site, "notes", "n1", "first")
    assert reached.wait(LIMIT)
    (plan,) = site.plan_ids()
    return first, plan


def pass_time(site: Site, holder: str) -> None:
    """No faster than the holder renews its claim."""
    (row,) = site.db.select("aixplan", {"id": holder}, columns=("lease",))
    until = datetime.fromisoformat(str(row["lease"]))
    if until - site.clock.now() > timedelta(seconds=15):
        site.clock.advance(5.0)


def let_go(site: Site) -> None:
    """The job goes on to its end."""
    site.world.node("sn1").hanging.clear()
    for node in site.world.nodes.values():
        node.is_slow = True
    site.world.hold.set()


def test_the_second_waits_says_for_whom_and_goes_on(sites: tuple[Site, Site]) -> None:
    mn1, mn2 = sites
    first, holder = holding(sites)
    second = Running(mn2, "notes", "n2,n4", "second")
    second.until(f"sn1: waits for nim:sn1, which {holder} holds")
    waiting = next(plan for plan in mn2.plan_ids() if plan != holder)
    for site in sites:
        shown = site.run("plans", "--show", waiting)
        assert f"  sn1: waits for nim:sn1, which {holder} holds" in shown.lines
        assert "running" in site.run("plans").text or "at work" in site.run("plans").text
    assert [job for job in mn1.world.node("sn1").jobs if waiting in job] == []
    let_go(mn1)
    assert first.end().status == 0
    said = second.end(lambda: mn2.clock.advance(0.3))
    assert said.status == 0
    assert notes(mn1) == {"n1": "first", "n2": "second", "n4": "second"}
    assert [mn1.comments()[node] for node in ("n1", "n2", "n4")] == ["first", "second", "second"]
    assert mn1.db.select("aixlock") == []


def test_waiting_ends_with_the_time_limit_and_the_rest_is_done(sites: tuple[Site, Site]) -> None:
    first, holder = holding(sites)
    second = Running(sites[1], "notes", "n2,n4", "second", "--timeout", "60")
    second.until("waits for nim:sn1")
    said = second.end(lambda: pass_time(sites[0], holder))
    assert said.status == 2
    assert f"which {holder} holds" in said.errors[0] and said.errors[0].startswith(
        "sn1: keep the note 'second' for n2: "
    )
    assert sites[0].comments()["n4"] == "second" and sites[0].comments()["n2"] is None
    let_go(sites[0])
    first.end()


def test_the_lock_of_a_killed_holder_is_taken_over(sites: tuple[Site, Site], dying: Dying) -> None:
    mn1, mn2 = sites
    dying(point="after-intent")
    assert mn1.attempt("notes", "n1", "first") is None
    dying()
    (dead,) = mn1.plan_ids()
    assert [row["plan"] for row in mn1.db.select("aixlock")] == [dead]
    second = Running(mn2, "notes", "n2", "second")
    second.until(f"waits for nim:sn1, which {dead} holds")
    assert second.end(lambda: mn2.clock.advance(3.0)).status == 0
    assert mn2.clock.monotonic() >= 30
    assert mn1.comments()["n2"] == "second"
    assert mn2.run("plans", "--resume", dead).status == 0
    assert mn1.comments()["n1"] == "first" and set(mn1.performed().values()) == {1}


def test_many_wait_and_nobody_for_ever(sites: tuple[Site, Site]) -> None:
    """Each node has a plan of its own, in turn from both: all of them on one service node."""
    nodes = [node for node, server in SERVED.items() if server == "sn1"]
    running = [
        Running(sites[place % 2], "notes", node, f"by {place}") for place, node in enumerate(nodes)
    ]
    for each in running:
        assert each.end(lambda: sites[0].clock.advance(0.3)).status == 0
    assert [sites[1].comments()[node] for node in nodes] == ["by 0", "by 1", "by 2"]
    assert sites[1].db.select("aixlock") == []
