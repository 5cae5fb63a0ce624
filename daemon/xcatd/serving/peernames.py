"""What a peer's address is called: reverse look-ups that are cached, bounded and never waited for long.

Must not: decide anything by a name.  Facts: specs/wire-protocol.md, sections 2.3 and 5.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from xcatd.context import Clock

from .pool import WorkerPool

_SUFFIX = re.compile(r"-(?:eth|myri|ib)\d*$", re.ASCII)
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


def look_up(address: str) -> str | None:
    """The name the system has for an address; blocks."""
    try:
        name, _ = socket.getnameinfo((address, 0), socket.NI_NAMEREQD)
    except OSError:
        return None
    return name


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
            entry.done.set()
        return entry

    def _find(self, address: str, entry: _Entry) -> None:
        try:
            entry.fqdn = self._look_up(address)
        finally:
            entry.done.set()
