"""The upstream is down, strange, slow, breaks off - or is ourselves; the client goes away, or does not read."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import threading
from contextlib import suppress

import pytest
from tests.daemon.serving.conftest import Authority, read_answer, request

from xcatd.main import main
from xcatd.upstream import Address
from xcatd.upstream.link import LinkTimes

from .conftest import LAST, LIMITS, Scripted, answers, info, server_context

ABORT = b"<xcatrequest><abortcommand>1</abortcommand></xcatrequest>"


def limits(**times):
    return dataclasses.replace(LIMITS, times=dataclasses.replace(LIMITS.times, **times))


def is_refused(said, address, why):
    """One clear error that ends the request, and status 1."""
    text = said.partition("<error>")[2].partition("</error>")[0]
    assert text.startswith(f"cannot pass rpower to the upstream xcatd {address}: "), said
    assert why in text
    return said.endswith("<errorcode>1</errorcode><serverdone></serverdone></xcatresponse>\n")


def test_down(front):
    upstream = front.scripted()
    upstream.close()
    said = front.daemon(upstream).command("rpower")
    assert is_refused(said, upstream.address, "connection refused")


def test_no_such_host(front):
    address = Address("no-such-host.invalid", 3001)
    assert is_refused(front.daemon(address).command("rpower"), address, "see whether it runs there")


def test_a_certificate_of_another_ca(front, other_authority):
    upstream = front.scripted(authority=other_authority)
    said = front.daemon(upstream).command("rpower")
    assert is_refused(said, upstream.address, "certificate is refused")


def test_some_users_certificate_is_not_the_upstreams(front):
    """Any user could listen on the port while the real one is down."""
    upstream = front.scripted(name="alice")
    said = front.daemon(upstream).command("rpower")
    assert is_refused(said, upstream.address, "is alice's")
    assert upstream.visits.empty()


def test_the_configured_host_may_be_named_instead_of_this_one(front):
    upstream = front.scripted(answers(LAST), name="localhost")
    address = Address("localhost", upstream.address.port)
    assert front.daemon(address).command("rpower").encode() == LAST


def test_it_does_not_like_our_certificate(front, other_authority):
    server_context(front.authority, front.directory / "strange")
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strict.load_cert_chain(front.directory / "strange" / "mn.pem")
    strict.load_verify_locations(cadata=other_authority.pem.decode())
    strict.verify_mode = ssl.CERT_REQUIRED
    upstream = Scripted(strict, answers(LAST))
    try:
        said = front.daemon(upstream).command("rpower")
        assert str(upstream.address) in said
        assert "<errorcode>1</errorcode>" in said
    finally:
        upstream.close()


def test_a_peer_that_says_nothing_is_not_waited_for(front):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
        said = front.daemon(address, limits(handshake=0.2)).command("rpower")
        assert is_refused(said, address, "no answer within 0.2 seconds")


def test_it_speaks_something_else(front):
    upstream = front.scripted(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    said = front.daemon(upstream).command("rpower")
    assert f"the upstream xcatd {upstream.address} does not speak xcatd's protocol" in said
    assert "<errorcode>1</errorcode><serverdone>" in said


@pytest.mark.parametrize("half", [b"", b"<xcatresponse>\n  <info>lost</in"])
def test_it_dies_in_the_middle(front, half):
    upstream = front.scripted(lambda visit: visit.say(info("begun"), half))
    said = front.daemon(upstream).command("rpower")
    assert "<info>begun</info>" in said
    assert "lost" not in said
    assert f"the upstream xcatd {upstream.address} ended its reply too early" in said
    assert said.endswith("<errorcode>1</errorcode><serverdone></serverdone></xcatresponse>\n")


def test_it_dies_before_a_word(front):
    upstream = front.scripted(lambda visit: None)
    said = front.daemon(upstream).command("rpower")
    assert "ended its reply too early" in said
    assert "<errorcode>1</errorcode>" in said


def test_it_dies_within_a_document_too_large_to_hold(front):
    """What has gone out cannot be taken back: the connection ends, which clients report."""
    begun = b"<xcatresponse><info>" + b"x" * (9 << 20)
    upstream = front.scripted(lambda visit: visit.say(begun))
    said = front.daemon(upstream).command("rpower")
    assert len(said) > 8 << 20
    assert "serverdone" not in said
    assert not said.endswith("</xcatresponse>\n")


def test_a_huge_document_arrives_whole(front):
    huge = info("y" * (20 << 20))
    upstream = front.scripted(answers(huge, LAST))
    with front.daemon(upstream).tls() as sock:
        sock.sendall(request("rpower").encode())
        said = bytearray()
        while not said.endswith(LAST):
            said += sock.recv(65536)
    assert said == huge + LAST


def test_a_client_that_does_not_read_holds_the_upstream_back(front):
    total, piece = 64 << 20, info("z" * (256 << 10))
    said = [0]
    is_stuck = threading.Event()

    def script(visit):
        visit.sock.settimeout(1.0)
        with suppress(TimeoutError):
            while said[0] < total:
                visit.say(piece)
                said[0] += len(piece)
        is_stuck.set()

    cluster = front.daemon(front.scripted(script))
    with cluster.tls() as sock:
        sock.sendall(request("rpower").encode())
        assert is_stuck.wait(30)
        assert 1 << 20 < said[0] < 40 << 20


def test_an_abort_is_passed_on(front):
    heard = threading.Event()

    def script(visit):
        visit.say(info("begun"))
        if visit.document()["abortcommand"] == ["1"]:
            heard.set()

    cluster = front.daemon(front.scripted(script))
    with cluster.tls() as sock:
        sock.sendall(request("rpower").encode())
        assert b"begun" in sock.recv(65536)
        sock.sendall(ABORT)
        assert heard.wait(20)


def test_a_client_that_has_gone_is_gone_for_the_upstream_too(front):
    gone = threading.Event()

    def script(visit):
        try:
            while True:
                visit.say(info("more" * 1000))
        except OSError:
            gone.set()

    cluster = front.daemon(front.scripted(script))
    sock = cluster.tls()
    sock.sendall(request("rpower").encode())
    assert sock.recv(1000)
    sock.close()
    assert gone.wait(20)


def test_the_end_of_this_daemon_leaves_the_command_alone(front):
    asked = threading.Event()
    heard: list[object] = []

    def script(visit):
        visit.say(info("begun"))
        asked.set()
        try:
            heard.append(visit.document())
        except (EOFError, OSError):
            heard.append("gone")

    upstream = front.scripted(script)
    cluster = front.daemon(upstream)
    with cluster.tls() as sock:
        sock.sendall(request("rpower").encode())
        assert asked.wait(20)
        for connection in list(cluster.server._peers):
            connection.cancelled.set()
        said = read_answer(sock)
    assert "because this xcatd ends" in said
    upstream._threads[-1].join(20)
    assert heard == ["gone"]


def test_only_so_many_commands_are_there_at_once(front):
    go_on = threading.Event()

    def script(visit):
        visit.say(info("begun"))
        assert go_on.wait(30)
        visit.say(LAST)

    upstream = front.scripted(script)
    cluster = front.daemon(upstream, dataclasses.replace(LIMITS, commands=1, patience=0.1))
    with cluster.tls() as sock:
        sock.sendall(request("rpower").encode())
        upstream.visit()
        assert is_refused(cluster.command("rpower"), upstream.address, "1 commands are there")
        assert "serverdone" in cluster.command("echo")
        go_on.set()
        read_answer(sock)
    assert "serverdone" in cluster.command("rpower")


def test_a_loop_is_told(front):
    """By other names than the daemon's own: two daemons, each in front of the other."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        second_port = free.getsockname()[1]
    first = front.daemon(Address("127.0.0.1", second_port), name="first")
    relay = Relay(second_port, first.port)
    try:
        said = first.command("rpower")
        assert "it leads back to this xcatd" in said
        assert "<errorcode>1</errorcode>" in said
    finally:
        relay.close()


