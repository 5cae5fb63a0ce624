"""What operations get to reach other agents: the real thing over TLS and its double behave alike."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from xcat_aix_agent import operations
from xcat_aix_agent.clock import SystemClock, stamp
from xcat_aix_agent.host import Host, LimitedAgents
from xcat_aix_agent.jobs.job import Spec
from xcat_aix_agent.jobs.perform import perform
from xcat_aix_agent.jobs.runners import place_of
from xcat_aix_agent.reach import KnownAgents, SourceAgent
from xcat_aix_agent.transfer.agents import TlsAgents
from xcat_aix_proto import codec
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcat_aix_proto.messages import TakeRequest, What
from xcat_aix_proto.operations import SetXcatServer, to_wire

SN1 = Identity(Role.SN, "sn1")
WANTED = TakeRequest(What("tree", "lpp_72"), "ab" * 32)
OTHER = TakeRequest(What("tree", "lpp_72"), "cd" * 32)
CONTENT = os.urandom(300_000)
GRANT = {"to": "xcat-aix:sn:sn2", **codec.to_wire(WANTED)}


def give(_request, send):
    for begin in range(0, len(CONTENT), 50_000):
        send(CONTENT[begin : begin + 50_000])


@pytest.fixture
def server(site, commands):
    crl = site.path / "crl.pem"
    site.ca.revoke(crl)
    config = site.config(crl=crl)
    server = site.start(config, commands=commands, runner="inline", gives={"tree": give})
    site.greeted(server).call("lodge", GRANT, 60)
    return server


@pytest.fixture
def taker(site):
    """The settings of the agent that takes."""
    return site.config("sn2", crl=site.path / "crl.pem")


def by_tls(config):
    return TlsAgents(config.certificate, config.ca, config.crl, SystemClock())


def source(server, identity=SN1):
    return SourceAgent(identity, *server.addresses[0])


@pytest.fixture(params=["real", "double"])
def agents(request, server, taker):
    if request.param == "double":
        return KnownAgents({SN1: {WANTED: CONTENT}})
    return by_tls(taker)


def taken(agents, where, wanted=WANTED):
    content = b""
    with agents.take(where, wanted, timeout=20) as read:
        while chunk := read(4096):
            assert len(chunk) <= 4096
            content += chunk
    return content


def failure(agents, where, wanted=WANTED):
    with pytest.raises(AgentError) as caught:
        taken(agents, where, wanted)
    return caught.value


def test_content_comes_whole(agents, server):
    assert taken(agents, source(server)) == CONTENT


def test_without_a_grant(agents, server):
    error = failure(agents, source(server), OTHER)
    assert error.code is ErrorCode.NOT_ALLOWED
    assert error.message.startswith("no grant lets ")


def test_nobody_there(agents, server):
    gone = SourceAgent(Identity(Role.SN, "sn9"), "127.0.0.1", server.addresses[0][1])
    if not isinstance(agents, KnownAgents):
        server.stop()
    assert failure(agents, gone).code is ErrorCode.UNREACHABLE


def test_host_reaches_nobody_unless_it_is_told_how(commands, server):
    host = Host("sn2", commands)
    assert failure(host.peers, source(server)).code is ErrorCode.UNREACHABLE


def test_another_agent_lives_there(server, taker):
    error = failure(by_tls(taker), source(server, Identity(Role.SN, "sn9")))
    assert error.code is ErrorCode.WRONG_PEER
    assert "is xcat-aix:sn:sn1, not xcat-aix:sn:sn9" in error.message


def test_source_whose_certificate_is_revoked(site, server, taker):
    _, serial = site.credential("agent-sn1", "xcat-aix:sn:sn1")
    site.ca.revoke(site.path / "crl2.pem", serial)
    agents = TlsAgents(taker.certificate, taker.ca, site.path / "crl2.pem", SystemClock())
    error = failure(agents, source(server))
    assert error.code is ErrorCode.NOT_AUTHENTICATED
    assert "revoked" in error.message


def test_taker_whose_certificate_is_revoked(site, server, taker):
    _, serial = site.credential("agent-sn2", "xcat-aix:sn:sn2")
    plain = TlsAgents(taker.certificate, taker.ca, None, SystemClock())
    assert taken(plain, source(server)) == CONTENT
    site.ca.revoke(site.path / "crl.pem", serial)
    assert failure(plain, source(server)).code is ErrorCode.NOT_AUTHENTICATED


def test_files_that_others_may_change_are_not_used(server, taker):
    taker.ca.chmod(0o666)
    error = failure(by_tls(taker), source(server))
    assert error.code is ErrorCode.NOT_AUTHENTICATED
    assert f"cannot trust {taker.ca}" in error.message


def issue(site, path, *usages):
    """A certificate of sn2 with these extended key usages (trust-facts: row 4)."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.timezone.utc)
    uri = x509.UniformResourceIdentifier("xcat-aix:sn:sn2")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sn2")]))
        .issuer_name(site.ca.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(site.ca.key, hashes.SHA256())
    )
    text = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(text)


