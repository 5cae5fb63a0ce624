"""From an address to the agent that was meant: every way it can fail has its code and its words."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time

import pytest

from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Role
from xcatd.agents import AgentPool


@contextlib.contextmanager
def listener(behaviour):
    """A peer on loopback that does with each connection what ``behaviour`` says."""
    sock = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = sock.accept()
                kept.append(connection)
                with contextlib.suppress(OSError):
                    behaviour(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield sock.getsockname()
    finally:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
        thread.join(5)
        for connection in kept:
            connection.close()


def failure(action) -> AgentError:
    with pytest.raises(AgentError) as caught:
        action()
    return caught.value


def test_hello(cluster):
    server = cluster.start("sn1")
    with cluster.connect(server) as agent:
        assert (agent.welcome.node, agent.welcome.role, agent.welcome.right) == ("sn1", "sn", 2)
        assert agent.jobs() == []


def test_nobody_listens(cluster):
    server = cluster.start("sn1")
    address, port = server.addresses[0]
    server.stop()
    cluster.servers.clear()
    error = failure(lambda: cluster.pool.connect("sn1", Role.SN, address, port))
    assert error.code is ErrorCode.UNREACHABLE
    assert error.message == f"no agent answers at {address}:{port}: Connection refused"


def test_silent_peer_costs_the_time_limit_and_no_more(cluster):
    with listener(lambda _sock: None) as place:
        begin = time.monotonic()
        error = failure(lambda: cluster.pool.connect("sn1", Role.SN, *place, timeout=0.3))
    assert error.code is ErrorCode.UNREACHABLE
    assert "within 0.3 s" in error.message
    assert time.monotonic() - begin < 2


def test_trickling_peer_costs_no_more_either(cluster):
    def trickle(sock):
        with contextlib.suppress(OSError):
            for _ in range(100):
                sock.sendall(b"\x16")
                time.sleep(0.05)

    with listener(trickle) as place:
        begin = time.monotonic()
        error = failure(lambda: cluster.pool.connect("sn1", Role.SN, *place, timeout=0.5))
        assert time.monotonic() - begin < 2
    assert error.code is ErrorCode.UNREACHABLE


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.0 400 Bad\r\n\r\n", b""])
def test_something_else_listens(cluster, answer):
    def talk(sock):
        sock.sendall(answer)
        sock.close()

    with listener(talk) as place:
        error = failure(lambda: cluster.pool.connect("sn1", Role.SN, *place))
    assert error.code is ErrorCode.UNREACHABLE


@pytest.mark.parametrize(
    ("node", "role", "found"),
    [
        ("sn2", Role.SN, "xcat-aix:sn:sn1, not xcat-aix:sn:sn2"),
        ("sn1", Role.CN, "xcat-aix:sn:sn1, not xcat-aix:cn:sn1"),
    ],
)
def test_another_agent_than_meant(cluster, node, role, found):
    server = cluster.start("sn1")
    error = failure(lambda: cluster.connect(server, node, role))
    assert error.code is ErrorCode.WRONG_PEER
    assert found in error.message


def test_agent_with_a_certificate_of_another_ca(cluster, new_authority):
    config = cluster.config("sn1")
    other = new_authority()
    (cluster.path / "other-ca.pem").write_bytes(other.certificate_pem)
    mine, cluster.authority = cluster.authority, other
    config = cluster.config("sn1", ca=cluster.path / "other-ca.pem")
    cluster.authority = mine
    error = failure(lambda: cluster.connect(cluster.run(config)))
    assert error.code is ErrorCode.NOT_AUTHENTICATED
    assert "certificate of the agent" in error.message


def test_our_certificate_is_of_another_ca(cluster, new_authority):
    server = cluster.start("sn1")
    cluster.enrol_mn("mn1", new_authority())
    error = failure(lambda: cluster.connect(server))
    assert error.code is ErrorCode.NOT_AUTHENTICATED
    assert "refuses our certificate" in error.message


def test_we_are_not_in_the_policy(cluster):
    server = cluster.start("sn1")
    cluster.enrol_mn("mn7")
    error = failure(lambda: cluster.connect(server))
    assert error.code is ErrorCode.NOT_ALLOWED
    assert "xcat-aix:mn:mn7" in error.message
    assert f"allow it in {cluster.policy} on sn1" in error.message


def test_new_credentials_are_used_without_a_restart(cluster):
    server = cluster.start("sn1")
    cluster.connect(server).close()
    cluster.enrol_mn("mn7")
    assert failure(lambda: cluster.connect(server)).code is ErrorCode.NOT_ALLOWED
    cluster.enrol_mn("mn1")
    cluster.connect(server).close()


def test_no_free_place_at_the_agent(cluster):
    server = cluster.start("sn1", max_connections=1)
    with cluster.connect(server):
        assert failure(lambda: cluster.connect(server)).code is ErrorCode.BUSY


@pytest.mark.parametrize("name", ["ca.pem", "mn-cred.pem"])
def test_missing_and_broken_credentials_say_what_to_do(cluster, name):
    server = cluster.start("sn1")
    path = cluster.mn / name
    good = path.read_bytes()
    path.unlink()
    error = failure(lambda: cluster.connect(server))
    assert error.code is ErrorCode.UNREACHABLE
    assert str(path) in error.message
    assert "run xcat-aix-ca init" in error.message
    path.write_bytes(b"rubbish")
    assert failure(lambda: cluster.connect(server)).code is ErrorCode.UNREACHABLE
    path.write_bytes(good)
    cluster.connect(server).close()


def test_pool_of_no_directory_raises_at_connect_only(tmp_path):
    pool = AgentPool(tmp_path / "none")
    error = failure(lambda: pool.connect("sn1", Role.SN, "127.0.0.1", 1))
    assert "no agent certificates" in error.message


def test_connection_belongs_to_its_thread(cluster):
    caught = []

    def other():
        try:
            agent.jobs()
        except RuntimeError as error:
            caught.append(str(error))

    with cluster.connect(cluster.start("sn1")) as agent:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert caught == ["an agent connection belongs to the thread that made it"]


def test_importing_the_package_loads_no_pyro5():
    code = "import sys, xcatd.agents; sys.exit('Pyro5' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("first", ["xcatd.agents.link", "xcat_aix_agent.serving.server"])
def test_stray_pyro_settings_in_the_environment_do_no_harm(first):
    code = f"import {first}, Pyro5; print(Pyro5.config.SERIALIZER)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYRO_NONSENSE": "1", "PYRO_SERIALIZER": "marshal"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "json\n", done.stderr


# A peer that is authenticated and lies.


@pytest.fixture
def liar(cluster):
    """An authenticated agent that answers every call with the given bytes."""
    import ssl
    import struct

    config = cluster.config("sn1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.certificate)
    context.load_verify_locations(config.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["xcat-aix-rpc/1"])

    def start(payload, **fields):
        header = struct.pack(
            "!4sHBBHHII16sHH",
            b"PYRO",
            502,
            fields.get("kind", 5),
            fields.get("serializer", 3),
            fields.get("flags", 0),
            fields.get("seq", 1),
            fields.get("size", len(payload)),
            0,
            b"\0" * 16,
            0,
            0x4DC5,
        )

        def behave(sock):
            with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
                tls.recv(65536)
                tls.sendall(header + payload)
                tls.recv(1)

        return listener(behave)

    return start


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (b"rubbish", {}),
        (b"[]", {}),
        (b'{"ok": {}}', {}),
        (b'{"ok": 1, "error": {}}', {}),
        (b'{"__class__": "builtins.SystemExit", "__exception__": true, "args": []}', {"flags": 1}),
        (b"[" * 100_000, {}),
        (b"{}", {"seq": 9}),
        (b"{}", {"kind": 4}),
        (b"{}", {"serializer": 2}),
        (b"{}", {"flags": 2}),
        (b"{}", {"size": 2**31}),
    ],
)
def test_lying_agent_is_an_agent_error(cluster, liar, payload, fields):
    with liar(payload, **fields) as place:
        error = failure(lambda: cluster.pool.connect("sn1", Role.SN, *place, timeout=2.0))
    assert error.code in {ErrorCode.BAD_MESSAGE, ErrorCode.UNREACHABLE}


def test_error_of_the_agent_arrives_as_data(cluster, programs):
    programs.programs["lsnim"] = lambda _argv: (13, "", "0042-013 lsnim: busy\n")
    server = cluster.start("sn1", commands=programs)
    (server.config.root / "etc/niminfo").write_text("export NIM_CONFIGURATION=master\n")
    with cluster.connect(server) as agent:
        error = failure(lambda: agent.query(proto.NimSnapshot()))
    assert (error.code, error.message) == (ErrorCode.NIM_REFUSED, "lsnim: 0042-013 lsnim: busy")
