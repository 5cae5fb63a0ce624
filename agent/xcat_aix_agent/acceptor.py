"""Accepts connections for any number of agents in one thread, and does nothing else with them.

No handshake, no read, no write happens here, so that no peer can hold it up.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from typing import Any, Callable, Optional

_log = logging.getLogger(__name__)

#: Takes a new connection and its address; must return at once.
OnConnection = Callable[[socket.socket, Any], None]

#: Seconds to wait when the system cannot accept (no descriptors left).
_PAUSE = 0.1
_AT_ONCE = 16


class Acceptor:
    """One thread, started with the first listener, ended by :meth:`close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._loop: Optional[_Loop] = None

    def add(self, listener: socket.socket, on_connection: OnConnection) -> None:
        """Accept on ``listener`` from now on."""
        listener.setblocking(False)
        with self._lock:
            if self._loop is None:
                self._loop = _Loop(self._accept, self._stopped)
            self._loop.selector.register(listener, selectors.EVENT_READ, on_connection)
            self._loop.wake()

    def remove(self, listener: socket.socket) -> None:
        """Accept no more on ``listener``, and close it."""
        with self._lock:
            if self._loop is not None:
                self._loop.selector.unregister(listener)
                self._loop.wake()
            listener.close()

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _accept(self, key: selectors.SelectorKey) -> None:
        for _ in range(_AT_ONCE):
            with self._lock:
                try:
                    sock, address = key.fileobj.accept()  # type: ignore[union-attr]  # registered above
                except (BlockingIOError, ConnectionError):
                    return
                except OSError as error:
                    if key.fileobj.fileno() >= 0:  # type: ignore[union-attr]  # as above
                        _log.warning("cannot accept: %s", error)
                        self._stopped.wait(_PAUSE)
                    return
            sock.setblocking(True)
            key.data(sock, address)


class _Loop:
    """The thread and what it waits for."""

    def __init__(
        self, accept: Callable[[selectors.SelectorKey], None], stopped: threading.Event
    ) -> None:
        self._accept = accept
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
            for key, _ in self.selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                else:
                    self._accept(key)
