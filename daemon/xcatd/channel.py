"""A client's connection and the way its replies go, as those see it who answer requests."""

from __future__ import annotations

import threading
from typing import Protocol


class Caller(Protocol):
    """Who is at the other end."""

    user: str | None
    address: str
    port: int
    cancelled: threading.Event

    @property
    def is_lost(self) -> bool:
        """Nothing more can be sent."""


class Channel(Protocol):
    """Where the replies to one request go; both ways of sending wait while the client does not read."""

    @property
    def connection(self) -> Caller:
        """Who is at the other end."""

    def send(self, document: bytes) -> None:
        """Some of the reply: one or more complete documents, or a part of a large one."""

    def end(self, document: bytes) -> None:
        """What ends the request."""
