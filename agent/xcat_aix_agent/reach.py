"""Other agents as operations see them: what may be taken from which.

Owns: the one way from a host to another agent, and a double of it whose content is known beforehand, for
laboratories and tests.  The real one is :class:`.transfer.agents.TlsAgents`.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Callable, ContextManager, Iterator, Mapping, Optional, Protocol

from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity
from xcat_aix_proto.messages import TakeRequest

#: Up to so many of the next bytes, none at the end.  Raises ``UNREACHABLE`` if the line breaks before it.
Read = Callable[[int], bytes]


@dataclass(frozen=True)
class SourceAgent:
    """The agent that is meant, and where it listens; ``address`` is an IP address."""

    identity: Identity
    address: str
    port: int


class OtherAgents(Protocol):
    """The way to other agents."""

    def take(
        self, source: SourceAgent, request: TakeRequest, *, timeout: float
    ) -> ContextManager[Read]:
        """What ``source`` gives by a grant that a management node lodged with it for this host.

        ``timeout`` is how many seconds it has to answer, and each wait for more of the content may take.
        The content comes as it is: whoever takes it sees to it that it has the digest.  Raises
        ``UNREACHABLE``, ``NOT_AUTHENTICATED``, ``WRONG_PEER`` (another agent lives there), ``NOT_ALLOWED``
        (there is no such grant), ``BAD_OPERATION`` (it gives nothing of this kind).
        """


class KnownAgents:
    """:class:`OtherAgents` with a content for each grant; without any nobody can be reached."""

    def __init__(
        self, agents: Optional[Mapping[Identity, Mapping[TakeRequest, bytes]]] = None
    ) -> None:
        self._agents = agents or {}

    @contextlib.contextmanager
    def take(self, source: SourceAgent, request: TakeRequest, *, timeout: float) -> Iterator[Read]:  # noqa: ARG002 - it never waits
        """See :meth:`OtherAgents.take`."""
        granted = self._agents.get(source.identity)
        if granted is None:
            text = f"no agent answers at {source.address}:{source.port}"
            raise AgentError(ErrorCode.UNREACHABLE, text)
        if request not in granted:
            text = f"no grant lets this host take {request.what} from {source.identity}"
            raise AgentError(ErrorCode.NOT_ALLOWED, text)
        yield io.BytesIO(granted[request]).read
