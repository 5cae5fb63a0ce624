"""What the queries answer: facts about a host and the objects of its NIM database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Optional, Tuple


@dataclass(frozen=True)
class Interface:
    """One address of one network interface; ``netmask`` is dotted or a prefix length as text."""

    name: str
    address: str
    netmask: str


@dataclass(frozen=True)
class Route:
    """One line of the routing table; ``destination`` is ``default`` or a network."""

    destination: str
    gateway: str
    interface: str = ""


@dataclass(frozen=True)
class Space:
    """Free space of one file system, in MiB."""

    path: str
    free_mib: int


@dataclass(frozen=True)
class HostReport:
    """Answer of ``host.facts@1``.  ``niminfo`` is None where /etc/niminfo does not exist."""

    node: str
    hostname: str
    os_level: str
    interfaces: Tuple[Interface, ...] = ()
    routes: Tuple[Route, ...] = ()
    space: Tuple[Space, ...] = ()
    niminfo: Optional[Mapping[str, str]] = None
    agent_version: str = ""


@dataclass(frozen=True)
class NimObject:
    """One NIM object.

    ``attributes`` keeps order and repetition as ``lsnim -l`` prints them; every allocated resource
    of a client appears as ``(type, name)`` (docs/facts/nim.md, lsnim).
    """

    name: str
    attributes: Tuple[Tuple[str, str], ...]

    def get(self, attribute: str) -> Optional[str]:
        """The first value of ``attribute``, or None."""
        for name, value in self.attributes:
            if name == attribute:
                return value
        return None


@dataclass(frozen=True)
class NimDatabase:
    """Answer of ``nim.snapshot@1``.

    ``is_master`` is False where NIM is not configured as a master; ``missing`` lists the asked names
    that no object has.
    """

    is_master: bool
    objects: Tuple[NimObject, ...] = ()
    missing: Tuple[str, ...] = ()
    problems: Tuple[str, ...] = field(default=())

    def by_name(self) -> Mapping[str, NimObject]:
        """The objects keyed by name."""
        return {obj.name: obj for obj in self.objects}
