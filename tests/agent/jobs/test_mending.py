"""What a lost job left is mended before another of its kind begins, and holds up nothing else."""

from __future__ import annotations

import threading

import pytest

from xcat_aix_agent.clock import SystemClock
from xcat_aix_agent.jobs import store as stores
from xcat_aix_agent.jobs.store import JobStore, StoreLimits
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.operations import ChangeDefaultRoute, SetXcatServer

BY = "xcat-aix:mn:mn1"
ROUTE = ChangeDefaultRoute("10.0.0.1", "10.0.0.2")


class Dies:
    """Begins to work on every job, and dies as soon as it is told to."""

    def __init__(self):
        self.working = set()

    def start(self, job, spec):
        job.start(1)
        self.working.add(job.job_id)

    def is_working(self, job, spec):
        return job.job_id in self.working

    def wait(self, job, done, seconds):
        done()

    def cancel(self, job):
        raise AssertionError

    def close(self, *, abandon=False):
        raise AssertionError


class Mender:
    """Mends until it is let go."""

    def __init__(self):
        self.begun, self.go, self.mended = threading.Event(), threading.Event(), []

    def __call__(self, spec):
        self.begun.set()
        assert self.go.wait(20)
        self.mended.append(spec.job_id)


@pytest.fixture
def runner():
    return Dies()


@pytest.fixture
def store(tmp_path, runner):
    made = JobStore(
        tmp_path / "jobs", runner, SystemClock(), StoreLimits(50, 8, 3600.0), sync=False
    )
    made.recover()
    return made


@pytest.fixture
def mender(store, runner):
    """A job was lost, and somebody mends what it left; ends with the test."""
    store.submit("lost", ROUTE, 60, BY)
    runner.working.clear()
    store.on_lost = mender = Mender()
    thread = threading.Thread(target=store.settle)
    thread.start()
    assert mender.begun.wait(20)
    yield mender
    mender.go.set()
    thread.join(20)


def within_seconds(action):
    """The answer of ``action``, which must not wait for the mender."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(action()), daemon=True)
    thread.start()
    thread.join(10)
    assert answers, "it waits"
    return answers[0]


def test_other_jobs_go_on_meanwhile(store, mender):
    assert (
        within_seconds(lambda: store.submit("x", SetXcatServer("10.0.0.1"), 60, BY)).job_id == "x"
    )
    assert within_seconds(lambda: store.settle() or True)
    assert within_seconds(lambda: store.follow("lost", 0, 0)).status.state.value == "lost"
    assert not mender.mended


def test_the_mender_may_ask_the_store(store, runner):
    store.submit("lost", ROUTE, 60, BY)
    runner.working.clear()
    seen = []
    store.on_lost = lambda spec: (store.settle(), seen.append(store.status(spec.job_id).job_id))
    within_seconds(lambda: store.settle() or True)
    assert seen == ["lost"]


def test_a_job_of_the_kind_begins_when_it_is_mended(store, mender, runner, monkeypatch):
    monkeypatch.setattr(stores, "_MENDING", 60.0)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(store.submit("next", ROUTE, 60, BY)))
    thread.start()
    assert within_seconds(lambda: store.submit("x", SetXcatServer("10.0.0.1"), 60, BY))
    assert "next" not in runner.working
    mender.go.set()
    thread.join(20)
    assert answers[0].job_id == "next"
    assert (mender.mended, "next" in runner.working) == (["lost"], True)


def test_or_is_told_that_it_is_not_yet(store, mender, runner, monkeypatch):
    monkeypatch.setattr(stores, "_MENDING", 0.0)
    with pytest.raises(
        AgentError, match=r"lost job lost \(client.default_route@1\) left"
    ) as caught:
        store.submit("next", ROUTE, 60, BY)
    assert caught.value.code is ErrorCode.BUSY
    assert store._job("next").exists is False


def test_a_mender_that_fails_holds_up_nobody(store, runner):
    store.submit("lost", ROUTE, 60, BY)
    runner.working.clear()

    def fails(_spec):
        raise ZeroDivisionError

    store.on_lost = fails
    with pytest.raises(ZeroDivisionError):
        store.settle()
    assert store.submit("next", ROUTE, 60, BY).state.value == "running"
