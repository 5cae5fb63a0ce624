"""Calls over one stream in Pyro5's protocol.

Owns: Pyro5 on this end: hardened, nothing a peer sends becomes an object or an exception but plain data.
Must not: know what a method does, or connect.
"""

from __future__ import annotations

import json
import os
import ssl
import time
import zlib
from typing import Any

from xcat_aix_proto import OBJECT_ID, messages
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.hardening import harden, ignore_environment

from .dial import refused_by
from .streams import Stream

ignore_environment(os.environ)

import Pyro5  # noqa: E402 - the environment comes first
from Pyro5 import client, errors, protocol  # noqa: E402 - as above

harden(Pyro5)

_METADATA = {"methods": messages.METHODS, "oneway": (), "attrs": ()}


class LinkLostError(AgentError):
    """The connection is gone; whether the agent did what it was asked last is not known."""

    def __init__(self, reason: str) -> None:
        super().__init__(ErrorCode.UNREACHABLE, f"the connection to the agent was lost: {reason}")


class NoAnswerError(LinkLostError):
    """The agent did not answer in time; asking it again at once would only take the same time again."""

    def __init__(self) -> None:
        super().__init__("no answer in time")


class _Proxy(client.Proxy):  # type: ignore[misc]  # Pyro5 has no types
    """Knows the methods beforehand: asking the agent would cost a round trip."""

    def _pyroGetMetadata(self, objectId: Any = None, known_metadata: Any = None) -> None:  # noqa: ARG002, N802, N803 - overrides Pyro5's
        super()._pyroGetMetadata(objectId, _METADATA)


class Link:
    """One connection of one thread."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._proxy = _Proxy(OBJECT_ID, connected_socket=stream)
        self._proxy._pyroRawWireResponse = True  # noqa: SLF001 - the message as it came

    def call(self, method: str, *args: Any, limit: float | None = None) -> Any:
        """The answer to one call within ``limit`` seconds (None: by the stream's present deadline).

        Raises the :class:`AgentError` the agent answers, ``BAD_MESSAGE``, :class:`LinkLostError`.
        """
        if limit is not None:
            self._stream.deadline = time.monotonic() + limit
        try:
            answer = self._proxy._pyroInvoke(method, args, {})  # noqa: SLF001 - see _Proxy
        except errors.TimeoutError:
            raise NoAnswerError from None
        except (errors.CommunicationError, OSError) as error:
            raise _explained(error) from None
        except (errors.PyroError, zlib.error) as error:
            raise AgentError(ErrorCode.BAD_MESSAGE, f"no message of an agent: {error}") from None
        if answer.flags & ~protocol.FLAGS_CORR_ID:
            raise AgentError(ErrorCode.BAD_MESSAGE, "the agent answered outside of the protocol")
        try:
            return messages.unwrap(json.loads(bytes(answer.data)))
        except (ValueError, RecursionError):
            raise AgentError(ErrorCode.BAD_MESSAGE, "the agent's answer is not JSON") from None

    def close(self) -> None:
        """End the connection."""
        self._stream.close()


def _explained(error: BaseException) -> AgentError:
    """With TLS 1.3 an agent that refuses our certificate says so only now."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            refusal = refused_by(cause, "we meant")
            if refusal.code is ErrorCode.NOT_AUTHENTICATED:
                return refusal
        cause = cause.__context__
    return LinkLostError(str(error))
