"""Who gets in: silent, foreign, revoked, malformed and too many peers; nobody else is slowed."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import struct
import time
import zlib

import pytest

from xcat_aix_agent.tls import TlsError, own_identity

NOT_ALLOWED, BAD_MESSAGE, BUSY, UNSUPPORTED = 202, 101, 502, 104


@pytest.fixture
def server(site, commands):
    return site.start(site.config(max_handshakes=8), commands=commands, runner="inline")


def answers_quickly(site, server) -> bool:
    """A new, honest management node gets through at once."""
    begin = time.monotonic()
    client = site.connect(server)
    ok = "ok" in client.hello()
    client.close()
    return ok and time.monotonic() - begin < 1.5


def is_hung_up(sock) -> bool:
    sock.settimeout(10)
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def test_hello_tells_who_and_what(site, server):
    welcome = site.connect(server).hello()["ok"]
    assert (welcome["node"], welcome["role"], welcome["protocol"]) == ("sn1", "sn", 1)
    assert "client.repoint@1" in welcome["operations"]
    assert welcome["right"] == 2


def test_silent_peers_hold_up_nobody_and_the_oldest_give_way(site, server):
    silent = [socket.create_connection(server.addresses[0]) for _ in range(30)]
    try:
        assert answers_quickly(site, server)
        assert is_hung_up(silent[0])
    finally:
        for sock in silent:
            sock.close()


def test_silent_peer_is_dropped_after_the_time_limit(site, commands):
    server = site.start(site.config(handshake_timeout=0.2), commands=commands, runner="inline")
    with socket.create_connection(server.addresses[0]) as sock:
        assert is_hung_up(sock)


def test_peer_silent_after_tls_is_dropped(site, commands):
    server = site.start(site.config(handshake_timeout=0.3), commands=commands, runner="inline")
    assert is_hung_up(site.connect(server).sock)


def test_established_connection_may_be_idle_longer_than_the_handshake(site, commands, until):
    server = site.start(site.config(handshake_timeout=0.2), commands=commands, runner="inline")
    client = site.greeted(server)
    begin = time.monotonic()
    until(lambda: time.monotonic() > begin + 0.6)
    assert "ok" in client.call("jobs")


def test_garbage_instead_of_tls(site, server, caplog):
    caplog.set_level(logging.WARNING)
    with socket.create_connection(server.addresses[0]) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n" * 100)
        assert is_hung_up(sock)
    assert answers_quickly(site, server)
    assert any("refused 127.0.0.1" in record.getMessage() for record in caplog.records)


def test_peer_without_certificate(site, server):
    assert site.is_refused(server, "")
    assert answers_quickly(site, server)


def test_peer_with_a_certificate_of_another_ca(site, server, other_ca):
    site.credential("rogue", "xcat-aix:mn:mn1", ca=other_ca)
    assert site.is_refused(server, "rogue")


@pytest.mark.parametrize("role", ["sn", "cn"])
def test_peer_of_the_wrong_role(site, server, role, caplog):
    caplog.set_level(logging.WARNING)
    site.credential("wrong", f"xcat-aix:{role}:mn1")
    assert site.is_refused(server, "wrong")
    assert "is not a management node" in caplog.text


@pytest.mark.parametrize("uris", [(), ("xcat-aix:mn:mn1", "xcat-aix:mn:mn2"), ("xcat-aix:mn:-",)])
def test_peer_without_exactly_one_identity(site, server, uris):
    site.credential("odd", *uris)
    assert site.is_refused(server, "odd")


def test_unknown_management_node_is_told(site, server, error):
    site.credential("mn9", "xcat-aix:mn:mn9")
    client = site.connect(server, "mn9")
    code, text = error(client.hello())
    assert code == NOT_ALLOWED
    assert "xcat-aix:mn:mn9 needs the right read" in text
    assert is_hung_up(client.sock)


def test_revoked_certificate_and_a_list_that_changes_while_we_run(site, commands):
    _, serial = site.credential("mn1", "xcat-aix:mn:mn1")
    crl = site.path / "crl.pem"
    site.ca.revoke(crl)
    server = site.start(site.config(crl=crl), commands=commands, runner="inline")
    assert answers_quickly(site, server)
    site.ca.revoke(crl, serial)
    assert site.is_refused(server, "mn1")


@pytest.mark.parametrize("what", ["certificate", "ca", "crl"])
def test_broken_or_missing_files_let_nobody_in_until_they_are_right(site, commands, what, caplog):
    crl = site.path / "crl.pem"
    site.ca.revoke(crl)
    config = site.config(crl=crl)
    server = site.start(config, commands=commands, runner="inline")
    path = getattr(config, what)
    good = path.read_bytes()
    path.write_bytes(b"rubbish")
    assert refused_in_tls_with(site, server, site.ca.pem)
    path.unlink()
    assert refused_in_tls_with(site, server, site.ca.pem)
    assert str(path) in caplog.text
    path.touch(0o600)
    path.write_bytes(good)
    assert answers_quickly(site, server)


def refused_in_tls_with(site, server, ca_pem) -> bool:
    """As ``site.is_refused``, for a client whose own copy of the CA is intact."""
    saved = site.path / "ca.pem"
    text = saved.read_bytes() if saved.exists() else None
    context = None
    saved.write_bytes(ca_pem)
    context = site.context()
    if text is None:
        saved.unlink()
    else:
        saved.write_bytes(text)
    with socket.create_connection(server.addresses[0]) as sock:
        try:
            secure = context.wrap_socket(sock)
            secure.sendall(b"x")
            return secure.recv(1) == b""
        except OSError:
            return True


def test_start_refuses_broken_certificates(site, commands):
    config = site.config()
    config.certificate.write_bytes(b"rubbish")
    with pytest.raises(TlsError, match=r"agent-sn1\.pem"):
        site.start(config, commands=commands, runner="inline")


def test_encrypted_key_is_refused_and_asks_nobody(site, tmp_path):
    config = site.config()
    text = config.certificate.read_text()
    key = text[text.index("-----BEGIN PRIVATE KEY") :]
    from cryptography.hazmat.primitives import serialization as s

    plain = s.load_pem_private_key(key.encode(), None)
    locked = plain.private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"secret")
    )
    config.certificate.write_text(text.replace(key, locked.decode()))
    with pytest.raises(TlsError, match="encrypted"):
        own_identity(config)


def test_own_identity_is_read_from_the_certificate(site, other_ca):
    config = site.config()
    assert own_identity(config) == config.identity
    site.credential("agent-sn1", "xcat-aix:sn:sn1", ca=other_ca)
    with pytest.raises(TlsError, match=r"agent-sn1\.pem"):
        own_identity(config)


def test_new_certificate_is_used_without_a_restart(site, server):
    before = site.greeted(server).sock.getpeercert(binary_form=True)
    site.credential("agent-sn1", "xcat-aix:sn:sn1")
    assert site.greeted(server).sock.getpeercert(binary_form=True) != before


def test_peer_that_asks_for_no_protocol_of_ours(site, server):
    with pytest.raises((OSError, EOFError)):
        site.connect(server, alpn="").hello()


def test_tls_1_1_is_refused(site, server):
    import ssl
    import warnings

    context = site.context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with socket.create_connection(server.addresses[0]) as sock, pytest.raises(OSError):
        context.wrap_socket(sock)


# Messages.


@pytest.mark.parametrize(
    "fields",
    [
        {"serializer": 1},  # serpent
        {"serializer": 2},  # marshal
        {"serializer": 4},  # msgpack
        {"kind": 1},  # connect
        {"kind": 6},  # ping
        {"flags": 4},  # one-way
        {"flags": 8},  # batch
        {"flags": 32},  # serialised blob, which is marshal
        {"version": 501},
        {"size": 2**31},
        {"size": 3 * 1024 * 1024},
    ],
)
def test_messages_outside_of_the_protocol_end_the_connection(site, server, fields):
    client = site.greeted(server)
    client.send(client.body("jobs"), **fields)
    with pytest.raises(EOFError):
        client.receive()
    assert answers_quickly(site, server)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"{}",
        b'{"object": "xcat-aix.agent", "method": "jobs", "params": {}, "kwargs": {}}',
        b'{"object": "xcat-aix.agent", "method": "_answer", "params": [], "kwargs": {}}',
        b'{"object": "xcat-aix.agent", "method": "__class__", "params": [], "kwargs": {}}',
        b'{"object": "xcat-aix.agent", "method": ["jobs"], "params": [], "kwargs": {}}',
        b'{"object": "Pyro.Daemon", "method": "registered", "params": [], "kwargs": {}}',
        b'{"object": "Pyro.Daemon", "method": "info", "params": [], "kwargs": {}}',
        b"[" * 200_000,
        b'{"object": ' + b"9" * 100_000 + b"}",
    ],
)
def test_malformed_calls_end_the_connection(site, server, payload, caplog):
    client = site.greeted(server)
    client.send(payload)
    with pytest.raises(EOFError):
        client.receive()
    assert "internal error" not in caplog.text
    assert answers_quickly(site, server)


def test_zip_bomb_is_not_inflated(site, server):
    client = site.greeted(server)
    client.send(zlib.compress(bytes(200_000_000), level=1), flags=2)
    with pytest.raises(EOFError):
        client.receive()
    assert answers_quickly(site, server)


def test_class_names_in_a_call_stay_text(site, server, error):
    client = site.greeted(server)
    evil = {"__class__": "Pyro5.client.Proxy", "state": ["PYRO:x@127.0.0.1:1"] + [[]] * 5}
    code, text = error(client.call("query", evil))
    assert code == BAD_MESSAGE
    assert "kind" in text
    assert "ok" in client.call("jobs")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("submit", ["a"]),
        ("submit", [1, {}, 5]),
        ("submit", ["a", {}, True]),
        ("follow", ["a", "0", 1]),
        ("follow", ["a", None, 1]),
        ("jobs", [1]),
        ("query", [None]),
        ("hello", [{"protocols": "1", "version": "x"}]),
        ("hello", [{"protocols": [1]}]),
    ],
)
def test_wrong_arguments_are_answered_and_the_connection_lives(site, server, error, method, params):
    client = site.greeted(server)
    assert error(client.call(method, *params))[0] == BAD_MESSAGE
    assert "ok" in client.call("jobs")


def test_keyword_arguments_are_refused(site, server, error):
    assert error(site.greeted(server).call("jobs", x=1))[0] == BAD_MESSAGE


def test_hello_comes_first(site, server, error):
    client = site.connect(server)
    assert error(client.call("jobs")) == (BAD_MESSAGE, "the first call must be hello")
    assert is_hung_up(client.sock)


def test_other_protocol_versions(site, server, error):
    client = site.connect(server)
    code, text = error(client.call("hello", {"protocols": [7, 8], "version": "9"}))
    assert code == UNSUPPORTED
    assert "(1,)" in text


def test_newest_common_version_is_taken(site, server):
    welcome = site.connect(server).call("hello", {"protocols": [0, 1, 9], "version": "9"})
    assert welcome["ok"]["protocol"] == 1


def test_internal_error_is_an_answer_without_a_trace(site, server, monkeypatch, error, caplog):
    def broken(*_args):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(server.service.store, "all", broken)
    client = site.greeted(server)
    assert error(client.call("jobs")) == (501, "internal error: ZeroDivisionError('oops')")
    assert "Traceback" in caplog.text
    assert "ok" in client.hello()


def test_stock_pyro5_proxy_works_too(site, server):
    from Pyro5.client import Proxy

    client = site.connect(server)
    proxy = Proxy("xcat-aix.agent", connected_socket=client.sock)
    assert proxy.hello({"protocols": [1], "version": "stock"})["ok"]["node"] == "sn1"
    assert proxy.jobs() == {"ok": []}


# Numbers.


def test_too_many_connections_are_told_and_the_others_go_on(site, commands, error):
    server = site.start(site.config(max_connections=3), commands=commands, runner="inline")
    clients = [site.greeted(server) for _ in range(3)]
    late = site.connect(server)
    code, text = error(late.hello())
    assert code == BUSY
    assert "3 connections" in text
    assert all("ok" in client.call("jobs") for client in clients)
    clients[0].close()


def test_a_place_becomes_free(site, commands, until):
    server = site.start(site.config(max_connections=1), commands=commands, runner="inline")
    site.greeted(server).close()
    until(lambda: "ok" in site.connect(server).hello())


def test_flood_of_garbage_leaves_established_connections_alone(site, server, caplog):
    caplog.set_level(logging.WARNING)
    client = site.greeted(server)
    for _ in range(200):
        with socket.create_connection(server.addresses[0]) as sock:
            sock.sendall(os.urandom(64))
            # Reset instead of a polite end.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert "ok" in client.call("jobs")
    assert answers_quickly(site, server)
    refusals = [r for r in caplog.records if r.getMessage().startswith("refused")]
    assert len(refusals) <= 20  # the log is bounded


def test_stop_ends_everything(site, commands):
    server = site.start(site.config(), commands=commands, runner="inline")
    client, address = site.greeted(server), server.addresses[0]
    silent = socket.create_connection(address)
    server.stop()
    assert is_hung_up(client.sock)
    assert is_hung_up(silent)
    silent.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_address_in_use_is_an_error_and_leaves_nothing(site, commands, server):
    port = server.addresses[0][1]
    config = dataclasses.replace(site.config("sn2"), port=port)
    with pytest.raises(OSError, match=f"cannot listen at 127.0.0.1:{port}"):
        site.start(config, commands=commands, runner="inline")
