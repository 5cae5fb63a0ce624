"""The daemon's end of TLS: contexts made from the site's settings, and who a certificate names.

Owns: the ``ssl.SSLContext`` per policy, cached until a file or a setting changes.  Must not: accept,
read or write.
Facts: specs/wire-protocol.md, section 1.
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .site import Settings
from .usernames import UserNameError, is_user_name

_log = logging.getLogger(__name__)


class CertificateError(Exception):
    """The daemon's own certificate files cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class _Key:
    """Everything a context depends on; equal keys share one context."""

    settings: tuple[str, str, str]
    files: tuple[tuple[str, int, int, int], ...]


class Contexts:
    """Server contexts: as fresh as the files and the site table, as cheap as a lookup."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: _Key | None = None
        self._context: ssl.SSLContext | None = None

    def get(self, settings: Settings) -> ssl.SSLContext:
        """The context for these settings; raises :class:`CertificateError`."""
        key = _key(settings)
        with self._lock:
            if self._context is None or key != self._key:
                self._context = make_context(settings)
                self._key = key
            return self._context


def _files(settings: Settings) -> tuple[Path, Path]:
    directory = settings.confdir / "cert"
    return directory / "server-cred.pem", directory / "ca.pem"


def _key(settings: Settings) -> _Key:
    states = []
    for path in _files(settings):
        try:
            state = path.stat()
        except OSError as error:
            raise _unusable(path, error) from None
        states.append((str(path), state.st_mtime_ns, state.st_size, state.st_ino))
    return _Key((settings.tls_policy, settings.tls_version, settings.tls_ciphers), tuple(states))


def _unusable(path: Path, error: Exception) -> CertificateError:
    reason = getattr(error, "strerror", None) or error
    return CertificateError(
        f"cannot use the certificate file {path}: {reason}; run xcatconfig -c or restore it"
    )


def make_context(settings: Settings) -> ssl.SSLContext:
    """A context that asks for a client certificate of our CA and takes peers without one."""
    credentials, authority = _files(settings)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # Nobody resumes sessions, but a ticket at once acknowledges the client's last handshake segment:
    # without one, its request waits 40 ms for the delayed acknowledgement (clients do not set NODELAY).
    context.num_tickets = 1
    set_versions(context, versions(settings.tls_policy, settings.tls_version))
    set_ciphers(context, settings.tls_ciphers)
    try:
        context.load_cert_chain(credentials)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(credentials, error) from None
    try:
        context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(authority, error) from None
    return context


_VERSIONS = {
    "tlsv1": ssl.TLSVersion.TLSv1,
    "tlsv11": ssl.TLSVersion.TLSv1_1,
    "tlsv12": ssl.TLSVersion.TLSv1_2,
    "tlsv13": ssl.TLSVersion.TLSv1_3,
}
_EXCLUSIONS = {
    "tlsv1": ssl.OP_NO_TLSv1,
    "tlsv11": ssl.OP_NO_TLSv1_1,
    "tlsv12": ssl.OP_NO_TLSv1_2,
    "tlsv13": ssl.OP_NO_TLSv1_3,
}
_OLD = {ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1}


@dataclass(frozen=True, slots=True)
class Versions:
    """The protocol versions to talk: from, to, and what is left out between."""

    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    excluded: int = 0


def versions(policy: str, override: str) -> Versions:
    """``xcatsslversion`` (as IO::Socket::SSL words it) overrides ``xcattlspolicy``; SSL stays off."""
    if not override:
        return Versions(ssl.TLSVersion.TLSv1) if policy == "legacy" else Versions()
    wanted, *rest = [_plain(part) for part in re.split(r"[:\s]+", override) if part] or [""]
    if wanted in _VERSIONS:
        return Versions(_VERSIONS[wanted], _VERSIONS[wanted])
    if wanted in {"sslv23", "sslv2/3"}:
        left_out = sum({_EXCLUSIONS[word] for word in rest if word in _EXCLUSIONS})
        return Versions(ssl.TLSVersion.TLSv1, excluded=left_out)
    _log.error("site.xcatsslversion %r is not known, TLS 1.2 and newer is used", override)
    return Versions()


def set_versions(context: ssl.SSLContext, chosen: Versions) -> None:
    with warnings.catch_warnings():  # the administrator asks for the old versions, not we
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = chosen.minimum
        context.maximum_version = chosen.maximum
        if chosen.excluded:
            context.options |= chosen.excluded
    if chosen.minimum in _OLD:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")


def _plain(word: str) -> str:
    return word.lower().lstrip("!").replace("_", "")


def set_ciphers(context: ssl.SSLContext, ciphers: str) -> None:
    """``xcatsslciphers``; what OpenSSL does not know is said and left out."""
    if not ciphers:
        return
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        _log.error("site.xcatsslciphers %r names no usable cipher, the defaults are used", ciphers)


def user_of(certificate: Mapping[str, object] | None) -> str | None:
    """The CN of the subject of ``SSLSocket.getpeercert()``; None without a certificate or a CN.

    xCAT reads OpenSSL's one-line form of the subject: what follows the first ``CN=`` up to the next slash.
    A subject that could be read as another user's that way is nobody's: raises :class:`UserNameError` for
    several CNs, and for one that is no user name.
    """
    subject = (certificate or {}).get("subject", ())
    if not isinstance(subject, tuple):
        return None
    found = [str(value) for relative in subject for name, value in relative if name == "commonName"]
    if not found:
        return None
    if len(found) > 1:
        raise UserNameError(f"its subject has {len(found)} common names")
    if not is_user_name(found[0]):
        raise UserNameError(f"{found[0][:80]!a} cannot be a user name")
    return found[0]
