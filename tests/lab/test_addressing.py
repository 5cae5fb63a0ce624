"""Addresses of a real cluster have their places in a lab, network by network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_lab import addressing
from xcat_aix_lab.addressing import AddressMap, TooManyError

NETS = (IPv4Network("10.1.0.0/24"), IPv4Network("10.2.0.0/16"))

ADDRESSES = st.integers(int(IPv4Address("10.0.0.0")), int(IPv4Address("10.3.255.255"))).map(
    IPv4Address
)


@given(st.sets(ADDRESSES, min_size=1, max_size=40), st.booleans())
def test_every_address_has_a_place_of_its_own_beside_its_neighbours(needed, with_own):
    made = AddressMap(9, NETS, needed, with_own=with_own)
    places = {address: IPv4Address(made.of(str(address))) for address in needed}
    assert len(set(places.values())) == len(needed)
    assert all(place in IPv4Network("127.9.0.0/16") for place in places.values())
    for block in made.networks.values():
        inside = [address for address, place in places.items() if place in block]
        assert all(place != block.broadcast_address for place in places.values())
        for net in NETS:
            assert len({address in net for address in inside}) <= 1
    assert made.own == ("127.9.0.1" if with_own else "")
    assert made.own not in map(str, places.values())


def test_hosts_keep_their_place_and_others_of_the_network_come_along():
    others = addressing.found_in(["gateway 10.1.0.254, mask 255.255.255.0", "172.16.0.1"])
    made = AddressMap(9, NETS, [IPv4Address("10.1.0.17"), IPv4Address("10.2.3.4")], others)
    assert made.of("10.1.0.17") == "127.9.0.17"
    assert made.of("10.2.3.4") == "127.9.19.4"
    assert made.of("172.16.0.1") is None
    text = "net 10.1.0.0, 10.1.0.254-10.1.0.17, no 110.1.0.17, 172.16.0.1"
    assert (
        made.rewritten(text) == "net 127.9.0.0, 127.9.0.254-127.9.0.17, no 110.1.0.17, 172.16.0.1"
    )


def test_networks_share_the_range():
    needed = [IPv4Address(f"10.{net}.0.{host}") for net in range(40) for host in (1, 2)]
    made = AddressMap(9, [], needed)
    assert len(made.networks) == 40
    assert made.mask == "255.255.252.0"
    many = [IPv4Address(int(IPv4Address("10.2.0.1")) + number) for number in range(9000)]
    assert AddressMap(9, NETS, many).mask == "255.255.192.0"


def test_what_does_not_fit():
    needed = [IPv4Address(int(IPv4Address("10.2.0.1")) + number) for number in range(9000)]
    needed += [IPv4Address(f"10.{net}.0.1") for net in range(10, 30)]
    with pytest.raises(TooManyError, match="21 networks"):
        AddressMap(9, NETS, needed)


@pytest.mark.parametrize(
    ("net", "mask", "found"),
    [
        ("10.1.0.0", "255.255.0.0", "10.1.0.0/16"),
        ("10.1.0.0/24", "", "10.1.0.0/24"),
        ("10.1.0.0", "/20", "10.1.0.0/20"),
        ("10.1.0.0", "0xffffff00", "10.1.0.0/24"),
        ("fd00::", "64", None),
        ("10.1.0.0", "wrong", None),
    ],
)
def test_networks_as_they_are_written(net, mask, found):
    made = addressing.network(net, mask)
    assert (made and str(made)) == found
