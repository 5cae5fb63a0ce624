"""Calls over one stream in Pyro5's protocol.

Owns: Pyro5 on this end: hardened, nothing a peer sends becomes an object or an exception but plain data,
and that is bounded (:mod:`xcat_aix_proto.bounds`): its bytes by the method that was called before they are
taken in, its values before they are read, its texts before anybody else sees them.
Must not: know what a method does, or connect.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

from xcat_aix_proto import OBJECT_ID, TRACE, bounds, messages, names
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.hardening import SERIALIZER, harden, ignore_environment

from .dial import refused_by
from .streams import Stream

ignore_environment(os.environ)

import Pyro5  # noqa: E402 - the environment comes first
from Pyro5 import callcontext, client, errors, protocol, serializers, socketutil  # noqa: E402 - as above

harden(Pyro5)

#: Bytes of an answer beyond which only so many are taken in at once: the rest wait on the wire.
LARGE, _AT_ONCE = 1024 * 1024, 4
_large = threading.BoundedSemaphore(_AT_ONCE)

#: Seconds for what is sent before a connection is closed.
_LAST_WORDS = 1.0

_JSON = serializers.serializers[SERIALIZER]

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


class _Connection(socketutil.SocketConnection):  # type: ignore[misc]  # Pyro5 has no types
    """Takes in a large answer when it is its turn, and keeps the turn until :meth:`done`.

    ``most``: bytes of the answer that is awaited.
    """

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream, OBJECT_ID, keep_open=True)
        self._has_turn = False
        self.most = 0

    def recv(self, size: int) -> bytes:
        """As Pyro5's; raises its time-out if no turn comes within the stream's deadline, ``BAD_MESSAGE``."""
        if size > self.most:
            text = f"the agent's answer of {size} bytes is too long, at most {self.most} are taken"
            raise AgentError(ErrorCode.BAD_MESSAGE, text)
        if size > LARGE and not self._has_turn:
            left = self.sock.deadline - time.monotonic()
            if not _large.acquire(timeout=max(0.0, left)):
                raise errors.TimeoutError("too many large answers at once")
            self._has_turn = True
        return bytes(super().recv(size))

    def done(self) -> None:
        """What was received is read."""
        if self._has_turn:
            self._has_turn = False
            _large.release()


class AgentLink:
    """One connection of one thread.  ``trace`` is the id of the request it serves, for the agent's log."""

    def __init__(self, stream: Stream, trace: str = "") -> None:
        self._stream = stream
        self._proxy = _Proxy(OBJECT_ID, connected_socket=stream)
        self._connection = self._proxy._pyroConnection = _Connection(stream)  # noqa: SLF001 - bounded
        self._proxy._pyroRawWireResponse = True  # noqa: SLF001 - the message as it came
        self._annotations = _annotations(trace)

    def call(self, method: str, *args: Any, limit: float | None = None) -> Any:
        """The answer to one call within ``limit`` seconds (None: by the stream's present deadline).

        Raises the :class:`AgentError` the agent answers, ``BAD_MESSAGE``, :class:`LinkLostError`.
        """
        if limit is not None:
            self._stream.deadline = time.monotonic() + limit
        try:
            envelope = self._answer(method, args)
        except AgentError:
            self.close()  # what comes next is the rest of this, if anything
            raise
        finally:
            self._connection.done()
        return messages.unwrap(envelope)

    def _answer(self, method: str, args: tuple[Any, ...]) -> Any:
        self._connection.most, values = messages.ANSWERS[method]
        try:
            with _annotated(self._annotations):
                answer = self._proxy._pyroInvoke(method, args, {})  # noqa: SLF001 - see _Proxy
        except errors.TimeoutError:
            raise NoAnswerError from None
        except (errors.CommunicationError, OSError) as error:
            raise _explained(error) from None
        except (errors.PyroError, zlib.error, ValueError) as error:
            text = f"no message of an agent: {bounds.line(str(error), 200)}"
            raise AgentError(ErrorCode.BAD_MESSAGE, text) from None
        if answer.flags & ~protocol.FLAGS_CORR_ID:
            raise AgentError(ErrorCode.BAD_MESSAGE, "the agent answered outside of the protocol")
        try:
            return bounds.bounded(bounds.parsed(answer.data, values))
        except ValueError as error:
            text = f"the agent's answer cannot be read: {bounds.line(str(error), 200)}"
            raise AgentError(ErrorCode.BAD_MESSAGE, text) from None

    def tell(self, method: str, *args: Any) -> None:
        """Call without waiting for the answer: nothing but :meth:`close` may follow.  Raises nothing."""
        self._stream.deadline = time.monotonic() + _LAST_WORDS
        seq = self._proxy._pyroSeq = (self._proxy._pyroSeq + 1) & 0xFFFF  # noqa: SLF001 - as in a call
        data = _JSON.dumpsCall(OBJECT_ID, method, args, {})
        call = protocol.SendingMessage(
            *(protocol.MSG_INVOKE, 0, seq, _JSON.serializer_id, data),
            annotations=self._annotations,
        )
        with contextlib.suppress(OSError, errors.CommunicationError):
            self._connection.send(call.data)

    def close(self) -> None:
        """End the connection."""
        self._stream.close()


def _annotations(trace: str) -> dict[str, bytes]:
    """What goes with every call; a text that is no trace is left away."""
    try:
        return {TRACE: names.trace(trace).encode("ascii")}
    except AgentError:
        return {}


@contextlib.contextmanager
def _annotated(annotations: dict[str, bytes]) -> Iterator[None]:
    """Pyro5 takes annotations from a variable of the thread, which may serve others."""
    before = callcontext.current_context.annotations
    callcontext.current_context.annotations = annotations
    try:
        yield
    finally:
        callcontext.current_context.annotations = before


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