def test_certificate_must_be_for_clients_too(site, server, taker):
    server_only, both = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    issue(site, taker.certificate, server_only)
    error = failure(by_tls(taker), source(server))
    assert error.code is ErrorCode.NOT_AUTHENTICATED
    assert "unsupported certificate" in error.message
    issue(site, taker.certificate, server_only, both)
    assert taken(by_tls(taker), source(server)) == CONTENT


# Lines that break.


def test_content_that_was_cut_off_is_an_error(site, commands, taker, caplog):
    def breaks(_request, send):
        send(b"half")
        raise AgentError(ErrorCode.NO_SPACE, "no more")

    server = site.start(site.config(), commands=commands, runner="inline", gives={"tree": breaks})
    site.greeted(server).call("lodge", GRANT, 60)
    agents = TlsAgents(taker.certificate, taker.ca, None, SystemClock())
    with agents.take(source(server), WANTED, timeout=20) as read:
        assert read(100) == b"half"
        with pytest.raises(AgentError, match="the content was cut off") as caught:
            read(100)
    assert caught.value.code is ErrorCode.UNREACHABLE
    assert "cannot give tree lpp_72 to xcat-aix:sn:sn2: no more" in caplog.text


@pytest.fixture
def odd(site):
    """Somebody with the source's certificate who answers what the test says, on one connection."""
    site.config()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.path / "agent-sn1.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def start(answer, *, waits):
        def serve():
            with contextlib.suppress(OSError):
                plain, _ = listener.accept()
                with plain, context.wrap_socket(plain, server_side=True) as sock:
                    sock.recv(4096)
                    sock.sendall(answer)
                    if waits:
                        sock.recv(1)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return SourceAgent(SN1, *listener.getsockname()[:2])

    yield start
    listener.close()
    for thread in threads:
        thread.join(20)


@pytest.mark.parametrize(
    "answer", [b"rubbish\n", b"[]\n", b"{}\n", b'{"ok": 1, "error": 2}\n', b"x" * 5000]
)
def test_source_that_answers_rubbish(odd, taker, answer):
    agents = TlsAgents(taker.certificate, taker.ca, None, SystemClock())
    assert failure(agents, odd(answer, waits=True)).code is ErrorCode.BAD_MESSAGE


OK = b'{"ok": null}\n'


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", ErrorCode.UNREACHABLE),
        (b"\0\0", ErrorCode.UNREACHABLE),
        (b"\0\0\0\4fou", ErrorCode.UNREACHABLE),
        (b"\0\0\0\4four", ErrorCode.UNREACHABLE),
        (b"\0\1\0\1" + bytes(65537), ErrorCode.BAD_MESSAGE),
        (b"\xff\xff\xff\xff", ErrorCode.BAD_MESSAGE),
    ],
)
def test_content_without_an_end_is_never_taken_for_one(odd, taker, content, code):
    agents = TlsAgents(taker.certificate, taker.ca, None, SystemClock())
    assert failure(agents, odd(OK + content, waits=False)).code is code


def test_after_the_end_nothing_comes(odd, taker):
    agents = TlsAgents(taker.certificate, taker.ca, None, SystemClock())
    where = odd(OK + b"\0\0\0\4four\0\0\0\0more", waits=True)
    with agents.take(where, WANTED, timeout=20) as read:
        assert [read(3), read(0), read(3), read(3), read(3)] == [b"fou", b"", b"r", b"", b""]