class Relay:
    """What a redirection of ports does: bytes from one port to another."""

    def __init__(self, port, target):
        self._listener = socket.create_server(("127.0.0.1", port))
        self._target = target
        self._sockets = [self._listener]
        self._threads = []
        self._start(self._accept)

    def _start(self, job, *args):
        self._threads.append(threading.Thread(target=job, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self):
        with suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                other = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [one, other]
                self._start(self._copy, one, other)
                self._start(self._copy, other, one)

    @staticmethod
    def _copy(source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self):
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)
        for sock in self._sockets:
            sock.close()


def test_a_certificate_of_roots_lends_nobody_its_power(front, authority: Authority):
    upstream = front.scripted(name="root")
    cluster = front.daemon(upstream)
    cluster.write("policy", {"priority": "3", "name": "alice", "rule": "allow"})
    pem = cluster.directory / "etc" / "cert" / "server-cred.pem"
    pem.write_bytes(authority.credentials("root"))
    said = cluster.command("rpower", user="alice")
    assert is_refused(said, upstream.address, "alice must not act as root")
    assert cluster.command("rpower", user="root").encode() == LAST


def test_a_missing_certificate_file_is_named(front):
    upstream = front.scripted()
    cluster = front.daemon(upstream)
    with cluster.tls() as sock:
        (cluster.directory / "etc" / "cert" / "server-cred.pem").unlink()
        sock.sendall(request("rpower").encode())
        assert is_refused(read_answer(sock), upstream.address, "server-cred.pem")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--upstream", "nonsense"], "it must be HOST:PORT"),
        (["--upstream=127.0.0.1:0"], "it must be HOST:PORT"),
        (["--upstream"], "it must be HOST:PORT"),
        (["--port", "x"], "it is not a port number"),
        (["--port", "3001", "--upstream", "localhost:3001"], "this daemon itself listens there"),
    ],
)
def test_the_daemon_does_not_start_with_what_cannot_be_used(front, monkeypatch, capsys, args, text):
    cluster = front.daemon(None)
    monkeypatch.setenv("XCATCFG", f"SQLite:{cluster.directory / 'db'}")
    assert main(["-f", "-p", str(front.directory / "pid"), *args]) == 1
    assert text in capsys.readouterr().err


def test_limits_are_long_enough_for_a_busy_perl_daemon():
    times = LinkTimes()
    assert times.connect >= 10
    assert times.handshake >= 20
