"""Accepts connections for any number of agents in one thread, and waits there for their first byte.

No handshake, no read, no write happens here, so that no peer can hold it up; and a peer that says nothing
costs a descriptor, not a thread.  A second thread calls those who want to look after something now and
then.  Owns: the places of silent peers, shared by source address (:mod:`.fair`).
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from typing import Any, Callable, Dict, Optional

from .fair import gives_way

_log = logging.getLogger(__name__)

#: Takes a connection that has said something (its socket does not block) and its address; must return at
#: once.
OnConnection = Callable[[socket.socket, Any], None]

#: Seconds between two calls of those who look after something.
TICK = 1.0

#: Seconds to wait when the system cannot accept (no descriptors left).
_PAUSE = 0.1
_AT_ONCE = 16


class Acceptor:
    """Two threads, started with the first listener, ended by :meth:`close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._loop: Optional[_Loop] = None
        self._doors: Dict[socket.socket, _Door] = {}
        self._ticker: Optional[threading.Thread] = None
        self._watchers: Dict[Callable[[], None], None] = {}

    def add(
        self,
        listener: socket.socket,
        on_connection: OnConnection,
        *,
        places: int = 32,
        patience: float = 5.0,
    ) -> None:
        """Accept on ``listener`` from now on.

        Of ``places`` connections that have said nothing each may stay so for ``patience`` seconds.
        """
        listener.setblocking(False)
        with self._lock:
            if self._loop is None:
                self._loop = _Loop(self._handle, self._hang_up_late, self._stopped)
            door = self._doors[listener] = _Door(listener, on_connection, places, patience)
            self._loop.selector.register(listener, selectors.EVENT_READ, (door, listener))
            self._loop.wake()

    def remove(self, listener: socket.socket) -> None:
        """Accept no more on ``listener``, and close it and what came by it and said nothing."""
        with self._lock:
            door = self._doors.pop(listener, None)
            if self._loop is not None and door is not None:
                self._loop.selector.unregister(listener)
                for sock in list(door.silent):
                    self._drop(door, sock)
                    sock.close()
                self._loop.wake()
            listener.close()

    def watch(self, look: Callable[[], None]) -> None:
        """Call ``look`` every :data:`TICK` seconds; it must raise nothing."""
        with self._lock:
            self._watchers[look] = None
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, name="ticker", daemon=True)
                self._ticker.start()

    def unwatch(self, look: Callable[[], None]) -> None:
        """Call it no more."""
        with self._lock:
            self._watchers.pop(look, None)

    def close(self) -> None:
        """End the threads."""
        self._stopped.set()
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        if self._ticker is not None:
            self._ticker.join(5.0)

    def _tick(self) -> None:
        while not self._stopped.wait(TICK):
            with self._lock:
                watchers = list(self._watchers)
            for look in watchers:
                look()

    def _handle(self, key: selectors.SelectorKey) -> None:
        door, sock = key.data
        if sock is door.listener:
            self._accept(door)
            return
        with self._lock:
            silent = door.silent.get(sock)
            if silent is None:  # it had to give way meanwhile
                return
            self._drop(door, sock)
        door.on_connection(sock, silent.address)

    def _accept(self, door: _Door) -> None:
        for _ in range(_AT_ONCE):
            with self._lock:
                try:
                    sock, address = door.listener.accept()
                except (BlockingIOError, ConnectionError):
                    return
                except OSError as error:
                    if door.listener.fileno() >= 0:
                        _log.warning("cannot accept: %s", error)
                        self._stopped.wait(_PAUSE)
                    return
                self._await(door, sock, address)

    def _await(self, door: _Door, sock: socket.socket, address: Any) -> None:
        """The caller holds the lock."""
        sock.setblocking(False)
        door.silent[sock] = _Silent(address, time.monotonic() + door.patience)
        if self._loop is not None:
            self._loop.selector.register(sock, selectors.EVENT_READ, (door, sock))
        if len(door.silent) > door.places:
            oldest = gives_way({one: state.address[0] for one, state in door.silent.items()})
            self._drop(door, oldest)
            oldest.close()

    def _drop(self, door: _Door, sock: socket.socket) -> None:
        """It waits no more.  The caller holds the lock."""
        del door.silent[sock]
        if self._loop is not None:
            self._loop.selector.unregister(sock)

    def _hang_up_late(self) -> Optional[float]:
        """Close who was silent for too long; the answer is how many seconds the next one has left."""
        with self._lock:
            now, left = time.monotonic(), None
            for door in self._doors.values():
                for sock, silent in list(door.silent.items()):
                    if silent.until > now:  # those after it came later
                        left = min(left or silent.until - now, silent.until - now)
                        break
                    self._drop(door, sock)
                    sock.close()
            return left


class _Silent:
    """A connection that has said nothing yet."""

    def __init__(self, address: Any, until: float) -> None:
        self.address = address
        self.until = until


class _Door:
    """A listener, where its connections go, and those that have said nothing, the oldest first."""

    def __init__(
        self, listener: socket.socket, on_connection: OnConnection, places: int, patience: float
    ) -> None:
        self.listener = listener
        self.on_connection = on_connection
        self.places = places
        self.patience = patience
        self.silent: Dict[socket.socket, _Silent] = {}


class _Loop:
    """The thread and what it waits for."""

    def __init__(
        self,
        handle: Callable[[selectors.SelectorKey], None],
        hang_up_late: Callable[[], Optional[float]],
        stopped: threading.Event,
    ) -> None:
        self._handle = handle
        self._hang_up_late = hang_up_late
        self._stopped = stopped
        self.selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self.selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="acceptor", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Make the thread look again at what it waits for."""
        self._waker.send(b"!")

    def close(self) -> None:
        """The thread was told to stop; wait for it and give its descriptors back."""
        self.wake()
        self._thread.join(5.0)
        self.selector.close()
        self._waker.close()
        self._woken.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            for key, _ in self.selector.select(self._hang_up_late()):
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                else:
                    self._handle(key)
