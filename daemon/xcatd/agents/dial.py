"""From an address to an authenticated connection with the agent that was meant.

Owns: TCP, TLS, the check of the peer's identity, the request to a relay; all under one deadline.  Must
not: speak Pyro5.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

from xcat_aix_proto import MAX_RELAY_LINE, bounds, codec, messages
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role

from .credentials import AgentContexts, Credentials
from .streams import Secure, Stream, Tunnel, remaining


@dataclass(frozen=True, slots=True)
class Relay:
    """A service node whose agent passes bytes on to a compute node's."""

    node: str
    address: str
    port: int
    role: Role = Role.SN


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """Which agent is meant, where it listens (``address`` is an IP address), and the way there."""

    identity: Identity
    address: str
    port: int
    via: Relay | None = None


def dial(target: AgentAddress, credentials: Credentials, timeout: float) -> Stream:
    """A stream to the agent that is meant, within ``timeout`` seconds.

    Raises ``UNREACHABLE``, ``NOT_AUTHENTICATED`` (either end does not trust the other), ``WRONG_PEER``
    (another agent lives there), or what a relay answers.
    """
    deadline = time.monotonic() + timeout
    contexts = credentials.contexts()
    with contextlib.ExitStack() as undo, _explained(target, timeout):
        secure: Secure
        if target.via is None:
            secure = _connect(target, contexts.rpc, deadline, undo)
        else:
            secure = _through(target, target.via, contexts, deadline, undo)
        undo.pop_all()
        return Stream(secure, deadline)


def _connect(
    target: AgentAddress, context: ssl.SSLContext, deadline: float, undo: contextlib.ExitStack
) -> ssl.SSLSocket:
    sock = socket.create_connection((target.address, target.port), remaining(deadline))
    undo.callback(sock.close)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secure = context.wrap_socket(sock, do_handshake_on_connect=False)
    undo.callback(secure.close)
    secure.settimeout(remaining(deadline))
    secure.do_handshake()
    _check(secure, target)
    return secure


def _through(
    target: AgentAddress,
    relay: Relay,
    contexts: AgentContexts,
    deadline: float,
    undo: contextlib.ExitStack,
) -> Tunnel:
    at_relay = AgentAddress(Identity(relay.role, relay.node), relay.address, relay.port)
    try:
        with _explained(at_relay, 0.0):
            outer = _connect(at_relay, contexts.relay, deadline, undo)
            request = messages.RelayRequest(target.identity.name, target.address, target.port)
            line = json.dumps(codec.to_wire(request)).encode() + b"\n"
            outer.settimeout(remaining(deadline))
            outer.sendall(line)
            messages.unwrap(_answer_line(outer, deadline))
    except AgentError as error:
        text = f"through {relay.node}: {error.message}"
        raise AgentError(error.code, text, error.detail) from None
    tunnel = Tunnel(outer, contexts.rpc)
    tunnel.do_handshake(deadline)
    _check(tunnel, target)
    return tunnel


def _answer_line(sock: ssl.SSLSocket, deadline: float) -> object:
    """The relay's one line; not a byte beyond it, that is the far end's."""
    line = bytearray()
    while not line.endswith(b"\n"):
        sock.settimeout(remaining(deadline))
        chunk = sock.recv(1)
        if not chunk:
            text = "the relay ended the connection without an answer"
            # It may have had to give way, or be about to end: worth another try, unlike a refusal.
            raise AgentError(ErrorCode.UNREACHABLE, text)
        if len(line) >= MAX_RELAY_LINE:
            raise AgentError(ErrorCode.BAD_MESSAGE, "the relay's answer does not end")
        line += chunk
    try:
        return bounds.parsed(line)
    except ValueError:
        raise AgentError(ErrorCode.BAD_MESSAGE, "the relay's answer cannot be read") from None


def _check(secure: Secure, target: AgentAddress) -> None:
    found = Identity.of_certificate(secure.getpeercert())
    if found != target.identity:
        text = f"the agent at {target.address} is {found}, not {target.identity}"
        raise AgentError(ErrorCode.WRONG_PEER, text)


@contextlib.contextmanager
def _explained(target: AgentAddress, timeout: float) -> Iterator[None]:
    place = f"{target.address}:{target.port}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        text = f"the certificate of the agent at {place} is not valid: {error.verify_message}"
        raise AgentError(ErrorCode.NOT_AUTHENTICATED, text) from None
    except ssl.SSLError as error:
        raise refused_by(error, f"at {place}") from None
    except TimeoutError:
        text = f"no agent answered at {place}" + (f" within {timeout:g} s" if timeout else "")
        raise AgentError(ErrorCode.UNREACHABLE, text) from None
    except OSError as error:
        text = f"no agent answers at {place}: {error.strerror or error}"
        raise AgentError(ErrorCode.UNREACHABLE, text) from None


def refused_by(error: ssl.SSLError, place: str) -> AgentError:
    """What a TLS failure means: an alert is the peer's refusal, the rest is no agent of ours."""
    reason = error.reason or str(error)
    if "ALERT" in reason:
        text = f"the agent {place} refuses our certificate: {reason.replace('_', ' ').lower()}"
        return AgentError(ErrorCode.NOT_AUTHENTICATED, text)
    text = (
        f"what answers {place} does not speak TLS as an agent: {reason.replace('_', ' ').lower()}"
    )
    return AgentError(ErrorCode.UNREACHABLE, text)
