"""A lab's certificates: xcatd's own ones for its clients.  The agents' come from :mod:`xcatd.pki`.

Layout and contents: docs/facts/wire.md, Transport and TLS.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=3650)
_BITS = 2048


@dataclass(frozen=True, slots=True)
class _Issued:
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    def credentials(self) -> bytes:
        """Certificate and key in one PEM."""
        return self.public() + self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )

    def public(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def make(cert: Path, client: Path, *, hostname: str, now: dt.datetime) -> None:
    """``server-cred.pem`` and ``ca.pem`` into ``cert``, root's ``client-cred.pem`` into ``client``."""
    ca = _authority(now)
    server = _issue(ca, hostname, now, ExtendedKeyUsageOID.SERVER_AUTH, (hostname, "localhost"))
    root = _issue(ca, "root", now, ExtendedKeyUsageOID.CLIENT_AUTH, ())
    _write(cert / "server-cred.pem", server.credentials())
    _write(client / "client-cred.pem", root.credentials())
    for directory in (cert, client):
        _write(directory / "ca.pem", ca.public())


def install_for_client(client: Path, home: Path) -> bool:
    """Copy root's client files to ``home/.xcat`` unless there are some; tells whether it did."""
    target = home / ".xcat"
    names = ("client-cred.pem", "ca.pem")
    if any((target / name).exists() for name in names):
        return False
    target.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        _write(target / name, (client / name).read_bytes())
    return True


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: str, issuer: str, key: rsa.RSAPrivateKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )


_CA_NAME = "xCAT CA"


def _authority(now: dt.datetime) -> _Issued:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(_CA_NAME, _CA_NAME, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
    )
    return _Issued(builder.sign(key, hashes.SHA256()), key)


def _issue(
    ca: _Issued,
    name: str,
    now: dt.datetime,
    usage: x509.ObjectIdentifier,
    hosts: tuple[str, ...],
) -> _Issued:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = (
        _builder(name, _CA_NAME, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(authority, critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return _Issued(builder.sign(ca.key, hashes.SHA256()), key)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
