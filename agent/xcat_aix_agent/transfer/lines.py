"""The one line that opens a relay or a take, and the line that answers it.

Owns: reading exactly one bounded line within a time limit.  Must not: know what is asked.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Callable, Mapping

from xcat_aix_proto import MAX_RELAY_LINE, bounds
from xcat_aix_proto.errors import AgentError, ErrorCode


def read(sock: socket.socket, monotonic: Callable[[], float], limit: float, what: str) -> Any:
    """The JSON in the next line; not a byte beyond it, which belongs to what follows.

    The whole line must be there within ``limit`` seconds.  Raises ``BAD_MESSAGE`` that says ``what`` it is.
    """
    until = monotonic() + limit
    line = bytearray()
    while not line.endswith(b"\n"):
        left = until - monotonic()
        if left <= 0 or len(line) >= MAX_RELAY_LINE:
            raise _endless(what)
        sock.settimeout(left)
        try:
            chunk = sock.recv(1)
        except socket.timeout:
            chunk = b""
        if not chunk:
            raise _endless(what)
        line += chunk
    try:
        return bounds.parsed(bytes(line))
    except ValueError:
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{what} cannot be read") from None


def _endless(what: str) -> AgentError:
    return AgentError(ErrorCode.BAD_MESSAGE, f"{what} does not end")


def send(sock: socket.socket, data: Mapping[str, Any]) -> None:
    """One line."""
    sock.sendall(json.dumps(data).encode() + b"\n")
