"""``HOST:PORT`` and what leads back to ourselves."""

from __future__ import annotations

import pytest

from xcatd.upstream import Address, AddressError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("mn:3001", "mn", 3001), ("127.0.0.1:3011", "127.0.0.1", 3011), ("[::1]:1", "::1", 1)],
)
def test_it_is_read_and_written_the_same(text, host, port):
    assert Address.parse(text) == Address(host, port)
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mn",
        "mn:",
        ":3001",
        "mn:0",
        "mn:65536",
        "mn:x",
        "::1:3001",
        "a b:1",
        "mn:3001:2",
        "mn:³",
    ],
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(AddressError, match="HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost"])
def test_our_own_port_on_this_machine_is_a_loop(host):
    with pytest.raises(AddressError, match="itself listens there"):
        Address(host, 3001).check_loop(3001)


def test_another_port_or_another_machine_is_none():
    Address("127.0.0.1", 3011).check_loop(3001)
    Address("192.0.2.1", 3001).check_loop(3001)
    Address("no-such-host.invalid", 3001).check_loop(3001)


def test_certificates_may_name_the_host_with_or_without_its_domain():
    assert Address("mn.cluster.example", 1).names == {"mn.cluster.example", "mn"}
    assert Address("10.0.0.1", 1).names == {"10.0.0.1"}
    assert Address("fe80::a", 1).names == {"fe80::a"}
