"""Between a worker thread and the settling thread: wishes to commit go one way, answers the other.

The queue is bounded, and so is every wait: a worker whose execution has ended gets :class:`Stopped`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from xcat_aix.plan.model import Lane

from .states import Event
from .store import Transaction
from .task import LaneLink

#: Seconds between two looks at whether the execution still exists.
_PATIENCE = 0.5

#: What is done in the journal's transaction; returns events to store with it.
Write: TypeAlias = Callable[[Transaction], Sequence[Event]]


class Stopped(Exception):  # noqa: N818 - not an error: the thread has nothing to do any more
    """The execution is over for this worker."""


@dataclass(slots=True, eq=False)
class Wish:
    """Events to be committed; ``settled`` is set when they are, or never will be."""

    line: Line
    events: Sequence[Event]
    tables: Sequence[str] = ()
    write: Write | None = None
    settled: threading.Event = field(default_factory=threading.Event)
    refusal: Exception | None = None

    def refuse(self, reason: Exception) -> None:
        """Tell the worker that nothing was committed."""
        self.refusal = reason
        self.settled.set()


@dataclass(frozen=True, slots=True)
class Said:
    """A line of progress; committed with the next wish of anybody."""

    line: Line
    event: Event


@dataclass(frozen=True, slots=True)
class Finished:
    """A lane's worker is done with it.

    ``problem`` is what nobody foresaw; then ``outcomes`` of steps before it may still have to be committed.
    """

    line: Line
    problem: BaseException | None = None
    outcomes: Sequence[Event] = ()


Message: TypeAlias = Wish | Said | Finished


@dataclass(slots=True, eq=False)
class Line:
    """One lane's way to the settling thread.

    ``deadline`` (monotonic) is set by the worker when it starts.  ``is_revoked`` is set by the settling
    thread when it stops waiting for this worker.
    """

    lane: Lane
    link: LaneLink
    inbox: queue.Queue[Message]
    closed: threading.Event
    deadline: float | None = None
    thread: threading.Thread | None = None
    is_revoked: bool = False

    def commit(
        self, events: Sequence[Event], tables: Sequence[str] = (), write: Write | None = None
    ) -> None:
        """Return once ``events`` are committed; raises what ``write`` raised, or :class:`Stopped`."""
        wish = Wish(self, events, tables, write)
        self.put(wish)
        while not wish.settled.wait(_PATIENCE):
            self._check()
        if wish.refusal is not None:
            raise wish.refusal

    def put(self, message: Message) -> None:
        """Hand a message over; waits while the settling thread is behind."""
        while True:
            self._check()
            try:
                return self.inbox.put(message, timeout=_PATIENCE)
            except queue.Full:
                continue

    def _check(self) -> None:
        if self.is_revoked or self.closed.is_set():
            raise Stopped
