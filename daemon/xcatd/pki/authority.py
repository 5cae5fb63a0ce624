"""A small certificate authority for agents and management nodes: enough for the lab and a first cluster.

Owns: the form of the certificates.  One EC P-256 CA; each certificate names exactly one identity as URI
subject alternative name (``xcat-aix:<mn|sn|cn>:<name>``) and may be used on both ends of a connection.
Must not: know options or print (see :mod:`.main`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from xcat_aix_proto.identity import Identity

#: A certificate is valid from this long before it was made: clocks differ.
_SKEW = timedelta(minutes=10)


class AuthorityError(Exception):
    """The CA's files cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What one identity gets: a certificate and its private key, as PEM."""

    identity: Identity
    serial: int
    expires: datetime
    certificate: bytes
    key: bytes

    @property
    def pem(self) -> bytes:
        """Certificate and key in one file, as ``ssl`` loads it."""
        return self.certificate + self.key


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA: its certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str, now: datetime, days: int) -> Authority:
        """A new CA; ``now`` is aware."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _builder(subject, subject, key, now, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(is_ca=True), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def from_pem(cls, certificate: bytes, key: bytes) -> Authority:
        """The CA from its two files; raises :class:`AuthorityError`."""
        try:
            loaded = serialization.load_pem_private_key(key, password=None)
            if not isinstance(loaded, ec.EllipticCurvePrivateKey):
                raise AuthorityError("the CA's key is not an elliptic curve key")
            return cls(x509.load_pem_x509_certificate(certificate), loaded)
        except (ValueError, TypeError) as error:
            raise AuthorityError(f"cannot read the CA: {error}") from None

    @property
    def certificate_pem(self) -> bytes:
        """The CA's certificate, for every agent and management node."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The CA's private key; it must not leave the management node."""
        return _key_pem(self.key)

    def issue(self, identity: Identity, now: datetime, days: int) -> Credential:
        """A certificate and key for ``identity``; ``now`` is aware."""
        key = ec.generate_private_key(ec.SECP256R1())
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        uri = x509.UniformResourceIdentifier(str(identity))
        certificate = (
            _builder(_name(identity.name), self.certificate.subject, key, now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Credential(
            identity,
            certificate.serial_number,
            certificate.not_valid_after_utc,
            pem,
            _key_pem(key),
        )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _name(common_name: str) -> x509.Name:
    # X.509 allows 64 characters here; the identity is in the URI, this one is for people.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
