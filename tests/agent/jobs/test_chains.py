"""Several operations as one job: one wrapper, a record of each, whatever interrupts it."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xcat_aix_agent.clock import SystemClock, stamp
from xcat_aix_agent.jobs.job import Job, Spec
from xcat_aix_proto import codec
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.jobs import Record, RecordState
from xcat_aix_proto.operations import (
    Chain,
    ChangeDefaultRoute,
    RepointClient,
    Right,
    RunPostscripts,
    SetBootlist,
    SetXcatServer,
    to_wire,
)

BUSY, CONFLICT, NO_SPACE, TIMED_OUT, CANCELLED, LOST, FAILED = 502, 302, 406, 405, 408, 305, 401
SERVER, ROUTE = SetXcatServer("10.0.0.1"), ChangeDefaultRoute("10.0.0.1", "10.0.0.2")


def scripts(*names):
    return RunPostscripts(names, "10.0.0.1", "sn1")


def chain(*parts):
    return to_wire(Chain.of(parts))


def write_script(site, name, text):
    path = site.path / "roots/sn1/xcatpost" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def finish(client, job_id):
    """Its story, its state, its error's code, and its records."""
    texts, after = [], 0
    while True:
        update = client.call("follow", job_id, after, 5)["ok"]
        texts += [event["text"] for event in update["events"]]
        after = len(texts)
        if update["status"]["state"] in ("exited", "lost"):
            outcome = update["status"]["outcome"]
            error = outcome["error"] and outcome["error"]["code"]
            assert outcome["ok"] is (error is None)
            return texts, update["status"]["state"], error, outcome["result"]["records"]


def states(records):
    return [record["state"] for record in records]


def verdict(client, operation, job_id):
    return client.call("probe", to_wire(operation), job_id)["ok"]["verdict"]


@pytest.fixture
def server(site):
    return site.start(site.config())


@pytest.fixture
def client(site, server):
    return site.greeted(server)


@pytest.fixture
def slow(site, tmp_path):
    """``slow`` runs until the file ``go`` is there, and notes each start in ``ran``."""
    go, ran = tmp_path / "go", tmp_path / "ran"
    write_script(site, "slow", f"echo $$ >> {ran}\nwhile [ ! -e {go} ]; do sleep 0.05; done")
    write_script(site, "quick", "echo quickly")
    return {"go": go, "ran": ran, "parts": (SERVER, scripts("quick"), scripts("slow"), ROUTE)}


@pytest.fixture
def inline(site, commands):
    def start(**settings):
        return site.greeted(site.start(site.config(**settings), commands=commands, runner="inline"))

    return start


def test_each_is_looked_at_and_done_by_one_wrapper(site, client):
    write_script(site, "who", "echo $PPID")
    (site.path / "roots/sn1/etc/xcatinfo").write_text("XCATSERVER=10.0.0.1\n")
    client.call("submit", "c", chain(SERVER, scripts("who"), scripts("who", "who a")), 60)
    texts, state, error, records = finish(client, "c")
    assert (state, error, states(records)) == ("exited", None, ["was_so", "done", "done"])
    assert records[0]["text"] == "/etc/xcatinfo names 10.0.0.1"
    assert records[2]["result"] == {"scripts": ["who", "who a"]}
    assert texts[0] == "[1/3] client.xcatinfo@1 is done already: /etc/xcatinfo names 10.0.0.1"
    assert [text.partition(" ")[0] for text in texts] == ["[1/3]"] + ["[2/3]"] * 2 + ["[3/3]"] * 4
    wrapper = Job(site.path / "jobs/sn1/c").wrapper
    assert {text.split()[-1] for text in texts if " who: " in text} == {str(wrapper)}


def test_records_read_with_cat(site, client):
    write_script(site, "bad", "exit 3")
    client.call("submit", "c", chain(SERVER, scripts("bad"), ROUTE), 60)
    finish(client, "c")
    path = site.path / "jobs/sn1/c"
    lines = [line.partition(" ") for line in (path / "records").read_text().splitlines()]
    assert [kind for kind, _, _ in lines] == ["client.xcatinfo@1", "client.postscripts@2"]
    assert [json.loads(text)["state"] for _, _, text in lines] == ["done", "failed"]
    assert (path / "rc").read_text() == f"{FAILED}\n"
    assert (path / "records").stat().st_mode & 0o777 == 0o600


