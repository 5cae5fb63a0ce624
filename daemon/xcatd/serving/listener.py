"""The listening sockets: all addresses, both protocols where the machine has them.

Facts: docs/facts/wire.md, Transport and TLS.
"""

from __future__ import annotations

import errno
import socket

BACKLOG = 8192


def listen(port: int) -> list[socket.socket]:
    """Sockets on all addresses: one for both protocols, or IPv4 alone where IPv6 is off.

    Raises OSError, ``EADDRINUSE`` if another daemon has the port.
    """
    if socket.has_dualstack_ipv6():
        try:
            return [_bound(socket.AF_INET6, port)]
        except OSError as error:
            if isinstance(error, PermissionError) or error.errno == errno.EADDRINUSE:
                raise
    return [_bound(socket.AF_INET, port)]


def _bound(family: socket.AddressFamily, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("", port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
