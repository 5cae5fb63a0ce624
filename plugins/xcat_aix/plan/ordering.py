"""What waits for what, when some lanes of a plan are left out or all are turned round.

Owns: the order of lanes as a graph.  Must not: know what a lane does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from .model import Lane

#: For each lane those it waits for, and whether they must be done (``needs``) or only over (``after``).
Waits = dict[str, dict[str, bool]]


class LaneOrder:
    """The order of ``lanes``, turned round unless ``is_forward``; those in ``again`` keep their place at the end.

    A lane done again waits for all that it had waited for, since it does once more what depends on that, and for
    what had waited for it.
    """

    def __init__(
        self, lanes: Iterable[Lane], *, again: Collection[str] = (), is_forward: bool = True
    ) -> None:
        self._lanes = {lane.id: lane for lane in lanes}
        there = {id_: _waits(lane) for id_, lane in self._lanes.items()}
        self._waits: Waits = {}
        self._followers: dict[str, dict[str, None]] = {}
        self._enter(self._lanes, there if is_forward else _turned(there))
        if not is_forward:
            last = [id_ for id_ in self._lanes if id_ in again]
            back = _turned(there)
            behind = {
                id_: _reached(id_, there) | _without(_reached(id_, back), last) for id_ in last
            }
            for id_ in last:
                self._take_out(id_)
            self._enter(last, behind)

    def _enter(self, names: Collection[str], waits: Waits) -> None:
        for name in names:
            self._waits[name], self._followers[name] = {}, {}
        for name in names:
            for first, is_needed in waits[name].items():
                self._add(name, first, is_needed=is_needed)

    def _add(self, follower: str, first: str, *, is_needed: bool) -> None:
        self._waits[follower][first] = is_needed or self._waits[follower].get(first, False)
        self._followers[first][follower] = None

    def leave_out(self, names: Iterable[str]) -> tuple[Lane, ...]:
        """Those who waited for a lane that is left out wait for what that one waited for.

        Returns lanes that do nothing but keep the order, for the names where many lanes stand before and behind:
        each to each would be too many words.
        """
        kept = []
        for name in names:
            before, behind = len(self._waits[name]), len(self._followers[name])
            if before * behind > before + behind:
                lane = self._lanes[name]
                kept.append(replace(lane, steps=(), target=None, via=None, if_unreachable="fail"))
            else:
                self._take_out(name)
        return tuple(kept)

    def _take_out(self, name: str) -> None:
        firsts, followers = self._waits.pop(name), self._followers.pop(name)
        for first in firsts:
            del self._followers[first][name]
        for follower in followers:
            is_needed = self._waits[follower].pop(name)
            for first, too in firsts.items():
                self._add(follower, first, is_needed=is_needed and too)

    def wait_as(self, lanes: Iterable[Lane]) -> None:
        """Have these wait for what they wait for by themselves: as far as it is here, and does not wait for them.

        For each other they wait in no other way.
        """
        own = {lane.id: lane for lane in lanes}
        for name in own:
            for first in own.keys() & self._waits.setdefault(name, {}).keys():
                del self._waits[name][first], self._followers[first][name]
            self._followers.setdefault(name, {})
        for lane in own.values():
            for first, is_needed in _waits(lane).items():
                if first in self._waits and lane.id not in _reached(first, self._waits):
                    self._add(lane.id, first, is_needed=is_needed)

    def require(self, first: str, followers: Collection[str]) -> None:
        """Those of ``followers`` that wait for a lane need it done."""
        for name in self._followers[first]:
            if name in followers:
                self._waits[name][first] = True

    def placed(self, lane: Lane) -> Lane:
        """A lane of the same name with what it waits for here."""
        waits = self._waits[lane.id]
        return replace(
            lane,
            needs=tuple(first for first, is_needed in waits.items() if is_needed),
            after=tuple(first for first, is_needed in waits.items() if not is_needed),
        )


def _waits(lane: Lane) -> dict[str, bool]:
    return {**dict.fromkeys(lane.after, False), **dict.fromkeys(lane.needs, True)}


def _turned(waits: Waits) -> Waits:
    found: Waits = {name: {} for name in waits}
    for name, firsts in waits.items():
        for first, is_needed in firsts.items():
            found[first][name] = is_needed
    return found


def _reached(name: str, waits: Waits) -> dict[str, bool]:
    """All that a lane waits for, by way of others too."""
    found: dict[str, bool] = {}
    waiting = list(waits[name].items())
    while waiting:
        other, is_needed = waiting.pop()
        if other not in found or is_needed > found[other]:
            found[other] = is_needed
            waiting += [(next_, is_needed and too) for next_, too in waits[other].items()]
    return found


def _without(waits: dict[str, bool], names: Collection[str]) -> dict[str, bool]:
    return {name: is_needed for name, is_needed in waits.items() if name not in names}
