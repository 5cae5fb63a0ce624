"""The rule of the balance over numbers of servers."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.plan.servicenodes.snbalance_split import Member, Order, split

ALL = frozenset({0, 1, 2, 3})


def member(*listed: int, allowed: frozenset[int] = ALL) -> Member:
    return Member(listed[0] if listed else None, listed, allowed, allowed)


def after(members: Sequence[Member], orders: Sequence[Order]) -> list[Member]:
    return [
        replace(one, primary=order[0], listed=order)
        for one, order in zip(members, orders, strict=True)
    ]


@st.composite
def clusters(draw: st.DrawFn, most: int = 30) -> tuple[list[Member], list[int]]:
    """Members in subnets that some servers have a leg in, with any present servers."""
    count = draw(st.integers(2, 4))
    weights = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count).filter(any))
    weighted = {server for server, weight in enumerate(weights) if weight}
    subnets = draw(
        st.lists(
            st.frozensets(st.sampled_from(range(count)), min_size=1).filter(
                lambda found: bool(found & weighted)
            ),
            min_size=1,
            max_size=3,
        )
    )
    presents = [order for size in range(3) for order in itertools.permutations(range(count), size)]
    members = [
        Member(listed[0] if listed and draw(st.booleans()) else None, listed, allowed, allowed)
        for allowed, listed in draw(
            st.lists(st.tuples(st.sampled_from(subnets), st.sampled_from(presents)), max_size=most)
        )
    ]
    return members, weights


@given(clusters(), st.integers(0, 2))
def test_everybody_is_served_by_who_can(
    cluster: tuple[list[Member], list[int]], backups: int
) -> None:
    members, weights = cluster
    for one, order in zip(members, split(members, weights, backups), strict=True):
        assert order[0] in one.allowed and weights[order[0]]
        assert set(order[1:]) <= one.backups and len(set(order)) == len(order)
        assert len(order) == 1 + min(backups, len(one.backups - {order[0]}))


@given(clusters(), st.integers(0, 2))
def test_a_second_time_nothing_changes(
    cluster: tuple[list[Member], list[int]], backups: int
) -> None:
    members, weights = cluster
    orders = split(members, weights, backups)
    assert split(after(members, orders), weights, backups) == orders


@given(
    st.lists(st.permutations(range(4)), max_size=40),
    st.lists(st.integers(0, 3), min_size=4, max_size=4).filter(any),
)
def test_shares_of_primaries_and_backups(presents: list[list[int]], weights: list[int]) -> None:
    members = [member(*present[:2]) for present in presents]
    orders = split(members, weights, 1)
    primaries = Counter(order[0] for order in orders)
    for server, weight in enumerate(weights):
        share = Fraction(len(members) * weight, sum(weights))
        assert floor(share) <= primaries[server] <= ceil(share)
    for lost, number in primaries.items():
        heirs = Counter(order[1] for order in orders if order[0] == lost)
        spare = {s: 1 for s, weight in enumerate(weights) if not weight}
        wanted = spare or {s: w for s, w in enumerate(weights) if s != lost}
        for server, weight in wanted.items():
            share = Fraction(number * weight, sum(wanted.values()))
            assert floor(share) <= heirs[server] <= ceil(share)
        assert heirs.keys() <= wanted.keys()


@given(clusters(most=5))
def test_no_fair_split_moves_fewer(cluster: tuple[list[Member], list[int]]) -> None:
    members, weights = cluster
    orders = split(members, weights, 0)
    loads = Counter(order[0] for order in orders)
    candidates = [sorted(s for s in one.allowed if weights[s]) for one in members]

    def moved(primaries: Sequence[int]) -> int:
        return sum(s != one.primary for s, one in zip(primaries, members, strict=True))

    def is_as_even(primaries: Sequence[int]) -> bool:
        found = Counter(primaries)
        return all(found[server] == loads[server] for server in range(len(weights)))

    mine = moved([order[0] for order in orders])
    assert all(
        mine <= moved(other) for other in itertools.product(*candidates) if is_as_even(other)
    )


def test_two_servers_share_and_back_each_other_up() -> None:
    members = [member(0, 1, allowed=frozenset({0, 1})) for _ in range(4)]
    assert split(members, [1, 1], 1) == [(0, 1), (0, 1), (1, 0), (1, 0)]


def test_nodes_go_to_their_present_backup() -> None:
    members = [member(0, 2), member(0, 2), member(0, 1), member(0, 1)]
    assert [order[0] for order in split(members, [2, 1, 1, 0], 1)] == [0, 2, 0, 1]


def test_the_nodes_of_a_lost_server_are_spread() -> None:
    orders = split([member() for _ in range(12)], [1, 1, 1, 1], 1)
    assert Counter(orders) == Counter(itertools.permutations(range(4), 2))


def test_few_nodes_are_backed_up_in_a_ring() -> None:
    assert split([member()] * 4, [1, 1, 1, 1], 1) == [(0, 1), (1, 2), (2, 3), (3, 0)]


def test_weight_0_is_a_backup_only_and_the_first_one() -> None:
    members = [member(0, 1), member(1, 0), member(2, 1), member(3, 0)]
    assert split(members, [1, 1, 0, 0], 1) == [(0, 2), (1, 3), (1, 2), (0, 3)]


def test_a_backup_that_is_there_stays() -> None:
    members = [member(0, 1), member(1, 3), member(2, 0), member(3, 2)]
    assert split(members, [1, 1, 1, 1], 1) == [(0, 1), (1, 3), (2, 0), (3, 2)]


def test_who_has_no_other_server_has_no_backup() -> None:
    assert split([member(allowed=frozenset({2}))], [1, 1, 1, 1], 2) == [(2,)]


def test_more_backups() -> None:
    members = [member(0, 1, 2)] * 3
    assert split(members, [1, 1, 1, 1], 3)[0][:3] == (0, 1, 2)
    assert {len(order) for order in split(members, [1, 1, 1, 1], 3)} == {4}
    assert split(members, [1, 1, 1, 1], 0) == [(0,), (1,), (2,)]