def test_the_first_failure_is_the_last_that_is_begun(site, client):
    write_script(site, "bad", "exit 3")
    write_script(site, "good", "touch /nowhere/ever")
    client.call("submit", "c", chain(SERVER, scripts("bad"), scripts("good"), ROUTE), 60)
    texts, state, error, records = finish(client, "c")
    assert (state, error) == ("exited", FAILED)
    assert states(records) == ["done", "failed", "not_begun", "not_begun"]
    assert records[1]["error"]["message"] == "postscripts: bad ended with 3"
    assert "[2/4] failed: postscripts: bad ended with 3" in texts
    assert not any(text.startswith(("[3/", "[4/")) for text in texts)
    # What it did it did: the record of a failed chain proves its parts.
    assert verdict(client, scripts("bad"), "c") == "not_done"
    write_script(site, "bad", "exit 0")
    client.call("submit", "c2", chain(scripts("bad"), scripts("good")), 60)
    assert states(finish(client, "c2")[3]) == ["done", "failed"]
    assert verdict(client, scripts("bad"), "c2") == "done"
    assert verdict(client, scripts("good"), "c2") == "not_done"
    assert verdict(client, scripts("bad"), "") == "not_done"


def test_a_probe_of_a_chain_has_one_for_each_part(site, client):
    write_script(site, "good", "exit 0")
    parts = (SERVER, scripts("good"))
    answer = client.call("probe", chain(*parts), "c")["ok"]
    assert (answer["verdict"], answer["text"]) == ("not_done", "0 of 2 are done")
    client.call("submit", "c", chain(*parts), 60)
    finish(client, "c")
    answer = client.call("probe", chain(*parts), "c")["ok"]
    assert [part["verdict"] for part in answer["parts"]] == ["done", "done"]
    assert answer["verdict"] == "done"
    answer = client.call("probe", chain(*parts), "other")["ok"]
    assert [part["verdict"] for part in answer["parts"]] == ["done", "not_done"]
    assert (answer["verdict"], answer["text"]) == ("not_done", "1 of 2 are done")


def test_a_probe_that_fails_tells_of_which_part(client, error):
    boot = SetBootlist("10.0.0.9", "10.0.0.1")
    text = error(client.call("probe", chain(SERVER, boot), ""))[1]
    assert text.startswith("client.bootlist@1: cannot find")


def test_a_killed_wrapper_leaves_what_it_had_done(site, server, client, slow, until):
    client.call("submit", "c", chain(*slow["parts"]), 60)
    until(slow["ran"].exists)
    job = Job(site.path / "jobs/sn1/c")
    until(lambda: job.group)
    os.kill(job.wrapper, signal.SIGKILL)
    until(lambda: not job.lock_is_held())
    # Its command may still bring the effect about.
    assert client.call("follow", "c", 0, 0)["ok"]["status"]["state"] == "running"
    os.killpg(job.group, signal.SIGKILL)
    _, state, error, records = finish(client, "c")
    assert (state, error) == ("lost", LOST)
    assert states(records) == ["done", "done", "lost", "not_begun"]
    server.stop()
    client = site.greeted(site.start(server.config))
    assert states(finish(client, "c")[3]) == ["done", "done", "lost", "not_begun"]
    assert verdict(client, scripts("quick"), "c") == "done"
    assert verdict(client, scripts("slow"), "c") == "not_done"
    # What is left is done under another id.
    slow["go"].touch()
    client.call("submit", "c2", chain(scripts("slow"), SERVER), 60)
    assert states(finish(client, "c2")[3]) == ["done", "was_so"]
    assert client.call("acknowledge", "c") == {"ok": None}


def test_an_agent_restarts_while_a_chain_runs(site, server, client, slow, until):
    client.call("submit", "c", chain(*slow["parts"][:3]), 60)
    until(slow["ran"].exists)
    server.stop()
    client = site.greeted(site.start(server.config))
    assert client.call("submit", "c", chain(*slow["parts"][:3]), 60)["ok"]["state"] == "running"
    slow["go"].touch()
    assert states(finish(client, "c")[3]) == ["done", "done", "done"]
    assert len(slow["ran"].read_text().splitlines()) == 1


def test_cancel_within_a_part(client, slow, until):
    client.call("submit", "c", chain(*slow["parts"]), 60)
    until(slow["ran"].exists)
    status = client.call("cancel", "c")["ok"]
    assert (status["state"], status["outcome"]["error"]["code"]) == ("exited", CANCELLED)
    _, _, error, records = finish(client, "c")
    assert (error, states(records)) == (CANCELLED, ["done", "done", "failed", "not_begun"])
    assert records[2]["error"]["code"] == CANCELLED
    assert verdict(client, scripts("quick"), "c") == "done"


