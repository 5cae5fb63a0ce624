"""Jobs from the management node: to the end, over dropped lines, restarts and lost processes."""

from __future__ import annotations

import contextlib
import dataclasses
import selectors
import socket
import threading
import time

import pytest
from tests.daemon.agents.conftest import carry_out

from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Role
from xcat_aix_proto.jobs import ChainProbe, JobState, RecordState, Verdict, records

XCATINFO = proto.SetXcatServer("10.0.0.2")
ROUTE = proto.ChangeDefaultRoute("10.0.0.1", "10.0.0.2")


class Cutter:
    """A proxy on loopback whose connections can be cut at any time."""

    def __init__(self, target) -> None:
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = self.listener.getsockname()
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.accepted = 0
        self.refusing = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                if self.refusing:
                    near.close()
                    continue
                far = socket.create_connection(self.target)
                self.pairs.append((near, far))
                self.accepted += 1
                threading.Thread(target=self._pump, args=(near, far), daemon=True).start()

    @staticmethod
    def _pump(near, far) -> None:
        with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    key.data.sendall(data)

    def cut(self) -> None:
        for pair in self.pairs:
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        self.cut()
        for pair in self.pairs:
            for sock in pair:
                sock.close()


@pytest.fixture
def cutter(cluster, programs):
    made = Cutter(cluster.start("sn1", commands=programs).addresses[0])
    yield made
    made.close()


@pytest.fixture
def agent(cluster, programs):
    with cluster.connect(cluster.start("sn1", commands=programs)) as connection:
        yield connection


def routes(gateway):
    return f"Destination Gateway Flags Refs Use If\ndefault {gateway} UG 1 1 en0\n"


@pytest.fixture
def gate(programs):
    """The route command waits until the gate opens."""
    opened, reached = threading.Event(), threading.Event()
    state = ["10.0.0.1"]

    def change(argv):
        reached.set()
        assert opened.wait(20)
        state[0] = argv[-1]

    programs.programs.update(netstat=lambda _argv: routes(state[0]), route=change)
    return opened, reached


def test_events_and_outcome_are_told(agent):
    said = []
    outcome = carry_out(agent, "j", XCATINFO, said).outcome
    assert (outcome.ok, outcome.result) == (True, {"before": ""})
    assert said[-1].text.startswith("/etc/xcatinfo: XCATSERVER=10.0.0.2")
    assert [event.seq for event in said] == list(range(1, len(said) + 1))
    assert agent.probe(XCATINFO).verdict is Verdict.DONE
    (status,) = agent.jobs()
    assert (status.job_id, status.state) == ("j", JobState.EXITED)
    agent.acknowledge("j")


def test_again_with_the_same_id_is_the_same_job(agent):
    assert carry_out(agent, "j", XCATINFO) == carry_out(agent, "j", XCATINFO)
    assert len(agent.jobs()) == 1


def test_failure_is_an_outcome(agent, programs):
    programs.programs["netstat"] = lambda _argv: (1, "", "no\n")
    outcome = carry_out(agent, "j", ROUTE).outcome
    assert not outcome.ok
    failure = outcome.failure()
    assert failure is not None
    assert failure.code is ErrorCode.COMMAND_FAILED


def test_query(agent, programs):
    programs.programs["lsnim"] = lambda argv: (
        "n1 machines standalone\n" if len(argv) == 1 else "n1:\n   Cstate = ready\n"
    )
    database = agent.query(proto.NimSnapshot(("n1", "n2")))
    assert database.by_name()["n1"].get("Cstate") == "ready"
    assert database.missing == ("n2",)


def test_an_answer_that_takes_too_long_is_not_asked_for_twice(agent, programs):
    asked, over = [], threading.Event()

    def lsnim(argv):
        asked.append(argv)
        over.wait(20)
        return ""

    programs.programs["lsnim"] = lsnim
    try:
        with pytest.raises(AgentError, match="no answer in time"):
            agent.query(proto.NimSnapshot(), 0.5)
    finally:
        over.set()
    assert len(asked) == 1


def test_a_job_survives_a_cut_line(cluster, cutter, gate):
    opened, reached = gate
    said = []
    with cluster.pool.connect("sn1", Role.SN, *cutter.place) as agent:

        def disturb():
            assert reached.wait(20)
            cutter.cut()
            opened.set()

        thread = threading.Thread(target=disturb)
        thread.start()
        outcome = carry_out(agent, "j", ROUTE, said).outcome
        thread.join()
    assert outcome.ok
    assert cutter.accepted >= 2
    assert [event.seq for event in said] == list(range(1, len(said) + 1))


def test_a_job_is_followed_beyond_the_longest_life_of_a_connection(cluster, programs, gate):
    opened, reached = gate
    server = cluster.start("sn1", commands=programs, connection_life=0.2)
    said, seen = [], {}
    with cluster.connect(server) as agent:

        def open_the_gate_later():
            assert reached.wait(20)
            while len(seen) < 3:
                seen.update(dict.fromkeys(list(server._peers._established)))
                threading.Event().wait(0.02)
            opened.set()

        thread = threading.Thread(target=open_the_gate_later)
        thread.start()
        outcome = carry_out(agent, "j", ROUTE, said).outcome
        thread.join()
    assert outcome.ok
    assert [event.seq for event in said] == list(range(1, len(said) + 1))


def test_every_call_survives_one_cut_line(cluster, cutter):
    with cluster.pool.connect("sn1", Role.SN, *cutter.place) as agent:
        for call in (agent.jobs, lambda: agent.submit("j", XCATINFO, 5)):
            cutter.cut()
            call()


