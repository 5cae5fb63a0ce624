"""Which lanes may start, and which cannot any more.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xcat_aix.plan.model import Lane

from .states import LaneResult


class Board:
    """The lanes of one execution: waiting, started, ended.

    ``results`` are those of earlier executions: a lane that is moved already is not started again.  A lane starts
    when those it needs are done and those it comes after are over: done, failed, or kept from ever starting.
    """

    def __init__(self, lanes: Sequence[Lane], results: Mapping[str, LaneResult]) -> None:
        self._waiting = {lane.id: lane for lane in lanes}
        self._started: set[str] = set()
        self._done = {id_ for id_, result in results.items() if result is LaneResult.DONE}
        self._over = set(self._done)
        for id_ in self._done:
            del self._waiting[id_]

    def ready(self) -> tuple[Lane, ...]:
        """The lanes that can start now; they count as started from here on."""
        found = [
            lane
            for lane in self._waiting.values()
            if self._done.issuperset(lane.needs) and self._over.issuperset(lane.after)
        ]
        for lane in found:
            del self._waiting[lane.id]
            self._started.add(lane.id)
        return tuple(found)

    def ended(self, lane_id: str, result: LaneResult) -> tuple[Lane, ...]:
        """A started lane ended; the lanes that can never start because of it, in plan order."""
        self._started.remove(lane_id)
        self._over.add(lane_id)
        if result.lets_others_go_on:
            self._done.add(lane_id)
            return ()
        held = self._followers(lane_id)
        self._over.update(held)
        return tuple(self._waiting.pop(id_) for id_ in list(self._waiting) if id_ in held)

    def _followers(self, lane_id: str) -> set[str]:
        """The waiting lanes that need this one, directly or through others."""
        gone = {lane_id}
        found = [lane_id]
        while found:
            found = [
                lane.id
                for lane in self._waiting.values()
                if lane.id not in gone and not gone.isdisjoint(lane.needs)
            ]
            gone.update(found)
        return gone
