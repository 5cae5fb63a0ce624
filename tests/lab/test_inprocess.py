from __future__ import annotations

import pytest

from xcat_aix_lab.inprocess import ModelCommands
from xcat_aix_lab.sim.faults import HANG, SLOW, Fault, Faults
from xcat_aix_lab.sim.store import MemoryStore
from xcat_aix_proto.errors import AgentError, ErrorCode

from . import transcript


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def store() -> MemoryStore:
    return transcript.fresh()


def commands(store: MemoryStore, node: str = "n01") -> ModelCommands:
    clock = Time()
    return ModelCommands(store, node, sleep=clock.sleep, monotonic=clock.monotonic)


def test_an_answer_as_from_a_process(store: MemoryStore) -> None:
    done = commands(store).run(["/usr/sbin/nimclient", "-l", "-a", "Cstate", "n01"], timeout=5)
    assert (done.rc, done.stderr) == (0, "")
    assert done.stdout == "n01:\n   Cstate         = ready for a NIM operation\n"
    assert commands(store).run(["nimclient", "-l", "nobody"], timeout=5).rc == 53


def test_a_command_that_the_host_lacks(store: MemoryStore) -> None:
    with pytest.raises(AgentError) as caught:
        commands(store).run(["lsnim"], timeout=5)
    assert caught.value.code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("rule", [Fault("*", HANG), Fault("*", SLOW, seconds=6.0)])
def test_the_time_limit_holds(store: MemoryStore, rule: Fault) -> None:
    store.save_faults("n01", Faults(rules=[rule]))
    with pytest.raises(AgentError) as caught:
        commands(store).run(["hostname"], timeout=5)
    assert caught.value.code is ErrorCode.TIMED_OUT


def test_a_slow_command_within_its_time(store: MemoryStore) -> None:
    store.save_faults("n01", Faults(rules=[Fault("*", SLOW, seconds=4.0)]))
    done = commands(store).run(["hostname"], timeout=5)
    assert (done.stdout, done.duration) == ("n01\n", 4.0)


def test_postscripts_leave_a_note(store: MemoryStore) -> None:
    argv = ["/lab/n01/root/xcatpost/syslog", "-q"]
    done = commands(store).run(argv, timeout=5, env={"MASTER": "sn2b", "NODE": "n01"})
    assert done.rc == 0
    log = store.files("n01").read("/var/log/xcat/postscripts.log")
    assert log == "syslog -q MASTER=sn2b NODE=n01\n"
