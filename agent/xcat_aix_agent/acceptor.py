"""Accepts connections for any number of agents in one thread, and does nothing else with them.

No handshake, no read, no write happens here, so that no peer can hold it up.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from typing import Any, Callable

_log = logging.getLogger(__name__)

#: Takes a new connection and its address; must return at once.
OnConnection = Callable[[socket.socket, Any], None]

#: Seconds to wait when the system cannot accept (no descriptors left).
_PAUSE = 0.1
_AT_ONCE = 16


class Acceptor:
    """One thread, started with the first listener, ended by :meth:`close`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._waker, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stopped = threading.Event()
        self._thread: Any = None

    def add(self, listener: socket.socket, on_connection: OnConnection) -> None:
        """Accept on ``listener`` from now on."""
        listener.setblocking(False)
        with self._lock:
            self._selector.register(listener, selectors.EVENT_READ, on_connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="acceptor", daemon=True)
                self._thread.start()
        self._wake()

    def remove(self, listener: socket.socket) -> None:
        """Accept no more on ``listener``, and close it."""
        with self._lock:
            self._selector.unregister(listener)
            listener.close()
        self._wake()

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(5.0)
        self._selector.close()
        self._waker.close()
        self._woken.close()

    def _wake(self) -> None:
        self._waker.send(b"!")

    def _loop(self) -> None:
        while not self._stopped.is_set():
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                else:
                    self._accept(key)

    def _accept(self, key: selectors.SelectorKey) -> None:
        for _ in range(_AT_ONCE):
            with self._lock:
                if key.fd not in self._selector.get_map():
                    return
                try:
                    sock, address = key.fileobj.accept()  # type: ignore[union-attr]  # registered above
                except (BlockingIOError, ConnectionError):
                    return
                except OSError as error:
                    _log.warning("cannot accept: %s", error)
                    self._stopped.wait(_PAUSE)
                    return
            sock.setblocking(True)
            key.data(sock, address)
