"""The listener: who is connected, what each waits for, and until when.

One thread waits for all sockets and does nothing else: no TLS, no database, no name lookup.  A step of a
connection (handshake, reading) is done by the front pool and never waits for the peer; a complete request
is run by the command pool.  So a silent or slow peer costs a descriptor, never a thread.
Must not: know XML, policy or plugins.  Facts: specs/wire-protocol.md, sections 1, 4 and 8.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from xcatd.context import Clock
from xcatd.tls import CertificateError
from xcatd.wire.requests import Incoming
from xcatd.wire.tree import MalformedError

from .connection import Connection, PeerGoneError, Wants
from .peer import Peer, Stage, Times, events_for, overdue
from .pool import WorkerPool

_log = logging.getLogger(__name__)


class Channel:
    """The session's end of a connection: where its replies go."""

    def __init__(self, server: Server, connection: Connection) -> None:
        self._server = server
        self.connection = connection

    def send(self, document: bytes) -> None:
        """One or more complete documents."""
        if self.connection.send(document):
            self._server.wake()

    def end(self, document: bytes) -> None:
        """The document that ends the request; a next one may come."""
        self.connection.end_request()
        if self.connection.send(document, at_once=True):
            self._server.wake()


Handle = Callable[[Channel, Incoming], bool]


