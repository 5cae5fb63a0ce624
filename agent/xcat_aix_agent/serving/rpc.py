"""One connection served in Pyro5's protocol, over a socket that is connected and authenticated already.

Owns: what of Pyro5 is spoken here: plain calls in JSON to one object, bounded requests.  One-way calls,
batches, streams, serialised blobs (marshal) and remote tracebacks are not.  Must not: accept,
authenticate, or know what a method does.
"""

from __future__ import annotations

import json
import os
import socket
import zlib
from typing import Any, Dict

from xcat_aix_proto import MAX_REQUEST, OBJECT_ID, TRACE, bounds, messages, names
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.hardening import SERIALIZER, harden, ignore_environment

from .service import Conversation

ignore_environment(os.environ)

import Pyro5  # noqa: E402 - the environment comes first
from Pyro5 import core, errors, protocol, serializers, server, socketutil  # noqa: E402 - as above

harden(Pyro5)

_JSON = serializers.serializers[SERIALIZER].serializer_id
_METADATA = {"methods": list(messages.METHODS), "oneway": [], "attrs": []}


def serve(sock: socket.socket, session: Conversation) -> None:
    """Answer calls until the peer goes away or is silent for the socket's time-out.

    Raises ``BAD_MESSAGE`` when the peer sends anything but calls of this protocol.
    """
    daemon = _Daemon(sock, session)
    try:
        while session.refused is None:
            daemon.handleRequest(daemon.transportServer.conn)
    except (errors.ConnectionClosedError, errors.TimeoutError):
        return
    except (errors.PyroError, ValueError, RecursionError, zlib.error) as error:
        raise AgentError(ErrorCode.BAD_MESSAGE, f"no message of this protocol: {error}") from None
    finally:
        daemon.close()


class _BoundedConnection(socketutil.SocketConnection):  # type: ignore[misc]  # Pyro5 has no types
    """Refuses to wait for more bytes than a request may have."""

    def recv(self, size: int) -> bytes:
        if size > MAX_REQUEST:
            raise errors.ProtocolError(f"a request of {size} bytes is too long")
        return bytes(super().recv(size))


class _Daemon(server.Daemon):  # type: ignore[misc]  # Pyro5 has no types
    """A Pyro5 daemon for one connection and one object."""

    def __init__(self, sock: socket.socket, session: Conversation) -> None:
        super().__init__(connected_socket=sock)
        # Pyro5 closes the socket when it drops its own connection object.
        self.transportServer.conn.keep_open = True
        self.transportServer.conn = _BoundedConnection(sock, keep_open=True)
        self._session = session

    def handleRequest(self, conn: Any) -> None:  # noqa: N802 - overrides Pyro5's
        """Read one call, answer it.  Whatever is raised ends the connection."""
        request = protocol.recv_stub(conn, [protocol.MSG_INVOKE])
        if request.flags & ~protocol.FLAGS_CORR_ID or request.serializer_id != _JSON:
            raise errors.ProtocolError("only plain calls in JSON are accepted")
        data = json.dumps(self._answer(_call(request), _trace(request))).encode()
        answer = protocol.SendingMessage(protocol.MSG_RESULT, 0, request.seq, _JSON, data)
        conn.send(answer.data)

    def _answer(self, call: Dict[str, Any], trace: str) -> Any:
        method = call["method"]
        if call["object"] == core.DAEMON_NAME and method == "get_metadata":
            return _METADATA
        if call["object"] != OBJECT_ID or method not in messages.METHODS:
            raise errors.ProtocolError("there is no such object or method")
        return self._session.call(method, call["params"], call["kwargs"], trace)


def _trace(request: Any) -> str:
    """Which request of the caller this is part of, as an annotation says; empty if none does."""
    data = request.annotations.get(TRACE)
    return "" if data is None else names.trace(bytes(data).decode("ascii"))


def _call(request: Any) -> Dict[str, Any]:
    call = bounds.parsed(request.data)
    if not isinstance(call, dict) or set(call) != {"object", "method", "params", "kwargs"}:
        raise errors.ProtocolError("a call has object, method, params and kwargs")
    if not isinstance(call["params"], list) or not isinstance(call["kwargs"], dict):
        raise errors.ProtocolError("params must be a list and kwargs an object")
    return call
