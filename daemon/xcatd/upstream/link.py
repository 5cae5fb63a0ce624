"""One connection with the upstream: TCP, TLS, its certificate, bytes both ways - each under a time limit.

Must not: know what the bytes mean.  Facts: docs/facts/wire.md, Transport and TLS.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xcatd.site import Settings
from xcatd.tls import set_ciphers, set_versions, user_of, versions
from xcatd.usernames import UserNameError

from .address import Address
from .errors import UpstreamError

_CHUNK = 64 << 10
_IDLE = 60  # seconds without a byte before the peer's machine is asked whether it lives
_ADVICE = "see whether it runs there, and its log"
_ASK = (15, 4)  # seconds between two questions, and how many stay unanswered


@dataclass(frozen=True, slots=True)
class LinkTimes:
    """Limits in seconds.  A reply itself may take as long as its command does."""

    connect: float = 15.0
    handshake: float = 30.0  # a daemon with too many connections answers late
    send: float = 60.0  # without any progress
    look: float = 0.5  # between two looks whether the client still wants it
    abort: float = 2.0  # for the upstream to hear that the command is to end


@dataclass(frozen=True, slots=True)
class LinkCertificates:
    """Certificates of this connection: ``ca``, who may be at the other end, and ours if it is to be shown."""

    ca: Path
    names: frozenset[str]
    credentials: Path | None = None


def context_for(trust: LinkCertificates, settings: Settings) -> ssl.SSLContext:
    """Our end of TLS; raises :class:`UpstreamError` if a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # names are compared by hand: management nodes use short ones
    set_versions(context, versions(settings.tls_policy, settings.tls_version))
    set_ciphers(context, settings.tls_ciphers)
    try:
        context.load_verify_locations(trust.ca)
        if trust.credentials is not None:
            context.load_cert_chain(trust.credentials)
    except OSError as error:
        text = f"cannot use the certificate files in {trust.ca.parent}: {error.strerror or error}"
        raise UpstreamError(text) from None
    return context


class UpstreamLink:
    """A connection that is up; made by :meth:`open`."""

    def __init__(self, sock: ssl.SSLSocket, times: LinkTimes) -> None:
        self._sock = sock
        self._times = times

    @classmethod
    def open(
        cls, address: Address, trust: LinkCertificates, settings: Settings, times: LinkTimes
    ) -> UpstreamLink:
        """Connect, and make sure who answers; raises :class:`UpstreamError`."""
        context = context_for(trust, settings)
        with contextlib.ExitStack() as undo:
            plain = _connected(address, times.connect)
            undo.callback(plain.close)
            secure = context.wrap_socket(plain, do_handshake_on_connect=False)
            undo.callback(secure.close)
            with _explained(times.handshake):
                _shake_hands(secure, times.handshake)
            _check_name(secure, address, trust.names)
            undo.pop_all()
        return cls(secure, times)

    def send(self, document: bytes) -> None:
        """Raises :class:`UpstreamError` when the upstream does not take it."""
        self._sock.settimeout(self._times.send)
        view = memoryview(document)
        with _explained(self._times.send):
            while view:
                view = view[self._sock.send(view[:_CHUNK]) :]

    def receive(self) -> bytes | None:
        """What has come; None if nothing came for a moment, nothing at the end.

        Raises :class:`UpstreamError` when the connection breaks.
        """
        self._sock.settimeout(self._times.look)
        try:
            return self._sock.recv(_CHUNK)
        except TimeoutError:
            return None
        except (ssl.SSLEOFError, ConnectionResetError):
            return b""
        except OSError as error:
            raise UpstreamError(why(error)) from None

    def abort(self, document: bytes) -> None:
        """Say that nobody wants the rest, and leave the upstream the time to hear it."""
        deadline = time.monotonic() + self._times.abort
        with contextlib.suppress(OSError):
            self._sock.settimeout(self._times.abort)
            self._sock.sendall(document)
            while (left := deadline - time.monotonic()) > 0:
                self._sock.settimeout(left)
                if not self._sock.recv(_CHUNK):
                    return

    def close(self) -> None:
        """End the connection; the upstream sees a client that has gone."""
        self._sock.close()


def _connected(address: Address, timeout: float) -> socket.socket:
    with _explained(timeout):
        sock = socket.create_connection((address.host, address.port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        for option, value in (
            (socket.TCP_KEEPIDLE, _IDLE),
            (socket.TCP_KEEPINTVL, _ASK[0]),
            (socket.TCP_KEEPCNT, _ASK[1]),
        ):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock


def _shake_hands(secure: ssl.SSLSocket, timeout: float) -> None:
    """A limit for the whole, not for each of its steps."""
    deadline = time.monotonic() + timeout
    secure.setblocking(False)
    while True:
        try:
            secure.do_handshake()
        except ssl.SSLWantReadError:
            _wait(secure, deadline, for_reading=True)
        except ssl.SSLWantWriteError:
            _wait(secure, deadline, for_reading=False)
        else:
            return


def _wait(sock: ssl.SSLSocket, deadline: float, *, for_reading: bool) -> None:
    poll = select.poll()
    poll.register(sock, select.POLLIN if for_reading else select.POLLOUT)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


def _check_name(secure: ssl.SSLSocket, address: Address, names: frozenset[str]) -> None:
    """Every user of the cluster has a certificate of the same CA and could listen on a free port."""
    certificate = secure.getpeercert() or {}
    others = certificate.get("subjectAltName", ())
    try:
        who = user_of(certificate)
    except UserNameError as error:
        raise UpstreamError(
            f"its certificate is refused: {error}; nothing was sent to it"
        ) from None
    shown = {who}
    for item in others if isinstance(others, tuple) else ():
        shown.add(str(item[1]))
    if not shown & (names | address.names):
        raise UpstreamError(
            f"its certificate is {who or 'nobody'}'s, and neither {address.host}'s nor this management node's;"
            " nothing was sent to it"
        )


@contextlib.contextmanager
def _explained(timeout: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise UpstreamError(f"no answer within {timeout:g} seconds; {_ADVICE}") from None
    except OSError as error:
        raise UpstreamError(f"{why(error)}; {_ADVICE}") from None


def why(error: OSError) -> str:
    """The reason in the words of people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return (error.strerror or str(error)).lower()
