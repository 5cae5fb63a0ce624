"""Spreading many things over few servers by weight, with as little change as possible.

Owns: the arithmetic, over numbers alone: fair shares where not everybody can go everywhere, and the cheapest way to
meet them.  Must not: know nodes, service nodes or what a place costs in reality.
The shares are the lexicographically most even ones (Fujishige's decomposition by minimum cuts); the way is a
minimum cost flow, found by successive shortest paths, so that no other way changes less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

#: So many things of each pool at a server.
Placed = list[dict[int, int]]


@dataclass(frozen=True, slots=True)
class Pool:
    """Things that are alike.

    ``allowed`` are the servers they may be at, at least one; they are at ``home`` now, and would rather
    go to ``second`` than elsewhere.
    """

    count: int
    allowed: frozenset[int]
    home: int | None = None
    second: int | None = None


def spread(pools: Sequence[Pool], weights: Mapping[int, int]) -> Placed:
    """How many of each pool go to which server.

    Every server gets its fair share, rounded up or down; as few things as possible leave their home, and of
    those as many as possible go to their second.  Servers that come first in ``weights`` (all positive) are
    preferred where nothing else decides.
    """
    shares = fair_shares([(pool.count, pool.allowed) for pool in pools], weights)
    total = sum(pool.count for pool in pools)
    flow = _Flow(
        [_costs(pool, weights, total + 1) for pool in pools],
        {server: floor(share) for server, share in shares.items()},
        {server: ceil(share) for server, share in shares.items()},
        reward=2 * (total + 2) * (len(weights) + 1),
    )
    for index, pool in enumerate(pools):
        flow.place(index, pool.count)
    return flow.placed


def _costs(pool: Pool, weights: Iterable[int], leaving: int) -> dict[int, int]:
    """Leaving home costs more than any number of things that do not go to their second."""
    costs = {pool.second: leaving, pool.home: 0}
    return {server: costs.get(server, leaving + 1) for server in weights if server in pool.allowed}


def fair_shares(
    demands: Sequence[tuple[int, frozenset[int]]], weights: Mapping[int, int]
) -> dict[int, Fraction]:
    """Each server's part in proportion to its weight, as far as ``demands`` (count, allowed servers) let it.

    Where they do not, servers that many depend on have more, and the others share the rest.
    """
    shares: dict[int, Fraction] = {}
    groups = [(_merged(demands), dict(weights))]
    while groups:
        wanted, servers = groups.pop()
        total, weight = sum(wanted.values()), sum(servers.values())
        crowded = _crowded(wanted, servers, total, weight) if total else set()
        if not crowded:
            shares |= {server: Fraction(total * w, weight) for server, w in servers.items()}
            continue
        # Whoever depends on the crowded servers alone stays there; all others go elsewhere.
        inside = {allowed: n for allowed, n in wanted.items() if allowed <= crowded}
        outside = [(n, allowed - crowded) for allowed, n in wanted.items() if allowed not in inside]
        groups.append((inside, {s: w for s, w in servers.items() if s in crowded}))
        groups.append((_merged(outside), {s: w for s, w in servers.items() if s not in crowded}))
    return {server: shares[server] for server in weights}


def _merged(demands: Iterable[tuple[int, frozenset[int]]]) -> dict[frozenset[int], int]:
    merged: dict[frozenset[int], int] = {}
    for count, allowed in demands:
        merged[allowed] = merged.get(allowed, 0) + count
    return merged


def _crowded(
    wanted: Mapping[frozenset[int], int], servers: Mapping[int, int], total: int, weight: int
) -> set[int]:
    """The servers that would get more than their proportion; empty if all can have exactly theirs."""
    most = {server: total * w for server, w in servers.items()}
    flow = _Flow([dict.fromkeys(sorted(allowed), 0) for allowed in wanted], {}, most)
    crowded: set[int] = set()
    stuck = [i for i, n in enumerate(wanted.values()) if flow.place(i, n * weight)]
    for index in stuck:
        crowded |= flow.reached(index)
    return crowded


@dataclass(slots=True)
class _Flow:
    """Pools placed at servers one after the other, each in the cheapest way there is at that moment.

    ``costs`` per pool and server; a server takes up to ``most``, and below ``least`` it is rewarded.
    """

    costs: Sequence[Mapping[int, int]]
    least: Mapping[int, int]
    most: Mapping[int, int]
    reward: int = 0
    placed: Placed = field(init=False)
    _load: dict[int, int] = field(init=False)
    _at: dict[int, dict[int, None]] = field(init=False)
    _links: dict[int, dict[int, tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        self.placed = [{} for _ in self.costs]
        self._load = dict.fromkeys(self.most, 0)
        self._at = {server: {} for server in self.most}
        self._links = {}

    def place(self, pool: int, count: int) -> int:
        """Place so many; how many there was no room for."""
        while count:
            distance, origin = self._paths(pool)
            target = self._target(distance)
            if target is None:
                break
            count -= self._push(pool, target, origin, count)
        return count

    def reached(self, pool: int) -> set[int]:
        """The servers that this pool can use if others make room there."""
        return set(self._paths(pool)[0])

    def _target(self, distance: Mapping[int, int]) -> int | None:
        """The server to end at; the first one among equals."""
        best: tuple[int, int] | None = None
        for server in self.most:
            if server in distance and self._load[server] < self.most[server]:
                is_short = self._load[server] < self.least.get(server, 0)
                cost = distance[server] - (self.reward if is_short else 0)
                if best is None or cost < best[0]:
                    best = (cost, server)
        return best[1] if best else None

    def _paths(self, pool: int) -> tuple[dict[int, int], dict[int, tuple[int, int]]]:
        """The cost to reach each server, and (server, pool) that makes room on the way to it."""
        distance = dict(self.costs[pool])
        origin: dict[int, tuple[int, int]] = {}
        waiting = deque(distance)
        while waiting:
            server = waiting.popleft()
            for other, (cost, mover) in self._links_of(server).items():
                through = distance[server] + cost
                if other not in distance or through < distance[other]:
                    distance[other], origin[other] = through, (server, mover)
                    if other not in waiting:
                        waiting.append(other)
        return distance, origin

    def _links_of(self, server: int) -> Mapping[int, tuple[int, int]]:
        """Where something at this server could go instead: the extra cost, and the pool it is of."""
        if server not in self._links:
            found: dict[int, tuple[int, int]] = {}
            for pool in self._at[server]:
                costs = self.costs[pool]
                for other, cost in costs.items():
                    extra = cost - costs[server]
                    if other != server and (other not in found or extra < found[other][0]):
                        found[other] = (extra, pool)
            self._links[server] = found
        return self._links[server]

    def _push(
        self, pool: int, target: int, origin: Mapping[int, tuple[int, int]], count: int
    ) -> int:
        """Place as many as the whole way allows; how many."""
        steps: list[tuple[int, int, int]] = []
        server = target
        while server in origin:
            before, mover = origin[server]
            steps.append((mover, before, server))
            server = before
        load, least = self._load[target], self.least.get(target, 0)
        room = (least if load < least else self.most[target]) - load
        number = min(count, room, *(self.placed[mover][before] for mover, before, _ in steps))
        for mover, before, after in steps:
            self._change(mover, before, -number)
            self._change(mover, after, number)
        self._change(pool, server, number)
        self._load[target] += number
        return number

    def _change(self, pool: int, server: int, number: int) -> None:
        placed = self.placed[pool]
        placed[server] = placed.get(server, 0) + number
        if placed[server] == 0:
            del placed[server], self._at[server][pool]
        elif pool in self._at[server]:
            return
        else:
            self._at[server][pool] = None
        self._links.pop(server, None)