def test_cancel_between_two_parts(inline, site, commands, monkeypatch):
    """No command is run by either, so that nothing but the chain itself can notice."""
    client = inline()
    reached, go = threading.Event(), threading.Event()
    real = Job.record

    def record(job, kind, record):
        real(job, kind, record)
        reached.set()
        assert go.wait(20)

    monkeypatch.setattr(Job, "record", record)
    client.call("submit", "c", chain(SERVER, SetXcatServer("10.0.0.2")), 60)
    assert reached.wait(20)
    store = site.servers[0].service.store
    store._runner._running["c"].set()
    go.set()
    _, _, error, records = finish(client, "c")
    assert (error, states(records)) == (CANCELLED, ["done", "failed"])
    assert (site.path / "roots/sn1/etc/xcatinfo").read_text() == "XCATSERVER=10.0.0.1\n"


def test_the_time_limit_is_of_all_together(client, slow):
    client.call("submit", "c", chain(*slow["parts"]), 3)
    _, _, error, records = finish(client, "c")
    assert (error, states(records)) == (TIMED_OUT, ["done", "done", "failed", "not_begun"])


def test_a_chain_and_a_job_of_one_of_its_kinds_exclude_each_other(client, slow, error, until):
    client.call("submit", "c", chain(*slow["parts"]), 60)
    until(slow["ran"].exists)
    for operation in (to_wire(SERVER), chain(SetXcatServer("10.0.0.9"))):
        code, text = error(client.call("submit", "x", operation, 5))
        assert code == BUSY
        assert "job c (client.xcatinfo@1, client.postscripts@2" in text
    boot = chain(SetBootlist("10.0.0.9", "10.0.0.1"))
    assert "ok" in client.call("submit", "other", boot, 5)
    assert error(client.call("submit", "c", chain(SERVER), 5))[0] == CONFLICT
    slow["go"].touch()
    finish(client, "c")
    assert "ok" in client.call("submit", "j", to_wire(SERVER), 60)


def test_a_chain_does_not_begin_while_a_job_of_one_of_its_kinds_works(client, slow, error, until):
    client.call("submit", "j", to_wire(scripts("slow")), 60)
    until(slow["ran"].exists)
    code, text = error(client.call("submit", "c", chain(SERVER, scripts("quick")), 5))
    assert (code, "job j (client.postscripts@2, for" in text) == (BUSY, True)
    slow["go"].touch()


def test_what_a_lost_chain_was_at_work_on_is_mended(site, commands, until):
    """Its node is registered with its old master again."""
    config = site.config()
    etc = site.path / "roots/sn1/etc"
    (etc / "niminfo").write_text("export NIM_NAME=n1\nexport NIM_MASTER_HOSTNAME=sn1\n")
    gate, reached = threading.Event(), threading.Event()

    def niminit(_argv):
        (etc / "niminfo").write_text("half of it")
        reached.set()
        gate.wait(20)
        return 1, "", "no"

    commands.programs["niminit"] = niminit
    server = site.start(config, commands=commands, runner="inline")
    client = site.greeted(server)
    client.call("submit", "c", chain(SERVER, RepointClient("n1", "sn2"), ROUTE), 60)
    assert reached.wait(20)
    server.stop(abandon=True)
    client = site.greeted(site.start(config, commands=commands, runner="inline"))
    assert states(finish(client, "c")[3]) == ["done", "lost", "not_begun"]
    assert "NIM_MASTER_HOSTNAME=sn1" in (etc / "niminfo").read_text()
    gate.set()


def test_what_cannot_be_recorded_is_not_gone_on_with(inline, monkeypatch, site):
    client = inline()

    def full(_job, _kind, _record):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Job, "record", full)
    client.call("submit", "c", chain(SERVER, ROUTE), 5)
    texts, state, error, records = finish(client, "c")
    assert (state, error, states(records)) == ("exited", NO_SPACE, ["done", "not_begun"])
    text = "cannot record what became of client.xcatinfo@1: No space left on device"
    assert texts[-1] == f"[1/2] failed: {text}"
    # The outcome was recorded, and proves it.
    assert site.servers[0].service.store.finished("c", SERVER)


def test_an_internal_error_of_one_part_ends_the_chain(inline, commands):
    def broken(_argv):
        raise ZeroDivisionError

    commands.programs["netstat"] = broken
    client = inline()
    client.call("submit", "c", chain(SERVER, ROUTE, scripts("x")), 5)
    texts, _, error, records = finish(client, "c")
    assert (error, states(records)) == (501, ["done", "failed", "not_begun"])
    assert any("ZeroDivisionError" in text for text in texts)


