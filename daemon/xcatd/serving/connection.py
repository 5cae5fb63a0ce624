"""One client's connection: TLS, requests in, replies out - and never waiting for the peer to read.

Owns: the TLS socket (always non-blocking), the request reader, the bounded outbox.  Whoever calls is told
what to wait for; waiting itself is the server's business.  Must not: know commands, policy or plugins.
Facts: docs/facts/wire.md, Transport and TLS; Request framing; Reply framing.
"""

from __future__ import annotations

import enum
import socket
import ssl
import threading
from collections import deque
from contextlib import suppress

from xcatd.context import Clock
from xcatd.tls import user_of
from xcatd.usernames import UserNameError
from xcatd.wire.requests import Incoming, RequestReader
from xcatd.wire.tree import DocumentLimits

#: A peer without certificate may send a small request; one with a certificate may send whole stanza files.
ANONYMOUS = DocumentLimits(size=256 << 10, elements=1_000)
KNOWN = DocumentLimits()
#: While a command runs only an abort is expected.
WHILE_RUNNING = DocumentLimits(size=4 << 10, elements=100)

_RECORD = 16 << 10  # one TLS record: the peer reads it whole or not at all
_TAIL = 64  # more than the closing tag
_FLUSH_AT = 64 << 10
_FLUSH_AFTER = 0.05  # seconds that replies are collected for one write
_ENOUGH = 2  # requests at once: more than one is a mistake already
OUTBOX_LIMIT = 8 << 20
STALL_LIMIT = 600.0  # seconds a command waits for a peer that does not read
#: The same for a peer without certificate; the seconds are those of all waits within one request.
ANONYMOUS_OUTBOX_LIMIT = 256 << 10
ANONYMOUS_STALL_LIMIT = 30.0
#: What all peers without certificate may leave unread, in bytes.
ANONYMOUS_OUTPUT = 96 << 20


