"""The networks table: which network an address lies in, the longest mask first.

Owns: reading ``net``/``mask`` in the forms the table may hold.  Must not: resolve names.
Facts: docs/facts/snmove.md, New values; docs/facts/database.md, Tables and their columns.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xcat_aix.plan.reading import Row

XCATMASTER = "<xcatmaster>"
_BITS = {4: 32, 6: 128}


@dataclass(frozen=True, slots=True)
class Subnet:
    """One row of the table; ``gateway`` as written, None when empty."""

    version: int
    prefix: int
    base: int
    gateway: str | None = None

    def __str__(self) -> str:
        address = ipaddress.IPv4Address if self.version == 4 else ipaddress.IPv6Address
        return f"{address(self.base << (_BITS[self.version] - self.prefix))}/{self.prefix}"

    def has(self, address: str) -> bool:
        """True if ``address`` (text) lies in this network."""
        number = _parse(address)
        if number is None or number.version != self.version:
            return False
        shift = _BITS[self.version] - self.prefix
        return int(number) >> shift == self.base


class Networks:
    """The networks of a cluster, looked up in constant time per address."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_prefix: dict[tuple[int, int], dict[int, Subnet]] = {}
        for row in rows:
            if (network := _network(row)) is not None:
                found = self._by_prefix.setdefault((network.version, network.prefix), {})
                found.setdefault(network.base, network)
        self._keys = sorted(self._by_prefix, key=lambda key: -key[1])

    def of(self, address: str) -> Subnet | None:
        """The network with the longest mask that holds ``address``, or None."""
        number = _parse(address)
        if number is None:
            return None
        value, bits = int(number), _BITS[number.version]
        for version, prefix in self._keys:
            if version == number.version:
                base = value >> (bits - prefix)
                if (network := self._by_prefix[version, prefix].get(base)) is not None:
                    return network
        return None


def is_address(text: str) -> bool:
    """True for an IPv4 or IPv6 address."""
    return _parse(text) is not None


def address_of(name: str, addresses: Mapping[str, str]) -> str | None:
    """The address of a name that was resolved beforehand; an address is its own."""
    return addresses.get(name) or (name if is_address(name) else None)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not text[:1].isdigit() and ":" not in text:
        return None  # a name: by far the most frequent case, and trying is slow
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _network(row: Row) -> Subnet | None:
    net, mask = (row.get("net") or "").strip(), (row.get("mask") or "").strip()
    if "/" in net:
        net, _, mask = net.partition("/")
    base = _parse(net)
    if base is None:
        return None
    prefix = _prefix(mask.lstrip("/"), base.version)
    if prefix is None:
        return None
    number = int(base) >> (_BITS[base.version] - prefix)
    return Subnet(base.version, prefix, number, row.get("gateway") or None)


def _prefix(mask: str, version: int) -> int | None:
    """The length of a mask written ``24``, ``255.255.255.0``, ``0xffffff00`` or as an IPv6 address."""
    bits = _BITS[version]
    if mask.isascii() and mask.isdigit():
        return int(mask) if int(mask) <= bits else None
    try:
        number = int(mask, 16) if mask.lower().startswith("0x") else int(ipaddress.ip_address(mask))
    except ValueError:
        return None
    inverted = number ^ ((1 << bits) - 1)
    return bits - inverted.bit_length() if inverted & (inverted + 1) == 0 else None