def test_results_of_all_parts_together_are_bounded(inline, site):
    names = [f"s{number}" for number in range(200)]
    for name in names:
        write_script(site, name, "exit 0")
    many = [scripts(*[f"{name} {'a' * 200}" for name in names[place:]]) for place in range(3)]
    client = inline()
    commands_of = site.servers[0]._commands.programs
    for name in names:
        commands_of[name] = lambda _argv: ""
    client.call("submit", "c", chain(*many), 60)
    records = finish(client, "c")[3]
    assert states(records) == ["done"] * 3
    assert len(records[0]["result"]["scripts"]) == 200
    assert list(records[2]["result"]) == ["left_out"]


def test_every_part_is_judged(site, client, error, caplog, monkeypatch):
    monkeypatch.setattr(SetBootlist, "right", Right.ADMIN)
    boot = SetBootlist("10.0.0.9", "10.0.0.1")
    answer = client.call("submit", "plan-1.sn1", chain(SERVER, boot), 5)
    assert "needs the right admin here and has operate" in error(answer)[1]
    asked = "plan-1.sn1 chain@1 client.xcatinfo@1 client.bootlist@1"
    assert f"(it asked: {asked})" in caplog.text
    assert client.call("jobs") == {"ok": []}
    site.allow("admin")
    assert "ok" in client.call("submit", "c", chain(SERVER, boot), 5)


def test_who_may_read_may_look_and_not_do(site, client, error):
    site.allow("read")
    assert client.call("probe", chain(SERVER), "")["ok"]["verdict"] == "not_done"
    assert error(client.call("submit", "c", chain(SERVER), 5))[0] == 202


def test_submitted_chains_are_logged_with_what_they_do(client, caplog):
    caplog.set_level("INFO")
    client.call("submit", "c", chain(SERVER, ROUTE), 5)
    assert "job c (client.xcatinfo@1, client.default_route@1) submitted by" in caplog.text


@pytest.fixture
def lost(tmp_path):
    """A chain of four that was begun, and its records file."""
    parts = (SERVER, ROUTE, scripts("a"), scripts("b"))
    job = Job(tmp_path / "c", sync=False)
    spec = Spec("c", chain(*parts), 60.0, "xcat-aix:mn:mn1", stamp(SystemClock().now()))
    job.accept(spec)
    return job, spec, parts


def test_nothing_of_a_chain_that_was_never_started_is_begun(lost):
    job, spec, _ = lost
    assert {record.state for record in job.records(spec)} == {RecordState.NOT_BEGUN}


_TEXTS = st.text(max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(done=st.integers(0, 4), cut=st.integers(0, 60), text=_TEXTS, fails=st.booleans())
def test_what_was_recorded_before_a_crash_is_told(lost, done, cut, text, fails):
    """Wherever in a line the crash came."""
    job, spec, parts = lost
    (job.path / "records").unlink(missing_ok=True)
    (job.path / "started").write_text("77\n")
    written = [Record(RecordState.DONE, text, result={"n": place}) for place in range(done)]
    if fails and written:
        written[-1] = Record(RecordState.FAILED, error={"code": 401, "message": text})
    for part, record in zip(parts, written):
        job.record(part.kind, record)
    with (job.path / "records").open("ab") as file:
        if done < 4:
            line = f"{parts[done].kind} {json.dumps(codec.to_wire(Record(RecordState.DONE)))}"
            file.write(line.encode()[:cut])
    found = job.records(spec)
    assert list(found[:done]) == written
    rest = ["not_begun"] * (4 - done)
    if rest and not (fails and written):
        rest[0] = "lost"
    assert [record.state.value for record in found[done:]] == rest


@pytest.mark.parametrize(
    "line", ["", "x", "client.xcatinfo@1 {}", "client.xcatinfo@1 [", "client.default_route@1 {}"]
)
def test_a_record_that_cannot_be_read_tells_nothing(lost, line):
    job, spec, _ = lost
    job.start(77)
    (job.path / "records").write_text(f"{line}\n")
    assert states(codec.to_wire(job.records(spec))) == ["lost", "lost", "not_begun", "not_begun"]


@pytest.mark.parametrize(
    "args", [{}, {"operations": 3}, {"operations": []}, {"operations": [1]}, 7]
)
def test_a_stored_chain_that_is_none_cannot_be_read(lost, args):
    job, spec, _ = lost
    data = {**codec.to_wire(spec), "operation": {"kind": "chain@1", "args": args}}
    (job.path / "spec.json").write_text(json.dumps(data))
    with pytest.raises(AgentError, match=r"cannot read .*spec\.json"):
        job.spec()
