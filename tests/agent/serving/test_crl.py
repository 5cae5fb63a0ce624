"""Revoked serial numbers, as another library writes them, and anything else refused."""

from __future__ import annotations

import base64
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_agent.serving.crl import MAX_BYTES, CrlError, serials

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "agents")])
NOW = dt.datetime(2026, 11, 1, tzinfo=dt.timezone.utc)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def make(*numbers, until=NOW + dt.timedelta(days=1), reasons=False, number=None):
    builder = x509.CertificateRevocationListBuilder().issuer_name(NAME)
    builder = builder.last_update(NOW).next_update(until)
    for serial in numbers:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW)
        if reasons:
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), False)
        builder = builder.add_revoked_certificate(entry.build())
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    return builder.sign(KEY, hashes.SHA256())


def pem(*args, **options):
    return make(*args, **options).public_bytes(PEM)


SERIALS = st.lists(st.integers(1, 2**159 - 1), max_size=40)


@given(SERIALS, st.booleans(), st.one_of(st.none(), st.integers(0, 2**64)))
def test_what_another_library_lists(numbers, reasons, number):
    far = dt.datetime(2060, 1, 1, tzinfo=dt.timezone.utc)  # a GeneralizedTime
    for until in (NOW + dt.timedelta(days=1), far):
        text = pem(*numbers, until=until, reasons=reasons, number=number)
        assert serials(text) == frozenset(numbers)


def test_all_lists_of_a_file_count_whatever_stands_between():
    text = b"list of agents\n" + pem(1, 2) + b"\nand\r\n" + pem(3).replace(b"\n", b"\r\n")
    assert serials(text) == {1, 2, 3}


DAMAGE = st.tuples(
    st.sampled_from(["set", "cut", "insert"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=5),
)


def damage(der, kind, where, content):
    # A part of the whole: signatures differ in length from run to run.
    place = int(where * len(der))
    if kind == "set":
        der[place] = content[0]
    elif kind == "cut":
        del der[place + 1 :]
    else:
        der[place:place] = content


@given(SERIALS, st.lists(DAMAGE, min_size=1, max_size=4))
def test_damaged_lists_are_refused_or_read_but_never_an_accident(numbers, damages):
    der = bytearray(make(*numbers).public_bytes(DER))
    for one in damages:
        damage(der, *one)
    body = base64.encodebytes(bytes(der))
    text = b"-----BEGIN X509 CRL-----\n" + body + b"-----END X509 CRL-----\n"
    try:
        found = serials(text)
    except CrlError:
        return
    assert all(isinstance(serial, int) for serial in found)


@given(st.binary(max_size=200))
def test_any_bytes(data):
    with pytest.raises(CrlError):
        serials(data)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n",
        b"-----BEGIN X509 CRL-----\nAAAA\n",
        pem(1) + b"-----BEGIN X509 CRL-----\nMIIB\n",
        pem(1).replace(b"X509 CRL", b"CERTIFICATE"),
        b" " * (MAX_BYTES + 1),
    ],
)
def test_incomplete_files(text):
    with pytest.raises(CrlError):
        serials(text)
