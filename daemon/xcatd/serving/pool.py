"""A bounded pool of daemon threads with a bounded backlog, in which the owners of the jobs take turns.

The standard library's executor has an unbounded queue and keeps the process alive for a stuck job; this
one refuses work instead, and a stuck job cannot hold up the end of the daemon.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from typing import Generic, NamedTuple, TypeVar

_log = logging.getLogger(__name__)

Job = Callable[[], None]
T = TypeVar("T")


class TurnKey(NamedTuple):
    """Whose job it is: kinds take turns, and within a kind its owners do."""

    kind: str = ""
    name: str = ""


NOBODY = TurnKey()


class Turns(Generic[T]):
    """Waiting things: whoever has a thousand of them gets no more turns than who has one."""

    def __init__(self) -> None:
        self._kinds: OrderedDict[str, OrderedDict[str, deque[T]]] = OrderedDict()

    def put(self, owner: TurnKey, item: T) -> None:
        """At the end of its owner's line."""
        owners = self._kinds.setdefault(owner.kind, OrderedDict())
        owners.setdefault(owner.name, deque()).append(item)

    @property
    def kinds(self) -> Collection[str]:
        """Those of which something waits."""
        return self._kinds.keys()

    def take(self, kind: str) -> T:
        """The next one of this kind; there must be one."""
        owners = self._kinds[kind]
        name, line = next(iter(owners.items()))
        item = line.popleft()
        if line:
            owners.move_to_end(name)
        else:
            del owners[name]
        if owners:
            self._kinds.move_to_end(kind)
        else:
            del self._kinds[kind]
        return item


class WorkerPool:
    """At most ``size`` threads, started as they are needed; at most ``backlog`` waiting jobs.

    ``most`` bounds how many threads work for a kind of owner at a time: what waits for its kind holds none.
    """

    def __init__(
        self, name: str, size: int, backlog: int, most: Mapping[str, int] | None = None
    ) -> None:
        self._name = name
        self._size = size
        self._backlog = backlog
        self._most = most or {}
        self._jobs: Turns[Job] = Turns()  # bounded by submit
        self._running: Counter[str] = Counter()
        self._is_closed = False
        self._changed = threading.Condition()
        self._threads = 0
        self._unfinished = 0

    @property
    def unfinished(self) -> int:
        """Jobs waiting or running."""
        return self._unfinished

    @property
    def threads(self) -> int:
        """Threads started so far."""
        return self._threads

    def submit(self, job: Job, owner: TurnKey = NOBODY) -> bool:
        """Run the job soon in some thread; False if the backlog is full."""
        with self._changed:
            waiting = max(0, self._unfinished - self._threads)
            if self._is_closed or (self._threads == self._size and waiting >= self._backlog):
                return False
            self._unfinished += 1
            self._jobs.put(owner, job)
            if self._unfinished > self._threads and self._threads < self._size:
                self._threads += 1
                name = f"{self._name}-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
            self._changed.notify()
            return True

    def close(self) -> None:
        """Take no more jobs; the threads end when the accepted ones are done."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _open_kind(self) -> str | None:
        """The kind whose turn it is, of those that may have another thread."""
        for kind in self._jobs.kinds:
            if kind not in self._most or self._running[kind] < self._most[kind]:
                return kind
        return None

    def _next(self) -> tuple[str, Job] | None:
        with self._changed:
            while (kind := self._open_kind()) is None:
                if self._is_closed and not self._jobs.kinds:
                    return None
                self._changed.wait()
            self._running[kind] += 1
            return kind, self._jobs.take(kind)

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            kind, job = taken
            try:
                job()
            except Exception:  # noqa: BLE001 - outer boundary: the thread lives on
                _log.exception("a job of the pool %s failed", self._name)
            finally:
                self._done(kind)
                del job, taken

    def _done(self, kind: str) -> None:
        with self._changed:
            self._unfinished -= 1
            self._running[kind] -= 1
            if self._is_closed:
                self._changed.notify_all()
