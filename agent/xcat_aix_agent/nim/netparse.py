"""Readers of what AIX's network and disk commands print.  Pure.

Formats: ``ifconfig -a``, ``netstat -in`` (Name Mtu Network Address …), ``netstat -rn`` (Destination
Gateway Flags Refs Use If …) and ``df -m`` (docs/facts/aix.md, Interfaces and adapters; Routes; File systems).
"""

from __future__ import annotations

import ipaddress
import re
from typing import List, Optional, Tuple

from xcat_aix_proto.facts import Interface, Route, Space

_INTERFACE = re.compile(r"(\w+): flags=")
_DEVICES = {"en": "ent", "et": "ent", "hf": "hfi"}


def is_address(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def interfaces(text: str) -> Tuple[Interface, ...]:
    """The addresses in the output of ``ifconfig -a``."""
    found: List[Interface] = []
    name = ""
    for line in text.splitlines():
        header = _INTERFACE.match(line)
        words = line.split()
        if header:
            name = header.group(1)
        elif name and len(words) >= 4 and words[0] == "inet" and words[2] == "netmask":
            found.append(Interface(name, words[1], _mask(words[3])))
        elif name and len(words) >= 2 and words[0] == "inet6":
            address, _, prefix = words[1].partition("/")
            found.append(Interface(name, address.partition("%")[0], prefix))
    return tuple(found)


def _mask(text: str) -> str:
    """AIX prints ``0xffffff00``."""
    return str(ipaddress.IPv4Address(int(text, 16))) if text.startswith("0x") else text


def routes(text: str) -> Tuple[Route, ...]:
    """The routes through a gateway in the output of ``netstat -rn``."""
    rows = [line.split() for line in text.splitlines()]
    return tuple(
        Route(row[0], row[1], row[5] if len(row) > 5 else "")
        for row in rows
        if len(row) >= 3 and is_address(row[1])
    )


def default_gateways(text: str) -> Tuple[str, ...]:
    """The gateways of all default routes in the output of ``netstat -rn``."""
    return tuple(route.gateway for route in routes(text) if route.destination == "default")


def interface_of(text: str, address: str) -> Optional[str]:
    """The interface that holds ``address`` by ``netstat -in``; its address is the fourth field."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 4 and words[3] == address:
            return words[0].rstrip("*")
    return None


def adapter_of(interface: str) -> Optional[str]:
    """The adapter below an interface: en0 -> ent0, et0 -> ent0, hf0 -> hfi0.

    Facts: docs/facts/aix.md, Interfaces and adapters.
    """
    match = re.match(r"([a-z]+)(\d+)\Z", interface)
    device = _DEVICES.get(match.group(1)) if match else None
    return f"{device}{match.group(2)}" if match and device else None


def space(text: str) -> Tuple[Space, ...]:
    """The file systems in the output of ``df -m``: Filesystem, MB blocks, Free, …, Mounted on."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) >= 7 and words[6].startswith("/"):
            try:
                found.append(Space(words[6], int(float(words[2]))))
            except ValueError:  # "-" for file systems like /proc
                continue
    return tuple(found)