def test_agent_that_stays_away_is_unreachable(cluster, cutter, gate):
    opened, reached = gate
    with cluster.pool.connect("sn1", Role.SN, *cutter.place) as agent:
        agent.submit("j", ROUTE, 30)
        assert reached.wait(20)
        cutter.refusing = True
        cutter.cut()
        with pytest.raises(AgentError) as caught:
            agent.follow("j", 0, 5.0)
    opened.set()
    assert caught.value.code is ErrorCode.UNREACHABLE


def test_restarted_agent_is_found_again_and_the_lost_job_told(cluster, programs, gate):
    opened, reached = gate
    config = cluster.config("sn1", relay_ports=())
    first = cluster.run(config, programs)
    address, port = first.addresses[0]
    with cluster.pool.connect("sn1", Role.SN, address, port) as agent:
        agent.submit("j", ROUTE, 30)
        assert reached.wait(20)
        first.stop(abandon=True)
        cluster.run(dataclasses.replace(config, port=port), programs)
        status = carry_out(agent, "j", ROUTE)
        assert (status.state, status.outcome) == (JobState.LOST, None)
        assert agent.probe(ROUTE, "j").verdict is Verdict.NOT_DONE
        opened.set()


def test_cancel_ends_the_job(agent, gate):
    opened, reached = gate
    agent.submit("j", ROUTE, 30)
    assert reached.wait(20)
    threading.Timer(0.1, opened.set).start()
    status = agent.cancel("j")
    failure = status.outcome.failure()
    assert (status.state, failure.code) == (JobState.EXITED, ErrorCode.CANCELLED)


CHAIN = proto.Chain.of((XCATINFO, ROUTE))


def test_a_chain_is_one_call(agent, programs):
    programs.programs["netstat"] = lambda _argv: routes("10.0.0.2")
    update = agent.begin("j", CHAIN, 30, 10.0)
    assert update.status.state is JobState.EXITED
    done, was_so = records(update.status.outcome, 2)
    assert (done.state, was_so.state) == (RecordState.DONE, RecordState.WAS_SO)
    assert [event.seq for event in update.events] == [1, 2]
    probe = agent.probe(CHAIN, "j")
    assert isinstance(probe, ChainProbe)
    assert [part.verdict for part in probe.parts] == [Verdict.DONE] * 2
    assert agent.begin("j", CHAIN, 30, 0.0) == update


def test_begin_waits_as_long_as_it_is_told(agent, gate):
    opened, reached = gate
    update = agent.begin("j", CHAIN, 30, 0.0)
    assert not update.status.state.is_over
    assert reached.wait(20)
    threading.Timer(0.1, opened.set).start()
    assert agent.begin("j", CHAIN, 30, 10.0).status.last_seq >= 1
    assert carry_out(agent, "j", CHAIN).outcome.ok


def test_what_an_agent_cannot_begin_is_submitted(cluster, agent):
    agent.welcome = dataclasses.replace(agent.welcome, operations=(XCATINFO.kind,))
    update = agent.begin("j", XCATINFO, 30, 10.0)
    assert (update.status.kind, update.events) == (XCATINFO.kind, ())
    assert carry_out(agent, "j", XCATINFO).outcome.ok


def test_a_lost_chain_tells_what_it_had_done(cluster, programs, gate):
    opened, reached = gate
    config = cluster.config("sn1")
    first = cluster.run(config, programs)
    with cluster.connect(first) as agent:
        agent.submit("j", CHAIN, 30)
        assert reached.wait(20)
        first.stop(abandon=True)
    with cluster.connect(cluster.run(config, programs)) as agent:
        status = carry_out(agent, "j", CHAIN)
        assert status.state is JobState.LOST
        states = [record.state for record in records(status.outcome, 2)]
        assert states == [RecordState.DONE, RecordState.LOST]
        assert status.outcome.failure().code is ErrorCode.JOB_LOST
        opened.set()


def test_a_job_is_forgotten_with_the_end_of_the_connection(cluster, agent):
    store = cluster.servers[0].service.store
    carry_out(agent, "j", XCATINFO)
    agent.forget("j")
    carry_out(agent, "k", XCATINFO)
    job = store._job("j")
    assert not job.is_acknowledged
    agent.close()
    limit = time.monotonic() + 20
    while not job.is_acknowledged:
        assert time.monotonic() < limit
    assert not store._job("k").is_acknowledged
    agent.close()


def test_many_jobs_are_forgotten_with_the_end_of_the_connection(cluster, agent):
    store = cluster.servers[0].service.store
    names = [f"j{number}" for number in range(12)]
    for name in names:
        carry_out(agent, name, XCATINFO)
        agent.forget(name)
    agent.close()
    limit = time.monotonic() + 20
    while not all(store._job(name).is_acknowledged for name in names):
        assert time.monotonic() < limit


def test_what_is_to_be_forgotten_outlives_a_cut_line(cluster, cutter):
    store = cluster.servers[0].service.store
    with cluster.pool.connect("sn1", Role.SN, *cutter.place) as agent:
        carry_out(agent, "j", XCATINFO)
        agent.forget("j")
        cutter.cut()
        agent.jobs()
    limit = time.monotonic() + 20
    while not store._job("j").is_acknowledged:
        assert time.monotonic() < limit


def test_forgetting_over_a_dead_line_is_no_error(cluster, cutter):
    with cluster.pool.connect("sn1", Role.SN, *cutter.place) as agent:
        carry_out(agent, "j", XCATINFO)
        agent.forget("j")
        cutter.cut()


def test_unknown_job(agent):
    with pytest.raises(AgentError) as caught:
        agent.follow("none", 0, 0)
    assert caught.value.code is ErrorCode.JOB_UNKNOWN
