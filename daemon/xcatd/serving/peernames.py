"""What a peer's address is called: look-ups that are cached, bounded and never waited for long.

A name counts only if it leads back to the address: whoever owns the address says what it is called, and
could say the name of another host.  Must not: decide anything by a name.  Facts: docs/facts/wire.md, Request
elements; docs/facts/policy.md, Rows of the policy table.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from xcatd.context import Clock

from .pool import WorkerPool

_SUFFIX = re.compile(r"-(?:eth|myri|ib)\d*$", re.ASCII)
_NAME = re.compile(r"(?=.*[A-Za-z_])[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", re.ASCII)
_CACHED = 4096
_FRESH = 60.0  # seconds a name is believed
PATIENCE = 2.0  # seconds a request waits for a name


@dataclass(frozen=True, slots=True)
class PeerName:
    """``host`` is short, without interface suffix; both are the address if it has no name."""

    host: str
    fqdn: str


def short_name(fqdn: str) -> str:
    """The first label without ``-ethN``, ``-myriN`` or ``-ibN``."""
    short = fqdn.partition(".")[0]
    for _ in range(3):
        short = _SUFFIX.sub("", short)
    return short


def _name_of(address: str) -> str | None:
    """What the system calls an address; blocks."""
    try:
        name, _ = socket.getnameinfo((address, 0), socket.NI_NAMEREQD)
    except (OSError, UnicodeError):
        return None
    return name


def _addresses_of(name: str) -> Iterable[str]:
    """Where a name leads to; blocks."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return [str(place[0]) for *_, place in found]


def look_up(
    address: str,
    name_of: Callable[[str], str | None] = _name_of,
    addresses_of: Callable[[str], Iterable[str]] = _addresses_of,
) -> str | None:
    """The name of an address that leads back to it, or None; blocks."""
    name = name_of(address)
    if name is None or _NAME.fullmatch(name) is None:
        return None
    wanted = _plain(address)
    return name if any(_plain(found) == wanted for found in addresses_of(name)) else None


def _plain(address: str) -> str:
    """One spelling per address; the interface of a link-local one is no part of it."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)


@dataclass(slots=True)
class _Entry:
    since: float
    done: threading.Event = field(default_factory=threading.Event)
    fqdn: str | None = None


class PeerNames:
    """Names by address.  :meth:`begin` when a peer connects, :meth:`get` when the name is needed."""

    def __init__(
        self, clock: Clock, look_up: Callable[[str], str | None] = look_up, threads: int = 4
    ) -> None:
        self._clock = clock
        self._look_up = look_up
        self._pool = WorkerPool("names", threads, backlog=64)
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def begin(self, address: str) -> None:
        """Start to find out, unless it is known or being found out."""
        self._entry(address)

    def get(self, address: str) -> PeerName:
        """The name, or the address itself if there is none within :data:`PATIENCE`."""
        entry = self._entry(address)
        entry.done.wait(PATIENCE)
        if entry.fqdn is None:
            return PeerName(address, address)
        return PeerName(short_name(entry.fqdn), entry.fqdn)

    def close(self) -> None:
        """Look up no more."""
        self._pool.close()

    def _entry(self, address: str) -> _Entry:
        now = self._clock.monotonic()
        with self._lock:
            entry = self._entries.get(address)
            if entry is not None and now - entry.since < _FRESH:
                return entry
            entry = self._entries[address] = _Entry(now)
            self._entries.move_to_end(address)
            while len(self._entries) > _CACHED:
                self._entries.popitem(last=False)
        if not self._pool.submit(lambda: self._find(address, entry)):
            entry.since = now - _FRESH  # too many at once: it is asked again next time
            entry.done.set()
        return entry

    def _find(self, address: str, entry: _Entry) -> None:
        try:
            entry.fqdn = self._look_up(address)
        finally:
            entry.done.set()
