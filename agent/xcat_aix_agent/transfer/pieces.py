"""Content as it goes from one agent to another: pieces with their lengths, the last of them empty.

So whoever takes knows an end from a broken line, whatever his TLS says about it.  Owns: that form.  Must
not: know what the content is.
"""

from __future__ import annotations

import socket
import struct

from xcat_aix_proto import MAX_PIECE
from xcat_aix_proto.errors import AgentError, ErrorCode

_LENGTH = struct.Struct(">I")


def send(sock: socket.socket, data: bytes) -> None:
    """Some of the content."""
    for begin in range(0, len(data), MAX_PIECE):
        piece = data[begin : begin + MAX_PIECE]
        sock.sendall(_LENGTH.pack(len(piece)) + piece)


def end(sock: socket.socket) -> None:
    """That was all."""
    sock.sendall(_LENGTH.pack(0))


class PieceReader:
    """The content of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._left = 0
        self._is_over = False

    def read(self, size: int) -> bytes:
        """Up to ``size`` of the next bytes, none at the end.

        Raises ``UNREACHABLE`` if the line ends before it, ``BAD_MESSAGE``, or :class:`OSError`.
        """
        if not self._left and not self._is_over:
            self._left = self._length()
            self._is_over = not self._left
        chunk = self._received(min(size, self._left)) if self._left and size > 0 else b""
        self._left -= len(chunk)
        return chunk

    def _length(self) -> int:
        data = b""
        while len(data) < _LENGTH.size:
            data += self._received(_LENGTH.size - len(data))
        (length,) = _LENGTH.unpack(data)
        if length > MAX_PIECE:
            raise AgentError(ErrorCode.BAD_MESSAGE, f"a piece of {length} bytes is too long")
        return int(length)

    def _received(self, size: int) -> bytes:
        chunk = self._sock.recv(size)
        if not chunk:
            raise AgentError(ErrorCode.UNREACHABLE, "the content was cut off")
        return chunk
