"""The daemon's end of TLS: contexts made from the site's settings, and who a certificate names.

Owns: the ``ssl.SSLContext`` per policy, cached until a file or a setting changes.  Must not: accept,
read or write.
Facts: docs/facts/wire.md, Transport and TLS.
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

from . import files
from .site import Settings, SettingsError
from .usernames import UserNameError, is_user_name

_log = logging.getLogger(__name__)


class CertificateError(SettingsError):
    """The daemon's own certificate files, or what the site table says of TLS, cannot be used; the message says what."""


@dataclass(frozen=True, slots=True)
class _Key:
    """Everything a context depends on; equal keys share one context."""

    settings: tuple[str, str, str]
    files: tuple[tuple[str, int, int, int], ...]


class ServerContexts:
    """Server contexts: as fresh as the files and the site table, as cheap as a lookup."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: _Key | None = None
        self._context: ssl.SSLContext | None = None
        self._said = ""

    def get(self, settings: Settings) -> ssl.SSLContext:
        """The context for these settings, or the last one that could be made; why no new one is logged once.

        Raises :class:`CertificateError` while none could be made yet.
        """
        with self._lock:
            try:
                context = self._fresh(settings)
            except CertificateError as error:
                if self._context is None:
                    raise
                self._say(error)
                return self._context
            if self._said:
                self._said = ""
                _log.info("the certificates can be used again")
            return context

    def prepare(self, settings: Settings) -> None:
        """Make ready for these settings; raises :class:`CertificateError` where they cannot be used."""
        with self._lock:
            self._fresh(settings)

    def _fresh(self, settings: Settings) -> ssl.SSLContext:
        key = _key(settings)
        if self._context is None or key != self._key:
            if self._context is not None:
                check(settings)
            self._context = make_context(settings)
            self._key = key
        return self._context

    def _say(self, error: CertificateError) -> None:
        if self._said != str(error):
            self._said = str(error)
            _log.error("connections go on with the last usable certificates: %s", error)


def _files(settings: Settings) -> tuple[Path, Path]:
    directory = settings.confdir / "cert"
    return directory / "server-cred.pem", directory / "ca.pem"


def _key(settings: Settings) -> _Key:
    states = []
    for path in _files(settings):
        try:
            state = path.stat()
        except (OSError, ValueError) as error:  # ValueError: no path at all
            raise _unusable(path, error) from None
        states.append((str(path), state.st_mtime_ns, state.st_size, state.st_ino))
    return _Key((settings.tls_policy, settings.tls_version, settings.tls_ciphers), tuple(states))


def check(settings: Settings) -> None:
    """Raises :class:`CertificateError` for words of the site table that nobody knows.

    At the start they are passed over, and that is said; later they must not replace what was known.
    """
    if settings.tls_version and _versions(settings.tls_version) is None:
        raise CertificateError(f"site.xcatsslversion {settings.tls_version!r} is not known")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(settings.tls_ciphers or "DEFAULT")
    except ssl.SSLError:
        text = f"site.xcatsslciphers {settings.tls_ciphers!r} names no usable cipher"
        raise CertificateError(text) from None


def _unusable(path: Path, error: Exception) -> CertificateError:
    reason = getattr(error, "strerror", None) or error
    return CertificateError(
        f"cannot use the certificate file {path}: {reason}; run xcatconfig -c or restore it"
    )


def _check_file(path: Path) -> None:
    """Only root or we can change the file: so what is loaded by its name afterwards is what was looked at."""
    try:
        with files.opened(path):
            return
    except files.UnsafeError as error:
        raise CertificateError(str(error)) from None
    except OSError as error:
        raise _unusable(path, error) from None


def make_context(settings: Settings) -> ssl.SSLContext:
    """A context that asks for a client certificate of our CA and takes peers without one."""
    credentials, authority = _files(settings)
    for path in (credentials, authority):
        _check_file(path)
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
    known = _versions(override)
    if known is None:
        _log.error("site.xcatsslversion %r is not known, TLS 1.2 and newer is used", override)
    return known or Versions()


def _versions(override: str) -> Versions | None:
    wanted, *rest = [_plain(part) for part in re.split(r"[:\s]+", override) if part] or [""]
    if wanted in _VERSIONS:
        return Versions(_VERSIONS[wanted], _VERSIONS[wanted])
    if wanted in {"sslv23", "sslv2/3"}:
        left_out = sum({_EXCLUSIONS[word] for word in rest if word in _EXCLUSIONS})
        return Versions(ssl.TLSVersion.TLSv1, excluded=left_out)
    return None


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
