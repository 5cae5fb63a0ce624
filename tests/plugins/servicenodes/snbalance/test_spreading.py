"""Spreading by weight: fair, as cheap as any other way, and always the same; held against trying everything."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor

from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.plan.servicenodes.spreading import Placed, Pool, fair_shares, spread


@st.composite
def problems(draw: st.DrawFn, most: int = 5) -> tuple[list[Pool], dict[int, int]]:
    servers = range(draw(st.integers(1, 4)))
    weights = {server: draw(st.integers(1, 3)) for server in servers}
    pools = []
    left = draw(st.integers(0, most))
    while left:
        count = draw(st.integers(1, left))
        allowed = draw(st.frozensets(st.sampled_from(servers), min_size=1))
        home, second = (draw(st.sampled_from([None, *sorted(allowed)])) for _ in range(2))
        pools.append(Pool(count, allowed, home, second))
        left -= count
    return pools, weights


def shares_of(pools: Sequence[Pool], weights: Mapping[int, int]) -> dict[int, Fraction]:
    return fair_shares([(pool.count, pool.allowed) for pool in pools], weights)


def is_fair(load: Mapping[int, int], shares: Mapping[int, Fraction]) -> bool:
    return all(floor(share) <= load[s] <= ceil(share) for s, share in shares.items())


def cost(pools: Sequence[Pool], placed: Placed) -> tuple[int, int]:
    """How many left home, and how many of those did not go to their second."""
    away = [
        (number, server == pool.second)
        for pool, at in zip(pools, placed, strict=True)
        for server, number in at.items()
        if server != pool.home
    ]
    return sum(n for n, _ in away), sum(n for n, is_second in away if not is_second)


def loads(placed: Placed, weights: Mapping[int, int]) -> dict[int, int]:
    return {server: sum(at.get(server, 0) for at in placed) for server in weights}


def every_way(pools: Sequence[Pool]) -> Iterator[Placed]:
    units = [place for place, pool in enumerate(pools) for _ in range(pool.count)]
    for servers in itertools.product(*(sorted(pools[place].allowed) for place in units)):
        placed: Placed = [{} for _ in pools]
        for place, server in zip(units, servers, strict=True):
            placed[place][server] = placed[place].get(server, 0) + 1
        yield placed


@given(problems())
def test_no_fair_way_is_cheaper(problem: tuple[list[Pool], dict[int, int]]) -> None:
    pools, weights = problem
    shares = shares_of(pools, weights)
    placed = spread(pools, weights)
    for pool, at in zip(pools, placed, strict=True):
        assert sum(at.values()) == pool.count and at.keys() <= pool.allowed
    assert is_fair(loads(placed, weights), shares)
    fair = (way for way in every_way(pools) if is_fair(loads(way, weights), shares))
    assert cost(pools, placed) == min(cost(pools, way) for way in fair)


def naive_shares(
    demands: Sequence[tuple[int, frozenset[int]]], weights: Mapping[int, int]
) -> dict[int, Fraction]:
    """The most crowded set of servers first, found by looking at every set."""
    if not weights:
        return {}
    sets = [
        frozenset(found)
        for size in range(1, len(weights) + 1)
        for found in itertools.combinations(weights, size)
    ]

    def crowding(servers: frozenset[int]) -> tuple[Fraction, int]:
        bound = sum(count for count, allowed in demands if allowed <= servers)
        return Fraction(bound, sum(weights[server] for server in servers)), len(servers)

    worst = max(sets, key=crowding)
    level, _ = crowding(worst)
    rest = [(n, allowed - worst) for n, allowed in demands if not allowed <= worst]
    others = {server: weight for server, weight in weights.items() if server not in worst}
    return {s: level * weights[s] for s in worst} | naive_shares(rest, others)


@given(problems(most=60))
def test_shares_are_the_most_even_ones(problem: tuple[list[Pool], dict[int, int]]) -> None:
    pools, weights = problem
    demands = [(pool.count, pool.allowed) for pool in pools]
    assert fair_shares(demands, weights) == naive_shares(demands, weights)


@given(st.integers(0, 300), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_without_limits_shares_are_the_weights(total: int, numbers: list[int]) -> None:
    weights = dict(enumerate(numbers))
    shares = fair_shares([(total, frozenset(weights))], weights)
    assert shares == {s: Fraction(total * w, sum(numbers)) for s, w in weights.items()}
    load = loads(spread([Pool(total, frozenset(weights))], weights), weights)
    assert all(abs(load[s] - share) < 1 for s, share in shares.items())


@given(problems(most=40))
def test_what_is_spread_stays(problem: tuple[list[Pool], dict[int, int]]) -> None:
    pools, weights = problem
    again = [
        Pool(number, pool.allowed, server)
        for pool, at in zip(pools, spread(pools, weights), strict=True)
        for server, number in at.items()
    ]
    assert cost(again, spread(again, weights))[0] == 0


@given(problems(most=40))
def test_the_same_again(problem: tuple[list[Pool], dict[int, int]]) -> None:
    assert spread(*problem) == spread(*problem)


def test_earlier_servers_are_preferred() -> None:
    everywhere = frozenset({0, 1, 2})
    assert spread([Pool(10, everywhere)], {0: 1, 1: 1, 2: 1}) == [{0: 4, 1: 3, 2: 3}]
    assert spread([Pool(10, everywhere)], {2: 1, 0: 1, 1: 1}) == [{2: 4, 0: 3, 1: 3}]


def test_two_rooms_have_their_own_measure() -> None:
    pools = [Pool(600, frozenset({0, 1}), 0), Pool(400, frozenset({2, 3}), 2)]
    weights = dict.fromkeys(range(4), 1)
    assert spread(pools, weights) == [{0: 300, 1: 300}, {2: 200, 3: 200}]


def test_who_can_go_elsewhere_makes_room() -> None:
    pools = [Pool(10, frozenset({0, 1}), 0), Pool(10, frozenset({0}))]
    assert spread(pools, {0: 1, 1: 1}) == [{1: 10}, {0: 10}]
