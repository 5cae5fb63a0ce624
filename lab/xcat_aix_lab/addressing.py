"""Addresses of somebody's cluster, and what stands for them in a lab's 127.x range.

Pure.  Networks stay apart and keep their order; a host keeps its place in its network where the lab's
networks are large enough.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network

#: How large the lab's networks are where that does, as in the sample cluster.
_USUAL_PREFIX = 20
_RANGE_PREFIX = 16
_BITS = 32

#: The network of an address that the database has no network for.
_DEFAULT_PREFIX = 24

_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_LOCALHOST = IPv4Address("127.0.0.1")


class TooManyError(ValueError):
    """The cluster does not fit into a lab's range."""


def parse(text: str) -> IPv4Address | None:
    """An IPv4 address; None for anything else."""
    try:
        return IPv4Address(text.strip())
    except ValueError:
        return None


def network(net: str, mask: str) -> IPv4Network | None:
    """A row of the networks table; None for one that is not IPv4 or cannot be read."""
    net, slash, prefix = net.strip().partition("/")
    mask = prefix if slash else mask.strip().removeprefix("/")
    try:
        if mask.lower().startswith("0x"):
            mask = str(IPv4Address(int(mask, 16)))
        return IPv4Network(f"{net}/{mask}", strict=False)
    except ValueError:
        return None


def found_in(texts: Iterable[str]) -> set[IPv4Address]:
    """Every address that texts mention, masks left out."""
    found = {parse(match.group()) for text in texts for match in _ADDRESS.finditer(text)}
    return {
        address for address in found if address is not None and int(address) >> 24 not in {0, 255}
    }


class AddressMap:
    """Each network that holds one of ``needed`` has a block of 127.``octet``; so have all its addresses.

    ``others`` are addresses that are mapped where they lie in such a network.  The first block is for the
    management node where ``with_own`` asks for it.  Raises :class:`TooManyError`.
    """

    def __init__(
        self,
        octet: int,
        networks: Iterable[IPv4Network],
        needed: Iterable[IPv4Address],
        others: Iterable[IPv4Address] = (),
        *,
        with_own: bool = False,
    ) -> None:
        known = sorted(set(networks), key=lambda net: -net.prefixlen)
        members: dict[IPv4Network, set[IPv4Address]] = {}
        for address in needed:
            members.setdefault(_network_of(address, known), set()).add(address)
        for address in others:
            net = _network_of(address, known)
            if net in members:
                members[net].add(address)
        members = {net: found - {net.network_address} for net, found in sorted(members.items())}
        self._prefix = _prefix(len(members) + with_own, [len(found) for found in members.values()])
        base = int(IPv4Address(f"127.{octet}.0.0"))
        size = 1 << (_BITS - self._prefix)
        self.own = str(IPv4Address(base + 1)) if with_own else ""
        self.networks = {
            net: IPv4Network((base + size * place, self._prefix))
            for place, net in enumerate(members, int(with_own))
        }
        self._mapped: dict[IPv4Address, IPv4Address] = {}
        for net, block in self.networks.items():
            self._mapped[net.network_address] = block.network_address
            self._mapped |= _placed(net, block, members[net])

    @property
    def mask(self) -> str:
        """The mask of all the lab's networks."""
        return str(ipaddress.IPv4Network((0, self._prefix)).netmask)

    def of(self, text: str) -> str | None:
        """What stands for an address; None for one that is not mapped."""
        address = parse(text)
        found = None if address is None else self._mapped.get(address)
        return None if found is None else str(found)

    def rewritten(self, text: str) -> str:
        """A text with all mapped addresses replaced."""
        return _ADDRESS.sub(lambda match: self.of(match.group()) or match.group(), text)


def _network_of(address: IPv4Address, known: Iterable[IPv4Network]) -> IPv4Network:
    """The one with the longest mask; ``known`` are in that order."""
    for net in known:
        if address in net:
            return net
    return IPv4Network((int(address) & ~0xFF, _DEFAULT_PREFIX))


def _prefix(networks: int, hosts: list[int]) -> int:
    """The mask's length with which so many networks of so many hosts fit."""
    least = _RANGE_PREFIX + max(networks - 1, 0).bit_length()
    most = _BITS - (max(hosts, default=0) + 1).bit_length()
    if least > most:
        raise TooManyError(
            f"{networks} networks, one of them with {max(hosts)} addresses, do not fit into a lab"
        )
    return min(max(_USUAL_PREFIX, least), most)


def _placed(
    net: IPv4Network, block: IPv4Network, members: Iterable[IPv4Address]
) -> Mapping[IPv4Address, IPv4Address]:
    ordered = sorted(members)
    first, base = int(net.network_address), int(block.network_address)
    if all(int(address) - first < block.num_addresses - 1 for address in ordered):
        return {address: IPv4Address(base + int(address) - first) for address in ordered}
    return {address: IPv4Address(base + place) for place, address in enumerate(ordered, 1)}