class OutputBudget:
    """Bytes that several connections may hold together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._held = 0

    def take(self, size: int) -> bool:
        """Whether there was room; then it is taken."""
        with self._lock:
            if self._held + size > self._limit:
                return False
            self._held += size
            return True

    def give_back(self, size: int) -> None:
        """So much is no longer held."""
        with self._lock:
            self._held -= size


class Wants(enum.Enum):
    """What must happen before the next step makes sense."""

    NOTHING = enum.auto()
    READ = enum.auto()
    WRITE = enum.auto()


class PeerGoneError(Exception):
    """The peer has closed the connection, or broken TLS."""


def pieces(data: bytes) -> list[bytes]:
    """Cut into TLS records; the last one holds the end of the last document whole.

    The existing client loses all output when the last closing tag comes in two reads.
    """
    if len(data) <= _RECORD:
        return [data]
    head, tail = data[:-_TAIL], data[-_TAIL:]
    return [*(head[at : at + _RECORD] for at in range(0, len(head), _RECORD)), tail]


class ClientConnection:
    """State and primitives of one connection; ``lock`` guards TLS and the outbox."""

    def __init__(
        self,
        sock: socket.socket,
        address: str,
        port: int,
        clock: Clock,
        budget: OutputBudget | None = None,
    ) -> None:
        sock.setblocking(False)
        self.address = address
        self.port = port
        self.user: str | None = None
        self.cancelled = threading.Event()
        self.is_answered = True
        self._clock = clock
        self._budget = budget or OutputBudget(ANONYMOUS_OUTPUT)
        self._waited = 0.0
        self._plain = sock
        self._tls: ssl.SSLSocket | None = None
        self._reader = RequestReader(ANONYMOUS)
        self._limits = ANONYMOUS
        self._outbox: deque[bytes] = deque()
        self._collected: list[bytes] = []
        self._size = 0
        self._flush_at: float | None = None
        self._last_flush = -1.0
        self._is_lost = False
        self._lock = threading.Condition()

    def __str__(self) -> str:
        return f"{self.user or 'anonymous'}@{self.address}:{self.port}"

    @property
    def socket(self) -> socket.socket:
        """The socket to wait on."""
        return self._tls or self._plain

    @property
    def has_started(self) -> bool:
        """TLS has begun."""
        return self._tls is not None

    @property
    def is_between(self) -> bool:
        """No byte of a next request has arrived."""
        return self._reader.is_between

    @property
    def held(self) -> int:
        """Bytes of requests that are being sent or worked on."""
        return self._reader.held

    @property
    def is_lost(self) -> bool:
        """Nothing more can be sent."""
        return self._is_lost

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Wrap the socket; nothing is written yet.  Raises :class:`PeerGoneError`."""
        try:
            self._tls = context.wrap_socket(
                self._plain, server_side=True, do_handshake_on_connect=False
            )
        except (ssl.SSLError, OSError, ValueError) as error:  # it has been reset meanwhile
            raise PeerGoneError(str(error)) from None

    def handshake(self) -> Wants:
        """One step; ``NOTHING`` means done.  Raises :class:`PeerGoneError`."""
        if self._tls is None:
            raise PeerGoneError("TLS was not started")
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return Wants.READ
        except ssl.SSLWantWriteError:
            return Wants.WRITE
        except (ssl.SSLError, OSError) as error:
            raise PeerGoneError(_reason(error)) from None
        try:
            self.user = user_of(self._tls.getpeercert())
        except UserNameError as error:
            raise PeerGoneError(f"its certificate is refused: {error}") from None
        self._limits = KNOWN if self.user else ANONYMOUS
        self._reader.limits = self._limits
        return Wants.NOTHING

    def receive(self) -> list[Incoming]:
        """Whatever complete requests have arrived.

        Raises :class:`PeerGoneError` at the end of the stream and
        :class:`xcatd.wire.tree.MalformedError` for what is no request.
        """
        found: list[Incoming] = []
        try:
            while len(found) < _ENOUGH and (data := self._read()) is not None:
                found += self._reader.feed(data)
        except PeerGoneError:
            if not found:  # else it is told next time: what was said before still counts
                raise
        return found

    def _read(self) -> bytes | None:
        with self._lock:
            if self._tls is None:
                raise PeerGoneError("TLS was not started")
            try:
                data = self._tls.recv(_RECORD * 4)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            except (ssl.SSLError, OSError) as error:
                raise PeerGoneError(_reason(error)) from None
        if not data:
            raise PeerGoneError("the peer closed the connection")
        return data

    def begin_request(self) -> None:
        """A command starts: until it is answered only an abort may arrive."""
        self.is_answered = False
        self._waited = 0.0
        self._reader.limits = WHILE_RUNNING

    def end_request(self) -> None:
        """The last reply is about to be written: the peer may send its next request."""
        self._reader.limits = self._limits
        self._reader.forget()
        self.is_answered = True

    def send(self, document: bytes, *, at_once: bool = False) -> bool:
        """Queue one document (or several whole ones); collects what comes within 50 ms.

        Waits, at most ten minutes, while the peer leaves more than ``OUTBOX_LIMIT`` bytes unread (one
        without certificate: less, and not so long); then the peer counts as lost and output is dropped.
        True: from now on a later flush is needed, and whoever waits for sockets must know.
        """
        with self._lock:
            if not self._has_room() or not self._may_hold(len(document)):
                return False
            was_pending = self.has_output
            self._collected.append(document)
            self._size += len(document)
            now = self._clock.monotonic()
            due = at_once or self._size >= _FLUSH_AT or now - self._last_flush >= _FLUSH_AFTER
            if due and not self._outbox:
                self._flush(now)
            elif self._flush_at is None:
                self._flush_at = now + _FLUSH_AFTER
            return self.has_output and not was_pending

    def _has_room(self) -> bool:
        limit, patience = OUTBOX_LIMIT, STALL_LIMIT
        if self.user is None:
            limit, patience = ANONYMOUS_OUTBOX_LIMIT, ANONYMOUS_STALL_LIMIT - self._waited
        if self._size > limit and not self._is_lost:
            began = self._clock.monotonic()
            self._lock.wait_for(lambda: self._size <= limit or self._is_lost, timeout=patience)
            self._waited += self._clock.monotonic() - began
            if self._size > limit:
                self._lose()
        return not self._is_lost

    def _may_hold(self, size: int) -> bool:
        """All peers without certificate together hold no more than their budget."""
        if self.user is None and not self._budget.take(size):
            self._lose()
            return False
        return True

    def flush(self, now: float) -> Wants:
        """Send what is due; ``WRITE`` when the peer must read first."""
        with self._lock:
            return self._flush(now)

    def _flush(self, now: float) -> Wants:
        if self._collected:
            self._outbox.extend(pieces(b"".join(self._collected)))
            self._collected.clear()
        self._flush_at = None
        self._last_flush = now
        while self._outbox and not self._is_lost:
            try:
                sent = self._send(self._outbox[0])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return Wants.WRITE
            except (ssl.SSLError, OSError):
                self._lose()
                break
            piece = self._outbox.popleft()
            if sent < len(piece):
                self._outbox.appendleft(piece[sent:])
            self._forget(sent)
            self._lock.notify_all()
        return Wants.NOTHING

    def _send(self, piece: bytes) -> int:
        if self._tls is None:
            raise OSError("TLS was not started")
        return self._tls.send(piece)

    def _lose(self) -> None:
        self._is_lost = True
        self._outbox.clear()
        self._collected.clear()
        self._forget(self._size)
        self._flush_at = None
        self._lock.notify_all()

    def _forget(self, size: int) -> None:
        """So much of the output is gone."""
        self._size -= size
        if self.user is None:
            self._budget.give_back(size)

    def lose(self) -> None:
        """Nobody reads any more: drop what is queued and whatever comes."""
        with self._lock:
            self._lose()

    @property
    def flush_at(self) -> float | None:
        """When collected replies are due (monotonic seconds)."""
        return self._flush_at

    @property
    def has_output(self) -> bool:
        """Something still has to be sent."""
        return bool(self._outbox or self._collected)

    def close(self) -> None:
        """Say goodbye in TLS if that costs nothing, and close."""
        with self._lock:
            self._lose()
            if self._tls is not None:
                with suppress(OSError, ValueError):  # gone, or it still owes its own goodbye
                    self._tls.unwrap()
            self.socket.close()


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return error.strerror or str(error)
