"""Bytes passed on between two sockets, in both directions at once.

Owns: the pumping; a slow end holds up the other, and at most one chunk of each direction is held here.
Must not: look at what passes.
"""

from __future__ import annotations

import selectors
import socket
import ssl
from typing import Any, Callable, Dict, Tuple

_CHUNK = 64 * 1024
_TICK = 1.0


class _Half:
    """One direction: at most one chunk is held at a time."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.held = b""
        self.ended = False

    def move(self) -> bool:
        """Read or write what is possible; whether anything was."""
        if self.held:
            sent = _try(lambda: self.sink.send(self.held))
            self.held = self.held[sent or 0 :]
            return bool(sent)
        if self.ended:
            return False
        chunk = _try(lambda: self.source.recv(_CHUNK))
        if chunk is None:
            return False
        self.held, self.ended = chunk, not chunk
        return True


def _try(action: Callable[[], Any]) -> Any:
    """The answer, None if it would block."""
    try:
        return action()
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None


def pump(one: socket.socket, other: socket.socket, idle: float) -> None:
    """Pass bytes both ways until one side ends, or nothing moved for ``idle`` seconds."""
    one.setblocking(False)
    other.setblocking(False)
    halves = (_Half(one, other), _Half(other, one))
    quiet = 0.0
    with selectors.DefaultSelector() as selector:
        while not any(half.ended and not half.held for half in halves) and quiet < idle:
            moved = [half.move() for half in halves]
            if any(moved):
                quiet = 0.0
            else:
                quiet += 0.0 if _watch(selector, halves) else _TICK


def _watch(selector: selectors.BaseSelector, halves: Tuple[_Half, _Half]) -> bool:
    """Wait a moment for something to do; whether there is."""
    wanted: Dict[socket.socket, int] = {}
    for half in halves:
        sock = half.sink if half.held else half.source
        event = selectors.EVENT_WRITE if half.held else selectors.EVENT_READ
        wanted[sock] = wanted.get(sock, 0) | event
    for sock, events in wanted.items():
        selector.register(sock, events)
    ready = selector.select(_TICK)
    for sock in wanted:
        selector.unregister(sock)
    return bool(ready)
