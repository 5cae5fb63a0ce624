"""The worker threads of one execution, and the queue of lanes that they take.

A thread runs lanes until there is no more to do, or until nobody waits for it any more.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .lane_runner import Circumstances, LaneRunner
from .ports import Finished, LaneParked, LanePort, Stopped

if TYPE_CHECKING:
    from xcatd.api import Clock

_JOIN = 5.0


@dataclass(slots=True)
class Workers:
    """At most ``most`` threads at once."""

    around: Circumstances
    most: int
    _work: queue.SimpleQueue[LanePort | None] = field(default_factory=queue.SimpleQueue)
    _threads: set[threading.Thread] = field(default_factory=set)

    def take(self, line: LanePort) -> None:
        """Have a lane run as soon as a thread is free; see :meth:`fill`."""
        self._work.put(line)

    def fill(self, busy: int) -> None:
        """Have as many threads as ``busy`` lanes need."""
        while len(self._threads) < min(self.most, busy):
            thread = threading.Thread(target=self._work_off, name="lane", daemon=True)
            self._threads.add(thread)
            thread.start()

    def leave(self, thread: threading.Thread | None) -> None:
        """Do not wait for this one any more."""
        if thread is not None:
            self._threads.discard(thread)

    def end(self, clock: Clock) -> None:
        """Let go of all threads; those that do not end soon are left to themselves."""
        for _ in self._threads:
            self._work.put(None)
        limit = clock.monotonic() + _JOIN
        for thread in self._threads:
            thread.join(max(0.0, limit - clock.monotonic()))

    def _work_off(self) -> None:
        """A worker thread's life."""
        while (line := self._work.get()) is not None:
            line.thread = threading.current_thread()
            if line.deadline is None:
                line.deadline = self.around.clock.monotonic() + self.around.timeout
            try:
                self._run(line)
            except LaneParked:
                continue
            except Stopped:
                return

    def _run(self, line: LanePort) -> None:
        runner = LaneRunner(self.around, line)
        try:
            runner.run()
        except (Stopped, LaneParked):
            raise
        except BaseException as problem:  # noqa: BLE001 - told, or raised again, by the settling thread
            line.put(Finished(line, problem, runner.uncommitted))
