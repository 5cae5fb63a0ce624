"""A tunnel from a management node through this service node to the agent of one of its nodes.

The management node's TLS with the far agent stays end to end: only bytes pass here.  Owns: the conversation
that opens a tunnel.  Must not: be an open proxy; where it may lead the policy says.
"""

from __future__ import annotations

import logging
import socket

from xcat_aix_agent.transfer import tunnel
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.messages import RelayRequest

from .visit import Visit

_log = logging.getLogger(__name__)

_CONNECT_LIMIT = 3.0

#: Seconds without a byte after which a tunnel is closed, where no time-out is set.
_IDLE = 1.0


def serve(visit: Visit) -> None:
    """One connection: the request line, our answer, then bytes until one end closes.

    Raises :class:`AgentError` if the peer was refused.
    """
    request = visit.request(RelayRequest, "the relay request")
    try:
        far = socket.create_connection((request.address, request.port), _CONNECT_LIMIT)
    except OSError as error:
        text = f"no agent answers there: {error.strerror or error}"
        visit.refuse(AgentError(ErrorCode.UNREACHABLE, text))
        return
    with far:
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        visit.accept()
        _log.info("relaying %s to %s at %s", visit.identity, request.node, request.address)
        tunnel.pump(visit.sock, far, visit.sock.gettimeout() or _IDLE)
