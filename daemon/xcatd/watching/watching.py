"""Runs watchers: each at its interval, bounded in threads and time, and never the daemon's end.

Owns when a watcher looks, and what becomes of one that crashes or does not come back.  Must not: judge what is told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from xcatd import plugins
from xcatd.db.errors import DatabaseError
from xcatd.serving.pool import WorkerPool

from .notices import TABLE, Level, News, Notice, Notices, NoticeState, bounded, stamp, storable
from .turns import TABLE as TURNS
from .turns import WatchTurns

if TYPE_CHECKING:
    from xcatd.context import Clock, Context
    from xcatd.db.database import Database

_log = logging.getLogger(__name__)

GROUP = "xcatd.watchers"

#: Looks that are under way at a time.
THREADS = 4
#: Seconds that a look may take.
LIMIT = 60.0
#: The shortest interval, in seconds.
SHORTEST = 1.0
#: The kind of the notices about watchers themselves; no watcher can be called so.
OWN = "watchers"

_SPREAD = 0.2  # part of an interval by which looks are spread, so that they do not come all at once
_FIRST = 30.0  # seconds within which everybody looks for the first time
_IDLE = 60.0  # seconds the schedule sleeps at most
_SOON = 1.0  # seconds until it is asked again whether those that take the threads hang
_REPEATED = 24 * 3600  # seconds until the log says again that a watcher does not look

_LEVELS = {Level.INFO: logging.INFO, Level.WARNING: logging.WARNING, Level.ERROR: logging.ERROR}


@runtime_checkable
class Watcher(Protocol):
    """A class that looks; its name is its entry point's.

    ``interval`` are the seconds between two looks, at least :data:`SHORTEST`.
    """

    @property
    def interval(self) -> float:
        """Seconds."""

    def look(self, context: Context) -> Iterable[Notice]:
        """What is to be told now: everything that is so, each time.  It changes nothing.

        It is to end soon after ``context.cancelled`` was set, which is so when its time is over.
        """


def checked(name: str, watcher: object) -> Watcher:
    """Raises TypeError or ValueError for what cannot be run."""
    if not isinstance(watcher, Watcher):
        raise TypeError("a watcher has an interval and a method look")
    if not watcher.interval >= SHORTEST:
        raise ValueError(f"its interval must be {SHORTEST:g} seconds or more")
    if name == OWN:
        raise ValueError(f"no watcher can be called {OWN}")
    return watcher


def installed() -> dict[str, Watcher]:
    """The watchers of this installation; one that cannot be loaded is skipped with a log line."""
    return plugins.load("watcher", metadata.entry_points(group=GROUP), checked)


@dataclass(slots=True)
class _Entry:
    """A watcher and where it stands; times are the monotonic clock's."""

    name: str
    watcher: Watcher
    due: float
    looked: datetime
    asked: float = 0.0
    is_running: bool = False
    started: float | None = None  # None: it waits for a thread, or for its turn
    is_late: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)


