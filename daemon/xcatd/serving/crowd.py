"""The peers there are, and who of them gives way when places are scarce.

A place is scarce per stage of trust: before TLS is up, after it without a certificate, and in all.  Whoever
holds most of what is scarce gives way, with the connection that has kept still longest, so that many
connections from one source cost that source its own.  Must not: do anything to a connection.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from .connection import ClientConnection
from .peer import Peer, PeerStage

#: Seconds a peer has for its handshake when more are greeting than have a share.
GRACE = 2.0


def source_of(address: str) -> str:
    """Whom an address belongs to: itself, or its /64, within which an IPv6 host may take any it likes."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


@dataclass(frozen=True, slots=True)
class Shares:
    """Places in numbers of connections, and what peers may make the daemon hold of requests, in bytes.

    One source has half of a share: enough for a site behind one translated address.
    """

    total: int = 1024
    greeting: int = 512
    anonymous: int = 256
    anonymous_bytes: int = 16 << 20
    known_bytes: int = 512 << 20

    @classmethod
    def of(cls, total: int) -> Shares:
        """Half of the places for peers whose TLS is not up, a quarter for those without certificate."""
        return cls(total, max(1, total // 2), max(1, total // 4))


def _of_source(share: int) -> int:
    return (share + 1) // 2


class Group(enum.Enum):
    """What a peer has shown of itself."""

    GREETING = enum.auto()  # nothing: TLS is not up yet
    ANONYMOUS = enum.auto()  # TLS is up, without a certificate
    KNOWN = enum.auto()


def group_of(peer: Peer) -> Group:
    """Where a peer belongs now."""
    if peer.stage is PeerStage.GREETING:
        return Group.GREETING
    return Group.ANONYMOUS if peer.connection.user is None else Group.KNOWN


def owner_of(peer: Peer) -> str:
    """Whose connection it is: a user's, or a source's."""
    return peer.connection.user or peer.source


def may_go(peer: Peer) -> bool:
    """Nothing of it is being worked on; a certified peer goes only before or between its requests."""
    if peer.is_in_front:
        return False
    match peer.stage:
        case PeerStage.GREETING | PeerStage.READING:
            return True
        case PeerStage.RUNNING:
            return peer.connection.user is None and not peer.is_started
        case PeerStage.CLOSING:
            return peer.connection.user is None


#: Peers, the one first that has been in its stage longest.
_Line = dict[Peer, None]


class Crowd:
    """All peers, by group and owner."""

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self._peers: dict[ClientConnection, Peer] = {}
        self._lines: dict[Group, dict[str, _Line]] = {group: {} for group in Group}
        self._counts = dict.fromkeys(Group, 0)
        self._places: dict[Peer, tuple[Group, str]] = {}

    def __iter__(self) -> Iterator[ClientConnection]:
        return iter(list(self._peers))

    @property
    def all(self) -> list[Peer]:
        """As they came."""
        return list(self._peers.values())

    def __len__(self) -> int:
        return len(self._peers)

    def __contains__(self, connection: ClientConnection) -> bool:
        return connection in self._peers

    def get(self, connection: ClientConnection) -> Peer | None:
        """Whose connection it is; None if it has gone."""
        return self._peers.get(connection)

    def add(self, peer: Peer) -> None:
        """A new one."""
        self._peers[peer.connection] = peer
        self._enter(peer)

    def remove(self, peer: Peer) -> bool:
        """It has gone; False if it was gone already."""
        if self._peers.pop(peer.connection, None) is None:
            return False
        self._leave(peer)
        return True

    def regroup(self, peer: Peer) -> bool:
        """Whether it has shown more of itself since it was last looked at."""
        if self._places[peer] == (group_of(peer), owner_of(peer)):
            return False
        self.put_last(peer)
        return True

    def put_last(self, peer: Peer) -> None:
        """It begins to wait anew."""
        self._leave(peer)
        self._enter(peer)

    def _enter(self, peer: Peer) -> None:
        group, owner = self._places[peer] = group_of(peer), owner_of(peer)
        self._lines[group].setdefault(owner, {})[peer] = None
        self._counts[group] += 1

    def _leave(self, peer: Peer) -> None:
        group, owner = self._places.pop(peer)
        line = self._lines[group][owner]
        del line[peer]
        if not line:
            del self._lines[group][owner]
        self._counts[group] -= 1

    # -- who must go -----------------------------------------------------------------------------

    def surplus(self, newcomer: Peer, now: float) -> Peer | None:
        """Whom the newcomer's place costs its own; None when there is room.

        Ask again after the peer has gone: ``now`` is in monotonic seconds.
        """
        victim = None
        if group_of(newcomer) is Group.GREETING:
            victim = self._too_slow(newcomer, now)
        elif group_of(newcomer) is Group.ANONYMOUS:
            victim = self._beyond_share(newcomer, self.shares.anonymous)
        if victim is None and len(self) > self.shares.total:
            victim = self._least_shown() or newcomer
        return victim

    def _too_slow(self, newcomer: Peer, now: float) -> Peer | None:
        """More than a share are greeting: the time for it is shorter then."""
        victim = self._beyond_share(newcomer, self.shares.greeting)
        return victim if victim is not None and now - victim.since > GRACE else None

    def _beyond_share(self, newcomer: Peer, share: int) -> Peer | None:
        group, owner = group_of(newcomer), owner_of(newcomer)
        line = self._lines[group][owner]
        if len(line) > _of_source(share):
            return _first(line) or newcomer
        if self._counts[group] > share:
            return self._heaviest(group) or newcomer
        return None

    def _heaviest(self, group: Group) -> Peer | None:
        """Of who holds most, the one that has kept still longest."""
        for line in sorted(self._lines[group].values(), key=len, reverse=True):
            if victim := _first(line):
                return victim
        return None

    def _least_shown(self) -> Peer | None:
        for group in Group:
            if victim := self._heaviest(group):
                return victim
        return None

    def holds_too_much(self, group: Group) -> Peer | None:
        """Who gives way when a group's requests are more bytes than it may make the daemon hold.

        Of the owner that holds most, the largest that is still being sent.
        """
        limit = self.shares.known_bytes
        if group is not Group.KNOWN:
            limit = self.shares.anonymous_bytes
        lines = self._lines[group].values()
        held = [(sum(peer.connection.held for peer in line), line) for line in lines]
        if sum(size for size, _ in held) <= limit:
            return None
        ready = [
            (size, peer.connection.held, peer)
            for size, line in held
            for peer in line
            if may_go(peer)
        ]
        return max(ready, key=lambda found: found[:2])[2] if ready else None


def _first(line: _Line) -> Peer | None:
    """Who has kept still longest; of those greeting, rather one that has not said a word."""
    silent = next((peer for peer in line if may_go(peer) and not peer.connection.has_started), None)
    return silent or next(filter(may_go, line), None)
