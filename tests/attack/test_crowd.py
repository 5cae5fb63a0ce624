"""The crowd in full size: 1024 TLS connections without certificate, 500 silent ones, and more all the time."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from xcatd.process import allow_many_descriptors
from xcatd.serving.peer import PeerTimes

Cluster = Any
ANONYMOUS, SILENT, REQUESTS = 1024, 500, 8
LONGEST = 25.0  # seconds for the crowd to gather; what is there by then has to do


class Crowd:
    """Connections from a few addresses, each kept until the daemon or the test ends it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._context = cluster.context(None)
        self._socks: list[socket.socket] = []
        self._addresses = itertools.cycle(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
        self._is_over = threading.Event()
        self.opened = 0

    def gather(self) -> None:
        """All of it, at most so long."""
        deadline = time.monotonic() + LONGEST
        for number in range(ANONYMOUS + SILENT):
            if time.monotonic() > deadline:
                return
            self._open(is_silent=number % 3 == 2)

    def _open(self, *, is_silent: bool) -> None:
        place = ("127.0.0.1", self._cluster.port)
        with contextlib.suppress(OSError):
            sock: socket.socket = socket.create_connection(place, 20, (next(self._addresses), 0))
            if not is_silent:
                sock = self._context.wrap_socket(sock)
                sock.sendall(b"<xcatrequest><arg>")
            self._socks.append(sock)
            self.opened += 1

    def _go_on(self, *, is_silent: bool) -> None:
        while not self._is_over.wait(0.002):
            self._open(is_silent=is_silent)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Whoever is dropped comes again."""
        threads = [
            threading.Thread(target=self._go_on, kwargs={"is_silent": silent})
            for silent in (True, False)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def close(self) -> None:
        for sock in self._socks:
            sock.close()


@pytest.fixture
def crowd(start: Callable[..., Cluster]) -> Iterator[Crowd]:
    allow_many_descriptors()
    crowd = Crowd(start(PeerTimes(), 1024))
    yield crowd
    crowd.close()


def test_roots_requests_are_served_beside_the_crowd(crowd: Crowd) -> None:
    cluster = crowd._cluster
    assert "<info>first</info>" in cluster.command("echo", "first")
    crowd.gather()
    assert crowd.opened > 500
    with crowd.going_on():
        answers = [_asked(cluster, number) for number in range(REQUESTS)]
    assert answers == [True] * REQUESTS


def _asked(cluster: Cluster, number: int) -> bool:
    try:
        return f"<info>{number}</info>" in cluster.command("echo", str(number))
    except (OSError, ssl.SSLError):
        return False