@pytest.mark.parametrize("answer", [b'{"ok"', OK])
def test_source_that_falls_silent(odd, taker, answer):
    agents = TlsAgents(taker.certificate, taker.ca, None, SystemClock())
    where = odd(answer, waits=True)
    with pytest.raises(AgentError) as caught, agents.take(where, WANTED, timeout=0.5) as read:
        read(1)
    assert caught.value.code in {ErrorCode.UNREACHABLE, ErrorCode.BAD_MESSAGE}


def test_refusal_of_the_source_is_bounded_and_harmless(odd, taker):
    evil = {"error": {"code": 999, "message": "\x1b[2J", "detail": ""}}
    agents = TlsAgents(taker.certificate, taker.ca, None, SystemClock())
    error = failure(agents, odd(json.dumps(evil).encode() + b"\n", waits=True))
    assert error.code is ErrorCode.INTERNAL
    assert error.message == "\\x1b[2J"


# Where operations get it.


def test_operation_of_an_inline_job_gets_the_real_thing(server):
    config, peers = server.config, server.service.host.peers
    assert isinstance(peers, TlsAgents)
    assert (peers.certificate, peers.ca, peers.crl) == (config.certificate, config.ca, config.crl)


class Ticks(SystemClock):
    """Each look at it is a second later."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        self.seconds += 1.0
        return self.seconds


def test_a_job_takes_until_it_must_end(commands):
    limited = LimitedAgents(KnownAgents({SN1: {WANTED: CONTENT}}), Ticks(), 5.0)
    with limited.take(SourceAgent(SN1, "127.0.0.1", 1), WANTED, timeout=60.0) as read:
        assert read(1) == CONTENT[:1]
        with pytest.raises(AgentError, match=r"tree lpp_72 did not come .* within 5 s") as caught:
            [read(1) for _ in range(10)]
    assert caught.value.code is ErrorCode.TIMED_OUT


def test_a_job_takes_until_it_is_cancelled_and_tells_what_it_took():
    known, cancelled, told = KnownAgents({SN1: {WANTED: b"four"}}), threading.Event(), []
    limited = LimitedAgents(known, SystemClock(), 60.0, cancelled, told.append)
    where = SourceAgent(SN1, "127.0.0.1", 1)
    assert taken(limited, where) == b"four"
    assert told == ["took 4 bytes of tree lpp_72 from xcat-aix:sn:sn1"]
    cancelled.set()
    assert failure(limited, where).code is ErrorCode.CANCELLED


def test_an_operation_of_a_job_gets_it_so(commands, monkeypatch):
    seen = []
    monkeypatch.setattr(operations, "run", lambda _op, host, _report: seen.append(host) or {})
    spec = Spec("j", to_wire(SetXcatServer("10.0.0.1")), 60.0, "mn", stamp(SystemClock().now()))
    assert perform(spec, Host("sn2", commands), lambda _text: None, lambda _kind, _record: None).ok
    assert isinstance(seen[0].peers, LimitedAgents)


def test_operation_in_a_wrapper_gets_the_real_thing_and_loads_it_when_needed(site, server, taker):
    code = """
import json, sys
from xcat_aix_agent import runjob
from xcat_aix_agent.jobs.job import JobEnvironment
from xcat_aix_agent.reach import SourceAgent
from xcat_aix_proto import codec
from xcat_aix_proto.identity import Identity
from xcat_aix_proto.messages import TakeRequest
place, wanted, address, port = sys.argv[1:]
host = runjob.host_of(codec.from_wire(JobEnvironment, json.loads(place)), lambda _group: None)
assert not {"ssl", "Pyro5", "_ssl"} & set(sys.modules)
source = SourceAgent(Identity.parse("xcat-aix:sn:sn1"), address, int(port))
wanted = codec.from_wire(TakeRequest, json.loads(wanted))
with host.peers.take(source, wanted, timeout=20.0) as read:
    size = 0
    while chunk := read(65536):
        size += len(chunk)
print(size)
"""
    words = [json.dumps(codec.to_wire(value)) for value in (place_of(taker), WANTED)]
    argv = [sys.executable, "-c", code, *words, *map(str, server.addresses[0])]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False)
    assert done.stderr == ""
    assert int(done.stdout) == len(CONTENT)
