"""The listener: who is connected, what each waits for, and until when.

One thread waits for all sockets and does nothing else: no TLS, no database, no name lookup.  A step of a
connection (handshake, reading) is done by the front pool and never waits for the peer; a complete request
is run by the command pool.  So a silent or slow peer costs a descriptor, never a thread.
Must not: know XML, policy or plugins.  Facts: docs/facts/wire.md, Transport and TLS; docs/facts/daemon.md, Life
of a request; Processes.
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

from .alarms import Alarms
from .connection import ANONYMOUS_OUTPUT, ClientConnection, OutputBudget, PeerGoneError, Wants
from .crowd import Crowd, Shares, group_of, owner_of, source_of
from .peer import Peer, PeerStage, PeerTimes, events_for, overdue
from .pool import TurnKey, WorkerPool

_log = logging.getLogger(__name__)
_MUCH = 4 << 10  # bytes of a request from which on it is asked what all hold


class SocketChannel:
    """The session's end of a connection: where its replies go."""

    def __init__(self, server: Server, connection: ClientConnection) -> None:
        self._server = server
        self.connection = connection

    def send(self, document: bytes) -> None:
        """One or more complete documents."""
        if self.connection.send(document):
            self._server.touch(self.connection)

    def end(self, document: bytes) -> None:
        """The document that ends the request; a next one may come."""
        self.connection.end_request()
        if self.connection.send(document, at_once=True):
            self._server.touch(self.connection)


