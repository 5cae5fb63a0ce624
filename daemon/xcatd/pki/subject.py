"""Whom a certificate file names.

Must not: check the certificate, or keep anything.  Facts: docs/facts/wire.md, Transport and TLS.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID


def common_name(pem: bytes) -> str | None:
    """The first CN of the first certificate, up to a slash in it; raises ValueError if there is none."""
    for attribute in x509.load_pem_x509_certificate(pem).subject:
        if attribute.oid == NameOID.COMMON_NAME:
            return str(attribute.value).partition("/")[0] or None
    return None
