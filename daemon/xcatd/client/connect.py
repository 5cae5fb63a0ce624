"""The client's way to the daemon: XCATHOST, certificates, TLS.

Must not: know requests.  Facts: docs/facts/wire.md, Transport and TLS.
"""

from __future__ import annotations

import os
import pwd
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

DEFAULT_HOST = "localhost:3001"
CONNECT_TIMEOUT = 15.0  # seconds


class ConnectError(Exception):
    """No connection; ``status`` is the exit status the existing client would end with."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class ScopeError(Exception):
    """XCATHOST names a network interface this machine does not have."""


def home_directory() -> Path:
    """Of the effective user, by the user database; $HOME does not count."""
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return Path("/")


def certificate_directory(environ: Mapping[str, str]) -> Path:
    """``XCATCLIENTCERTS`` (ours), else ``~/.xcat``."""
    named = environ.get("XCATCLIENTCERTS")
    return Path(named) if named else home_directory() / ".xcat"


def parse_host(text: str) -> tuple[str, str, str]:
    """Host, port (may be empty) and scope of ``host:port``, ``[addr]:port``, ``[addr%scope]:port``."""
    before, percent, after = text.partition("%")
    scope = ""
    if percent:
        end = next((at for at, char in enumerate(after) if char in "]|:"), len(after))
        scope, text = after[:end], before + after[end:]
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":"), scope
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    return host, port, scope


def _scope_index(scope: str) -> int:
    if scope.isascii() and scope.isdigit():
        return int(scope)
    try:
        return socket.if_nametoindex(scope) if scope else 0
    except OSError:
        raise ScopeError(f"Unable to identify scope {scope}") from None


def connect(text: str) -> socket.socket:
    """A TCP connection to XCATHOST; tries every address.  Raises :class:`ConnectError`."""
    host, port, scope = parse_host(text)
    if not port:
        raise ConnectError("Cannot determine remote port", 22)
    index = _scope_index(scope)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConnectError(f"cannot find the address of {host!r}: {reason}", 22) from None
    failure = ConnectError("no address", 22)
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(CONNECT_TIMEOUT)
        if index and family == socket.AF_INET6:
            address = (*address[:3], index)  # noqa: PLW2901 - the address with its scope
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = ConnectError(f"connect: {error.strerror or error}", error.errno or 110)
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(None)
        return sock
    raise failure


def has_certificates(directory: Path) -> bool:
    """All the files are there and readable."""
    names = ("client-cred.pem", "ca.pem")
    return all(os.access(directory / name, os.R_OK) for name in names)


def _context(directory: Path, environ: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if not has_certificates(directory):
        context.verify_mode = ssl.CERT_NONE
        return context
    context.load_cert_chain(directory / "client-cred.pem")
    context.load_verify_locations(directory / "ca.pem")
    if wanted := environ.get("XCATSSLVER"):
        from xcatd.tls import set_versions, versions  # noqa: PLC0415 - hardly ever needed

        set_versions(context, versions("modern", wanted))
    return context


def secure(sock: socket.socket, directory: Path, environ: Mapping[str, str]) -> ssl.SSLSocket:
    """TLS over the connection; without certificates nobody is checked, as existing clients do.

    Raises :class:`ConnectError`.
    """
    try:
        return _context(directory, environ).wrap_socket(sock)
    except (OSError, ValueError) as error:
        sock.close()
        raise ConnectError(f"SSL connect attempt failed: {error}", 255) from None