class Watching:
    """All watchers of a daemon, which ``owner`` names among all that use the database.

    ``context`` gives the daemon's own context for an event that is set when the look is to end.  ``jitter`` gives a
    number from 0 to 1, another one each time.
    """

    def __init__(
        self,
        watchers: Mapping[str, Watcher],
        db: Database,
        clock: Clock,
        context: Callable[[threading.Event], Context],
        *,
        owner: str,
        jitter: Callable[[], float],
        limit: float = LIMIT,
        threads: int = THREADS,
    ) -> None:
        self._db = db
        self._notices = Notices(db, clock)
        self._turns = WatchTurns(db, clock, owner)
        self._context = context
        self._clock = clock
        self._jitter = jitter
        self._limit = limit
        self._pool = WorkerPool("watching", threads, backlog=max(1, len(watchers)))
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_woken = False
        self._thread: threading.Thread | None = None
        now = clock.monotonic()
        self._entries = [
            _Entry(name, watcher, now + jitter() * min(_FIRST, watcher.interval), clock.now())
            for name, watcher in sorted(watchers.items())
        ]

    def start(self) -> None:
        """Look from now on, in the background."""
        if self._entries and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="watching", daemon=True)
            self._thread.start()

    def close(self, timeout: float) -> bool:
        """Look no more, and have what is under way end; False if ``timeout`` seconds were not enough."""
        with self._changed:
            self._is_closed = True
            for entry in self._entries:
                entry.cancelled.set()
            self._changed.notify_all()
            is_over = self._changed.wait_for(
                lambda: not any(entry.is_running for entry in self._entries), timeout
            )
        self._pool.close()
        if self._thread is not None:
            self._thread.join(timeout)
        return is_over

    def wait(self, timeout: float) -> bool:
        """Wait until no look is under way; False if ``timeout`` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(entry.is_running for entry in self._entries), timeout
            )

    def _work(self) -> None:
        while True:
            left = self.tick()
            with self._changed:
                self._changed.wait_for(lambda: self._is_woken or self._is_closed, left)
                self._is_woken = False
                if self._is_closed:
                    return

    def _wake(self) -> None:
        """Something became due at another time; under the condition."""
        self._is_woken = True
        self._changed.notify_all()

    def tick(self) -> float:
        """Begin the looks that are due, and tell of those that do not come back; seconds until the next of either."""
        now = self._clock.monotonic()
        late: list[tuple[_Entry, str]] = []
        with self._changed:
            for entry in self._entries:
                if not entry.is_running and entry.due <= now and not self._is_closed:
                    self._begin(entry)
                elif self._is_overdue(entry, now):
                    entry.is_late = True
                    entry.cancelled.set()
                    late.append((entry, self._text_of_late()))
            if hanging := [e.name for e in self._entries if e.is_late and e.started is not None]:
                for entry in self._entries:
                    if self._is_kept_waiting(entry, now):
                        entry.is_late = True
                        late.append((entry, _text_of_waiting(entry, hanging)))
        for entry, text in late:
            self._tell_of_late(entry, text)
        with self._changed:
            return min([_IDLE, *(self._left(entry, now) for entry in self._entries)])

    def _is_overdue(self, entry: _Entry, now: float) -> bool:
        return entry.started is not None and not entry.is_late and now - entry.started > self._limit

    def _is_kept_waiting(self, entry: _Entry, now: float) -> bool:
        is_waiting = entry.is_running and entry.started is None and not entry.is_late
        return is_waiting and now - entry.asked > self._limit

    def _left(self, entry: _Entry, now: float) -> float:
        if not entry.is_running:
            return max(0.0, entry.due - now)
        if entry.is_late:
            return _IDLE
        begun = entry.asked if entry.started is None else entry.started
        left = begun + self._limit - now
        return left + 0.01 if left > 0 else _SOON

    def _begin(self, entry: _Entry) -> None:
        entry.is_running, entry.is_late, entry.started = True, False, None
        entry.asked = self._clock.monotonic()
        entry.cancelled = threading.Event()
        if not self._pool.submit(lambda: self._take_turn(entry)):
            self._over(entry)

    # In a thread of the pool

    def _take_turn(self, entry: _Entry) -> None:
        try:
            lease = self._limit * 2
            if not self._is_closed and self._turns.take(entry.name, entry.watcher.interval, lease):
                self._look(entry)
        except DatabaseError as error:
            _log.error("watcher %s cannot tell what it saw: %s", entry.name, error)
        finally:
            with self._changed:
                self._over(entry)
                self._wake()

    def _over(self, entry: _Entry) -> None:
        """The next look is about an interval after the end of this one."""
        spread = 1 - _SPREAD / 2 + _SPREAD * self._jitter()
        entry.due = self._clock.monotonic() + entry.watcher.interval * spread
        entry.is_running, entry.started = False, None

    def _look(self, entry: _Entry) -> None:
        with self._changed:
            entry.started, entry.is_late = self._clock.monotonic(), False
            self._wake()  # its end is to be watched
        try:
            told = tuple(bounded(self._told(entry)))
        except Exception as error:  # noqa: BLE001 - outer boundary: foreign code, whatever it does
            text = f"it crashed: {str(error) or type(error).__name__}"
            self._end(entry, OWN, (_about(entry, text),), {entry.name}, error)
        else:
            if entry.cancelled.is_set():  # what it saw in part, or long ago, ends no notice
                self._end(entry, OWN, (), set())
            else:
                self._end(entry, entry.name, told, None)

    def _told(self, entry: _Entry) -> Iterator[Notice]:
        """What the watcher tells, as long as it is to go on."""
        for notice in entry.watcher.look(self._context(entry.cancelled)):
            if entry.cancelled.is_set():
                return
            yield notice

    def _end(
        self,
        entry: _Entry,
        kind: str,
        told: Sequence[Notice],
        about: Collection[str] | None,
        error: Exception | None = None,
    ) -> None:
        """Give the turn back and store what came of it; nothing, if it was somebody else's meanwhile."""
        with self._db.transaction(TURNS, TABLE) as transaction:
            if not self._turns.end(transaction, entry.name):
                return
            entry.looked = self._clock.now()
            found = [self._notices.settle(transaction, kind, told, about)]
            if kind != OWN:  # it looked: whatever stood of itself is over
                found.append(self._notices.settle(transaction, OWN, (), {entry.name}))
        for news in found:
            _say(news, error)

    def _text_of_late(self) -> str:
        return (
            f"it did not come back within {self._limit:g} seconds, and does not look until it does"
        )

    def _tell_of_late(self, entry: _Entry, text: str) -> None:
        try:
            with self._db.transaction(TABLE) as transaction:
                told = (_about(entry, text),)
                news = self._notices.settle(transaction, OWN, told, {entry.name})
        except DatabaseError as error:
            _log.error("watcher %s: %s; this cannot be stored: %s", entry.name, text, error)
        else:
            _say(news)


def _about(entry: _Entry, text: str) -> Notice:
    """A notice about a watcher itself."""
    words = f"watcher {entry.name}: {text}"
    return storable(Notice(entry.name, words, level=Level.ERROR, repeated_after=_REPEATED))


def _text_of_waiting(entry: _Entry, hanging: Sequence[str]) -> str:
    return (
        f"it has not looked since {stamp(entry.looked)[:19]} UTC: other watchers hang, and have the threads:"
        f" {', '.join(hanging)}"
    )


def _say(news: News, error: Exception | None = None) -> None:
    """In the log: what is new, what is still so after a while, and what is over, each once."""
    for words, standing in (("", news.new), ("still: ", news.again)):
        for each in standing:
            level = _LEVELS[each.notice.level]
            _log.log(level, "%s: %s%s", _name(each), words, each.notice.words, exc_info=error)
    for each in news.over:
        _log.info("%s: over: %s", _name(each), each.notice.words)


def _name(standing: NoticeState) -> str:
    node = f" on {standing.notice.node}" if standing.notice.node else ""
    return f"notice {standing.type}/{standing.notice.key}{node}"