Handle = Callable[[SocketChannel, Incoming], bool]


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
        times: PeerTimes | None = None,
        shares: Shares | None = None,
    ) -> None:
        self._listeners = list(sockets)
        self._handle = handle
        self._context = context
        self._clock = clock
        self._commands = commands
        self._front = front
        self._on_accept = on_accept
        self._times = times or PeerTimes()
        self._peers = Crowd(shares or Shares())
        self._budget = OutputBudget(ANONYMOUS_OUTPUT)
        self._calls: deque[Callable[[], None]] = deque()
        self._touched: set[Peer] = set()  # what is waited for on their behalf may have changed
        self._alarms = Alarms()
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

    def touch(self, connection: ClientConnection) -> None:
        """There is something to send on it."""
        self.call(partial(self._touch, connection))

    def _touch(self, connection: ClientConnection) -> None:
        if peer := self._peers.get(connection):
            self._touched.add(peer)

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
        if not len(self._peers) and not self._running:
            return True
        return self._give_up_at is not None and self._clock.monotonic() >= self._give_up_at

    def _close_all(self) -> bool:
        for peer in self._peers.all:
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
        for peer in self._peers.all:
            peer.is_last = True
            if peer.stage in {PeerStage.GREETING, PeerStage.READING} and not peer.is_in_front:
                self._drop(peer)

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            while self._wake_in.recv(4096):
                pass

    def _timeout(self) -> float:
        moments = [self._cancel_at, self._give_up_at, self._accept_again_at, self._alarms.next]
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
            except ConnectionAbortedError:  # the next one may be alive
                continue
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
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError:  # it has been reset already
            sock.close()
            return
        host = address[0].removeprefix("::ffff:")
        connection = ClientConnection(sock, host, address[1], self._clock, self._budget)
        now = self._clock.monotonic()
        deadline = now + self._times.handshake
        peer = Peer(connection, deadline, source=source_of(host), since=now)
        self._peers.add(peer)
        self._touched.add(peer)
        self._make_room(peer, now)
        if connection in self._peers:
            self._on_accept(host)

    def _make_room(self, newcomer: Peer, now: float) -> None:
        """Others give way until there is a place, or the newcomer itself."""
        while newcomer.connection in self._peers:
            victim = self._peers.surplus(newcomer, now)
            if victim is None:
                return
            self._log_victim(victim)
            self._drop(victim)

    def _log_victim(self, victim: Peer) -> None:
        _log.error(
            "%s is dropped: too many connections",
            victim.connection,
            extra={"source": victim.source},
        )

    # -- looking after connections ---------------------------------------------------------------

    def _look_after_all(self, now: float) -> None:
        if self._accept_again_at is not None and now >= self._accept_again_at:
            self._accept_again_at = None
            for sock in self._listeners:
                self._selector.register(sock, selectors.EVENT_READ, partial(self._accept, sock))
        if self._cancel_at is not None and now >= self._cancel_at:
            self._cancel_at = None
            for peer in self._peers.all:
                peer.connection.cancelled.set()
        self._touched.update(self._alarms.due(now))
        touched, self._touched = self._touched, set()
        for peer in touched:
            if peer.connection in self._peers:
                self._look_after(peer, now)

    def _set_alarm(self, peer: Peer) -> None:
        """Look after the peer again when its time is over, or its output is due."""
        limits = (None if peer.is_in_front else peer.deadline, peer.connection.flush_at)
        moment = min((limit for limit in limits if limit is not None), default=None)
        if moment is not None:
            self._alarms.set(peer, moment)

    def _look_after(self, peer: Peer, now: float) -> None:
        """Only whom something happened to: a crowd that keeps still costs nothing."""
        connection = peer.connection
        if peer.deadline is not None and now >= peer.deadline and not peer.is_in_front:
            _log.info("%s is dropped: %s", connection, overdue(peer.stage))
            self._drop(peer)
            return
        if connection.flush_at is not None and now >= connection.flush_at:
            connection.flush(now)
        if peer.stage is PeerStage.CLOSING and not connection.has_output:
            self._drop(peer)
            return
        self._watch(peer, events_for(peer))
        self._set_alarm(peer)

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
        self._touched.add(peer)
        if connection.has_output:
            connection.flush(self._clock.monotonic())
        match peer.stage:
            case PeerStage.RUNNING if not peer.is_deaf:
                self._hear(peer)
            case PeerStage.GREETING | PeerStage.READING if not peer.is_in_front:
                self._to_front(peer)
            case _:
                pass

    def _to_front(self, peer: Peer) -> None:
        self._watch(peer, 0)
        peer.is_in_front = True
        if not self._front.submit(partial(self._advance, peer), _owner(peer)):
            self._log_victim(peer)
            self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        if not self._peers.remove(peer):
            return
        peer.is_dropped = True
        self._alarms.cancel(peer)
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
        except (MalformedError, CertificateError) as error:
            self._log_refusal("%s is dropped: %s", peer, error)
            self.call(partial(self._drop, peer))
        except BaseException:
            self.call(partial(self._drop, peer))  # else its place would be taken for good
            raise
        else:
            self.call(partial(self._stepped, peer, requests))

    def _log_refusal(self, text: str, peer: Peer, error: Exception) -> None:
        _log.error(text, peer.connection, error, extra={"source": peer.source})

    def _log_departure(self, peer: Peer, error: PeerGoneError) -> None:
        if peer.stage is PeerStage.GREETING:
            self._log_refusal("%s is dropped before TLS was up: %s", peer, error)
        elif peer.connection.is_between:
            _log.debug("%s has gone: %s", peer.connection, error)
        else:
            _log.info("%s has gone within a request: %s", peer.connection, error)

    def _step(self, peer: Peer) -> list[Incoming]:
        connection = peer.connection
        if peer.stage is PeerStage.GREETING:
            if not connection.has_started:
                connection.start_tls(self._context())
            peer.wants = connection.handshake()
            if peer.wants is not Wants.NOTHING:
                return []
            self._await_request(peer, self._clock.monotonic())
            _log.debug("%s is connected", connection)
        requests = connection.receive()
        if connection.user and not connection.is_between:
            latest = peer.since + self._times.slow_request
            peer.deadline = min(self._clock.monotonic() + self._times.request, latest)
        return requests

    def _await_request(self, peer: Peer, now: float) -> None:
        peer.stage = PeerStage.READING
        peer.since = now
        patience = self._times.request
        if peer.connection.user is None:
            patience = min(patience, self._times.anonymous)
        peer.deadline = now + patience

    # -- in the serving thread again ---------------------------------------------------------------

    def _stepped(self, peer: Peer, requests: list[Incoming]) -> None:
        peer.is_in_front = False
        if peer.connection not in self._peers:
            return
        self._touched.add(peer)
        self._find_place(peer)
        if peer.connection not in self._peers:
            return
        if requests:
            self._take(peer, requests)
        elif self._stopping:
            self._drop(peer)

    def _find_place(self, peer: Peer) -> None:
        """Once it is known who a peer is, and once it has sent much."""
        if self._peers.regroup(peer):
            self._make_room(peer, self._clock.monotonic())
        if peer.connection.held > _MUCH:
            while victim := self._peers.holds_too_much(group_of(peer)):
                _log.error(
                    "%s is dropped: the requests of such peers are too many bytes",
                    victim.connection,
                    extra={"source": victim.source},
                )
                self._drop(victim)

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
            peer.stage = PeerStage.RUNNING
            peer.deadline = None
            peer.is_started = False
            connection.begin_request()
            if self._commands.submit(partial(self._run, peer, requests[0]), _owner(peer)):
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
        peer.is_started = True
        try:
            if not peer.is_dropped:
                keep = self._handle(SocketChannel(self, peer.connection), request)
        finally:
            self.call(partial(self._finished, peer, keep=keep))

    def _finished(self, peer: Peer, *, keep: bool) -> None:
        self._running -= 1
        connection = peer.connection
        if connection not in self._peers:
            return
        self._touched.add(peer)
        now = self._clock.monotonic()
        connection.end_request()
        if not keep or peer.is_last or connection.is_lost or self._stopping:
            peer.stage = PeerStage.CLOSING
            patience = self._times.drain if connection.user else self._times.anonymous_drain
            peer.deadline = now + patience
            connection.flush(now)
            return
        self._await_request(peer, now)
        self._peers.put_last(peer)
        peer.is_deaf = False
        if peer.inbox:
            requests, peer.inbox = peer.inbox, []
            self._take(peer, requests)
        elif not connection.is_between:
            self._to_front(peer)


def _owner(peer: Peer) -> TurnKey:
    """Who shares turns with whom in the pools."""
    return TurnKey(group_of(peer).name, owner_of(peer))
