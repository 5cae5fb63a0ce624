"""A bounded pool of daemon threads with a bounded backlog.

The standard library's executor has an unbounded queue and keeps the process alive for a stuck job; this
one refuses work instead, and a stuck job cannot hold up the end of the daemon.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)

Job = Callable[[], None]


class WorkerPool:
    """At most ``size`` threads, started as they are needed; at most ``backlog`` waiting jobs."""

    def __init__(self, name: str, size: int, backlog: int) -> None:
        self._name = name
        self._size = size
        self._backlog = backlog
        self._jobs: queue.Queue[Job | None] = queue.Queue()  # bounded by submit
        self._is_closed = False
        self._lock = threading.Lock()
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

    def submit(self, job: Job) -> bool:
        """Run the job soon in some thread; False if the backlog is full."""
        with self._lock:
            waiting = max(0, self._unfinished - self._threads)
            if self._is_closed or (self._threads == self._size and waiting >= self._backlog):
                return False
            self._unfinished += 1
            self._jobs.put(job)
            if self._unfinished > self._threads and self._threads < self._size:
                self._threads += 1
                name = f"{self._name}-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
            return True

    def close(self) -> None:
        """Take no more jobs; the threads end when the accepted ones are done."""
        with self._lock:
            self._is_closed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001 - outer boundary: the thread lives on
                _log.exception("a job of the pool %s failed", self._name)
            finally:
                with self._lock:
                    self._unfinished -= 1
                del job
