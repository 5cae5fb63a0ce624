"""The connections of one agent: how many there may be, and who must give way.

Owns: two bounded groups.  Peers that have not said hello yet share the first: when it is full the oldest
gives way, so that any number of silent peers costs an honest one, who needs milliseconds, nothing.
Peers that were let in share the second: when it is full the newcomer is told so.  Must not: read or
write.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Dict

from xcat_aix_proto.errors import AgentError, ErrorCode

_LAST_READS, _LAST_BYTES = 4, 65536


class Peer:
    """One connection; its socket object is exchanged when TLS begins."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self.sock = sock
        self.name = name
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

    def __init__(self, max_greeting: int, max_established: int) -> None:
        self._max_greeting = max_greeting
        self._max_established = max_established
        self._greeting: Dict[Peer, None] = {}
        self._established: Dict[Peer, None] = {}
        self._changed = threading.Condition()
        self._closed = False

    def add(self, peer: Peer) -> None:
        """A new connection; the oldest that has not said hello may have to go."""
        with self._changed:
            if len(self._greeting) >= self._max_greeting:
                oldest = next(iter(self._greeting))
                del self._greeting[oldest]
                oldest.hang_up()
            self._greeting[peer] = None
            if self._closed:
                peer.hang_up()

    def establish(self, peer: Peer) -> None:
        """The peer was let in; raises ``BUSY`` if there are too many already."""
        with self._changed:
            if len(self._established) >= self._max_established:
                text = f"this agent serves {self._max_established} connections already"
                raise AgentError(ErrorCode.BUSY, text)
            self._greeting.pop(peer, None)
            self._established[peer] = None

    def remove(self, peer: Peer) -> None:
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
