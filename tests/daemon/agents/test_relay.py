"""Through a service node's agent to a compute node's: end to end, and never an open proxy."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest
from tests.daemon.agents.conftest import carry_out

from xcat_aix_agent.clock import SystemClock
from xcat_aix_agent.serving.server import AgentServer
from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcatd.agents import Relay

LISTING = "master machines master\nn1 machines standalone\nsp resources spot\n"


def nim(host="n1"):
    def lsnim(argv):
        if len(argv) == 1:
            return LISTING
        assert list(argv) == ["lsnim", "-l", "n1"]
        return f"n1:\n   class = machines\n   if1 = master_net {host} 0 ent0\n"

    return lsnim


@pytest.fixture
def node(cluster):
    return cluster.start("n1", Role.CN)


@pytest.fixture
def service_node(cluster, programs, node):
    programs.programs["lsnim"] = nim()
    server = cluster.start("sn1", commands=programs, relay_ports=(node.addresses[0][1],))
    (server.config.root / "etc/hosts").write_text("127.0.0.1 n1\n")
    return server


def through(server) -> Relay:
    return Relay(server.config.node, *server.addresses[0])


def failure(action) -> AgentError:
    with pytest.raises(AgentError) as caught:
        action()
    return caught.value


def test_job_through_a_relay(cluster, service_node, node, programs):
    with cluster.connect(node, via=through(service_node)) as agent:
        assert (agent.welcome.node, agent.welcome.role) == ("n1", "cn")
        assert carry_out(agent, "j", proto.SetXcatServer("10.0.0.2")).outcome.ok
    assert (node.config.root / "etc/xcatinfo").read_text() == "XCATSERVER=10.0.0.2\n"
    assert not (service_node.config.root / "etc/xcatinfo").exists()


def test_many_through_one_relay_ask_nim_once(cluster, service_node, node, programs):
    agents = [cluster.connect(node, via=through(service_node)) for _ in range(8)]
    assert all(agent.jobs() == [] for agent in agents)
    for agent in agents:
        agent.close()
    assert len(programs.ran) == 2  # lsnim for the kinds, then one for all machines


def test_large_answer_through_a_relay(cluster, service_node, node):
    some, many = "x" * 4000, 1250
    names = [f"o{number}" for number in range(many)]
    node.service.host.commands.programs["lsnim"] = lambda argv: (
        "".join(f"{name} resources spot\n" for name in names)
        if len(argv) == 1
        else "".join(f"{name}:\n   comments = {some}\n" for name in argv[2:])
    )
    with cluster.connect(node, via=through(service_node)) as agent:
        found = agent.query(proto.NimSnapshot()).objects
    assert [one.get("comments") for one in found] == [some] * many


def test_both_ends_are_checked(cluster, service_node, node):
    wrong = Relay("sn9", *service_node.addresses[0])
    error = failure(lambda: cluster.connect(node, via=wrong))
    assert error.code is ErrorCode.WRONG_PEER
    assert error.message.startswith("through sn9:")
    # The service node relays to where n1 should be; somebody else lives there.
    issued = cluster.authority.issue(Identity(Role.CN, "n2"), _now(), 5)
    node.config.certificate.write_bytes(issued.pem)
    error = failure(lambda: cluster.connect(node, via=through(service_node)))
    assert error.code is ErrorCode.WRONG_PEER
    assert "xcat-aix:cn:n2, not xcat-aix:cn:n1" in error.message


def _now():
    from datetime import UTC, datetime

    return datetime.now(UTC)


def test_node_that_the_service_node_does_not_serve(cluster, service_node):
    other = cluster.start("n5", Role.CN)
    error = failure(lambda: cluster.connect(other, via=through(service_node)))
    assert error.code is ErrorCode.NOT_ALLOWED


def test_address_that_is_not_the_nodes(cluster, service_node, node):
    (service_node.config.root / "etc/hosts").write_text("127.0.0.77 n1\n")
    error = failure(lambda: cluster.connect(node, via=through(service_node)))
    assert error.code is ErrorCode.NOT_ALLOWED
    assert "127.0.0.1 is not an address of a machine n1 in NIM here" in error.message


def test_port_that_is_no_agents(cluster, service_node, node):
    port = service_node.addresses[0][1]
    error = failure(
        lambda: cluster.pool.connect("n1", Role.CN, "127.0.0.1", port, via=through(service_node))
    )
    assert error.code is ErrorCode.NOT_ALLOWED
    assert f"port {port} is not relayed to" in error.message


def test_the_master_itself_is_no_target(cluster, service_node, node):
    error = failure(
        lambda: cluster.pool.connect(
            "master", Role.CN, *node.addresses[0], via=through(service_node)
        )
    )
    assert error.code is ErrorCode.NOT_ALLOWED


def test_reading_is_not_enough_to_relay(cluster, service_node, node):
    cluster.policy.write_text("[xcat-aix:mn:mn1]\nallow = read\n")
    error = failure(lambda: cluster.connect(node, via=through(service_node)))
    assert error.code is ErrorCode.NOT_ALLOWED


def test_no_agent_behind_the_relay(cluster, service_node, node):
    address, port = node.addresses[0]
    node.stop()
    error = failure(
        lambda: cluster.pool.connect("n1", Role.CN, address, port, via=through(service_node))
    )
    assert error.code is ErrorCode.UNREACHABLE
    assert error.message.startswith("through sn1: no agent answers there")


def test_no_relay_there(cluster, service_node, node):
    relay = through(service_node)
    service_node.stop()
    error = failure(lambda: cluster.connect(node, via=relay))
    assert error.code is ErrorCode.UNREACHABLE
    assert error.message.startswith("through sn1:")


def test_tunnel_ends_with_either_end(cluster, service_node, node):
    agent = cluster.connect(node, via=through(service_node))
    agent.close()
    with cluster.connect(node, via=through(service_node)) as again:
        node.stop()
        assert failure(again.jobs).code is ErrorCode.UNREACHABLE
    service_node.stop(5)
    for thread in threading.enumerate():
        if thread.name.startswith("peer"):
            thread.join(5)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    "line",
    [
        *(b"rubbish\n", b"[]\n", b"{}\n", b"x" * 5000, b'{"node": "n1"}\n', b"[" * 4000 + b"\n"),
        *(b'{"a":' * 800 + b"\n", b"\xff\xfe\n", b"9" * 4000 + b"\n", b"[1e999]\n", b"\n"),
        b'{"node": "n1", "address": "127.0.0.1", "port": 1e999}\n',
    ],
)
def test_malformed_requests(cluster, service_node, line, caplog):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_cert_chain(cluster.mn / "mn-cred.pem")
    context.load_verify_locations(cluster.mn / "ca.pem")
    context.set_alpn_protocols(["xcat-aix-relay/1"])
    with (
        socket.create_connection(service_node.addresses[0]) as sock,
        context.wrap_socket(sock) as tls,
    ):
        tls.sendall(line)
        assert b'"code": 101' in tls.recv(4096)
        assert tls.recv(1) == b""
    assert "Traceback" not in caplog.text


@pytest.fixture
def relay_that_says(cluster):
    """A service node's certificate, and any line for an answer."""
    ended = contextlib.ExitStack()

    def start(answer: bytes) -> Relay:
        config = cluster.config("sn1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(config.certificate)
        context.set_alpn_protocols(["xcat-aix-relay/1"])
        listener = ended.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            sock, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
                tls.recv(4096)
                tls.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        ended.callback(thread.join, 10)
        return Relay("sn1", *listener.getsockname())

    with ended:
        yield start


@pytest.mark.parametrize(
    "answer",
    [
        *(
            b"[" * 4000 + b"\n",
            b'{"a":' * 800 + b"\n",
            b"9" * 4000 + b"\n",
            b"\xff\n",
            b"NaN\n",
            b"\n",
        ),
        *(b'{"error":{"code":1e999,"message":"x"}}\n', b'{"error":{"code":[],"message":"x"}}\n'),
        *(b'{"error":{"code":201,"message":{"a":1}}}\n', b'{"error":[]}\n', b"x" * 5000),
    ],
)
def test_a_relay_that_lies_is_a_bad_message(cluster, relay_that_says, answer):
    relay = relay_that_says(answer)
    error = failure(lambda: cluster.pool.connect("n1", Role.CN, "127.0.0.1", 9, via=relay))
    assert error.code is ErrorCode.BAD_MESSAGE
    assert error.message.startswith("through sn1: ")


def test_a_relay_that_ends_without_an_answer_may_be_tried_again(cluster, relay_that_says):
    relay = relay_that_says(b"")
    error = failure(lambda: cluster.pool.connect("n1", Role.CN, "127.0.0.1", 9, via=relay))
    assert error.code is ErrorCode.UNREACHABLE
    assert "ended the connection without an answer" in error.message


class Later(SystemClock):
    """The machine's clock, and what a test lets pass beside it."""

    passed = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


def test_nim_may_take_longer_than_a_greeting(cluster, programs, node):
    """A master under load answers after seven seconds; a peer must be greeted within five."""
    config = cluster.config("sn1", relay_ports=(node.addresses[0][1],))
    (config.root / "etc/hosts").write_text("127.0.0.1 n1\n")
    clock = Later()
    server = AgentServer(config, commands=programs, runner="inline", clock=clock)

    def slow(argv):
        clock.passed += 7.0
        server.look_after_peers()
        return nim()(argv)

    programs.programs["lsnim"] = slow
    server.start()
    cluster.servers.append(server)
    with cluster.connect(node, via=through(server)) as agent:
        assert agent.jobs() == []
    assert clock.passed >= 14.0
