"""Names to addresses."""

from __future__ import annotations

import threading

import pytest

from xcatd.db.snapshot import Snapshot
from xcatd.resolve import Resolver, system_lookup

ROWS = {
    "nodelist": [{"node": "sn1", "groups": "sn"}, {"node": "sn2", "groups": "sn"}],
    "site": [{"key": "domain", "value": "clu.com"}],
    "hosts": [
        {"node": "sn", "ip": "|10.0.0.($1)|"},
        {
            "node": "sn1",
            "hostnames": "sn1a, one sn2",
            "otherinterfaces": "-ib:10.1.0.1,sn1b!10.2.0.1,x:nope",
        },
    ],
    "nics": [
        {
            "node": "sn1",
            "nicips": r"eth1!10.9.0.1|10.9.0.2,ib0!|\D+(\d+)|10.8.0.(dim2idx($1,4,1))|",
            "nichostnamesuffixes": "eth1!-e|-f",
            "nichostnameprefixes": "eth1!|p-",
            "nicaliases": "eth1!al1 al2|",
        }
    ],
}


@pytest.fixture
def resolver(tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("# c\n127.0.0.1 localhost lo # x\n10.5.0.1\tfile1 sn1\n::1 six\nbad line\n")
    return Resolver(
        Snapshot.from_rows(ROWS), hosts_file=hosts, lookup={"dns1": "10.6.0.1", "lo": "x"}.get
    )


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("sn1", "10.0.0.1"),  # the database before /etc/hosts
        ("sn2", "10.0.0.2"),  # a node's own name before another node's alias
        ("sn1a", "10.0.0.1"),
        ("one", "10.0.0.1"),
        ("sn1-ib", "10.1.0.1"),
        ("sn1b", "10.2.0.1"),
        ("x", None),
        ("sn1-e", "10.9.0.1"),
        ("p-sn1-f", "10.9.0.2"),
        ("al2", "10.9.0.1"),
        ("sn1-ib0", "10.8.0.1"),
        ("sn2.clu.com", "10.0.0.2"),
        ("sn2.other.com", None),
        ("file1", "10.5.0.1"),
        ("lo", "127.0.0.1"),
        ("six", "::1"),
        ("dns1", "10.6.0.1"),
        ("10.7.0.1", "10.7.0.1"),
        ("nobody", None),
        ("", None),
    ],
)
def test_where_names_are_found(resolver, name, address):
    assert resolver.address(name) == address


def test_many_names_at_once_leave_out_unknown_ones(resolver):
    assert resolver.addresses(["sn1", "nobody", "dns1"]) == {"sn1": "10.0.0.1", "dns1": "10.6.0.1"}


def test_all_addresses_of_a_node(resolver):
    assert resolver.interfaces("sn1") == (
        "10.0.0.1", "10.1.0.1", "10.2.0.1", "10.9.0.1", "10.9.0.2", "10.8.0.1",
    )  # fmt: skip
    assert resolver.interfaces("sn2") == ("10.0.0.2",)
    assert resolver.interfaces("nobody") == ()


def test_the_system_is_asked_once_per_name_and_only_for_unknown_ones(tmp_path):
    asked = []

    def lookup(name):
        asked.append(name)

    resolver = Resolver(Snapshot.from_rows(ROWS), hosts_file=tmp_path / "none", lookup=lookup)
    for _ in range(2):
        assert resolver.addresses(["sn1", "a", "b", "a"]) == {"sn1": "10.0.0.1"}
    assert sorted(asked) == ["a", "b"]


def test_a_silent_system_resolver_does_not_hold_us_up(tmp_path):
    release = threading.Event()

    def lookup(name):
        if name.startswith("slow"):
            release.wait(30)
        return "10.6.0.9"

    resolver = Resolver(
        Snapshot.from_rows(ROWS), hosts_file=tmp_path / "none", lookup=lookup, timeout=0.5
    )
    found = resolver.addresses(["quick", *(f"slow{n}" for n in range(40))])
    release.set()
    assert found == {"quick": "10.6.0.9"}


def test_the_snapshot_must_hold_the_hosts_table():
    with pytest.raises(LookupError, match="not read"):
        Resolver(Snapshot({}), lookup=lambda _: None).address("x")


def test_the_systems_answer():
    assert system_lookup("127.0.0.1") == "127.0.0.1"
    assert system_lookup("no such name") is None
    assert system_lookup("a" * 70) is None


def test_two_threads_that_ask_for_one_name_both_get_it(tmp_path):
    asked, go_on = threading.Event(), threading.Event()

    def lookup(_name):
        asked.set()
        go_on.wait(20)
        return "10.9.9.9"

    found = Resolver(Snapshot.from_rows({"hosts": []}), hosts_file=tmp_path / "none", lookup=lookup)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(found.address("late"))) for _ in range(2)
    ]
    threads[0].start()
    asked.wait(20)
    threads[1].start()
    threads[1].join(0.2)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert answers == ["10.9.9.9", "10.9.9.9"]
