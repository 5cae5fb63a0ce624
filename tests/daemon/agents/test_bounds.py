"""What a node sends is bounded here, whatever it sends; the truth about the job is kept."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import tracemalloc

import pytest

from xcat_aix.plan.model import Lane, Plan, Step, Target
from xcat_aix.run.executor import Executor
from xcat_aix.run.progress import PlanEnded, StepSaid
from xcat_aix.run.registry import Registry
from xcat_aix.run.testing import ManualClock, memory_journal
from xcat_aix.steps.agent import agent_steps
from xcat_aix_proto import TRACE, bounds, codec
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
                "operations": ["chain@1", *proto.BY_KIND],
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
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

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
                thread = threading.Thread(target=self._attend, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _attend(self, sock) -> None:
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
        call = json.loads(body)
        answer = self.answers[call["method"]]
        if callable(answer):
            answer = answer(*call["params"])
        if isinstance(answer, bytes):
            self._send(tls, header[5], answer)
            return
        is_envelope = isinstance(answer, dict) and set(answer) == {"error"}
        data = json.dumps(answer if is_envelope else {"ok": answer}).encode()
        self._send(tls, header[5], data)

    def _send(self, tls, seq, data) -> None:
        numbers = (502, 5, 3, 0, seq, len(data), 0, b"\0" * 16, 0, 0x4DC5)
        tls.sendall(struct.pack(HEADER, b"PYRO", *numbers) + data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def node(cluster):
    made = Node(cluster.config("sn1"))
    yield made
    made.close()


def outcome_of(agent):
    """The outcome of the job whose end the node tells at once."""
    outcome = agent.follow("j", 0, 0.0).status.outcome
    assert outcome is not None
    return outcome


@pytest.fixture
def agent(cluster, node):
    with cluster.pool.connect("sn1", Role.SN, *node.place) as connection:
        yield connection


def test_error_text_of_megabytes_is_cut_and_still_the_jobs_own(agent, node):
    error = {"code": 401, "message": "m" * 3 * MEGA, "detail": "no\n"}
    node.ends(error=error)
    failure = outcome_of(agent).failure()
    assert failure is not None
    assert failure.code is ErrorCode.COMMAND_FAILED
    assert failure.message.startswith("m" * 4000)
    assert failure.message.endswith(f"m… ({3 * MEGA} characters)")
    assert len(failure.message) == 4096
    assert failure.detail == "no\n"


def test_detail_is_cut(agent, node):
    node.ends(error={"code": 401, "message": "m", "detail": "d" * MEGA})
    failure = outcome_of(agent).failure()
    assert failure is not None
    assert failure.detail.startswith("d" * 65000)
    assert failure.detail.endswith("d… (1000000 characters)")


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


def said_by(cluster, node):
    told = run_lane(cluster, node)
    assert isinstance(told[-1], PlanEnded)
    return [each.text for each in told if isinstance(each, StepSaid)]


def test_events_are_bounded_in_number_and_length(cluster, node):
    node.ends(events=["short"] * 20_000)
    assert len(said_by(cluster, node)) == bounds.MAX_EVENTS + 1
    node.ends(events=["x" * MEGA] * 5)
    assert max(map(len, said_by(cluster, node))) < 4200


def test_control_characters_are_visible(cluster, agent, node):
    bad = "\x1b]0;title\x07\x9b2J\nn2: done"
    node.ends(events=[bad], error={"code": 401, "message": bad, "detail": bad})
    failure = outcome_of(agent).failure()
    assert failure is not None
    shown = "\\x1b]0;title\\x07\\x9b2J n2: done"
    assert (said_by(cluster, node)[0], failure.message) == (shown, shown)
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


#: Errors and answers that are none, each of which ended more than the call that got it.
NOT_OURS = [
    b'{"error":{"code":1e999,"message":"x"}}',
    b'{"error":{"code":"401","message":"x"}}',
    b'{"error":{"code":[[]],"message":"x"}}',
    b'{"error":{"code":401,"message":["x"]}}',
    b'{"error":{"code":401,"message":"x","detail":{"a":1}}}',
    b'{"error":{"code":true,"message":"x"}}',
    b'{"ok":NaN}',
    b'{"ok":{"job_id":"j","kind":"k","state":"running","last_seq":' + b"9" * 4000 + b"}}",
    b'{"ok":{"job_id":"j","kind":"k","state":{"a":[]}}}',
    b'{"ok":' + b'{"a":' * 300 + b"1" + b"}" * 301,
    b"[" * 100_000,
    b'"' * 1000,
    b"\xff\xfe[]",
    b"",
]


@pytest.mark.parametrize("answer", NOT_OURS)
def test_what_is_no_answer_of_this_protocol_is_a_bad_message(cluster, agent, node, answer):
    node.answers["submit"] = node.answers["probe"] = answer
    for ask in (lambda: agent.submit("j", XCATINFO, 5), lambda: agent.probe(XCATINFO)):
        with pytest.raises(AgentError) as caught:
            ask()
        assert caught.value.code is ErrorCode.BAD_MESSAGE
        assert len(caught.value.message) < 600
    node.answers["hello"] = answer
    with pytest.raises(AgentError) as caught:
        cluster.pool.connect("sn1", Role.SN, *node.place)
    assert caught.value.code is ErrorCode.BAD_MESSAGE


def test_the_error_of_an_outcome_is_one_of_this_protocol(agent, node):
    node.answers["submit"] = node.status(state="running")
    status = json.dumps(node.status(error={"code": 0, "message": "x"}))
    answer = b'{"ok":{"status":' + status.encode().replace(b'"code": 0', b'"code": "1"') + b"}}"
    node.answers["follow"] = answer
    failure = outcome_of(agent).failure()
    assert failure is not None
    assert failure.code is ErrorCode.BAD_MESSAGE


def _peak(action):
    """Bytes of memory that an action takes at most; it must be refused as a bad message."""
    tracemalloc.start()
    try:
        with pytest.raises(AgentError) as caught:
            action()
        assert caught.value.code is ErrorCode.BAD_MESSAGE, caught.value
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("method", "unit"),
    [
        *(("hello", unit) for unit in (b"{},", b"[],", b'{"":1},', b"1,", b'"",', b"[[[]]],")),
        ("submit", b"{},"),
        ("submit", b'"",'),
        ("query", b"{},"),
        ("query", b"[[[]]],"),
    ],
)
def test_an_answer_of_many_small_values_costs_little(cluster, agent, node, method, unit):
    most = {"hello": 100_000, "submit": 3 * MEGA, "query": 15 * MEGA}[method]
    node.answers[method] = b'{"ok":[' + unit * (most // len(unit)) + b"0]}"
    asks = {
        "hello": lambda: cluster.pool.connect("sn1", Role.SN, *node.place, timeout=20.0),
        "submit": lambda: agent.submit("j", XCATINFO, 5),
        "query": lambda: agent.query(proto.HostFacts()),
    }
    # The message itself, as bytes in pieces and in one, by both ends of this test.
    assert _peak(asks[method]) < 5 * most + 4 * MEGA


@pytest.mark.parametrize("method", ["hello", "submit", "probe", "jobs", "query"])
def test_an_answer_that_is_too_long_is_not_taken_in(cluster, agent, node, method):
    node.answers[method] = b'{"ok":"' + b"x" * 17 * MEGA + b'"}'
    asks = {
        "hello": lambda: cluster.pool.connect("sn1", Role.SN, *node.place, timeout=20.0),
        "submit": lambda: agent.submit("j", XCATINFO, 5),
        "probe": lambda: agent.probe(XCATINFO),
        "jobs": agent.jobs,
        "query": lambda: agent.query(proto.HostFacts()),
    }
    with pytest.raises(AgentError, match=r"17000009 bytes is too long, at most \d+ are taken"):
        asks[method]()
    if method != "hello":  # the rest of it is no answer to the next question
        node.answers[method] = {"error": {"code": 502, "message": "honest again"}}
        with pytest.raises(AgentError, match="honest again"):
            asks[method]()


def test_a_large_nim_database_is_taken(agent, node):
    attributes = [
        [f"attribute{n}", 'a value, with commas, [brackets] and \\ " signs'] for n in range(30)
    ]
    objects = [{"name": f"n{n}", "attributes": attributes} for n in range(3000)]
    node.answers["query"] = {"is_master": True, "objects": objects}
    found = agent.query(proto.NimSnapshot())
    assert len(found.objects) == 3000
    assert found.objects[-1].attributes[3][1] == 'a value, with commas, [brackets] and \\ " signs'


def test_one_lying_node_costs_its_own_lane_only(cluster, node):
    """A run over two nodes, over real connections; the one answers what is no error."""
    node.answers["probe"] = {"verdict": "not_done", "text": ""}
    node.answers["submit"] = b'{"error":{"code":1e999,"message":"x"}}'
    server = cluster.start("sn2")
    places = {"sn1": node.place, "sn2": server.addresses[0]}

    def connect(target, via):
        return cluster.pool.connect(target.node, Role.SN, *places[target.node])

    clock = ManualClock()
    executor = Executor(memory_journal(clock), Registry(agent_steps((0.0,))), clock, connect)
    args = codec.to_wire(XCATINFO)
    lanes = tuple(
        Lane(name, (Step("x", XCATINFO.kind, args),), subject=name, target=Target("sn", name))
        for name in places
    )
    (end,) = [
        told
        for told in executor.run(executor.open(Plan("snmove", ("sn1", "sn2"), lanes)))
        if isinstance(told, PlanEnded)
    ]
    assert {name: result.value for name, result in end.lanes.items()} == {
        "sn1": "undone",
        "sn2": "done",
    }


def portions(node, last_seq, step=3, state="exited"):
    """A story of so many events, some in each answer; it is all over from the beginning."""
    asked = []

    def follow(_job, after, _wait):
        asked.append(after)
        events = range(after + 1, min(after + step, last_seq) + 1)
        return {
            "status": node.status(last_seq=last_seq, state=state),
            "events": [{"seq": n, "at": "x", "text": str(n)} for n in events],
        }

    node.answers["submit"] = node.status(last_seq=last_seq, state=state)
    node.answers["follow"] = follow
    return asked


def run_lane(cluster, node):
    node.answers["probe"] = {"verdict": "not_done", "text": ""}
    node.answers["acknowledge"] = None
    clock = ManualClock()
    executor = Executor(
        memory_journal(clock),
        Registry(agent_steps((0.0,))),
        clock,
        lambda target, _via: cluster.pool.connect(target.node, Role.SN, *node.place),
    )
    step = Step("x", XCATINFO.kind, codec.to_wire(XCATINFO))
    lanes = (Lane("sn1", (step,), subject="sn1", target=Target("sn", "sn1")),)
    return list(executor.run(executor.open(Plan("snmove", ("sn1",), lanes))))


def test_a_step_hears_a_story_in_portions_to_its_end(cluster, node):
    portions(node, 10)
    assert said_by(cluster, node) == [str(n) for n in range(1, 11)]


def test_a_step_leaves_a_story_that_does_not_go_on(cluster, node):
    asked = portions(node, 10, step=0)
    assert isinstance(run_lane(cluster, node)[-1], PlanEnded)
    assert asked == [0]
