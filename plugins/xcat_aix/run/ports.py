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
from .story import LaneState
from .task import LaneLink

#: Seconds between two looks at whether the execution still exists.
_PATIENCE = 0.5

#: What is done in the journal's transaction; returns events to store with it.
Write: TypeAlias = Callable[[Transaction], Sequence[Event]]


class Stopped(Exception):
    """The execution is over for this worker."""


class LaneParked(Exception):
    """What was to be begun needs a lock that somebody has; everything before it is committed."""


@dataclass(slots=True, eq=False)
class CommitRequest:
    """Something to be committed; ``settled`` is set when it is, or never will be.

    ``events`` are stored in any case; ``intents`` only if the lane gets all of ``locks``, or instead of them what
    ``write`` does and returns.
    With ``events`` the lane's turn to hold locks is over if it ``releases`` them; ``is_last``: the lane is over
    with this.
    """

    line: LanePort
    events: Sequence[Event] = ()
    intents: Sequence[Event] = ()
    locks: tuple[str, ...] = ()
    tables: Sequence[str] = ()
    write: Write | None = None
    releases: bool = False
    is_last: bool = False
    settled: threading.Event = field(default_factory=threading.Event)
    refusal: Exception | None = None

    def refuse(self, reason: Exception) -> None:
        """Tell the worker that nothing was committed, or with :class:`LaneParked` that nothing is to be begun."""
        self.refusal = reason
        self.settled.set()


@dataclass(frozen=True, slots=True)
class Said:
    """A line of progress; committed with the next wish of anybody."""

    line: LanePort
    event: Event


@dataclass(frozen=True, slots=True)
class Finished:
    """A lane's worker is done with it, and has nothing to commit.

    ``problem`` is what nobody foresaw; then ``outcomes`` of steps before it may still have to be committed.
    """

    line: LanePort
    problem: BaseException | None = None
    outcomes: Sequence[Event] = ()


Message: TypeAlias = CommitRequest | Said | Finished


@dataclass(slots=True, eq=False)
class LanePort:
    """One lane's way to the settling thread.

    ``state`` is the worker's own copy, ``undone`` the nodes that the lanes before this one did not get done.
    ``deadline`` (monotonic) is set by the worker when it starts.  ``is_revoked`` is set by the settling
    thread when it stops waiting for this worker.
    """

    lane: Lane
    link: LaneLink
    inbox: queue.Queue[Message]
    closed: threading.Event
    state: LaneState
    undone: frozenset[str] = frozenset()
    deadline: float | None = None
    thread: threading.Thread | None = None
    is_revoked: bool = False

    def commit(self, wish: CommitRequest) -> None:
        """Return once it is committed; raises what ``write`` raised, :class:`LaneParked` or :class:`Stopped`."""
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
