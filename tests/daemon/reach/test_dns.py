"""Names and addresses: of the system, and of a server that answers as it is told, on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from xcatd.reach import bulk
from xcatd.reach.dns import Answer, Failure, Question, Resolvers, Server, of_system
from xcatd.testing import FakeDns

RECORDS = {
    ("sn1.", "A"): ["10.0.0.1", "10.0.0.2"],
    ("1.0.0.10.in-addr.arpa.", "PTR"): ["sn1.cluster."],
    ("known.", "TXT"): ['"text"'],
}

Respond = Callable[[dns.message.Message, bool], bytes | None]


def ordinary(query: dns.message.Message, _is_tcp: bool) -> bytes:
    """What an honest server says."""
    (question,) = query.question
    reply = dns.message.make_response(query)
    kind = dns.rdatatype.to_text(question.rdtype)
    values = RECORDS.get((question.name.to_text(), kind))
    if values is not None:
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *values))
    elif question.name.to_text() == "alias." and kind == "A":
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "CNAME", "sn1."))
        reply.answer.append(dns.rrset.from_text("sn1.", 60, "IN", "A", "10.0.0.1"))
    elif not any(name == question.name.to_text() for name, _ in RECORDS):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply.to_wire()


@dataclass
class NameServer:
    """A server on loopback, for datagrams and connections."""

    respond: Respond = ordinary
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.server = Server("127.0.0.1", self._tcp.getsockname()[1])
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(self.server)
        self._threads = [threading.Thread(target=work) for work in (self._by_udp, self._by_tcp)]
        for thread in self._threads:
            thread.start()

    def _answer(self, data: bytes, *, is_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        self.asked.append(query.question[0].name.to_text())
        return self.respond(query, is_tcp)

    def _by_udp(self) -> None:
        while True:
            data, peer = self._udp.recvfrom(65535)
            if not data:
                return
            if (reply := self._answer(data, is_tcp=False)) is not None:
                self._udp.sendto(reply, peer)

    def _by_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                size = int.from_bytes(file.read(2))
                reply = self._answer(file.read(size), is_tcp=True) or b""
                connection.sendall(len(reply).to_bytes(2) + reply)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self.server)
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)
        self._tcp.close()
        self._udp.close()


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()


def _one(server: NameServer, name: str, kind: str = "A", limit: float = 20) -> Answer:
    question = Question(name, kind)
    return Resolvers().ask([question], server=server.server, limit=limit)[question]


@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        ("sn1", "A", Answer(frozenset(["10.0.0.1", "10.0.0.2"]))),
        ("sn1.", "A", Answer(frozenset(["10.0.0.1", "10.0.0.2"]))),
        ("alias", "A", Answer(frozenset(["10.0.0.1"]))),
        ("1.0.0.10.in-addr.arpa", "PTR", Answer(frozenset(["sn1.cluster"]))),
        ("known", "TXT", Answer(frozenset(['"text"']))),
        ("sn1", "AAAA", Answer(failure=Failure.NO_VALUE)),
        ("nobody", "A", Answer(failure=Failure.NO_NAME)),
        ("a..b", "A", Answer(failure=Failure.BAD_QUESTION)),
        ("x" * 300, "A", Answer(failure=Failure.BAD_QUESTION)),
        ("sn1", "NOSUCH", Answer(failure=Failure.BAD_QUESTION)),
    ],
)
def test_a_server_is_asked(names: NameServer, name: str, kind: str, answer: Answer) -> None:
    assert _one(names, name, kind) == answer


def test_many_are_asked_at_once_and_each_has_an_answer(names: NameServer) -> None:
    questions = [Question(f"n{number}") for number in range(100)] + [Question("sn1")] * 2
    found = Resolvers().ask(questions, server=names.server, limit=40)
    assert set(found) == set(questions)
    assert found[Question("sn1")].values
    assert {found[question].failure for question in questions[:100]} == {Failure.NO_NAME}
    assert len(names.asked) == 101


def test_a_long_answer_comes_by_a_connection(names: NameServer) -> None:
    def truncated(query: dns.message.Message, is_tcp: bool) -> bytes:
        if is_tcp:
            return ordinary(query, is_tcp)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return reply.to_wire()

    names.respond = truncated
    assert _one(names, "sn1").values == {"10.0.0.1", "10.0.0.2"}


def test_a_lost_datagram_is_asked_for_again(names: NameServer) -> None:
    names.respond = lambda query, tcp: ordinary(query, tcp) if len(names.asked) > 1 else None
    found = Resolvers(0.2).ask([Question("sn1")], server=names.server, limit=40)
    assert found[Question("sn1")].values


def test_a_server_that_says_nothing_is_waited_for_so_long_only(names: NameServer) -> None:
    names.respond = lambda *_: None
    assert _one(names, "sn1", limit=0.3) == Answer(failure=Failure.NO_ANSWER)


def test_nobody_listening_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        server = Server(*sock.getsockname())
    question = Question("sn1")
    found = Resolvers().ask([question], server=server, limit=0.3)
    assert found == {question: Answer(failure=Failure.NO_ANSWER)}


@pytest.mark.parametrize("rcode", [dns.rcode.REFUSED, dns.rcode.SERVFAIL, dns.rcode.NOTIMP])
def test_a_server_may_refuse(names: NameServer, rcode: dns.rcode.Rcode) -> None:
    def refusing(query: dns.message.Message, _is_tcp: bool) -> bytes:
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        return reply.to_wire()

    names.respond = refusing
    assert _one(names, "sn1") == Answer(failure=Failure.REFUSED)


def _loop(query: dns.message.Message, _is_tcp: bool) -> bytes:
    reply = dns.message.make_response(query)
    for here, there in (("sn1.", "b."), ("b.", "sn1.")):
        reply.answer.append(dns.rrset.from_text(here, 60, "IN", "CNAME", there))
    return reply.to_wire()


def _to_another(query: dns.message.Message, _is_tcp: bool) -> bytes:
    other = dns.message.make_query("other.", "A", id=query.id)
    return dns.message.make_response(other).to_wire()


@pytest.mark.parametrize(
    "respond", [_loop, _to_another, lambda query, _: query.to_wire()[:2] + b"\xff" * 30]
)
def test_nonsense_is_no_value(names: NameServer, respond: Respond) -> None:
    names.respond = respond
    answer = _one(names, "sn1", limit=2)
    assert answer.failure in {Failure.BROKEN, Failure.NO_ANSWER}


# -- the system ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (Question("127.0.0.1"), Answer(frozenset(["127.0.0.1"]))),
        (Question("::1", "AAAA"), Answer(frozenset(["::1"]))),
        (Question("sn1", "TXT"), Answer(failure=Failure.BAD_QUESTION)),
        (Question("sn1", "PTR"), Answer(failure=Failure.BAD_QUESTION)),
        (Question("a.b.ip6.arpa", "PTR"), Answer(failure=Failure.BAD_QUESTION)),
        (Question("x" * 300), Answer(failure=Failure.BAD_QUESTION)),
    ],
)
def test_the_system_answers(question: Question, answer: Answer) -> None:
    assert Resolvers().ask([question], limit=40) == {question: answer}


@pytest.mark.parametrize("address", ["10.1.2.3", "2001:db8::1:0:5", "::1", "127.0.0.1"])
def test_an_address_is_asked_for_by_its_reverse_name(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(socket, "getnameinfo", lambda place, _: (f"name-of-{place[0]}", "0"))
    assert of_system(Question.reverse(address)).values == {f"name-of-{address}"}


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (socket.EAI_NONAME, Failure.NO_NAME),
        (socket.EAI_AGAIN, Failure.NO_ANSWER),
        (socket.EAI_FAIL, Failure.REFUSED),
    ],
)
def test_the_systems_reasons_are_told(
    monkeypatch: pytest.MonkeyPatch, code: int, failure: Failure
) -> None:
    def fail(*_: object) -> None:
        raise socket.gaierror(code, "why")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert of_system(Question("sn1")) == Answer(failure=failure)


def test_what_is_no_address_has_no_reverse_name() -> None:
    with pytest.raises(ValueError, match="sn1"):
        Question.reverse("sn1")


# -- in bulk, and the double -----------------------------------------------------------------------


def test_what_cannot_be_interrupted_holds_nobody_up() -> None:
    gate, left = threading.Event(), threading.Event()

    def ask(number: int) -> int:
        if number < 2:
            gate.wait(40)
            left.set()
        return number * 2

    found = bulk.answers(ask, range(50), 1.0, most=3)
    gate.set()
    assert found == {number: number * 2 for number in range(2, 50)}
    assert left.wait(20)


def test_nothing_is_asked_of_nobody() -> None:
    assert bulk.answers(lambda _: 1 / 0, [], 1.0) == {}
    assert Resolvers().ask([]) == {}


def test_the_double_knows_what_it_was_told() -> None:
    server, question = Server("10.0.0.9"), Question("sn1")
    fake = FakeDns({None: {question: Answer(frozenset(["1"]))}, server: {}})
    assert fake.ask([question, question])[question].values == {"1"}
    assert fake.ask([question], server=server)[question].failure is Failure.NO_NAME
    silent = Server("10.0.0.8")
    assert fake.ask([question], server=silent)[question].failure is Failure.NO_ANSWER
    assert fake.asked == [(None, question), (server, question), (silent, question)]
