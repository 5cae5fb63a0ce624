"""Taking from another agent over TLS, with this agent's own certificate.

Owns: the connection to the agent that is meant and its errors in the protocol's words.  Must not: know what
is taken.  A service node's certificate serves for both ends of TLS; where only what a server needs was
issued, the other agent refuses it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional

from xcat_aix_agent import tls
from xcat_aix_agent.clock import Clock
from xcat_aix_agent.reach import Read, SourceAgent
from xcat_aix_proto import codec, messages
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity
from xcat_aix_proto.messages import TakeRequest

from . import lines, pieces


@dataclass(frozen=True)
class TlsAgents:
    """The real :class:`xcat_aix_agent.reach.OtherAgents`, by the files of this agent's settings."""

    certificate: Path
    ca: Path
    crl: Optional[Path]
    clock: Clock

    @contextlib.contextmanager
    def take(self, source: SourceAgent, request: TakeRequest, *, timeout: float) -> Iterator[Read]:
        """See :meth:`xcat_aix_agent.reach.OtherAgents.take`."""
        with contextlib.ExitStack() as stack:
            with _explained(source):
                until = self.clock.monotonic() + timeout
                sock = self._connected(source, until, stack)
                lines.send(sock, codec.to_wire(request))
                answer = lines.read(sock, self.clock.monotonic, self._left(until), "its answer")
                messages.unwrap(answer)
                sock.settimeout(timeout)
            reader = pieces.PieceReader(sock)

            def read(size: int) -> bytes:
                with _explained(source):
                    return reader.read(size)

            yield read

    def _connected(
        self, source: SourceAgent, until: float, stack: contextlib.ExitStack
    ) -> ssl.SSLSocket:
        try:
            context = tls.make_client_context(self)
        except tls.TlsError as error:
            raise AgentError(ErrorCode.NOT_AUTHENTICATED, str(error)) from None
        place = (source.address, source.port)
        plain = stack.enter_context(socket.create_connection(place, self._left(until)))
        sock = stack.enter_context(context.wrap_socket(plain, do_handshake_on_connect=False))
        sock.settimeout(self._left(until))
        sock.do_handshake()
        found = Identity.of_certificate(sock.getpeercert())
        if found != source.identity:
            text = f"the agent at {source.address} is {found}, not {source.identity}"
            raise AgentError(ErrorCode.WRONG_PEER, text)
        sock.settimeout(self._left(until))
        return sock

    def _left(self, until: float) -> float:
        """Seconds until then; raises :class:`socket.timeout` when it is over."""
        left = until - self.clock.monotonic()
        if left <= 0:
            raise socket.timeout
        return left


@contextlib.contextmanager
def _explained(source: SourceAgent) -> Iterator[None]:
    place = f"{source.identity} at {source.address}:{source.port}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        text = f"the certificate of {place} is not valid: {error.verify_message}"
        raise AgentError(ErrorCode.NOT_AUTHENTICATED, text) from None
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        code = ErrorCode.NOT_AUTHENTICATED if "alert" in reason else ErrorCode.UNREACHABLE
        raise AgentError(code, f"no conversation with {place}: {reason}") from None
    except socket.timeout:
        raise AgentError(ErrorCode.UNREACHABLE, f"{place} did not answer in time") from None
    except OSError as error:
        text = f"cannot reach {place}: {error.strerror or error}"
        raise AgentError(ErrorCode.UNREACHABLE, text) from None
