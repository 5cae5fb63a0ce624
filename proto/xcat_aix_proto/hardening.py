"""Bounds for Pyro5, applied by both ends to the modules they pass in (so proto imports nothing).

Measured reasons (docs/facts/pyro5.md, Why our own sockets; Serialisers, compression and classes): a peer
chooses the serialiser, marshal on
hostile bytes can crash the interpreter, inflating a message is unbounded, and class names in a message
are turned into objects (even into exceptions that end a thread).
"""

from __future__ import annotations

import threading
import zlib
from types import SimpleNamespace
from typing import Any, MutableMapping, NoReturn

from . import MAX_MESSAGE

SERIALIZER = "json"

_lock = threading.Lock()


class _NoCompression:
    """Stands for zlib: neither end of this protocol compresses."""

    error = zlib.error

    @staticmethod
    def decompress(data: bytes) -> NoReturn:
        raise zlib.error(f"a compressed message ({len(data)} bytes) is not accepted")


def ignore_environment(environ: MutableMapping[str, str]) -> None:
    """Take Pyro5's settings out of ``environ``; to be called before Pyro5 is imported.

    At import it obeys the ones it knows and stops over the ones it does not.
    """
    for name in [name for name in environ if name.startswith("PYRO_")]:
        del environ[name]


def harden(pyro: Any) -> None:
    """Bound the process-wide settings of the imported package ``Pyro5``, before any socket.

    ``pyro`` must have the sub-modules ``config``, ``protocol`` and ``serializers`` as attributes.
    Once is enough; both ends in one process may each call it.
    """
    with _lock:
        if pyro.protocol.zlib is _NoCompression:
            return
        config = pyro.config
        config.reset(use_environment=False)
        config.SERIALIZER = SERIALIZER
        config.MAX_MESSAGE_SIZE = MAX_MESSAGE
        config.MAX_RETRIES = 0
        config.COMPRESSION = False
        config.ITER_STREAMING = False
        config.DETAILED_TRACEBACK = False
        config.SOCK_NODELAY = True
        _keep_one_serializer(pyro.serializers)
        pyro.protocol.zlib = _NoCompression


def _same(literal: Any) -> Any:
    return literal


def _keep_one_serializer(serializers: SimpleNamespace) -> None:
    kept = serializers.serializers[SERIALIZER]
    kept.recreate_classes = _same
    serializers.serializers.clear()
    serializers.serializers[SERIALIZER] = kept
    serializers.serializers_by_id.clear()
    serializers.serializers_by_id[kept.serializer_id] = kept
