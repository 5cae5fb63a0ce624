"""Where the other xcatd listens: ``HOST:PORT`` as an administrator writes it.

Owns: reading it, and whether it leads back to this daemon.  Must not: connect.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

_MOST = 0xFFFF


class AddressError(ValueError):
    """The daemon cannot start with this upstream; the message is for the administrator."""


@dataclass(frozen=True, slots=True)
class Address:
    """Host (a name or an address, IPv6 without brackets) and port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """``host:port`` or ``[IPv6]:port``; raises :class:`AddressError`."""
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]+)):(\d{1,5})", text, re.ASCII)
        if match is None or not 0 < int(match[3]) <= _MOST:
            raise AddressError(
                f"cannot use the upstream {text!r}: it must be HOST:PORT, as in 127.0.0.1:3011"
            )
        return cls(match[1] or match[2], int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def names(self) -> frozenset[str]:
        """The host as a certificate may name it: as it is written here, and without its domain."""
        is_name = any(char.isalpha() for char in self.host) and ":" not in self.host
        short = {self.host.partition(".")[0]} if is_name else set()
        return frozenset({self.host, *short})

    def check_loop(self, port: int) -> None:
        """Raises :class:`AddressError` if this is the daemon that listens on ``port`` of this machine."""
        if self.port == port and any(map(_is_here, _addresses(self))):
            raise AddressError(
                f"cannot use the upstream {self}: this daemon itself listens there; give the other xcatd"
                " another port (see xcatd(8))"
            )


def _addresses(address: Address) -> list[tuple[socket.AddressFamily, str]]:
    """What the name stands for now; nothing while it cannot be told."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [(family, str(place[0])) for family, _, _, _, place in found]


def _is_here(place: tuple[socket.AddressFamily, str]) -> bool:
    """Only an address of this machine can be bound."""
    family, host = place
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except OSError:
        return False
    return True
