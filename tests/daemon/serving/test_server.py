"""The listener under bad peers: each is refused and logged, and nobody else waits for it."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from xcatd.serving import connection
from xcatd.serving.connection import OUTBOX_LIMIT
from xcatd.serving.listener import listen
from xcatd.serving.peer import PeerTimes
from xcatd.serving.pool import TurnKey, WorkerPool
from xcatd.site import Settings
from xcatd.tls import ServerContexts, user_of, versions
from xcatd.usernames import UserNameError
from xcatd.wire.tree import DocumentLimits

Cluster = Any
SHORT = PeerTimes(handshake=0.5, request=0.5)


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def _ends(sock: socket.socket) -> bytes:
    """What comes until the daemon closes."""
    received = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := sock.recv(65536):
            received += data
    return received


def _works(cluster: Cluster) -> float:
    """Seconds a command of an honest client takes."""
    started = time.monotonic()
    assert "Version" in cluster.command("lsxcatd", "-v")
    return time.monotonic() - started


def test_a_silent_peer_is_dropped_in_time(
    start: Callable[..., Cluster], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = start(SHORT)
    caplog.set_level(logging.INFO)
    with cluster.plain() as sock:
        started = time.monotonic()
        assert sock.recv(1) == b""
        assert 0.3 < time.monotonic() - started < 10
    assert "no TLS handshake in time" in caplog.text


def test_a_peer_that_is_silent_after_the_handshake_is_dropped(
    start: Callable[..., Cluster], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = start(SHORT)
    caplog.set_level(logging.INFO)
    with cluster.tls() as sock:
        assert _ends(sock) == b""
    assert "no request in time" in caplog.text


def test_a_request_that_never_ends_is_dropped(start: Callable[..., Cluster]) -> None:
    cluster = start(SHORT)
    with cluster.tls() as sock:
        sock.sendall(b"<xcatrequest><command>")
        assert _ends(sock) == b""


def test_an_anonymous_peer_gets_no_more_time_by_dripping(start: Callable[..., Cluster]) -> None:
    cluster = start(SHORT)
    started = time.monotonic()
    with cluster.tls(None) as sock, contextlib.suppress(OSError):
        sock.sendall(b"<xcatrequest>")
        for _ in range(100):
            sock.sendall(b"<arg>x</arg>")
            time.sleep(0.05)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"<xcatrequest></xcatrequest>",
        b"\0" * 500,
        b"\x16\x03\x01\xff\xff" + b"x" * 500,
    ],
)
def test_what_is_not_tls_is_dropped(
    cluster: Cluster, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    with cluster.plain() as sock:
        sock.sendall(garbage)
        assert b"xcatresponse" not in _ends(sock)
    _until(lambda: "dropped" in caplog.text)


def test_a_certificate_of_another_authority_fails_the_handshake(
    cluster: Cluster, other_authority: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        cluster.tls("root", other_authority) as sock,
    ):
        sock.sendall(b"<xcatrequest><command>lsxcatd</command></xcatrequest>")
        assert _ends(sock) == b""
    _until(lambda: "its certificate is refused" in caplog.text)
    assert cluster.sample.requests == []


def test_without_certificate_one_is_nobody(cluster: Cluster) -> None:
    assert "Version" in cluster.command("lsxcatd", "-v", user=None)
    refused = cluster.command("snmove", user=None)
    assert "Permission denied for request" in refused
    assert "<data>Unauthenticated</data>" not in refused


@pytest.mark.parametrize("user", ["root", None])
def test_oversized_requests_are_dropped(
    cluster: Cluster,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    user: str | None,
) -> None:
    monkeypatch.setattr(connection, "KNOWN", DocumentLimits(size=2 << 20))
    allowed = connection.KNOWN.size if user else connection.ANONYMOUS.size
    assert allowed > connection.WHILE_RUNNING.size
    with cluster.tls(user) as sock, contextlib.suppress(OSError):
        sock.sendall(b"<xcatrequest><arg>" + b"x" * allowed)
        _ends(sock)
    _until(lambda: f"a request of more than {allowed} bytes" in caplog.text)
    assert "Version" in cluster.command("lsxcatd", "-v")


@pytest.mark.parametrize(
    "document",
    [
        "<x>" * 5000 + "</x>" * 5000,
        "<arg>\x00</arg>",
        "<arg>\x0b</arg>",
        "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><arg>&a;</arg>",
        "<arg>&a;</arg>",
        "<arg a='b'>x</arg>",
        "no elements",
        "<command>a b</command>",
        "<command>$(id)</command>",
        "<é>x</é>",
    ],
)
def test_malformed_requests_are_dropped_without_a_reply(
    cluster: Cluster, caplog: pytest.LogCaptureFixture, document: str
) -> None:
    with cluster.tls() as sock:
        sock.sendall(f"<xcatrequest>{document}</xcatrequest>".encode())
        assert _ends(sock) == b""
    _until(lambda: "dropped" in caplog.text)
    assert cluster.sample.requests == []


def test_pipelined_requests_are_dropped(
    cluster: Cluster, make_request: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    with cluster.tls() as sock:
        sock.sendall((make_request("lsxcatd") * 2).encode())
        assert _ends(sock) == b""
    assert "before the answer to the first" in caplog.text
    assert cluster.sample.requests == []


def test_a_request_while_one_runs_is_not_taken(
    cluster: Cluster, make_request: Callable[..., str]
) -> None:
    with cluster.tls() as sock:
        sock.sendall(make_request("wait").encode())
        assert cluster.sample.started.wait(10)
        sock.sendall(make_request("echo", "no").encode())
        time.sleep(0.1)
        cluster.sample.release.set()
        assert _ends(sock).count(b"serverdone") == 2  # one element, opened and closed
    assert [request.command for request in cluster.sample.requests] == ["wait"]


def test_several_requests_one_after_the_other_are_answered(
    cluster: Cluster, make_request: Callable[..., str], answer: Callable[..., str]
) -> None:
    with cluster.tls() as sock:
        for number in range(20):
            sock.sendall(make_request("echo", str(number)).encode())
            assert f"<info>{number}</info>" in answer(sock)


def test_an_abort_cancels_the_command(
    cluster: Cluster, make_request: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with cluster.tls() as sock:
        sock.sendall(make_request("wait").encode())
        assert cluster.sample.started.wait(10)
        sock.sendall(b"<xcatrequest>\n  <abortcommand>1</abortcommand>\n</xcatrequest>\n")
        assert b"serverdone" not in _ends(sock)
    assert cluster.sample.cancelled.wait(10)
    assert "aborts its command" in caplog.text


def test_an_abort_right_behind_the_request_is_an_abort(
    cluster: Cluster, make_request: Callable[..., str]
) -> None:
    with cluster.tls() as sock:
        abort = "<xcatrequest><abortcommand>1</abortcommand></xcatrequest>"
        sock.sendall((make_request("wait") + abort).encode())
        assert b"serverdone" not in _ends(sock)
    assert cluster.sample.requests == []


def test_a_command_survives_its_client(
    cluster: Cluster, make_request: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sock = cluster.tls()
    sock.sendall(make_request("wait").encode())
    assert cluster.sample.started.wait(10)
    sock.close()
    _until(lambda: "its command goes on" in caplog.text)
    assert not cluster.sample.cancelled.is_set()
    assert _works(cluster) < 20


def test_silent_peers_do_not_slow_others(start: Callable[..., Cluster]) -> None:
    cluster = start()
    undisturbed = _works(cluster)
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(cluster.plain())
        for _ in range(20):  # a beginning of TLS, and no more
            sock = stack.enter_context(cluster.plain())
            sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        for _ in range(20):
            sock = stack.enter_context(cluster.tls())
            sock.sendall(b"<xcatrequest>")
        assert _works(cluster) < undisturbed + 10
        assert threading.active_count() < 40


def test_many_connections_at_once_are_served(start: Callable[..., Cluster]) -> None:
    cluster = start()
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(cluster.command("lsxcatd", "-v")))
        for _ in range(100)
    ]
    cluster.context()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 100
    assert all("Version" in answer for answer in answers)


def test_the_oldest_silent_peer_makes_room(
    start: Callable[..., Cluster], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = start(max_peers=10)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(cluster.plain()) for _ in range(30)]
        assert _works(cluster) < 20
        assert silent[0].recv(1) == b""
    assert "too many connections" in caplog.text


def test_a_peer_that_does_not_read_does_not_fill_the_memory(
    start: Callable[..., Cluster], make_request: Callable[..., str]
) -> None:
    cluster = start()
    with cluster.tls() as sock:
        lines = OUTBOX_LIMIT // 1000 * 2
        sock.sendall(make_request("flood", str(lines)).encode())
        time.sleep(0.5)
        assert _works(cluster) < 20  # and nobody else waits
        received = bytearray()
        while b"serverdone" not in received[-100:]:
            received += sock.recv(1 << 20)
        assert received.count(b"<info>") == lines


def test_a_peer_that_only_says_goodbye_is_still_answered(
    cluster: Cluster, make_request: Callable[..., str], answer: Callable[..., str]
) -> None:
    with cluster.tls() as sock:
        sock.sendall(make_request("wait").encode())
        assert cluster.sample.started.wait(10)
        assert b"waiting" in sock.recv(65536)
        sock.settimeout(0.01)
        with contextlib.suppress(ssl.SSLError, TimeoutError):
            sock.unwrap()  # our goodbye; the daemon's comes after its answer
        sock.settimeout(20)
        threading.Timer(0.1, cluster.sample.release.set).start()
        assert "released" in answer(sock)
    assert not cluster.sample.cancelled.is_set()


def test_a_request_counts_even_if_the_peer_leaves_at_once(
    cluster: Cluster, make_request: Callable[..., str]
) -> None:
    with cluster.tls() as sock:
        sock.sendall(make_request("echo", "left").encode())
    _until(lambda: bool(cluster.sample.requests))


def test_an_abort_counts_even_if_the_peer_leaves_at_once(
    cluster: Cluster, make_request: Callable[..., str]
) -> None:
    with cluster.tls() as sock:
        sock.sendall(make_request("wait").encode())
        assert cluster.sample.started.wait(10)
        sock.sendall(b"<xcatrequest><abortcommand>1</abortcommand></xcatrequest>")
    assert cluster.sample.cancelled.wait(10)


def test_stopping_is_bounded(
    start: Callable[..., Cluster],
    make_request: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = start(PeerTimes(finish=0.2, cancelled=0.2))
    stuck = threading.Event()
    monkeypatch.setattr(cluster.sample, "_wait", lambda context: iter(lambda: stuck.wait(20), True))
    with cluster.tls() as sock:
        sock.sendall(make_request("wait").encode())
        _until(lambda: bool(cluster.sample.requests))
        started = time.monotonic()
        cluster.stop()
        assert 0.3 < time.monotonic() - started < 15
    stuck.set()


def test_cancelled_commands_may_end_themselves(
    start: Callable[..., Cluster], make_request: Callable[..., str], answer: Callable[..., str]
) -> None:
    cluster = start(PeerTimes(finish=0.2, cancelled=10))
    with cluster.tls() as sock:
        sock.sendall(make_request("wait").encode())
        assert cluster.sample.started.wait(10)
        cluster.server.stop()
        assert "serverdone" in answer(sock)
    assert cluster.sample.cancelled.wait(10)


def test_stopping_lets_running_commands_finish(
    cluster: Cluster, make_request: Callable[..., str], answer: Callable[..., str]
) -> None:
    with cluster.tls() as sock:
        sock.sendall(make_request("wait").encode())
        assert cluster.sample.started.wait(10)
        stopper = threading.Thread(target=cluster.stop)
        threading.Timer(0.2, cluster.sample.release.set).start()
        stopper.start()
        assert "released" in answer(sock)
        stopper.join()
    with pytest.raises(OSError):
        cluster.plain()


def test_the_users_name_is_the_common_name() -> None:
    subject = (
        (("countryName", "DE"),),
        (("organizationName", "CN=root"),),
        (("commonName", "alice"),),
    )
    assert user_of({"subject": subject}) == "alice"
    assert user_of({"subject": subject[:1]}) is None
    assert user_of({}) is None
    assert user_of(None) is None


@pytest.mark.parametrize(
    "names",
    [
        *(["root/CN=x"], ["al/ice"], ["/CN=root"], ["root", "mallory"], ["mallory", "root"]),
        *(
            ["root\n"],
            ["root\0x"],
            ["\x1b[2Jroot"],
            ["ro\u202eot"],
            ["root "],
            [" root"],
            ["x" * 65],
        ),
        [""],
    ],
)
def test_a_subject_that_can_be_read_as_another_users_is_nobodys(names: list[str]) -> None:
    subject = tuple((("commonName", name),) for name in names)
    with pytest.raises(UserNameError) as caught:
        user_of({"subject": subject})
    assert str(caught.value).isascii() and str(caught.value).isprintable()


@pytest.mark.parametrize("names", [["root/CN=x"], ["root", "x"], ["x", "root"], ["root\n"]])
def test_a_certificate_with_such_a_subject_fails_the_handshake(
    cluster: Cluster, tmp_path: Any, caplog: pytest.LogCaptureFixture, names: list[str]
) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    directory = cluster.authority.client_directory(tmp_path / "mallory", subject)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(directory / "ca.pem")
    context.load_cert_chain(directory / "client-cred.pem")
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        context.wrap_socket(cluster.plain()) as sock,
    ):
        sock.sendall(b"<xcatrequest><command>lsxcatd</command></xcatrequest>")
        assert _ends(sock) == b""
    _until(lambda: "its certificate is refused" in caplog.text)
    assert cluster.sample.requests == []


def test_the_certificates_subject_gives_the_user(
    cluster: Cluster, tmp_path: Any, answer: Callable[..., str]
) -> None:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CN=root"),
            x509.NameAttribute(NameOID.COMMON_NAME, "mallory"),
        ]
    )
    directory = cluster.authority.client_directory(tmp_path / "mallory", name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(directory / "ca.pem")
    context.load_cert_chain(directory / "client-cred.pem")
    with context.wrap_socket(cluster.plain()) as sock:
        sock.sendall(b"<xcatrequest><command>echo</command></xcatrequest>")
        assert "Permission denied" in answer(sock)


def test_tls_versions_follow_the_site_table() -> None:
    minimum = {policy: versions(policy, "").minimum for policy in ("modern", "legacy", "whatever")}
    assert minimum["modern"] is minimum["whatever"] is ssl.TLSVersion.TLSv1_2
    assert minimum["legacy"] is ssl.TLSVersion.TLSv1
    only = versions("legacy", "TLSv1_3")
    assert (only.minimum, only.maximum) == (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
    assert versions("modern", "TLSv12").maximum is ssl.TLSVersion.TLSv1_2
    without = versions("modern", "SSLv23:!SSLv2:!SSLv3:!TLSv1")
    assert without.minimum is ssl.TLSVersion.TLSv1
    assert without.excluded == ssl.OP_NO_TLSv1
    assert versions("modern", "nonsense") == versions("modern", "")


def test_contexts_are_kept_until_a_file_or_setting_changes(prepared: Any, authority: Any) -> None:
    contexts = ServerContexts()
    settings = Settings(port=0, confdir=prepared / "etc")
    first = contexts.get(settings)
    assert contexts.get(settings) is first
    assert (
        contexts.get(Settings(port=0, confdir=prepared / "etc", tls_policy="legacy")) is not first
    )
    again = contexts.get(settings)
    (prepared / "etc/cert/server-cred.pem").write_bytes(authority.credentials("mn-renewed"))
    assert contexts.get(settings) is not again


def test_a_setting_changed_meanwhile_counts_for_the_next_connection(cluster: Cluster) -> None:
    cluster.write("site", {"key": "xcatsslversion", "value": "TLSv1_2"})
    with cluster.tls() as sock:
        assert sock.version() == "TLSv1.2"


def test_the_listener_takes_both_protocols() -> None:
    (sock,) = listen(0)
    with sock:
        port = sock.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 5).close()
        with pytest.raises(OSError):
            listen(port)


def test_the_pool_is_bounded() -> None:
    pool = WorkerPool("test", size=2, backlog=3)
    gate = threading.Event()
    entered = threading.Semaphore(0)

    def job() -> None:
        entered.release()
        gate.wait(10)

    assert pool.submit(job)
    assert pool.submit(job)
    for _ in range(2):
        assert entered.acquire(timeout=10)
    assert [pool.submit(job) for _ in range(4)] == [True, True, True, False]
    assert pool.threads == 2
    gate.set()
    _until(lambda: pool.unfinished == 0)


def test_a_failing_job_does_not_cost_a_thread(caplog: pytest.LogCaptureFixture) -> None:
    pool = WorkerPool("test", size=1, backlog=3)
    done = threading.Event()
    assert pool.submit(lambda: 1 / 0)  # type: ignore[arg-type,func-returns-value]
    assert pool.submit(done.set)
    assert done.wait(10)
    assert "a job of the pool test failed" in caplog.text


def test_owners_take_turns_and_so_do_their_kinds() -> None:
    pool = WorkerPool("test", size=1, backlog=100)
    gate, done = threading.Event(), threading.Event()
    order: list[str] = []
    assert pool.submit(lambda: gate.wait(10) and None)
    for number in range(5):
        assert pool.submit(partial(order.append, f"flood{number}"), TurnKey("greeting", "flood"))
    assert pool.submit(partial(order.append, "other"), TurnKey("greeting", "other"))
    assert pool.submit(partial(order.append, "root"), TurnKey("known", "root"))
    gate.set()
    assert pool.submit(done.set, TurnKey("greeting", "flood"))
    assert done.wait(10)
    assert order == ["flood0", "root", "other", "flood1", "flood2", "flood3", "flood4"]


def test_a_kind_has_a_bounded_part_of_the_threads() -> None:
    pool = WorkerPool("test", size=4, backlog=100, most={"anonymous": 2})
    gate, entered = threading.Event(), threading.Semaphore(0)

    def slow() -> None:
        entered.release()
        gate.wait(10)

    for _ in range(10):
        assert pool.submit(slow, TurnKey("anonymous", "x"))
    for _ in range(2):
        assert entered.acquire(timeout=10)
    done = threading.Event()
    assert pool.submit(done.set, TurnKey("known", "root"))
    assert done.wait(10)
    assert not entered.acquire(blocking=False)
    gate.set()
    for _ in range(8):
        assert entered.acquire(timeout=10)
    pool.close()
    _until(lambda: pool.unfinished == 0)
