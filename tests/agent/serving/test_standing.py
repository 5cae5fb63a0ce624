"""Who was let in and may not be here any more is hung up on within seconds; nobody stays for ever."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import socket
import ssl
import threading
import time

import pytest

from xcat_aix_agent.clock import SystemClock
from xcat_aix_agent.serving.service import PeerSlots
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role

WITHIN = 5.0
ROUTE = {"kind": "client.default_route@1", "args": {"old": "10.0.0.1", "new": "10.0.0.2"}}


def hung_up_after(sock) -> float:
    """Seconds until the peer ends the connection."""
    begin = time.monotonic()
    sock.settimeout(20)
    with contextlib.suppress(ConnectionError):
        assert sock.recv(1) == b""
    return time.monotonic() - begin


class LaterClock(SystemClock):
    """Its time of day can be put forward."""

    later = dt.timedelta()

    def now(self):
        return super().now() + self.later


@pytest.fixture
def crl(site):
    path = site.path / "crl.pem"
    site.ca.revoke(path)
    return path


@pytest.fixture
def clock():
    return LaterClock()


LISTING = {
    1: "master machines master\nn1 machines standalone\n",
    3: "n1:\n   class = machines\n   if1 = net n1 0 ent0\n",
}


@pytest.fixture
def far():
    """Where the agent of the node n1 would listen."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def server(site, commands, crl, clock, far):
    commands.programs["lsnim"] = lambda argv: LISTING[len(argv)]
    config = site.config(crl=crl, relay_ports=(far.getsockname()[1],))
    (config.root / "etc/hosts").write_text("127.0.0.1 n1\n")
    return site.start(config, commands=commands, runner="inline", clock=clock)


def tunnel(site, server, far, credential="mn1"):
    client = site.connect(server, credential, "xcat-aix-relay/1")
    request = {"node": "n1", "address": "127.0.0.1", "port": far.getsockname()[1]}
    client.sock.sendall(json.dumps(request).encode() + b"\n")
    assert client.sock.recv(100) == b'{"ok": null}\n'
    return client


@pytest.fixture
def two(site):
    """Two management nodes that may operate; the second one's serial number."""
    site.policy.write_text("".join(f"[xcat-aix:mn:{m}]\nallow = operate\n" for m in ("mn1", "mn2")))
    return site.credential("mn2", "xcat-aix:mn:mn2")[1]


def test_revoked_peer_loses_its_connection_and_others_keep_theirs(site, server, crl, two, caplog):
    caplog.set_level(logging.WARNING)
    kept, gone = site.greeted(server, "mn1"), site.greeted(server, "mn2")
    site.ca.revoke(crl, two)
    assert hung_up_after(gone.sock) < WITHIN
    assert "hung up on xcat-aix:mn:mn2" in caplog.text
    assert "certificate is revoked" in caplog.text
    assert "ok" in kept.call("jobs")


def test_revoked_peer_loses_its_tunnel_and_others_keep_theirs(site, server, crl, two, far):
    kept, gone = tunnel(site, server, far, "mn1"), tunnel(site, server, far, "mn2")
    site.ca.revoke(crl, two)
    assert hung_up_after(gone.sock) < WITHIN
    peer, _ = far.accept()
    with peer:
        kept.sock.sendall(b"still here")
        assert peer.recv(20) == b"still here"


@pytest.mark.parametrize("right", ["none", "read"])
def test_withdrawn_peer_loses_what_it_may_not_use(site, server, far, right):
    calls, through = site.greeted(server), tunnel(site, server, far)
    if right == "none":
        site.allow("admin", "xcat-aix:mn:other")
        assert hung_up_after(calls.sock) < WITHIN
    else:
        site.allow("read")
    assert hung_up_after(through.sock) < WITHIN
    if right == "read":
        assert "ok" in calls.call("jobs")


def test_certificate_that_ends_while_it_is_used(site, server, clock):
    client = site.greeted(server)
    clock.later = dt.timedelta(days=3)
    assert hung_up_after(client.sock) < WITHIN


def test_other_authority(site, server, other_ca):
    client = site.greeted(server)
    (site.path / "ca.pem").write_bytes(other_ca.pem)
    assert hung_up_after(client.sock) < WITHIN


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_list_that_cannot_be_used_is_no_list_to_stay_by(site, server, crl, content):
    client = site.greeted(server)
    crl.unlink() if content is None else crl.write_bytes(content)
    assert hung_up_after(client.sock) < WITHIN


