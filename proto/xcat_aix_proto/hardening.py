"""Bounds for Pyro5, applied by both ends to the modules they pass in (so proto imports nothing).

Measured reasons (specs/pyro5-facts.md, sections 0 and 5): a peer chooses the serialiser, marshal on
hostile bytes can crash the interpreter, and inflating a message is unbounded.
"""

from __future__ import annotations

import zlib
from types import SimpleNamespace
from typing import Any

from . import MAX_MESSAGE

SERIALIZER = "json"


class _BoundedZlib:
    error = zlib.error
    compress = staticmethod(zlib.compress)

    @staticmethod
    def decompress(data: bytes) -> bytes:
        inflater = zlib.decompressobj()
        result = inflater.decompress(data, MAX_MESSAGE)
        if inflater.unconsumed_tail:
            raise zlib.error("the message is larger than allowed")
        return result


def harden(pyro: Any) -> None:
    """Bound the process-wide settings of the imported package ``Pyro5`` once, before any socket.

    ``pyro`` must have the sub-modules ``config``, ``protocol`` and ``serializers`` as attributes.
    """
    config = pyro.config
    config.reset(use_environment=False)
    config.SERIALIZER = SERIALIZER
    config.MAX_MESSAGE_SIZE = MAX_MESSAGE
    config.MAX_RETRIES = 0
    config.COMPRESSION = False
    config.ITER_STREAMING = False
    config.DETAILED_TRACEBACK = False
    config.SOCK_NODELAY = True
    pyro.protocol.zlib = _BoundedZlib
    _keep_one_serializer(pyro.serializers)


def _keep_one_serializer(serializers: SimpleNamespace) -> None:
    kept = serializers.serializers[SERIALIZER]
    serializers.serializers.clear()
    serializers.serializers[SERIALIZER] = kept
    serializers.serializers_by_id.clear()
    serializers.serializers_by_id[kept.serializer_id] = kept
