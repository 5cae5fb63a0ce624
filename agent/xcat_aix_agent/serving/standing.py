"""What a peer was let in by."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, Mapping

from xcat_aix_agent import files
from xcat_aix_proto.identity import Identity


@dataclass(frozen=True)
class Standing:
    """Of one connection: who is at its other end by a certificate with this serial number and end (seconds
    of the epoch), the authority as it was then, and the protocol (ALPN) that was asked for.
    """

    identity: Identity
    serial: int
    until: float
    authority: files.Stamp
    protocol: str

    @classmethod
    def of_certificate(
        cls, certificate: Mapping[str, Any], authority: files.Stamp, protocol: str
    ) -> Standing:
        """Of a peer with this certificate (``ssl.SSLSocket.getpeercert()``); raises as
        :meth:`xcat_aix_proto.identity.Identity.of_certificate`.
        """
        identity = Identity.of_certificate(certificate)
        until = float(ssl.cert_time_to_seconds(certificate["notAfter"]))
        return cls(identity, int(certificate["serialNumber"], 16), until, authority, protocol)
