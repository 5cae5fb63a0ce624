"""Lanes that wait for locks: whose turn it is, what other plans keep from us, and for how long it is waited.

Owned by the settling thread.  A waiting lane has no thread and no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .locks import Holder, Queue, Taken
from .ports import LanePort

#: Seconds between two looks at locks that another plan has.
LOOK = 1.0


class Waiting(NamedTuple):
    """A lane that waits.  ``step`` is what it cannot begin; ``taken`` is None while its turn has not come."""

    line: LanePort
    step: str
    locks: tuple[str, ...]
    since: float
    taken: Taken | None


@dataclass(slots=True)
class WaitingRoom:
    """See the module.  Times are readings of the monotonic clock; ``timeout`` is what a lane has."""

    timeout: float
    queue: Queue = field(default_factory=Queue)
    _waiting: dict[str, Waiting] = field(default_factory=dict)
    #: Locks that other plans have, and since when somebody here waits for them.
    _foreign: dict[str, tuple[Holder, float]] = field(default_factory=dict)
    _next_look: float = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, lane: str) -> bool:
        return lane in self._waiting

    def enter(self, waiting: Waiting) -> None:
        """The lane waits from now on."""
        self._waiting[waiting.line.lane.id] = waiting
        if waiting.taken is not None:
            for name in waiting.taken.locks:
                first = self._foreign.get(name, (None, waiting.since))[1]
                self._foreign[name] = waiting.taken.holder, first

    def leave(self, lane: str) -> LanePort:
        """The lane goes on."""
        return self._waiting.pop(lane).line

    def leave_all(self) -> list[LanePort]:
        """Nobody waits any more."""
        found = [waiting.line for waiting in self._waiting.values()]
        self._waiting.clear()
        return found

    def looked(self, names: Iterable[str], held: Mapping[str, Holder]) -> None:
        """These locks were looked at: ``held`` is what other plans have of them."""
        for name in names:
            first = self._foreign.pop(name, None)
            if name in held and first is not None:
                self._foreign[name] = held[name], first[1]

    def at_turn(self) -> tuple[str, ...]:
        """The lanes that waited for others of this execution, and whose turn has come."""
        return self.queue.next()

    def due(
        self, now: float, look: Callable[[tuple[str, ...]], Mapping[str, Holder]]
    ) -> tuple[str, ...]:
        """The lanes that can try again because no other plan has what they need; once in a while, others none."""
        waiting = {lane: each for lane, each in self._waiting.items() if each.taken is not None}
        if not waiting or now < self._next_look:
            return ()
        self._next_look = now + LOOK
        names = tuple(dict.fromkeys(name for each in waiting.values() for name in each.locks))
        held = look(names)
        self.looked(names, held)
        return tuple(lane for lane, each in waiting.items() if held.keys().isdisjoint(each.locks))

    def late(self, now: float) -> Iterator[tuple[Waiting, str]]:
        """Who has waited too long, and what to say: the time of its lane is up, or it would be in vain.

        A lane that has not started yet has its time from when another plan began to be in the way of it.
        """
        for each in tuple(self._waiting.values()):
            held = {name: self._foreign[name] for name in each.locks if name in self._foreign}
            since = max([each.since, *(first for _, first in held.values())])
            limit = since + self.timeout if held else None
            if each.line.deadline is not None:
                limit = each.line.deadline
            if limit is not None and now >= limit:
                yield each, _reason(each, held)


def _reason(waiting: Waiting, held: Mapping[str, tuple[Holder, float]]) -> str:
    names = ", ".join(held or waiting.locks)
    holder = next((found for found, _ in held.values()), Holder("another part of this plan"))
    return f"its time was over while it waited for {names}, which {holder}; resume this plan when that is over"
