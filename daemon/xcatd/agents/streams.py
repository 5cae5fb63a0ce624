"""Byte streams to an agent: with a deadline, and through a relay.

Owns: :class:`Stream`, the socket that Pyro5 gets, whose every wait ends at one deadline; and
:class:`Tunnel`, TLS inside the TLS of a relay.  Must not: know messages.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_CHUNK = 64 * 1024


class Secure(Protocol):
    """What a connected TLS end must do."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes, /) -> int: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def getpeercert(self) -> Any: ...
    def close(self) -> None: ...


class Stream:
    """A connected socket as Pyro5 uses it; reading and writing end at :attr:`deadline`.

    A peer that sends a byte now and then cannot hold a call up, as it could with a time-out per read.
    """

    family = socket.AF_INET

    def __init__(self, secure: Secure, deadline: float) -> None:
        self._secure = secure
        self._ahead = b""
        #: When waiting ends, on the clock of :func:`time.monotonic`.
        self.deadline = deadline

    def recv(self, size: int) -> bytes:
        """Up to ``size`` bytes, none at the end; raises :class:`TimeoutError`.

        What came with them waits here: a message is read in pieces, and each look at the socket costs.
        """
        if not self._ahead:
            self._secure.settimeout(remaining(self.deadline))
            if size >= _CHUNK:
                return self._secure.recv(size)
            self._ahead = self._secure.recv(_CHUNK)
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def sendall(self, data: bytes) -> None:
        """All of ``data``; raises :class:`TimeoutError`."""
        while data:
            self._secure.settimeout(remaining(self.deadline))
            data = data[self._secure.send(data) :]

    def gettimeout(self) -> None:
        """Pyro5 asks this to choose between send and sendall."""
        return

    def getpeercert(self) -> Any:
        """The peer's certificate; that this exists also tells Pyro5 that this is TLS."""
        return self._secure.getpeercert()

    def getsockname(self) -> tuple[str, int]:
        """Of no meaning here."""
        return ("", 0)

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError):
            self._secure.close()


class Tunnel:
    """A TLS client whose bytes travel inside another connected TLS socket."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)

    def do_handshake(self, deadline: float) -> None:
        """Raises :class:`ssl.SSLError` or :class:`TimeoutError`."""
        self._run(self._tls.do_handshake, lambda: remaining(deadline))

    def recv(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, none at the end."""
        try:
            return self._run(lambda: self._tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def send(self, data: bytes, /) -> int:
        """How many bytes of ``data`` were sent."""
        return self._run(lambda: self._tls.write(data))

    def settimeout(self, seconds: float | None, /) -> None:
        """For each wait on the outer connection."""
        self._outer.settimeout(seconds)

    def getpeercert(self) -> Any:
        """The certificate of the far end."""
        return self._tls.getpeercert()

    def close(self) -> None:
        """End both."""
        self._outer.close()

    def _run(self, action: Callable[[], T], limit: Callable[[], float] | None = None) -> T:
        while True:
            try:
                answer = action()
            except ssl.SSLWantReadError:
                self._flush()
                if limit is not None:
                    self._outer.settimeout(limit())
                chunk = self._outer.recv(_CHUNK)
                if chunk:
                    self._incoming.write(chunk)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                self._flush()  # the alert that tells the peer why
                raise
            else:
                self._flush()
                return answer

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._outer.sendall(self._outgoing.read())


def remaining(deadline: float) -> float:
    """Seconds until ``deadline``; raises :class:`TimeoutError` when it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