def test_connections_have_a_longest_life(site, commands):
    config = site.config(connection_life=0.3)
    server = site.start(config, commands=commands, runner="inline")
    client = site.greeted(server)
    assert hung_up_after(client.sock) < WITHIN
    assert "ok" in site.greeted(server).call("jobs")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_never_resumed_so_that_the_list_is_always_asked(
    site, server, crl, raw, version
):
    _, serial = site.credential("mn1", "xcat-aix:mn:mn1")
    context = site.context()
    context.minimum_version = context.maximum_version = version

    def connect(session):
        sock = socket.create_connection(server.addresses[0], 10)
        return context.wrap_socket(sock, session=session)

    def is_served(sock) -> bool:
        try:
            return "ok" in raw(sock).hello()
        except (OSError, EOFError):
            return False

    with connect(None) as first:
        assert is_served(first)
        session = first.session
    with connect(session) as second:
        assert not (is_served(second) and second.session_reused)
    site.ca.revoke(crl, serial)
    with contextlib.suppress(OSError), connect(session) as third:
        assert not is_served(third)


# Slow peers before they are let in.


def trickle(sock, data, until):
    """A byte now and then, for as long as the peer takes them; seconds it did."""
    begin = time.monotonic()
    sock.settimeout(0.2)
    for byte in data:
        try:
            sock.sendall(bytes([byte]))
            if sock.recv(100) == b"":
                break
        except socket.timeout:
            continue
        except OSError:
            break
        if time.monotonic() - begin > until:
            break
    return time.monotonic() - begin


def test_trickled_handshake_ends_in_time(site, commands):
    config = site.config(handshake_timeout=0.5)
    server = site.start(config, commands=commands, runner="inline")
    with socket.create_connection(server.addresses[0]) as sock:
        header = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        assert trickle(sock, header + bytes(400), 15.0) < WITHIN


def test_trickled_hello_ends_in_time(site, commands):
    config = site.config(handshake_timeout=0.5)
    server = site.start(config, commands=commands, runner="inline")
    client = site.connect(server)
    assert trickle(client.sock, b"PYRO\x01\xf6\x04\x03" + bytes(400), 15.0) < WITHIN


def test_trickled_relay_line_ends_in_time(site, server, commands, until):
    from xcat_aix_agent.transfer import lines

    near, far = socket.socketpair()
    with near, far:
        ticks = iter(range(100))
        far.sendall(b"x" * 90)
        with pytest.raises(AgentError, match="does not end"):
            lines.read(near, lambda: float(next(ticks)), 10.0, "the request")
        assert next(ticks) == 11  # a byte each second did not make it longer


def test_right_is_asked_before_the_relay_reads_anything(site, server, commands, error):
    site.allow("read")
    client = site.connect(server, alpn="xcat-aix-relay/1")
    answer = json.loads(client.sock.recv(4096))  # nothing was sent
    code, text = error(answer)
    assert code == ErrorCode.NOT_ALLOWED
    assert f"allow it in {site.policy} on sn1" in text
    assert commands.ran == []


def test_refusal_arrives_though_more_was_sent(site, server, error):
    site.allow("read")
    client = site.connect(server, alpn="xcat-aix-relay/1")
    client.sock.sendall(b"x" * 3000)
    assert error(json.loads(client.sock.recv(4096)))[0] == ErrorCode.NOT_ALLOWED


# Shares of one management node.


def test_one_management_node_cannot_take_all_connections(site, commands, error, two):
    config = site.config(max_connections=4, max_peer_connections=3)
    server = site.start(config, commands=commands, runner="inline")
    for _ in range(3):
        site.greeted(server)
    code, text = error(site.connect(server).hello())
    assert code == ErrorCode.BUSY
    assert "3 connections of xcat-aix:mn:mn1" in text
    site.greeted(server, "mn2")


def test_queries_of_one_management_node_are_bounded():
    turns, peer = PeerSlots(2, wait=0.0), Identity(Role.MN, "mn1")
    with turns.of(peer), turns.of(peer):
        with pytest.raises(AgentError) as caught, turns.of(peer):
            raise AssertionError
        assert caught.value.code is ErrorCode.BUSY
        with turns.of(Identity(Role.MN, "mn2")):
            pass
    with turns.of(peer):
        pass
    assert turns._taken == {}


def test_queries_wait_for_their_turn(site, commands, until):
    gate, inside, most = threading.Event(), [], []

    def lsnim(_argv):
        inside.append(1)
        most.append(len(inside))
        assert gate.wait(20)
        inside.pop()
        return ""

    commands.programs["lsnim"] = lsnim
    server = site.start(site.config(max_peer_queries=2), commands=commands, runner="inline")
    clients = [site.greeted(server) for _ in range(4)]
    query = {"kind": "nim.snapshot@1", "args": {}}
    answers = []
    threads = [
        threading.Thread(target=lambda one=one: answers.append(one.call("query", query)))
        for one in clients
    ]
    for thread in threads:
        thread.start()
    until(lambda: len(inside) == 2)
    gate.set()
    for thread in threads:
        thread.join(20)
    assert [set(answer) for answer in answers] == [{"ok"}] * 4
    assert max(most) == 2
