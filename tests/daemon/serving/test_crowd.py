"""Crowds of peers: who gives way, and that a certified user is served whatever the others do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from xcatd.serving import connection
from xcatd.serving.alarms import Alarms
from xcatd.serving.connection import OutputBudget
from xcatd.serving.crowd import GRACE, Crowd, Group, Shares, source_of
from xcatd.serving.peer import Peer, PeerStage, PeerTimes

Cluster = Any
#: As patient as the other tests' times, but for what is tested.
QUICK = PeerTimes(handshake=40.0, request=40.0, anonymous=0.5)


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def _from(cluster: Cluster, address: str, *, tls: bool = True) -> socket.socket:
    """A connection without certificate from an address of its own."""
    place = ("127.0.0.1", cluster.port)
    plain = socket.create_connection(place, timeout=20, source_address=(address, 0))
    return cluster.context(None).wrap_socket(plain) if tls else plain


def _is_open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    finally:
        sock.settimeout(20)


# -- on real sockets -------------------------------------------------------------------------


def test_a_crowd_does_not_lock_a_certified_user_out(start: Callable[..., Cluster]) -> None:
    cluster = start(max_peers=40)
    with contextlib.ExitStack() as stack:
        for number in range(80):
            with contextlib.suppress(OSError):
                sock = stack.enter_context(cluster.tls(None))
                sock.sendall(b"<xcatrequest>" if number % 2 else b"<xcat")
            stack.enter_context(cluster.plain())
        answers = [cluster.command("echo", str(number)) for number in range(8)]
    assert [f"<info>{number}</info>" in answer for number, answer in enumerate(answers)] == [
        True
    ] * 8


def test_the_oldest_peer_without_certificate_gives_way(
    start: Callable[..., Cluster], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = start(max_peers=40)  # ten without certificate, five of one source
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(cluster.tls(None)) for _ in range(8)]
        _until(lambda: sum(map(_is_open, socks)) == 5)
        assert [_is_open(sock) for sock in socks] == [False] * 3 + [True] * 5
    assert "is dropped: too many connections" in caplog.text


def test_the_source_with_most_peers_gives_way(start: Callable[..., Cluster]) -> None:
    cluster = start(max_peers=40)
    with contextlib.ExitStack() as stack:
        lonely = stack.enter_context(_from(cluster, "127.0.0.9"))
        for address in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
            for _ in range(6):
                stack.enter_context(_from(cluster, address))
        _until(
            lambda: sum(peer.connection.user is None for peer in cluster.server._peers.all) <= 10
        )
        assert _is_open(lonely)


def test_a_peer_without_certificate_has_little_time(
    start: Callable[..., Cluster], make_request: Callable[..., str], answer: Callable[..., str]
) -> None:
    cluster = start(QUICK)
    began = time.monotonic()
    with cluster.tls() as known, cluster.tls(None) as sock:
        sock.sendall(make_request("lsxcatd", "-v").encode())
        assert "Version" in answer(sock)
        _until(lambda: not _is_open(sock))  # idle between requests
        assert time.monotonic() - began < 20
        known.sendall(make_request("echo", "x").encode())
        assert "<info>x</info>" in answer(known)


def test_slow_commands_without_certificate_leave_threads_to_others(
    cluster: Cluster, make_request: Callable[..., str]
) -> None:
    cluster.write("policy", {"priority": "5", "commands": "wait", "rule": "allow"})
    with contextlib.ExitStack() as stack:
        for _ in range(80):  # there are 64 threads
            stack.enter_context(cluster.tls(None)).sendall(make_request("wait").encode())
        _until(lambda: len(cluster.sample.requests) >= 16)
        assert "<info>x</info>" in cluster.command("echo", "x")
        running = sum(request.command == "wait" for request in cluster.sample.requests)
        cluster.sample.release.set()
    assert running == 16


def test_output_nobody_reads_is_bounded_without_certificate(
    cluster: Cluster, make_request: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANONYMOUS_STALL_LIMIT", 1.0)
    cluster.write("policy", {"priority": "5", "commands": "flood", "rule": "allow"})
    with cluster.tls(None) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(make_request("flood", "20000").encode())
        _until(lambda: bool(cluster.sample.requests))
        (peer,) = cluster.server._peers.all
        most = 0
        while not peer.connection.is_lost:
            most = max(most, peer.connection._size)
            time.sleep(0.005)
    assert 0 < most <= connection.ANONYMOUS_OUTBOX_LIMIT + 2000


def test_requests_that_are_too_many_bytes_give_way(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.server._peers.shares = Shares(anonymous_bytes=300_000)
    part = b"<xcatrequest><arg>" + b"x" * 100_000
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            with contextlib.suppress(OSError):
                stack.enter_context(cluster.tls(None)).sendall(part)
        _until(lambda: "too many bytes" in caplog.text)
        assert "Version" in cluster.command("lsxcatd", "-v", user=None)
        assert sum(peer.connection.held for peer in cluster.server._peers.all) <= 300_000


def test_connections_reset_before_tls_cost_no_place(cluster: Cluster) -> None:
    for _ in range(200):
        with cluster.plain() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(b"\x16\x03\x01\x02\x00")
    assert "Version" in cluster.command("lsxcatd", "-v")
    _until(lambda: not cluster.server._peers.all)


def test_a_step_that_fails_costs_no_place(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("unforeseen")

    with monkeypatch.context() as patched, cluster.plain() as sock:
        patched.setattr(connection.ClientConnection, "handshake", fails)
        sock.sendall(b"\x16\x03\x01\x02\x00")
        _until(lambda: not _is_open(sock))
        _until(lambda: "unforeseen" in caplog.text)  # the pool logs it when the place is free
    assert "Version" in cluster.command("lsxcatd", "-v")


# -- decisions ---------------------------------------------------------------------------------


class Fake:
    """A connection as the crowd looks at it."""

    def __init__(self, user: str | None = None, *, has_started: bool = True, held: int = 0) -> None:
        self.user = user
        self.has_started = has_started
        self.held = held


def _peer(stage: PeerStage, source: str, *, since: float = 0.0, **of: Any) -> Peer:
    fake: Any = Fake(**of)
    return Peer(fake, None, stage=stage, source=source, since=since)


def _crowd(shares: Shares, *peers: Peer) -> Crowd:
    crowd = Crowd(shares)
    for peer in peers:
        crowd.add(peer)
    return crowd


def test_when_every_place_is_taken_the_least_known_go_first() -> None:
    peers = [
        _peer(PeerStage.READING, "k", user="alice"),
        _peer(PeerStage.READING, "a"),
        _peer(PeerStage.GREETING, "g", has_started=True),
        _peer(PeerStage.GREETING, "g", has_started=False),
    ]
    crowd = _crowd(Shares(total=4, greeting=9, anonymous=9), *peers)
    left = []
    for _ in range(4):
        newcomer = _peer(PeerStage.RUNNING, "n", user="root")
        crowd.add(newcomer)
        victim = crowd.surplus(newcomer, 0.0)
        assert victim is not None
        crowd.remove(victim)
        left.append(victim)
    assert left == peers[::-1]


def test_a_certified_user_with_all_places_makes_room_for_another() -> None:
    alice = [_peer(PeerStage.READING, "s", user="alice", since=n) for n in range(3)]
    root = _peer(PeerStage.READING, "s", user="root", since=-1.0)
    crowd = _crowd(Shares(total=4), root, *alice)
    newcomer = _peer(PeerStage.GREETING, "s", since=9.0)
    newcomer.is_in_front = True
    crowd.add(newcomer)
    assert crowd.surplus(newcomer, 9.0) is alice[0]


def test_commands_that_run_are_not_taken_away() -> None:
    running = _peer(PeerStage.RUNNING, "s", user="root")
    started = _peer(PeerStage.RUNNING, "s")
    started.is_started = True
    crowd = _crowd(Shares(total=2, anonymous=1), running, started)
    newcomer = _peer(PeerStage.READING, "s")
    crowd.add(newcomer)
    assert crowd.surplus(newcomer, 0.0) is newcomer
    waiting = _peer(PeerStage.RUNNING, "s")
    crowd.add(waiting)
    crowd.remove(newcomer)
    assert crowd.surplus(started, 0.0) is waiting  # its command only waits for a thread


def test_many_that_greet_have_less_time() -> None:
    old, young = (
        _peer(PeerStage.GREETING, "s", since=0.0),
        _peer(PeerStage.GREETING, "s", since=5.0),
    )
    crowd = _crowd(Shares(total=9, greeting=2), old, young)
    assert crowd.surplus(young, GRACE - 0.1) is None
    assert crowd.surplus(young, GRACE + 0.1) is old


def test_of_those_who_hold_much_the_largest_goes() -> None:
    small = _peer(PeerStage.READING, "a", held=10)
    large = [_peer(PeerStage.READING, "b", held=size) for size in (300, 400)]
    crowd = _crowd(Shares(anonymous_bytes=500, known_bytes=500), small, *large)
    assert crowd.holds_too_much(Group.KNOWN) is None
    assert crowd.holds_too_much(Group.ANONYMOUS) is large[1]
    crowd.remove(large[1])
    assert crowd.holds_too_much(Group.ANONYMOUS) is None


def test_a_share_of_one_source_is_half() -> None:
    assert Shares.of(1024) == Shares(1024, 512, 256)
    assert Shares.of(1) == Shares(1, 1, 1)
    peers = [_peer(PeerStage.READING, "a", since=n) for n in range(4)]
    crowd = _crowd(Shares(anonymous=6), *peers)
    assert crowd.surplus(peers[-1], 0.0) is peers[0]
    crowd.remove(peers[0])
    assert crowd.surplus(peers[-1], 0.0) is None


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("what", "what"),
    ],
)
def test_an_ipv6_network_is_one_source(address: str, source: str) -> None:
    assert source_of(address) == source


def test_a_budget_is_shared() -> None:
    budget = OutputBudget(100)
    assert budget.take(60)
    assert not budget.take(60)
    budget.give_back(60)
    assert budget.take(60)


def test_peers_beyond_the_shared_budget_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    from xcatd.context import SystemClock

    left, right = socket.socketpair()
    with left, right:
        one = connection.ClientConnection(left, "h", 1, SystemClock(), OutputBudget(100))
        one._tls = left  # type: ignore[assignment]  # plain bytes do
        assert not one.send(b"x" * 101)
        assert one.is_lost
        known = connection.ClientConnection(right, "h", 1, SystemClock(), OutputBudget(100))
        known._tls = right  # type: ignore[assignment]
        known.user = "root"
        known.send(b"x" * 101)
        assert not known.is_lost


def test_threads_do_not_grow_with_the_crowd(start: Callable[..., Cluster]) -> None:
    cluster = start(max_peers=200)
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(cluster.tls(None))
        assert threading.active_count() - before <= 20


# -- alarms --------------------------------------------------------------------------------------


def test_a_peer_has_one_alarm_and_the_earliest_counts() -> None:
    alarms = Alarms()
    one, other = _peer(PeerStage.READING, "a"), _peer(PeerStage.READING, "b")
    for moment in (9.0, 5.0, 7.0):
        alarms.set(one, moment)
    alarms.set(other, 6.0)
    assert alarms.next == 5.0
    assert alarms.due(4.9) == []
    assert alarms.due(6.0) == [one, other]
    assert alarms.due(99.0) == []
    alarms.set(one, 8.0)
    assert alarms.due(8.0) == [one]


def test_whoever_has_gone_is_not_kept_by_an_alarm() -> None:
    alarms = Alarms()
    peer = _peer(PeerStage.READING, "a")
    gone = weakref.ref(peer.connection)
    alarms.set(peer, 60.0)
    alarms.cancel(peer)
    del peer
    assert gone() is None
    assert alarms.due(60.0) == []
