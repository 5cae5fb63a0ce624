"""The agent's ends of TLS: our CA only, TLS 1.2 or newer, a certificate at both ends.

Owns: the ``ssl.SSLContext``, as server and as client, and its renewal when one of the files changes.  A
context that cannot be built is no context: nobody gets in until the files are right again.  Must not: accept or read.
"""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import Any, Callable, Optional, Protocol, Tuple

from xcat_aix_proto import ALPN_RELAY, ALPN_RPC, ALPN_TAKE
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.identity import Identity

from . import files, ownership

_Stamp = Tuple[files.Stamp, ...]


class TlsError(Exception):
    """The certificate files cannot be used; the message names the file and the reason."""


class Files(Protocol):
    """What a context is made of; see ``config.KEYS``."""

    @property
    def certificate(self) -> Path:
        """Certificate and key."""

    @property
    def ca(self) -> Path:
        """The one authority."""

    @property
    def crl(self) -> Optional[Path]:
        """Its revocation list."""


class ListenerContexts:
    """Server contexts as new as their files.  Safe for use by several threads."""

    def __init__(self, config: Files) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._stamp: _Stamp = ()
        self._context: Optional[ssl.SSLContext] = None

    def get(self) -> ssl.SSLContext:
        """The context for the files as they are now; raises :class:`TlsError`."""
        with self._lock:
            stamp = _stamp(self._config)
            if self._context is None or stamp != self._stamp:
                self._context = None
                self._context = make_context(self._config)
                self._stamp = stamp
            return self._context


def _stamp(config: Files) -> _Stamp:
    paths = (config.certificate, config.ca, config.crl)
    return tuple(files.stamp(path) for path in paths if path is not None)


def check_files(config: Files) -> None:
    """Raises :class:`TlsError` if somebody else could change one of the files, or read our key."""
    try:
        ownership.check_file(config.certificate, secret=True)
        ownership.check_file(config.ca)
        if config.crl is not None:
            ownership.check_file(config.crl)
    except ownership.OwnershipError as error:
        raise TlsError(str(error)) from None


def _unusable(path: Path, error: OSError) -> TlsError:
    return TlsError(f"cannot use {path}: {error.strerror or error}; issue it anew or restore it")


def make_context(config: Files) -> ssl.SSLContext:
    """A fresh server's context from the files; raises :class:`TlsError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_TICKET
    # A resumed session skips the certificate's check and the revocation list (docs/facts/trust.md,
    # Resumed sessions).  The server refuses what is resumed all the same.
    context.num_tickets = 0
    _equip(context, config, ALPN_RPC, ALPN_RELAY, ALPN_TAKE)
    return context


def make_client_context(config: Files) -> ssl.SSLContext:
    """A fresh context for taking something from another agent; raises :class:`TlsError`.

    Whom the other end's certificate names is for the caller to look at.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    _equip(context, config, ALPN_TAKE)
    return context


def _equip(context: ssl.SSLContext, config: Files, *protocols: str) -> None:
    check_files(config)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(protocols))
    _load(config.certificate, lambda path: context.load_cert_chain(path, password=_no_password))
    _load(config.ca, context.load_verify_locations)
    if config.crl is not None:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        _load(config.crl, context.load_verify_locations)


def _load(path: Path, load: Callable[[Path], None]) -> None:
    try:
        load(path)
    except OSError as error:  # ssl.SSLError is one
        raise _unusable(path, error) from None


def _no_password() -> str:
    """Asked for an encrypted key: refuse instead of waiting at a terminal."""
    raise OSError(None, "its private key is encrypted")


def own_identity(config: Files) -> Identity:
    """Whom our own certificate names, by a TLS handshake with ourselves in memory.

    Raises :class:`TlsError` if a peer would not accept it: other CA, out of date, revoked.
    """
    try:
        found = _handshake(make_context(config), make_client_context(config))
        return Identity.of_certificate(found)
    except (ssl.SSLError, AgentError) as error:
        raise TlsError(f"cannot use {config.certificate}: {error}; issue it anew") from None


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> Any:
    upward, downward = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(downward, upward),
        server.wrap_bio(upward, downward, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert()
