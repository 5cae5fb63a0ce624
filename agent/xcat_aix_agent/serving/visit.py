"""A connection that begins with one request line: a relay, or a take.

Owns: the order in which such a peer is served: asked whether it may come before anything is read, then its
line, then it is let in (the handshake's time is over), and then the policy's answer to that line.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Callable, Type, TypeVar, Union

from xcat_aix_agent.clock import Clock
from xcat_aix_agent.transfer import lines
from xcat_aix_proto import codec, messages
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.identity import Identity
from xcat_aix_proto.messages import RelayRequest, TakeRequest

from .policy import OPENING, Asked

R = TypeVar("R", bound=Union[RelayRequest, TakeRequest])


@dataclass(frozen=True)
class Visit:
    """``ask`` is the policy, about this peer; ``limit`` how many seconds the peer has for its line."""

    sock: ssl.SSLSocket
    identity: Identity
    ask: Callable[[Asked], None]
    let_in: Callable[[], None]
    limit: float
    clock: Clock

    def request(self, kind: Type[R], what: str) -> R:
        """What the peer asks for, which it may have; raises :class:`AgentError` when it was told why not."""
        try:
            self.ask(OPENING)
            line = lines.read(self.sock, self.clock.monotonic, self.limit, what)
            request = codec.from_wire(kind, line)
            self.let_in()  # it has said who it is and what it wants: NIM may take its time
            self.ask(request)
        except AgentError as error:
            self.refuse(error)
            raise
        return request

    def accept(self) -> None:
        """What was asked for follows."""
        lines.send(self.sock, messages.ok(None))

    def refuse(self, error: AgentError) -> None:
        """Tell the peer why not."""
        lines.send(self.sock, messages.failed(error))
