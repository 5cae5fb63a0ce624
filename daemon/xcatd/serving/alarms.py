"""When to look at a peer again: its time limit, or replies that are due.

Must not: know what happens then.
"""

from __future__ import annotations

import heapq
import itertools

from .peer import Peer


class Alarms:
    """At most one alarm per peer counts; a later one than what is set changes nothing.

    Whoever is woken too early sets its alarm anew, so that a peer whose limit moves on does not fill the heap.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._heap: list[
            tuple[float, int]
        ] = []  # of numbers: a peer that has gone is not kept by it
        self._set: dict[Peer, tuple[float, int]] = {}
        self._peers: dict[int, Peer] = {}

    def set(self, peer: Peer, moment: float) -> None:
        """Wake the peer at ``moment`` (monotonic seconds) at the latest."""
        if peer in self._set:
            if self._set[peer][0] <= moment:
                return
            self.cancel(peer)
        entry = (moment, next(self._numbers))
        self._set[peer] = entry
        self._peers[entry[1]] = peer
        heapq.heappush(self._heap, entry)

    def cancel(self, peer: Peer) -> None:
        """It needs none any more."""
        if entry := self._set.pop(peer, None):
            del self._peers[entry[1]]

    @property
    def next(self) -> float | None:
        """When the first one is due, if not before."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[Peer]:
        """Whose time has come; their alarms are over."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            _, number = heapq.heappop(self._heap)
            if peer := self._peers.get(number):
                self.cancel(peer)
                found.append(peer)
        return found
