"""Which service nodes each node gets: the rule of the balance, over numbers of servers.

Owns: primaries first, then each rank of backups.  Must not: know names, tables or steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .spreading import Pool, spread

#: The service nodes of a node: the primary, then its backups.
Order = tuple[int, ...]

#: A server that is not in the list.
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Member:
    """What counts of a node.

    ``listed`` are its present servers in order; it begins with ``primary`` unless that is another one (None).
    ``allowed`` may be the primary; at least one of them has a weight.  ``backups`` may be a backup.
    """

    primary: int | None
    listed: Order
    allowed: frozenset[int]
    backups: frozenset[int]


def split(members: Sequence[Member], weights: Sequence[int], backups: int) -> list[Order]:
    """The new order of each member.

    Each server is the primary of its fair share, and as few members as possible get another one.  Then the members
    of each primary are spread in the same way over the others as backups, so that each takes its share when the
    primary is lost.  A server of weight 0 is nobody's primary, and a backup before all that have other work.
    """
    positive = {server: weight for server, weight in enumerate(weights) if weight}
    wishes = [_Wish(member.allowed.intersection(positive), _present(member)) for member in members]
    orders: list[Order] = [(server,) for server in _dealt(wishes, positive)]
    for _ in range(backups):
        orders = _with_backup(members, orders, weights)
    return orders


@dataclass(frozen=True, slots=True)
class _Wish:
    """Where something may be, and where it is now and would rather be."""

    allowed: frozenset[int]
    present: Order


def _present(member: Member) -> Order:
    """The server to stay with, then the one to go to."""
    return member.listed if member.primary is not None else (_NOBODY, *member.listed)


def _with_backup(
    members: Sequence[Member], orders: Sequence[Order], weights: Sequence[int]
) -> list[Order]:
    """One more server for each member, where there is one that may."""
    alike: dict[Order, list[int]] = {}
    for place, order in enumerate(orders):
        alike.setdefault(order, []).append(place)
    longer = list(orders)
    for order, places in alike.items():
        wishes = {place: _backup_wish(members[place], order, weights) for place in places}
        wanting = [place for place in places if wishes[place].allowed]
        dealt = _dealt([wishes[place] for place in wanting], _backup_weights(order, weights))
        for place, server in zip(wanting, dealt, strict=True):
            longer[place] = (*order, server)
    return longer


def _backup_wish(member: Member, order: Order, weights: Sequence[int]) -> _Wish:
    allowed = member.backups.difference(order)
    spare = frozenset(server for server in allowed if not weights[server])
    return _Wish(spare or allowed, tuple(s for s in member.listed if s not in order))


def _backup_weights(order: Order, weights: Sequence[int]) -> dict[int, int]:
    """Beginning after the last one: where few nodes have many servers, everyone is backup of the one before."""
    count = len(weights)
    ring = ((order[-1] + step) % count for step in range(1, count))
    return {server: weights[server] or 1 for server in ring if server not in order}


def _home_first(home: int | None, weights: Mapping[int, int]) -> list[int]:
    return sorted(weights, key=lambda server: server != home)


def _dealt(wishes: Sequence[_Wish], weights: Mapping[int, int]) -> list[int]:
    """The server of each wish: those that stay come first, the rest go on in runs."""
    pools: dict[tuple[frozenset[int], int | None, int | None], list[int]] = {}
    for place, wish in enumerate(wishes):
        usable = [server if server in wish.allowed else None for server in wish.present]
        home, second, *_ = (*usable, None, None)
        pools.setdefault((wish.allowed, home, second), []).append(place)
    placed = spread([Pool(len(places), *key) for key, places in pools.items()], weights)
    dealt = [0] * len(wishes)
    for ((_, home, _), places), at in zip(pools.items(), placed, strict=True):
        run = (server for server in _home_first(home, weights) for _ in range(at.get(server, 0)))
        for place, server in zip(places, run, strict=True):
            dealt[place] = server
    return dealt
