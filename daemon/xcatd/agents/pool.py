"""Where agent connections come from.

Owns: the management node's credentials and the way from a node to a greeted connection.  A connection
is made for one thread and one use; nothing is kept open between uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from xcat_aix_proto import messages
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcatd.logs import current_request_id

from .connection import AgentConnection, greet
from .credentials import Credentials
from .dial import AgentAddress, Relay, dial

if TYPE_CHECKING:
    from .link import AgentLink

__all__ = ["AgentPool", "Relay"]


class AgentPool:
    """Connects to agents with the credentials of one directory.  Safe for use by several threads.

    The directory is ``<xcatconfdir>/aix``; files that are missing are named by the first connect.
    """

    def __init__(self, directory: Path, version: str = "") -> None:
        self._credentials = Credentials(directory)
        self._version = version

    def connect(
        self,
        node: str,
        role: Role,
        address: str,
        port: int,
        *,
        timeout: float = 3.0,
        via: Relay | None = None,
    ) -> AgentConnection:
        """A connection to the agent of ``node``; TCP, TLS and hello together take ``timeout`` seconds.

        The agent's log names the request that is being
        served by its id in our log.  Raises :class:`AgentError`: ``UNREACHABLE``,
        ``WRONG_PEER``, ``NOT_AUTHENTICATED``, ``NOT_ALLOWED``, ``UNSUPPORTED_PROTOCOL``, ``BUSY``.
        """
        target, trace = AgentAddress(Identity(role, node), address, port, via), current_request_id()
        return AgentConnection(lambda: self._open(target, timeout, trace))

    def _open(
        self, target: AgentAddress, timeout: float, trace: str
    ) -> tuple[AgentLink, messages.Welcome]:
        from .link import AgentLink, LinkLostError  # noqa: PLC0415 - loads Pyro5

        stream = dial(target, self._credentials, timeout)
        try:
            link = AgentLink(stream, trace)
            return link, greet(link, self._version)
        except LinkLostError as error:
            stream.close()
            text = f"no agent answered at {target.address}:{target.port}: {error.message}"
            raise AgentError(ErrorCode.UNREACHABLE, text) from None
        except BaseException:
            stream.close()
            raise
