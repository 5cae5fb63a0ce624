"""The serial numbers in revocation lists (RFC 5280, section 5.1), read without a library AIX lacks.

Signatures and dates are not looked at: OpenSSL checks them whenever somebody connects, and the file is one
that only root can change.  What is not exactly of the form is refused.  Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import FrozenSet, Iterator, NamedTuple, Set

#: Upper bound, in bytes, of a file with lists: some 300 000 certificates.
MAX_BYTES = 16 * 1024 * 1024

_BLOCK = re.compile(
    rb"-----BEGIN X509 CRL-----\r?\n([A-Za-z0-9+/=\s]+)-----END X509 CRL-----", re.ASCII
)
_INTEGER, _SEQUENCE = 0x02, 0x30
_TIMES = frozenset({0x17, 0x18})  # UTCTime, GeneralizedTime


class CrlError(ValueError):
    """The text is no revocation list; the message says why."""


class _Value(NamedTuple):
    """One DER value: its tag, and where its content begins and ends."""

    tag: int
    begin: int
    end: int


def serials(pem: bytes) -> FrozenSet[int]:
    """The serial numbers of all lists in a PEM file; raises :class:`CrlError`."""
    if len(pem) > MAX_BYTES:
        raise CrlError(f"it has more than {MAX_BYTES} bytes")
    blocks = _BLOCK.findall(pem)
    if not blocks or len(blocks) != pem.count(b"-----BEGIN X509 CRL-----"):
        raise CrlError("it holds no complete revocation list in PEM form")
    found: Set[int] = set()
    for block in blocks:
        try:
            data = base64.b64decode(b"".join(block.split()), validate=True)
        except binascii.Error as error:
            raise CrlError(f"it is no PEM: {error}") from None
        found.update(_revoked(data))
    return frozenset(found)


def _revoked(data: bytes) -> Iterator[int]:
    """version, signature, issuer, thisUpdate, nextUpdate, revokedCertificates, extensions."""
    whole = _value(data, 0, len(data))
    if whole.tag != _SEQUENCE or whole.end != len(data):
        raise CrlError("it is not one sequence")
    listed = list(_inside(data, _value(data, whole.begin, whole.end)))
    if listed and listed[0].tag == _INTEGER:
        del listed[0]
    tags = [value.tag for value in listed]
    if tags[:2] != [_SEQUENCE, _SEQUENCE] or not set(tags[2:3]) & _TIMES:
        raise CrlError("it does not begin as a revocation list")
    rest = listed[4:] if set(tags[3:4]) & _TIMES else listed[3:]
    if rest and rest[0].tag == _SEQUENCE:
        for entry in _inside(data, rest[0]):
            yield _serial(data, entry)


def _serial(data: bytes, entry: _Value) -> int:
    if entry.tag != _SEQUENCE or entry.begin == entry.end:
        raise CrlError("an entry of it is no sequence")
    first = _value(data, entry.begin, entry.end)
    if first.tag != _INTEGER or first.begin == first.end:
        raise CrlError("an entry of it has no serial number")
    return int.from_bytes(data[first.begin : first.end], "big", signed=True)


def _inside(data: bytes, outer: _Value) -> Iterator[_Value]:
    """The values of a sequence."""
    if outer.tag != _SEQUENCE:
        raise CrlError("something in it is no sequence")
    at = outer.begin
    while at < outer.end:
        value = _value(data, at, outer.end)
        yield value
        at = value.end


def _value(data: bytes, at: int, end: int) -> _Value:
    """The value that begins at ``at`` and ends at or before ``end``; lengths in their only DER form."""
    if at + 2 > end:
        raise CrlError("it is cut off")
    tag, size, begin = data[at], data[at + 1], at + 2
    if size >= 0x80:
        count = size - 0x80
        digits = data[begin : begin + count]
        size = int.from_bytes(digits, "big")
        begin += count
        if not 0 < count <= 4 or len(digits) < count or digits[0] == 0 or size < 0x80:
            raise CrlError("a length in it is not as DER has it")
    if tag & 0x1F == 0x1F or begin + size > end:
        raise CrlError("a value in it is longer than what it is in")
    return _Value(tag, begin, begin + size)
