"""What a node sends is bounded here, whatever it sends; the truth about the job is kept."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading

import pytest

from xcat_aix_proto import TRACE, bounds
from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Role
from xcatd.agents import link as agent_link
from xcatd.logs import request_id

HEADER = "!4sHBBHHII16sHH"
MEGA = 1_000_000
XCATINFO = proto.SetXcatServer("10.0.0.2")


class Node:
    """An agent that is authenticated and says what the test wants: method -> answer or error."""

    def __init__(self, config) -> None:
        self.answers = {
            "hello": {
                "protocol": 1,
                "version": "9",
                "node": "sn1",
                "role": "sn",
                "operations": [],
                "right": 2,
            }
        }
        self.traces: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(config.certificate)
        self._context.load_verify_locations(config.ca)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.set_alpn_protocols(["xcat-aix-rpc/1"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def status(self, error=None, result=None, state="exited", last_seq=0):
        outcome = {"ok": error is None, "result": result or {}, "error": error}
        kind = XCATINFO.kind
        return {
            "job_id": "j",
            "kind": kind,
            "state": state,
            "last_seq": last_seq,
            "outcome": outcome,
        }

    def ends(self, events=(), **outcome) -> None:
        self.answers["submit"] = self.status(state="running")
        events = [{"seq": n, "at": "x", "text": text} for n, text in enumerate(events, 1)]
        status = self.status(last_seq=len(events), **outcome)
        self.answers["follow"] = {"status": status, "events": events}

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                with (
                    contextlib.suppress(OSError, struct.error),
                    self._context.wrap_socket(sock, server_side=True) as tls,
                    tls.makefile("rb") as stream,
                ):
                    while True:
                        self._answer(tls, stream)

    def _answer(self, tls, stream) -> None:
        header = struct.unpack(HEADER, stream.read(40))
        notes, body = stream.read(header[7]), stream.read(header[6])
        self.traces.append(notes)
        answer = self.answers[json.loads(body)["method"]]
        is_envelope = isinstance(answer, dict) and set(answer) == {"error"}
        data = json.dumps(answer if is_envelope else {"ok": answer}).encode()
        numbers = (502, 5, 3, 0, header[5], len(data), 0, b"\0" * 16, 0, 0x4DC5)
        tls.sendall(struct.pack(HEADER, b"PYRO", *numbers) + data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def node(cluster):
    made = Node(cluster.config("sn1"))
    yield made
    made.close()


@pytest.fixture
def agent(cluster, node):
    with cluster.pool.connect("sn1", Role.SN, *node.place) as connection:
        yield connection


def test_error_text_of_31_megabytes_is_cut_and_still_the_jobs_own(agent, node):
    error = {"code": 401, "message": "m" * 31 * MEGA, "detail": "no\n"}
    node.ends(error=error)
    failure = agent.run("j", XCATINFO, 5).failure()
    assert failure is not None
    assert failure.code is ErrorCode.COMMAND_FAILED
    assert failure.message.startswith("m" * 4000)
    assert failure.message.endswith(f"m… ({31 * MEGA} characters)")
    assert len(failure.message) == 4096
    assert failure.detail == "no\n"


def test_detail_and_result_are_cut(agent, node):
    node.ends(error={"code": 401, "message": "m", "detail": "d" * MEGA})
    failure = agent.run("j", XCATINFO, 5).failure()
    assert failure is not None
    assert failure.detail.startswith("d" * 65000)
    assert failure.detail.endswith("d… (1000000 characters)")
    node.ends(result={"n": ["x" * 4000] * 300})
    (text,) = agent.run("j", XCATINFO, 5).result.values()
    assert text.startswith("a result of 12")


def test_error_of_a_call_is_cut(agent, node):
    node.answers["jobs"] = {"error": {"code": 501, "message": "m" * MEGA, "detail": "d" * MEGA}}
    with pytest.raises(AgentError) as caught:
        agent.jobs()
    assert len(caught.value.message) < 4200
    assert len(caught.value.detail) < 65700


def test_names_of_unknown_fields_are_cut(agent, node):
    node.answers["jobs"] = [{"k" * MEGA: 1}]
    with pytest.raises(AgentError) as caught:
        agent.jobs()
    assert len(caught.value.message) < 4300


def test_events_are_bounded_in_number_and_length(agent, node):
    node.ends(events=["short"] * 30_000)
    said = []
    assert agent.run("j", XCATINFO, 5, said.append).ok
    assert len(said) == bounds.MAX_EVENTS + 1
    node.ends(events=["x" * MEGA] * 20)
    said.clear()
    assert agent.run("j", XCATINFO, 5, said.append).ok
    assert max(len(event.text) for event in said) < 4200


def test_control_characters_are_visible(agent, node):
    bad = "\x1b]0;title\x07\x9b2J\nn2: done"
    node.ends(events=[bad], error={"code": 401, "message": bad, "detail": bad})
    said = []
    failure = agent.run("j", XCATINFO, 5, said.append).failure()
    assert failure is not None
    assert said[0].text == failure.message == "\\x1b]0;title\\x07\\x9b2J n2: done"
    assert failure.detail == "\\x1b]0;title\\x07\\x9b2J\nn2: done"


def test_facts_are_bounded_and_harmless(agent, node):
    node.answers["query"] = {
        "node": "sn1",
        "hostname": "\x1b[2J" + "h" * MEGA,
        "os_level": "7300",
        "interfaces": [],
        "routes": [],
        "space": [],
        "niminfo": {"A\x1b": "b\x1b"},
        "agent_version": "1",
    }
    host = agent.query(proto.HostFacts())
    assert host.hostname.startswith("\\x1b[2Jhhh")
    assert len(host.hostname) < 4200
    assert host.niminfo == {"A\\x1b": "b\\x1b"}


def test_large_answers_are_taken_in_a_few_at_a_time(agent, node):
    node.answers["jobs"] = {"error": {"code": 501, "message": "m" * 2 * MEGA, "detail": ""}}
    taken = [agent_link._large.acquire(blocking=False) for _ in range(4)]
    try:
        assert taken == [True] * 4
        with pytest.raises(AgentError, match="no answer in time"):
            agent._call("jobs", limit=0.3)
    finally:
        for _ in taken:
            agent_link._large.release()
    with pytest.raises(AgentError, match="mmm"):
        agent.jobs()
    # The places are free again.
    taken = [agent_link._large.acquire(blocking=False) for _ in range(4)]
    for _ in taken:
        agent_link._large.release()
    assert taken == [True] * 4


def test_calls_carry_the_request_they_serve(cluster, node):
    node.answers["jobs"] = []
    with request_id("a1b2"), cluster.pool.connect("sn1", Role.SN, *node.place) as agent:
        agent.jobs()
    note = TRACE.encode() + struct.pack("!I", 4) + b"a1b2"
    assert node.traces == [note, note]


def test_calls_outside_of_a_request_carry_nothing(agent, node):
    node.answers["jobs"] = []
    agent.jobs()
    assert node.traces == [b"", b""]
