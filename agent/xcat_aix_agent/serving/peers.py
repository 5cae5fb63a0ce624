"""The connections of one agent: how many there may be, and who must give way.

Owns: two bounded groups.  Peers that have not said hello yet share the first: when it is full the oldest of
the source that holds most places gives way (:mod:`.fair`), so that any number of peers from elsewhere costs
an honest one, who needs milliseconds, nothing.  Peers that were let in share the second, and no management
node may take all of it: when it is full the newcomer is told so.  Must not: read or write.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Callable, Dict, List, Optional, Tuple

from xcat_aix_proto.errors import AgentError, ErrorCode

from .fair import gives_way
from .standing import Standing

_LAST_READS, _LAST_BYTES = 4, 65536


class ConnectedPeer:
    """One connection; its socket object is exchanged when TLS begins.

    ``source`` is the address it comes from, ``since`` (monotonic) when it came, or was let in.
    """

    def __init__(self, sock: socket.socket, name: str, source: str, since: float) -> None:
        self.sock = sock
        self.name = name
        self.source = source
        self.since = since
        self._lock = threading.Lock()
        self._closed = False

    def replace(self, sock: socket.socket) -> None:
        """The same connection, now through another object (TLS takes the descriptor over)."""
        with self._lock:
            self.sock = sock
            if self._closed:
                self._shut()

    def hang_up(self) -> None:
        """Make whoever reads or writes stop; its thread closes the socket."""
        with self._lock:
            self._closed = True
            self._shut()

    def _shut(self) -> None:
        # Not SSLSocket.shutdown, which takes the TLS state away under the thread that uses it.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def let_read(self, seconds: float) -> None:
        """Wait until the peer has read our last words: a close over unread bytes would reset them."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
            self.sock.settimeout(seconds)
            for _ in range(_LAST_READS):
                # Not SSLSocket.recv: there is no TLS any more.
                if not socket.socket.recv(self.sock, _LAST_BYTES):
                    return

    def close(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            self._closed = True
            self.sock.close()


class Peers:
    """All connections of one agent.  Safe for use by several threads."""

    def __init__(self, max_greeting: int, max_established: int, max_each: int) -> None:
        self._max_greeting = max_greeting
        self._max_established = max_established
        self._max_each = max_each
        self._greeting: Dict[ConnectedPeer, None] = {}
        self._established: Dict[ConnectedPeer, Standing] = {}
        self._changed = threading.Condition()
        self._closed = False

    def add(self, peer: ConnectedPeer) -> None:
        """A new connection; one that has not said hello may have to go."""
        with self._changed:
            self._greeting[peer] = None
            if len(self._greeting) > self._max_greeting:
                leaving = gives_way({one: one.source for one in self._greeting})
                del self._greeting[leaving]
                leaving.hang_up()
            if self._closed:
                peer.hang_up()

    def establish(self, peer: ConnectedPeer, standing: Standing, now: float) -> None:
        """The peer was let in; raises ``BUSY`` if there are too many already."""
        with self._changed:
            self._check_room(standing)
            self._greeting.pop(peer, None)
            peer.since = now
            self._established[peer] = standing

    def _check_room(self, standing: Standing) -> None:
        if len(self._established) >= self._max_established:
            text = f"this agent serves {self._max_established} connections already"
            raise AgentError(ErrorCode.BUSY, text)
        who = standing.identity
        if sum(one.identity == who for one in self._established.values()) >= self._max_each:
            text = f"this agent serves {self._max_each} connections of {who} already"
            raise AgentError(ErrorCode.BUSY, text)

    def late(self, now: float, patience: float, life: float) -> List[ConnectedPeer]:
        """Those that have not said hello for ``patience`` seconds, or were let in ``life`` seconds ago."""
        with self._changed:
            late = [peer for peer in self._greeting if now - peer.since > patience]
            return late + [peer for peer in self._established if now - peer.since > life]

    def dubious(
        self, problem: Callable[[Standing], Optional[str]]
    ) -> List[Tuple[ConnectedPeer, Standing, str]]:
        """Those that were let in and may not be here any more, and why."""
        with self._changed:
            established = list(self._established.items())
        judged = [(peer, standing, problem(standing)) for peer, standing in established]
        return [(peer, standing, why) for peer, standing, why in judged if why is not None]

    def remove(self, peer: ConnectedPeer) -> None:
        """The connection is over."""
        with self._changed:
            self._greeting.pop(peer, None)
            self._established.pop(peer, None)
            self._changed.notify_all()

    def close(self, wait: float) -> None:
        """End all connections and wait up to ``wait`` seconds for their threads."""
        with self._changed:
            self._closed = True
            for peer in (*self._greeting, *self._established):
                peer.hang_up()
            self._changed.wait_for(lambda: not self._greeting and not self._established, wait)
