"""Watchers run: at their interval, in their time, alone, and without harm to the daemon."""

from __future__ import annotations

import logging
import random
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.daemon.serving.conftest import Authority, _fill, _prepare

from xcat_aix_proto.bounds import visible
from xcatd import plugins
from xcatd.api import Context, Level, Notice, Watcher
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.main import Daemon, Machine
from xcatd.plugins import PluginHost
from xcatd.rights import ALL
from xcatd.watching import notices, turns, watching
from xcatd.watching.notices import Notices, bounded
from xcatd.watching.watching import LIMIT, OWN, Watching, checked

PATIENCE = 20.0  # seconds; a busy machine takes its time


class Clock:
    """Both clocks, set by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Trivial:
    """Tells what it is given."""

    interval: float = 60.0
    tells: list[Notice] = field(default_factory=list)
    looks: int = 0
    do: Callable[[Context], None] = lambda _: None

    def look(self, context: Context) -> Iterator[Notice]:
        self.looks += 1
        self.do(context)
        yield from self.tells


@dataclass
class House:
    """Watchers of one daemon."""

    watching: Watching
    notices: Notices
    clock: Clock

    def after(self, seconds: float) -> float:
        """Let this time pass and the looks that are due then be done."""
        self.clock.seconds += seconds
        left = self.watching.tick()
        assert self.watching.wait(PATIENCE)
        return left

    def names(self) -> set[tuple[str, str]]:
        return {(each.type, each.notice.key) for each in self.notices.list()}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database.open(Location("SQLite", tmp_path))
    found.create_missing_tables((notices.TABLE, turns.TABLE))
    yield found
    found.close()


@pytest.fixture
def start(database: Database, clock: Clock) -> Iterator[Callable[..., House]]:
    made: list[Watching] = []

    def starter(owner: str = "mn1", threads: int = 4, **watchers: Watcher) -> House:
        def context(cancelled: threading.Event) -> Context:
            return Context(
                db=database,
                clock=clock,
                agents=None,  # type: ignore[arg-type]
                cancelled=cancelled,
                version="",
                is_mn=True,
                hostname=owner,
            )

        found = Watching(
            watchers,
            database,
            clock,
            context,
            owner=owner,
            jitter=lambda: 0.5,
            threads=threads,
        )
        made.append(found)
        return House(found, Notices(database, clock), clock)

    yield starter
    for each in made:
        each.close(PATIENCE)


def test_a_watcher_looks_at_its_interval(start: Callable[..., House]) -> None:
    trivial = Trivial(60, [Notice("a", "x")])
    house = start(disks=trivial)
    assert house.after(14.9) == pytest.approx(0.1)
    assert trivial.looks == 0
    house.after(0.1)
    assert trivial.looks == 1
    assert house.names() == {("disks", "a")}
    house.after(59)
    assert trivial.looks == 1
    house.after(1)
    assert trivial.looks == 2


def test_the_log_says_what_is_new_and_what_is_over_once(
    start: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    full = Notice("tmp", "/tmp is full", "sn1", Level.ERROR, repeated_after=100)
    trivial = Trivial(60, [full])
    house = start(disks=trivial)
    for _ in range(4):
        house.after(60)
    trivial.tells = []
    house.after(60)
    house.after(60)
    said = [(r.levelname, r.getMessage()) for r in caplog.records if "notice" in r.getMessage()]
    assert said == [
        ("ERROR", "notice disks/tmp on sn1: /tmp is full"),
        ("ERROR", "notice disks/tmp on sn1: still: /tmp is full"),
        ("INFO", "notice disks/tmp on sn1: over: /tmp is full"),
    ]


def test_a_look_is_the_daemons_own(start: Callable[..., House]) -> None:
    seen: list[Context] = []
    house = start(disks=Trivial(do=seen.append))
    house.after(60)
    (context,) = seen
    assert context.rights is ALL
    assert context.request is None
    assert not context.cancelled.is_set()
    assert context.notices.list() == ()


def _fail(_: Context) -> None:
    raise KeyError("sn1")


def _is_no_notice(_: Context) -> None:
    raise TypeError


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Trivial(do=_fail), "it crashed: 'sn1'"),
        (Trivial(tells=["text"]), "it crashed: a watcher tells notices, not str"),  # type: ignore[list-item]
        (Trivial(do=_is_no_notice), "it crashed: TypeError"),
    ],
)
def test_a_crash_is_a_notice_and_ends_nothing(
    start: Callable[..., House], broken: Trivial, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    sound = Trivial(tells=[Notice("a", "x")])
    house = start(broken=broken, sound=sound)
    house.after(60)
    assert house.names() == {("sound", "a"), (OWN, "broken")}
    (own,) = [each for each in house.notices.list() if each.type == OWN]
    assert own.notice.words == f"watcher broken: {words}"
    house.after(60)
    assert broken.looks == sound.looks == 2
    traces = [record for record in caplog.records if record.exc_info]
    assert len(traces) == 1  # said once
    broken.do, broken.tells = (lambda _: None), [Notice("b", "x")]
    house.after(60)
    assert house.names() == {("sound", "a"), ("broken", "b")}


def test_a_crash_leaves_what_was_told_before(start: Callable[..., House]) -> None:
    trivial = Trivial(tells=[Notice("a", "x")])
    house = start(disks=trivial)
    house.after(60)
    trivial.do = _fail
    house.after(60)
    assert house.names() == {("disks", "a"), (OWN, "disks")}


class Hanging:
    """Comes back when it is let."""

    interval = 60.0

    def __init__(self) -> None:
        self.inside, self.gate = threading.Event(), threading.Event()
        self.looks = 0
        self.cancelled = threading.Event()

    def look(self, context: Context) -> list[Notice]:
        self.looks += 1
        self.cancelled = context.cancelled
        self.inside.set()
        assert self.gate.wait(PATIENCE * 2)
        return [Notice("late", "x")]


def _until_inside(house: House, hanging: Hanging) -> None:
    house.clock.seconds += 60
    house.watching.tick()
    assert hanging.inside.wait(PATIENCE)


def test_one_that_does_not_come_back_is_told_and_not_begun_again(
    start: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    hanging = Hanging()
    house = start(hanging=hanging)
    _until_inside(house, hanging)
    for _ in range(3):
        house.clock.seconds += LIMIT + 1
        house.watching.tick()
    assert hanging.cancelled.is_set()
    assert hanging.looks == 1
    assert (OWN, "hanging") in house.names()
    assert caplog.text.count("did not come back within 60 seconds") == 1
    hanging.gate.set()
    assert house.watching.wait(PATIENCE)
    assert ("hanging", "late") not in house.names()  # what it saw was long ago
    house.after(61)
    assert hanging.looks == 2
    assert house.names() == {("hanging", "late")}


def test_others_go_on_meanwhile(start: Callable[..., House]) -> None:
    looked = threading.Semaphore(0)
    hanging, sound = Hanging(), Trivial(do=lambda _: looked.release())
    house = start(hanging=hanging, sound=sound)
    _until_inside(house, hanging)
    assert looked.acquire(timeout=PATIENCE)
    hanging.gate.set()
    assert house.watching.wait(PATIENCE)
    assert ("hanging", "late") in house.names()


def test_threads_are_few_whatever_hangs(start: Callable[..., House]) -> None:
    hanging = [Hanging() for _ in range(5)]
    house = start(threads=2, **{f"h{number}": each for number, each in enumerate(hanging)})
    house.clock.seconds += 60
    house.watching.tick()
    for each in hanging[:2]:
        assert each.inside.wait(PATIENCE)
    house.clock.seconds += LIMIT + 1
    house.watching.tick()
    assert [each.looks for each in hanging] == [1, 1, 0, 0, 0]
    told = {each.notice.key: each.notice.words for each in house.notices.list()}
    assert [key for key, words in told.items() if "did not come back" in words] == ["h0", "h1"]
    for each in hanging:
        each.gate.set()
    assert house.watching.wait(PATIENCE)
    assert [each.looks for each in hanging] == [1] * 5


def test_the_end_does_not_wait_for_one_that_hangs(start: Callable[..., House]) -> None:
    hanging = Hanging()
    house = start(hanging=hanging)
    _until_inside(house, hanging)
    assert not house.watching.close(0.05)
    assert hanging.cancelled.is_set()
    hanging.gate.set()
    assert house.watching.wait(PATIENCE)
    house.after(600)
    assert hanging.looks == 1
    assert house.names() == set()


def test_two_daemons_look_once_between_them(start: Callable[..., House], clock: Clock) -> None:
    watchers = Trivial(), Trivial()
    houses = [start(f"mn{at}", disks=each) for at, each in enumerate(watchers)]
    for _ in range(20):
        clock.seconds += 60
        for house in houses:
            house.watching.tick()
            assert house.watching.wait(PATIENCE)
    assert sum(each.looks for each in watchers) == 20


def test_a_database_that_cannot_be_written_is_said(
    start: Callable[..., House], database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    trivial = Trivial()
    house = start(disks=trivial)
    database.location.directory.joinpath("aixjournal.sqlite").write_bytes(b"x" * 5000)  # type: ignore[union-attr]
    house.after(60)
    assert "watcher disks cannot tell what it saw" in caplog.text
    assert trivial.looks == 0


# -- in the daemon ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_mn", [True, False])
def test_the_daemon_of_a_management_node_runs_them(tmp_path: Path, is_mn: bool) -> None:
    filled = tmp_path / "filled"
    filled.mkdir()
    _fill(filled)
    directory = _prepare(tmp_path / "top", Authority(), filled)
    if not is_mn:
        (directory / "mn" / "etc" / "xCATMN").rename(directory / "mn" / "etc" / "xCATSN")
    looked = threading.Event()
    trivial = Trivial(1.0, [Notice("a", "x")], do=lambda _: looked.set())
    machine = Machine("mn", {"XCATCFG": f"SQLite:{directory / 'db'}"}, directory / "mn")
    daemon = Daemon(machine, plugins=PluginHost({}), watchers={"disks": trivial})
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = daemon.server([sock])
    thread = threading.Thread(target=server.run)
    thread.start()
    assert looked.wait(PATIENCE if is_mn else 1.5) is is_mn
    server.stop()
    thread.join(PATIENCE)
    daemon.close()
    database = Database.open(Location("SQLite", directory / "db"))
    found = database.select(notices.TABLE)
    database.close()
    assert [row["key"] for row in found] == (["a"] if is_mn else [])
    assert not any(each.name == "watching" for each in threading.enumerate())


# -- loading, and bounds ---------------------------------------------------------------------------


class NoInterval:
    def look(self, context: Context) -> list[Notice]:
        return []


@pytest.mark.parametrize(
    ("name", "watcher"),
    [
        ("x", NoInterval()),
        ("x", object()),
        ("x", Trivial(0.5)),
        ("x", Trivial(float("nan"))),
        (OWN, Trivial()),
    ],
)
def test_what_is_no_watcher_is_skipped(
    name: str, watcher: object, caplog: pytest.LogCaptureFixture
) -> None:
    class Point:
        def __init__(self) -> None:
            self.name = name

        def load(self) -> Any:
            return lambda: watcher

    points: Any = [Point(), EntryPoint("gone", "no.such.module:X", watching.GROUP)]
    assert plugins.load("watcher", points, checked) == {}
    assert f"watcher {name} cannot be loaded and is skipped" in caplog.text
    assert "watcher gone cannot be loaded" in caplog.text


def test_none_is_installed_yet() -> None:
    assert watching.installed() == {}


_NOTICES = st.lists(st.builds(Notice, st.text(max_size=300), st.text(max_size=3000)), max_size=40)


@given(_NOTICES, st.integers(1, 20))
def test_what_a_look_tells_is_bounded(told: list[Notice], most: int) -> None:
    kept = _bounded(told, most)
    keys = [notice.key for notice in kept]
    assert len(keys) == len(set(keys)) <= most + 1
    assert all(len(each.key) <= 128 and len(each.words) <= 2000 for each in kept)
    names = list(dict.fromkeys(visible(notice.key[:128])[:128] for notice in told))
    assert keys[:most] == names[:most]
    assert (len(keys) > most) == (len(names) > most)


def _bounded(told: list[Notice], most: int) -> list[Notice]:
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.setattr(notices, "MOST", most)
        return list(bounded(told))


def test_looks_are_spread(database: Database, clock: Clock) -> None:
    numbers = random.Random(7)
    watchers: dict[str, Watcher] = {f"w{number}": Trivial() for number in range(50)}
    found = Watching(
        watchers,
        database,
        clock,
        lambda _: None,
        owner="mn",
        jitter=numbers.random,  # type: ignore[arg-type, return-value]
    )
    due = {round(entry.due, 3) for entry in found._entries}
    assert len(due) > 40
    assert all(1000 <= each <= 1030 for each in due)


def test_one_that_others_keep_from_looking_is_told(
    start: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    hanging, sound = Hanging(), Trivial(tells=[Notice("a", "b")])
    house = start(threads=1, hanging=hanging, sound=sound)
    _until_inside(house, hanging)
    for _ in range(3):
        house.clock.seconds += LIMIT + 1
        house.watching.tick()
    text = "watcher sound: it has not looked since 2026-03-01T00:16:40 UTC: other watchers hang"
    assert caplog.text.count(text) == 1
    assert (OWN, "sound") in house.names()
    hanging.gate.set()
    assert house.watching.wait(PATIENCE)
    assert house.names() == {("sound", "a"), (OWN, "hanging")}


@dataclass
class Endless:
    """Tells the same for ever."""

    interval: float = 60.0
    heard: int = 0
    do: Callable[[Context], None] = lambda _: None

    def look(self, context: Context) -> Iterator[Notice]:
        while True:
            self.heard += 1
            self.do(context)
            yield Notice("same", "words")


def test_an_endless_look_is_ended(start: Callable[..., House]) -> None:
    endless = Endless()
    house = start(endless=endless)
    house.after(61)
    assert endless.heard <= notices.MOST_HEARD + 1
    assert house.names() == {("endless", "same"), ("endless", "(more)")}


def test_nothing_more_is_heard_after_its_time(start: Callable[..., House]) -> None:
    endless = Endless(do=lambda context: context.cancelled.set())
    house = start(endless=endless)
    house.after(61)
    assert endless.heard == 1
    assert house.names() == set()


@pytest.mark.parametrize(
    "fields",
    [
        {"key": 5},
        {"words": None},
        {"node": None},
        {"level": "warning"},
        {"expires": 10**15},
        {"expires": "5"},
        {"expires": -1},
        {"repeated_after": "x"},
        {"repeated_after": 1.5},
    ],
    ids=str,
)
def test_a_wrong_notice_is_its_watchers_trouble(
    start: Callable[..., House], database: Database, fields: dict[str, Any]
) -> None:
    def wrong(_: Context) -> None:
        Notice(**{"key": "k", "words": "w", **fields})

    evil = Trivial(do=wrong)
    house = start(evil=evil)
    house.after(61)
    assert house.names() == {(OWN, "evil")}
    (turn,) = database.select(turns.TABLE)
    assert not turn["lease"]
    house.after(61)
    assert evil.looks == 2


def test_what_cannot_be_printed_is_made_visible(start: Callable[..., House]) -> None:
    odd = Notice("k\0\ud800\n", "one\ntwo\x1b[31m\0", "n\x1b")
    house = start(odd=Trivial(tells=[odd]))
    house.after(61)
    (found,) = house.notices.list()
    shown = (found.notice.key, found.notice.words, found.notice.node)
    assert shown == (r"k\x00\ud800\n", "one\ntwo" + r"\x1b[31m\x00", r"n\x1b")


def test_a_crash_with_odd_words_is_a_notice(start: Callable[..., House]) -> None:
    def crash(_: Context) -> None:
        raise OSError("cannot read \x1b\0")

    house = start(odd=Trivial(do=crash))
    house.after(61)
    (found,) = house.notices.list()
    assert found.notice.words.endswith(r"it crashed: cannot read \x1b\x00")


@pytest.mark.parametrize(
    "cell",
    [
        *((notices.TABLE, column, "x") for column in ("level", "times", "until", "told", "over")),
        (notices.TABLE, "times", "9" * 5000),
        (notices.TABLE, "repeats", "9" * 30),
        (notices.TABLE, "told", "2026-01-01T00:00:00"),
        (turns.TABLE, "looked", "x"),
        (turns.TABLE, "looked", "2026-01-01T00:00:00"),
        (turns.TABLE, "lease", "zzzz"),
        (turns.TABLE, "lease", "9999-01-01T00:00:00.000000+00:00"),
    ],
    ids=lambda cell: f"{cell[1]}={cell[2][:12]}",
)
@pytest.mark.parametrize("is_told", [True, False])
def test_garbage_in_a_cell_ends_no_watcher(
    start: Callable[..., House], database: Database, cell: tuple[str, str, str], is_told: bool
) -> None:
    table, column, value = cell
    watcher = Trivial(tells=[Notice("a", "b", repeated_after=5)])
    house = start(w=watcher)
    house.after(61)
    with database.transaction(table) as transaction:
        transaction.update(table, {"type": "w"}, {column: value})
    house.notices.list(with_over=True)
    if not is_told:
        watcher.tells = []
    looks = watcher.looks
    for _ in range(3):
        house.after(67)
    assert watcher.looks == looks + 3
    assert house.names() == ({("w", "a")} if is_told else set())
