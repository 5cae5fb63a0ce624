"""What waits for what, when some lanes of a plan are left out or all are turned round.

Owns: the order of lanes as a graph.  Must not: know what a lane does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from .model import Lane

#: For each lane those it waits for, and whether they must be done (``needs``) or only over (``after``).
Waits = dict[str, dict[str, bool]]


class Order:
    """The order of ``lanes``, turned round unless ``is_forward``; those in ``again`` keep their place at the end.

    A lane done again waits for whatever it had waited for, since it does once more what depends on that.
    """

    def __init__(
        self, lanes: Iterable[Lane], *, again: Collection[str] = (), is_forward: bool = True
    ) -> None:
        self._lanes = {lane.id: lane for lane in lanes}
        self._waits: Waits = {id_: {} for id_ in self._lanes}
        self._followers: dict[str, dict[str, None]] = {id_: {} for id_ in self._lanes}
        for id_, lane in self._lanes.items():
            for others, is_needed in ((lane.after, False), (lane.needs, True)):
                for other in others:
                    if is_forward or id_ in again:
                        self._add(id_, other, is_needed=is_needed)
                    else:
                        self._add(other, id_, is_needed=is_needed)

    def _add(self, follower: str, first: str, *, is_needed: bool) -> None:
        self._waits[follower][first] = is_needed or self._waits[follower].get(first, False)
        self._followers[first][follower] = None

    def leave_out(self, names: Iterable[str]) -> tuple[Lane, ...]:
        """Those who waited for a lane that is left out wait for what that one waited for.

        Returns lanes that do nothing but keep the order, for the names where many lanes stand before and behind:
        each to each would be too many words.
        """
        return tuple(lane for name in names if (lane := self._left_out(name)) is not None)

    def _left_out(self, name: str) -> Lane | None:
        firsts, followers = self._waits[name], self._followers[name]
        if len(firsts) * len(followers) > len(firsts) + len(followers):
            return replace(
                self._lanes[name], steps=(), target=None, via=None, if_unreachable="fail"
            )
        for follower in followers:
            is_needed = self._waits[follower].pop(name)
            for first, too in firsts.items():
                self._add(follower, first, is_needed=is_needed and too)
        for first in firsts:
            del self._followers[first][name]
        del self._waits[name], self._followers[name]
        return None

    def placed(self, lane: Lane) -> Lane:
        """A lane of the same name with what it waits for here."""
        waits = self._waits[lane.id]
        return replace(
            lane,
            needs=tuple(first for first, is_needed in waits.items() if is_needed),
            after=tuple(first for first, is_needed in waits.items() if not is_needed),
        )
