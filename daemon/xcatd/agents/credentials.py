"""The management node's TLS contexts towards agents: our CA only, TLS 1.2 or newer, our certificate.

Owns: the files ``ca.pem``, ``mn-cred.pem`` and, if it is there, ``crl.pem`` of one directory, and contexts
as new as they are.  Must not: connect.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from xcat_aix_proto import ALPN_RELAY, ALPN_RPC
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcatd import files

CA, CREDENTIAL, CRL = "ca.pem", "mn-cred.pem", "crl.pem"

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class AgentContexts:
    """One context per thing an agent can be asked for."""

    rpc: ssl.SSLContext
    relay: ssl.SSLContext


class Credentials:
    """Contexts of one directory.  Safe for use by several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._stamp: _Stamp = ()
        self._contexts: AgentContexts | None = None

    def contexts(self) -> AgentContexts:
        """The contexts for the files as they are now; raises ``UNREACHABLE`` without usable files."""
        with self._lock:
            try:
                stamp = self._current()
                if self._contexts is None or stamp != self._stamp:
                    self._contexts = None
                    self._check()
                    self._contexts = AgentContexts(self._make(ALPN_RPC), self._make(ALPN_RELAY))
                    self._stamp = stamp
            except OSError as error:  # ssl.SSLError is one
                raise self._unusable(error) from None
            return self._contexts

    def _current(self) -> _Stamp:
        states = [path.stat() for path in self._paths()]
        return tuple((state.st_mtime_ns, state.st_size, state.st_ino) for state in states)

    def _paths(self) -> list[Path]:
        paths = [self._directory / CA, self._directory / CREDENTIAL]
        if (self._directory / CRL).exists():
            paths.append(self._directory / CRL)
        return paths

    def _check(self) -> None:
        """Only root or we can change the files: so what is loaded by name afterwards is what was looked at."""
        for path in self._paths():
            with files.opened(path):
                pass

    def _make(self, protocol: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False  # the identity in the certificate is checked instead
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols([protocol])
        context.load_cert_chain(self._directory / CREDENTIAL, password=_no_password)
        context.load_verify_locations(self._directory / CA)
        if (self._directory / CRL).exists():
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
            context.load_verify_locations(self._directory / CRL)
        return context

    def _unusable(self, error: OSError) -> AgentError:
        place = error.filename or self._directory
        reason = error.strerror or error
        text = (
            f"no agent certificates: cannot use {place}: {reason};"
            f" run xcat-aix-ca init and xcat-aix-ca issue mn NAME with --dir {self._directory}"
        )
        return AgentError(ErrorCode.UNREACHABLE, text)


def _no_password() -> str:
    """Asked for an encrypted key: refuse instead of waiting at a terminal."""
    raise OSError(None, "its private key is encrypted")
