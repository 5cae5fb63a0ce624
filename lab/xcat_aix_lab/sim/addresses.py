"""IPv4 arithmetic, without the standard module: its import costs more than a command may take."""

from __future__ import annotations


def number(address: str) -> int:
    """``10.0.0.1`` as an integer; raises ``ValueError``."""
    parts = [int(part) for part in address.split(".")]
    if len(parts) != 4 or any(not 0 <= part <= 255 for part in parts):
        raise ValueError(f"{address!r} is not an IPv4 address")
    return parts[0] << 24 | parts[1] << 16 | parts[2] << 8 | parts[3]


def text(value: int) -> str:
    """The inverse of :func:`number`."""
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def is_address(word: str) -> bool:
    """Tell whether ``word`` is a dotted IPv4 address."""
    try:
        number(word)
    except ValueError:
        return False
    return True


def network(address: str, mask: str) -> str:
    """The network ``address`` lies in."""
    return text(number(address) & number(mask))


def broadcast(address: str, mask: str) -> str:
    """The broadcast address of the network ``address`` lies in."""
    return text(number(address) | ~number(mask) & 0xFFFFFFFF)


def prefix(mask: str) -> int:
    """Number of leading ones."""
    return number(mask).bit_count()


def short(net: str, mask: str) -> str:
    """A network as ``netstat`` abbreviates it: only the octets that the mask covers."""
    octets = max(1, (prefix(mask) + 7) // 8)
    return ".".join(net.split(".")[:octets])
