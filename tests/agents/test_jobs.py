"""Jobs from the management node: to the end, over dropped lines, restarts and lost processes."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading

import pytest

from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Role
from xcat_aix_proto.jobs import JobState, Verdict

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


def test_run_tells_events_and_outcome(agent):
    said = []
    outcome = agent.run("j", XCATINFO, 30, said.append)
    assert (outcome.ok, outcome.result) == (True, {"before": ""})
    assert said[-1].text.startswith("/etc/xcatinfo: XCATSERVER=10.0.0.2")
    assert [event.seq for event in said] == list(range(1, len(said) + 1))
    assert agent.probe(XCATINFO).verdict is Verdict.DONE
    (status,) = agent.jobs()
    assert (status.job_id, status.state) == ("j", JobState.EXITED)
    agent.acknowledge("j")


def test_run_again_with_the_same_id_is_the_same_job(agent):
    assert agent.run("j", XCATINFO, 30) == agent.run("j", XCATINFO, 30)
    assert len(agent.jobs()) == 1


def test_failure_is_an_outcome(agent, programs):
    programs.programs["netstat"] = lambda _argv: (1, "", "no\n")
    outcome = agent.run("j", ROUTE, 30)
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


def test_run_survives_a_cut_line(cluster, cutter, gate):
    opened, reached = gate
    said = []
    with cluster.pool.connect("sn1", Role.SN, *cutter.place) as agent:

        def disturb():
            assert reached.wait(20)
            cutter.cut()
            opened.set()

        thread = threading.Thread(target=disturb)
        thread.start()
        outcome = agent.run("j", ROUTE, 30, said.append)
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
        outcome = agent.run("j", ROUTE, 30, said.append)
        thread.join()
    assert outcome.ok
    assert [event.seq for event in said] == list(range(1, len(said) + 1))


def test_every_call_survives_one_cut_line(cluster, cutter):
    with cluster.pool.connect("sn1", Role.SN, *cutter.place) as agent:
        for call in (agent.jobs, lambda: agent.submit("j", XCATINFO, 5)):
            cutter.cut()
            call()


def test_agent_that_stays_away_is_unreachable(cluster, cutter, gate):
    _, reached = gate
    with cluster.pool.connect("sn1", Role.SN, *cutter.place, patience=0.5) as agent:

        def disturb():
            assert reached.wait(20)
            cutter.refusing = True
            cutter.cut()

        thread = threading.Thread(target=disturb)
        thread.start()
        with pytest.raises(AgentError) as caught:
            agent.run("j", ROUTE, 30)
        thread.join()
    gate[0].set()
    assert caught.value.code is ErrorCode.UNREACHABLE


def test_restarted_agent_is_found_again_and_the_lost_job_told(cluster, programs, gate):
    opened, reached = gate
    config = cluster.config("sn1", relay_ports=())
    first = cluster.run(config, programs)
    address, port = first.addresses[0]
    import dataclasses

    config = dataclasses.replace(config, port=port)
    with cluster.pool.connect("sn1", Role.SN, address, port) as agent:

        def disturb():
            assert reached.wait(20)
            first.stop(abandon=True)
            cluster.run(config, programs)

        thread = threading.Thread(target=disturb)
        thread.start()
        with pytest.raises(AgentError) as caught:
            agent.run("j", ROUTE, 30)
        thread.join()
        assert caught.value.code is ErrorCode.JOB_LOST
        assert agent.probe(ROUTE, "j").verdict is Verdict.NOT_DONE
        opened.set()


def test_cancelled_run_ends_the_job(agent, gate):
    opened, reached = gate
    cancelled = threading.Event()

    def abort():
        assert reached.wait(20)
        cancelled.set()
        opened.set()

    thread = threading.Thread(target=abort)
    thread.start()
    # The job ends by itself or by us, whoever sees it first.
    with contextlib.suppress(AgentError):
        agent.run("j", ROUTE, 30, cancelled=cancelled)
    thread.join()
    assert agent.cancel("j").state is JobState.EXITED


def test_unknown_job(agent):
    with pytest.raises(AgentError) as caught:
        agent.follow("none", 0, 0)
    assert caught.value.code is ErrorCode.JOB_UNKNOWN