class Server:
    """Serves until :meth:`stop` was called and every command is over, or the limits are."""

    def __init__(
        self,
        sockets: Iterable[socket.socket],
        *,
        handle: Handle,
        context: Callable[[], ssl.SSLContext],
        clock: Clock,
        commands: WorkerPool,
        front: WorkerPool,
        on_accept: Callable[[str], None] = lambda _: None,
        times: Times | None = None,
        max_peers: int = 1024,
    ) -> None:
        self._listeners = list(sockets)
        self._handle = handle
        self._context = context
        self._clock = clock
        self._commands = commands
        self._front = front
        self._on_accept = on_accept
        self._times = times or Times()
        self._max_peers = max_peers
        self._peers: dict[Connection, Peer] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._stopping = False
        self._running = 0
        self._cancel_at: float | None = None
        self._give_up_at: float | None = None
        self._accept_again_at: float | None = None

    # -- from other threads and signal handlers ------------------------------------------------

    @property
    def wake_fd(self) -> int:
        """For ``signal.set_wakeup_fd``: a signal ends the wait."""
        return self._wake_out.fileno()

    def wake(self) -> None:
        """Let the waiting thread look again."""
        with suppress(OSError):  # full: it is awake already; closed: it is over
            self._wake_out.send(b"\0")

    def call(self, job: Callable[[], None]) -> None:
        """Run ``job`` in the serving thread."""
        self._calls.append(job)
        self.wake()

    def stop(self, *, bounded: bool = True) -> None:
        """Release the port and end when the running commands have; ``bounded``: or the limits are."""
        self.call(partial(self._stop, bounded=bounded))

    # -- the serving thread --------------------------------------------------------------------

    def run(self) -> bool:
        """Serve; True if every command came to its own end."""
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._woken)
        for sock in self._listeners:
            self._selector.register(sock, selectors.EVENT_READ, partial(self._accept, sock))
        try:
            while not self._is_over():
                for key, _ in self._selector.select(self._timeout()):
                    key.data()
                while self._calls:
                    self._calls.popleft()()
                self._look_after_all(self._clock.monotonic())
        finally:
            unfinished = self._close_all()
        return not unfinished

    def _is_over(self) -> bool:
        if not self._stopping:
            return False
        if not self._peers and not self._running:
            return True
        return self._give_up_at is not None and self._clock.monotonic() >= self._give_up_at

    def _close_all(self) -> bool:
        for peer in list(self._peers.values()):
            self._drop(peer)
        self._release()
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()
        self._front.close()
        self._commands.close()
        return self._running > 0

    def _release(self) -> None:
        for sock in self._listeners:
            self._forget(sock)
            sock.close()
        self._listeners.clear()

    def _forget(self, sock: socket.socket) -> None:
        with suppress(KeyError):  # it was not waited for
            self._selector.unregister(sock)

    def _stop(self, *, bounded: bool) -> None:
        self._release()
        now = self._clock.monotonic()
        if bounded and self._cancel_at is None:
            self._cancel_at = now + self._times.finish
            self._give_up_at = self._cancel_at + self._times.cancelled
        self._stopping = True
        for peer in list(self._peers.values()):
            peer.is_last = True
            if peer.stage in {Stage.GREETING, Stage.READING} and not peer.is_in_front:
                self._drop(peer)

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            while self._wake_in.recv(4096):
                pass

    def _timeout(self) -> float:
        moments = [self._cancel_at, self._give_up_at, self._accept_again_at]
        for peer in self._peers.values():
            moments.append(None if peer.is_in_front else peer.deadline)
            moments.append(peer.connection.flush_at)
        known = [moment for moment in moments if moment is not None]
        limit = min(known) - self._clock.monotonic() if known else 60.0
        return max(0.0, min(limit, 60.0))

    # -- accepting -----------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(64):  # then the others' turn
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._cannot_accept(error)
                return
            self._welcome(sock, address)

    def _cannot_accept(self, error: OSError) -> None:
        _log.error("cannot accept a connection: %s", error.strerror)
        for listener in self._listeners:
            self._forget(listener)
        self._accept_again_at = self._clock.monotonic() + 0.2

    def _welcome(self, sock: socket.socket, address: tuple[str, int]) -> None:
        if len(self._peers) >= self._max_peers and not self._make_room():
            _log.error("a connection from %s is refused: %d are open", address[0], len(self._peers))
            sock.close()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        host = address[0].removeprefix("::ffff:")
        connection = Connection(sock, host, address[1], self._clock)
        deadline = self._clock.monotonic() + self._times.handshake
        self._peers[connection] = Peer(connection, deadline)
        self._on_accept(host)

    def _make_room(self) -> bool:
        """The peer that has been silent longest goes first."""
        for peer in self._peers.values():
            if peer.stage is Stage.GREETING and not peer.is_in_front:
                _log.error("%s is dropped: too many connections", peer.connection)
                self._drop(peer)
                return True
        return False

    # -- looking after connections ---------------------------------------------------------------

    def _look_after_all(self, now: float) -> None:
        if self._accept_again_at is not None and now >= self._accept_again_at:
            self._accept_again_at = None
            for sock in self._listeners:
                self._selector.register(sock, selectors.EVENT_READ, partial(self._accept, sock))
        if self._cancel_at is not None and now >= self._cancel_at:
            self._cancel_at = None
            for peer in self._peers.values():
                peer.connection.cancelled.set()
        for peer in list(self._peers.values()):
            self._look_after(peer, now)

    def _look_after(self, peer: Peer, now: float) -> None:
        connection = peer.connection
        if peer.deadline is not None and now >= peer.deadline and not peer.is_in_front:
            _log.info("%s is dropped: %s", connection, overdue(peer.stage))
            self._drop(peer)
            return
        if connection.flush_at is not None and now >= connection.flush_at:
            connection.flush(now)
        if peer.stage is Stage.CLOSING and not connection.has_output:
            self._drop(peer)
            return
        self._watch(peer, events_for(peer))

    def _watch(self, peer: Peer, events: int) -> None:
        if events == peer.events:
            return
        sock = peer.connection.socket
        if not events:
            self._selector.unregister(sock)
        elif peer.events:
            self._selector.modify(sock, events, partial(self._ready, peer))
        else:
            self._selector.register(sock, events, partial(self._ready, peer))
        peer.events = events

    def _ready(self, peer: Peer) -> None:
        connection = peer.connection
        if connection not in self._peers:
            return
        if connection.has_output:
            connection.flush(self._clock.monotonic())
        match peer.stage:
            case Stage.RUNNING if not peer.is_deaf:
                self._hear(peer)
            case Stage.GREETING | Stage.READING if not peer.is_in_front:
                self._to_front(peer)
            case _:
                pass

    def _to_front(self, peer: Peer) -> None:
        self._watch(peer, 0)
        peer.is_in_front = True
        if not self._front.submit(partial(self._advance, peer)):
            _log.error("%s is dropped: too many connections at once", peer.connection)
            self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        if self._peers.pop(peer.connection, None) is None:
            return
        if peer.events:
            self._watch(peer, 0)
        peer.connection.close()

    # -- in the front pool -----------------------------------------------------------------------

    def _advance(self, peer: Peer) -> None:
        """One step of a connection that became ready."""
        try:
            requests = self._step(peer)
        except PeerGoneError as error:
            self._log_departure(peer, error)
            self.call(partial(self._drop, peer))
        except MalformedError as error:
            _log.error("%s is dropped: %s", peer.connection, error)
            self.call(partial(self._drop, peer))
        except CertificateError as error:
            _log.error("%s is dropped: %s", peer.connection, error)
            self.call(partial(self._drop, peer))
        else:
            self.call(partial(self._stepped, peer, requests))

    def _log_departure(self, peer: Peer, error: PeerGoneError) -> None:
        if peer.stage is Stage.GREETING:
            _log.error("%s is dropped before TLS was up: %s", peer.connection, error)
        elif peer.connection.is_between:
            _log.debug("%s has gone: %s", peer.connection, error)
        else:
            _log.info("%s has gone within a request: %s", peer.connection, error)

    def _step(self, peer: Peer) -> list[Incoming]:
        connection = peer.connection
        if peer.stage is Stage.GREETING:
            if not connection.has_started:
                connection.start_tls(self._context())
            peer.wants = connection.handshake()
            if peer.wants is not Wants.NOTHING:
                return []
            peer.stage = Stage.READING
            peer.reading_since = self._clock.monotonic()
            peer.deadline = peer.reading_since + self._times.request
            _log.debug("%s is connected", connection)
        requests = connection.receive()
        if connection.user and not connection.is_between:
            latest = peer.reading_since + self._times.slow_request
            peer.deadline = min(self._clock.monotonic() + self._times.request, latest)
        return requests

    # -- in the serving thread again ---------------------------------------------------------------

    def _stepped(self, peer: Peer, requests: list[Incoming]) -> None:
        peer.is_in_front = False
        if peer.connection not in self._peers:
            return
        if requests:
            self._take(peer, requests)
        elif self._stopping:
            self._drop(peer)

    def _take(self, peer: Peer, requests: list[Incoming]) -> None:
        connection = peer.connection
        if any(request.abort for request in requests):
            _log.info("%s aborts before its command has started", connection)
            self._drop(peer)
        elif len(requests) > 1 or not connection.is_between:
            _log.error(
                "%s is dropped: it sent a request before the answer to the first", connection
            )
            self._drop(peer)
        else:
            peer.stage = Stage.RUNNING
            peer.deadline = None
            connection.begin_request()
            if self._commands.submit(partial(self._run, peer, requests[0])):
                self._running += 1
            else:
                _log.error("%s is dropped: too many commands are waiting", connection)
                self._drop(peer)

    def _hear(self, peer: Peer) -> None:
        """The peer says something while its command runs."""
        connection = peer.connection
        try:
            requests = connection.receive()
        except PeerGoneError as error:
            peer.is_deaf = peer.is_last = True  # it may still read: sending tells whether it does
            if not connection.is_answered:
                _log.info("%s has gone, its command goes on: %s", connection, error)
            return
        except MalformedError as error:
            _log.error("%s spoke while its command ran: %s", connection, error)
            peer.is_deaf = peer.is_last = True
            return
        for request in requests:
            self._interrupt(peer, request)

    def _interrupt(self, peer: Peer, request: Incoming) -> None:
        connection = peer.connection
        if request.abort:
            _log.info("%s aborts its command", connection)
            connection.cancelled.set()
            connection.lose()
            peer.is_deaf = True
        elif connection.is_answered:
            peer.inbox.append(request)
            peer.is_deaf = True
        else:
            _log.error("%s sent a request before the answer to the first", connection)
            peer.is_deaf = peer.is_last = True

    def _run(self, peer: Peer, request: Incoming) -> None:
        """In the command pool."""
        keep = False
        try:
            keep = self._handle(Channel(self, peer.connection), request)
        finally:
            self.call(partial(self._finished, peer, keep=keep))

    def _finished(self, peer: Peer, *, keep: bool) -> None:
        self._running -= 1
        connection = peer.connection
        if connection not in self._peers:
            return
        now = self._clock.monotonic()
        connection.end_request()
        if not keep or peer.is_last or connection.is_lost or self._stopping:
            peer.stage = Stage.CLOSING
            peer.deadline = now + self._times.drain
            connection.flush(now)
            return
        peer.stage = Stage.READING
        peer.is_deaf = False
        peer.reading_since = now
        peer.deadline = now + self._times.request
        if peer.inbox:
            requests, peer.inbox = peer.inbox, []
            self._take(peer, requests)
        elif not connection.is_between:
            self._to_front(peer)
