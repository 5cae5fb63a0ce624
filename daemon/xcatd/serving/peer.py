"""What the server knows about a connection beside the connection itself: its stage and its time limit.

Must not: do anything to the connection.
"""

from __future__ import annotations

import enum
import selectors
from dataclasses import dataclass, field

from xcatd.wire.requests import Incoming

from .connection import ClientConnection, Wants


@dataclass(frozen=True, slots=True)
class PeerTimes:
    """Limits in seconds."""

    handshake: float = 10.0
    request: float = 15.0
    anonymous: float = 5.0  # for a whole request of a peer without certificate, however it comes
    slow_request: float = 300.0  # for a known peer whose bytes keep coming
    drain: float = 60.0
    anonymous_drain: float = 10.0
    finish: float = 45.0  # running commands at the end, before they are cancelled
    cancelled: float = 15.0  # and after


class PeerStage(enum.Enum):
    """Where a connection stands."""

    GREETING = enum.auto()  # TLS is not up yet
    READING = enum.auto()  # a request is awaited
    RUNNING = enum.auto()  # a command works on it
    CLOSING = enum.auto()  # the rest of the output is being sent


@dataclass(slots=True, eq=False)
class Peer:
    """One connection as the server looks after it; ``deadline`` in monotonic seconds."""

    connection: ClientConnection
    deadline: float | None
    stage: PeerStage = PeerStage.GREETING
    wants: Wants = Wants.READ
    is_in_front: bool = False
    is_deaf: bool = False  # what it sends while its command runs is not read any more
    is_last: bool = False
    is_started: bool = False  # its command runs, and does not only wait for a thread
    is_dropped: bool = False
    source: str = ""
    since: float = 0.0  # when its stage began (monotonic seconds)
    inbox: list[Incoming] = field(default_factory=list)
    events: int = 0


def overdue(stage: PeerStage) -> str:
    """Why a peer whose time is over is dropped."""
    match stage:
        case PeerStage.GREETING:
            return "no TLS handshake in time"
        case PeerStage.READING:
            return "no request in time"
        case _:
            return "it does not read its replies"


def events_for(peer: Peer) -> int:
    """What to wait for on behalf of this peer."""
    if peer.is_in_front:
        return 0
    connection = peer.connection
    output = selectors.EVENT_WRITE if connection.has_output and connection.flush_at is None else 0
    match peer.stage:
        case PeerStage.GREETING:
            return selectors.EVENT_WRITE if peer.wants is Wants.WRITE else selectors.EVENT_READ
        case PeerStage.READING:
            return selectors.EVENT_READ | output
        case PeerStage.RUNNING:
            return output if peer.is_deaf else selectors.EVENT_READ | output
        case PeerStage.CLOSING:
            return output
