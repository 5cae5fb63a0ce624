"""Jobs as directories: real wrapper processes, killed agents and wrappers, resumes, limits."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from xcat_aix_agent import files
from xcat_aix_agent.clock import SystemClock
from xcat_aix_agent.jobs.job import Job

BUSY, CONFLICT, UNKNOWN, LIMIT, NOT_FINISHED, NO_SPACE = 502, 302, 301, 303, 304, 406
CANCELLED, TIMED_OUT, BAD_NAME = 408, 405, 103
XCATINFO = {"kind": "client.xcatinfo@1", "args": {"server": "10.0.0.1"}}


def postscripts(*scripts, master="10.0.0.1"):
    args = {"scripts": list(scripts), "master": master, "node": "sn1"}
    return {"kind": "client.postscripts@2", "args": args}


def write_script(site, name, text, node="sn1"):
    path = site.path / "roots" / node / "xcatpost" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def finish(client, job_id, after=0):
    """Follow to the end; all events and the last status."""
    events = []
    while True:
        update = client.call("follow", job_id, after, 5)["ok"]
        events += update["events"]
        after = events[-1]["seq"] if events else after
        if update["status"]["state"] in ("exited", "lost"):
            return events, update["status"]


@pytest.fixture
def server(site):
    return site.start(site.config())


@pytest.fixture
def client(site, server):
    return site.greeted(server)


@pytest.fixture
def slow(site, tmp_path):
    """A postscript that says that it runs, and ends when the file ``go`` is there."""
    go, ran = tmp_path / "go", tmp_path / "ran"
    write_script(
        site, "slow", f"echo begun\necho $$ >> {ran}\nwhile [ ! -e {go} ]; do sleep 0.05; done"
    )
    return {"operation": postscripts("slow"), "go": go, "ran": ran}


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_directory_reads_with_ls_and_cat(site, client):
    write_script(site, "hello", 'echo "to $MASTER"; echo oops >&2')
    client.call("submit", "move-1.sn1", postscripts("hello a"), 30)
    events, status = finish(client, "move-1.sn1")
    assert status["outcome"] == {"ok": True, "result": {"scripts": ["hello a"]}, "error": None}
    path = site.path / "jobs" / "sn1" / "move-1.sn1"
    assert {"spec.json", "lock", "started", "events", "result.json", "rc"} <= {
        entry.name for entry in path.iterdir()
    }
    assert (path / "rc").read_text() == "0\n"
    assert [event["text"] for event in events][-2:] == ["hello: to 10.0.0.1", "hello: oops"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (path / "events").read_text().splitlines()[-1].endswith("hello: oops")
    spec = json.loads((path / "spec.json").read_text())
    assert spec["by"] == "xcat-aix:mn:mn1"
    assert stat.S_IMODE((path / "spec.json").stat().st_mode) == 0o600


def test_failure_tells_the_code_and_names_the_scripts(site, client):
    write_script(site, "bad", "exit 3")
    write_script(site, "good", "echo fine")
    client.call("submit", "j", postscripts("bad", "good", "none"), 30)
    events, status = finish(client, "j")
    error = status["outcome"]["error"]
    assert "bad ended with 3" in error["message"]
    assert "none: cannot find" in error["message"]
    assert "good" not in error["message"].replace("postscripts:", "")
    assert "good: fine" in [event["text"] for event in events]
    assert (site.path / "jobs/sn1/j/rc").read_text() == f"{error['code']}\n"


def test_same_id_and_operation_is_the_same_job(client, slow, until):
    first = client.call("submit", "j", slow["operation"], 30)["ok"]
    until(lambda: lines_of(slow["ran"]) == 1)
    again = client.call("submit", "j", slow["operation"], 99)["ok"]
    assert (first["job_id"], again["state"]) == ("j", "running")
    slow["go"].touch()
    assert finish(client, "j")[1]["outcome"]["ok"]
    assert client.call("submit", "j", slow["operation"], 30)["ok"]["state"] == "exited"
    assert lines_of(slow["ran"]) == 1


def test_same_id_with_another_operation_is_a_conflict(client, error):
    client.call("submit", "j", XCATINFO, 30)
    other = {"kind": "client.xcatinfo@1", "args": {"server": "10.0.0.2"}}
    assert error(client.call("submit", "j", other, 30))[0] == CONFLICT


def test_one_job_of_a_kind_at_a_time(client, slow, error, until):
    client.call("submit", "j", slow["operation"], 30)
    until(lambda: lines_of(slow["ran"]) == 1)
    code, text = error(client.call("submit", "k", postscripts("other"), 30))
    assert code == BUSY
    assert "job j (client.postscripts@2, for xcat-aix:mn:mn1)" in text
    assert "ok" in client.call("submit", "x", XCATINFO, 30)  # of another kind
    slow["go"].touch()
    finish(client, "j")
    assert "ok" in client.call("submit", "k", postscripts("other"), 30)


def test_agent_restarts_while_a_job_runs(site, server, client, slow, until):
    client.call("submit", "j", slow["operation"], 60)
    until(lambda: lines_of(slow["ran"]) == 1)
    server.stop()
    client = site.greeted(site.start(server.config))
    assert client.call("follow", "j", 0, 0)["ok"]["status"]["state"] == "running"
    slow["go"].touch()
    _, status = finish(client, "j")
    assert status["outcome"]["ok"]
    assert lines_of(slow["ran"]) == 1


def test_wrapper_killed_but_its_command_lives_until_it_ends(site, client, slow, until):
    client.call("submit", "j", slow["operation"], 60)
    until(lambda: lines_of(slow["ran"]) == 1)
    job = Job(site.path / "jobs/sn1/j")
    until(lambda: job.group)
    os.kill(job.wrapper, signal.SIGKILL)
    until(lambda: not job.lock_is_held())
    # The command may still bring the effect about: not yet time to probe.
    assert client.call("follow", "j", 0, 0)["ok"]["status"]["state"] == "running"
    slow["go"].touch()
    _, status = finish(client, "j")
    assert (status["state"], status["outcome"]) == ("lost", None)


def test_wrapper_and_command_killed_is_lost_and_the_probe_decides(site, client, slow, until):
    client.call("submit", "j", slow["operation"], 60)
    until(lambda: lines_of(slow["ran"]) == 1)
    job = Job(site.path / "jobs/sn1/j")
    until(lambda: job.group)
    os.kill(job.wrapper, signal.SIGKILL)
    os.killpg(job.group, signal.SIGKILL)
    _, status = finish(client, "j")
    assert status["state"] == "lost"
    assert client.call("probe", slow["operation"], "j")["ok"]["verdict"] == "not_done"
    # Under another id it is done again.
    slow["go"].touch()
    client.call("submit", "j2", slow["operation"], 60)
    assert finish(client, "j2")[1]["outcome"]["ok"]
    assert client.call("probe", slow["operation"], "j2")["ok"]["verdict"] == "done"
    assert client.call("probe", slow["operation"], "")["ok"]["verdict"] == "not_done"
    assert client.call("probe", postscripts("x"), "j2")["ok"]["verdict"] == "not_done"


def test_wrapper_killed_while_it_starts_a_command_counts_as_working_within_its_time(
    site, client, slow, until
):
    client.call("submit", "j", slow["operation"], 4)
    until(lambda: lines_of(slow["ran"]) == 1)
    job = Job(site.path / "jobs/sn1/j")
    until(lambda: job.group)
    os.kill(job.wrapper, signal.SIGKILL)
    job.record_group(0)
    until(lambda: not job.lock_is_held())
    assert client.call("follow", "j", 0, 0)["ok"]["status"]["state"] == "running"
    assert client.call("cancel", "j")["ok"]["state"] == "running"  # there is nothing known to kill
    slow["go"].touch()


def test_accepted_but_never_started_is_started_by_the_next_agent(site, server, client):
    client.call("submit", "j", XCATINFO, 60)
    finish(client, "j")
    server.stop()
    path = site.path / "jobs/sn1/j"
    for name in ("started", "events", "result.json", "rc"):
        (path / name).unlink()
    client = site.greeted(site.start(server.config))
    assert finish(client, "j")[1]["outcome"]["ok"]


def test_accepted_too_long_ago_is_lost_and_never_started(site, server, client):
    client.call("submit", "j", XCATINFO, 60)
    finish(client, "j")
    server.stop()
    path = site.path / "jobs/sn1/j"
    for name in ("started", "events", "result.json", "rc"):
        (path / name).unlink()
    spec = json.loads((path / "spec.json").read_text())
    spec["accepted"] = "2026-01-01T00:00:00.000Z"
    (path / "spec.json").write_text(json.dumps(spec))
    client = site.greeted(site.start(server.config))
    assert client.call("follow", "j", 0, 5)["ok"]["status"]["state"] == "lost"
    assert not (path / "started").exists()


def test_follow_resumes_without_gap_or_repeat(site, client):
    write_script(site, "many", "for i in 1 2 3 4 5 6 7; do echo line $i; done")
    client.call("submit", "j", postscripts("many"), 30)
    whole, _ = finish(client, "j")
    for after in range(len(whole) + 2):
        update = client.call("follow", "j", after, 0)["ok"]
        assert update["events"] == whole[after:]
        assert update["status"]["last_seq"] == len(whole)


def test_follow_waits_no_longer_than_asked(client, slow, until):
    client.call("submit", "j", slow["operation"], 30)
    until(lambda: lines_of(slow["ran"]) == 1)
    update = client.call("follow", "j", 0, 0.05)["ok"]
    assert update == {**update, "events": []}
    slow["go"].touch()


def has_ended(pid):
    """Killed, though whoever must take note of it may not have done so yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def test_cancel_kills_the_command_and_records_it(client, slow, until):
    client.call("submit", "j", slow["operation"], 60)
    until(lambda: lines_of(slow["ran"]) == 1)
    status = client.call("cancel", "j")["ok"]
    assert status["state"] == "exited"
    assert status["outcome"]["error"]["code"] == CANCELLED
    shell = int(slow["ran"].read_text())
    until(lambda: has_ended(shell))
    assert client.call("cancel", "j")["ok"] == status


def test_time_limit_ends_the_command(client, slow):
    client.call("submit", "j", slow["operation"], 3)
    _, status = finish(client, "j")
    assert status["outcome"]["error"]["code"] == TIMED_OUT


def test_acknowledge(client, slow, error, until):
    client.call("submit", "j", slow["operation"], 60)
    until(lambda: lines_of(slow["ran"]) == 1)
    assert error(client.call("acknowledge", "j"))[0] == NOT_FINISHED
    slow["go"].touch()
    finish(client, "j")
    assert client.call("acknowledge", "j") == {"ok": None}
    assert client.call("acknowledge", "j") == {"ok": None}
    assert client.call("acknowledge", "expired-before") == {"ok": None}


def test_story_that_was_spoilt_costs_its_words_only(site, client):
    client.call("submit", "j", XCATINFO, 30)
    events, status = finish(client, "j")
    path = site.path / "jobs/sn1/j/events"
    path.write_text(path.read_text() + "\nrubbish\nx y z\n" + "9" * 5000 + " at text\n")
    update = client.call("follow", "j", 0, 0)["ok"]
    assert update["events"][: len(events)] == events
    assert [event["seq"] for event in update["events"]] == list(range(1, len(events) + 5))
    assert update["status"] == {**status, "last_seq": len(events) + 4}
    assert "ok" in client.call("jobs")


def test_unknown_job_and_bad_names(client, error):
    assert error(client.call("follow", "none", 0, 0))[0] == UNKNOWN
    assert error(client.call("cancel", "none"))[0] == UNKNOWN
    for name in ("", "..", "../x", ".hidden", "a/b", "a b", "x" * 129, "a\n"):
        assert error(client.call("submit", name, XCATINFO, 5))[0] == BAD_NAME


def test_log_of_a_job_is_bounded(site, commands):
    config = site.config(max_job_log=2000)
    write_script(site, "chatty", "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done")
    client = site.greeted(site.start(config))
    client.call("submit", "j", postscripts("chatty"), 30)
    events, status = finish(client, "j")
    assert status["outcome"]["ok"]
    assert events[-1]["text"] == "no more is kept: this log reached 2000 bytes"
    assert (site.path / "jobs/sn1/j/events").stat().st_size < 2300


@pytest.mark.parametrize("sign", ["\U0001f600", "\u65e5", "x"])
def test_log_of_a_job_is_bounded_in_bytes(tmp_path, sign):
    job = Job(tmp_path / "j", sync=False)
    job.path.mkdir()
    clock = SystemClock()
    for _ in range(100):
        job.report(sign * 1000, clock, 50_000)
    assert 50_000 < (job.path / "events").stat().st_size < 50_000 + 4200
    assert "reached 50000 bytes" in job.events()[-1].text


def test_a_long_story_is_followed_in_portions(site):
    """Whatever the settings allow to be kept, an answer is one that a management node takes."""
    config = site.config(max_job_log=4 * 1024 * 1024)
    text = 'i=0; while [ $i -lt 2600 ]; do echo "$i $LINE"; i=$((i+1)); done'
    write_script(site, "chatty", f"LINE={chr(0x1F600) * 380}\n{text}")
    client = site.greeted(site.start(config))
    client.call("submit", "j", postscripts("chatty"), 60)
    while client.call("follow", "j", 10**6, 5)["ok"]["status"]["state"] != "exited":
        pass
    seen, largest = [], 0
    while True:
        client.send(client.body("follow", "j", len(seen), 0))
        update = client.receive()["ok"]
        largest = max(largest, len(json.dumps(update)))
        seen += update["events"]
        if not update["events"]:
            break
    assert len(seen) == update["status"]["last_seq"] > 2600
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert largest < 1.1 * 1024 * 1024


# Files that cannot be read: told in one line that names the job, and nobody else's trouble.

ACCEPTED = {
    "job_id": "odd",
    "operation": XCATINFO,
    "limit": 60.0,
    "by": "xcat-aix:mn:mn1",
    "accepted": "2026-11-01T00:00:00.000Z",
}
ODD_SPECS = [
    json.dumps({**ACCEPTED, "limit": 10**400}),
    json.dumps({**ACCEPTED, "limit": float("inf")}),
    json.dumps({**ACCEPTED, "accepted": "9999-99-99"}),
    json.dumps({**ACCEPTED, "operation": []}),
    json.dumps({**ACCEPTED, "operation": {"kind": [], "args": {}}}),
    '{"a":' * 900,
    "[" * 100_000,
    "[]",
    "",
    "\xff",
    "9" * 5000,
    " " * 5_000_000,
]


def odd_job(site, **contents):
    """A job beside an honest one, with files of any content."""
    directory = site.path / "jobs/sn1/odd"
    directory.mkdir(mode=0o700, parents=True)
    directory.parent.chmod(0o700)
    for name, content in {"spec.json": json.dumps(ACCEPTED), **contents}.items():
        path = directory / name.replace("_", ".")
        path.write_text(content, "latin-1")
        path.chmod(0o600)
    return directory


def listed(site, capsys):
    from tests.agent.test_process import write_settings

    from xcat_aix_agent import main as program

    code = program.main(["jobs", "--config", str(write_settings(site))])
    said = capsys.readouterr()
    return code, said.out.splitlines(), said.err.splitlines()


@pytest.mark.parametrize("spec", ODD_SPECS)
def test_a_specification_that_cannot_be_read(site, capsys, error, spec, caplog):
    directory = odd_job(site, **{"spec.json": spec})
    client = site.greeted(site.start(site.config()))
    client.call("submit", "good", XCATINFO, 30)
    finish(client, "good")
    assert [job["job_id"] for job in client.call("jobs")["ok"]] == ["good"]
    assert "remove the directory" in error(client.call("follow", "odd", 0, 0))[1]
    assert "remove the directory" in error(client.call("submit", "odd", XCATINFO, 5))[1]
    code, out, (line,) = listed(site, capsys)
    assert (code, out) == (1, ["good  client.xcatinfo@1  exited  ok"])
    assert line.startswith(f"xcat-aix-agent: cannot read {directory}/spec.json: ")
    assert len(line) < 600
    assert f"cannot read {directory}/spec.json" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "result",
    [None, "", "[]", "{", "[" * 100_000, '{"ok": 1e999}', '{"ok": true, "result": []}', "\xff"],
)
def test_an_outcome_that_cannot_be_read(site, capsys, result, caplog):
    files = {"rc": "0\n", "started": "77\n"}
    directory = odd_job(site, **files, **({} if result is None else {"result.json": result}))
    client = site.greeted(site.start(site.config()))
    # It is over and tells nothing: the management node looks for itself.
    status = client.call("follow", "odd", 0, 0)["ok"]["status"]
    assert (status["state"], status["outcome"]) == ("exited", None)
    assert client.call("probe", XCATINFO, "odd")["ok"]["verdict"] == "not_done"
    code, out, (line,) = listed(site, capsys)
    assert (code, out) == (1, ["odd  client.xcatinfo@1  exited"])
    assert line.startswith(f"xcat-aix-agent: cannot read {directory}/result.json: ")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "events",
    ["x y z\n", "\n\n", "1 t begun\nx\n", "9" * 5000 + " t x\n", "-1 t x\n", "\xb2 t x\n", "\xff"],
)
def test_a_story_that_cannot_be_read(site, capsys, events):
    outcome = json.dumps({"ok": False, "result": {}, "error": {"code": [], "message": 1}})
    odd_job(site, events=events, **{"result.json": outcome, "rc": "0\n"})
    client = site.greeted(site.start(site.config()))
    update = client.call("follow", "odd", 0, 0)["ok"]
    assert len(update["events"]) == update["status"]["last_seq"] == events.count("\n")
    code, out, err = listed(site, capsys)
    assert (code, err) == (0, [])
    assert out == [
        "odd  client.xcatinfo@1  exited  failed: the error that was answered is none of this protocol"
    ]


@pytest.mark.parametrize("name", ["started", "group"])
@pytest.mark.parametrize("number", ["0", "1", "-1", "\xb2", "9" * 5000, "99999999999", "x", ""])
def test_nobody_is_signalled_by_an_odd_number(site, name, number, monkeypatch):
    from xcat_aix_agent import shell
    from xcat_aix_agent.jobs import runners

    sent = []
    monkeypatch.setattr(os, "kill", lambda *args: sent.append(args))
    monkeypatch.setattr(shell.os, "killpg", lambda *args: sent.append(args))
    directory = odd_job(site, **{name: number})
    monkeypatch.setattr(Job, "lock_is_held", lambda _self: True)
    runner = runners.Detached(Later(), site.config())
    job = Job(directory)
    assert getattr(job, {"started": "wrapper"}.get(name, name)) in (None, 0)
    runner.cancel(job)
    assert sent == []


class Later(SystemClock):
    """Waiting takes no time, and the time passes."""

    passed = 0.0

    def monotonic(self):
        return self.passed

    def sleep(self, seconds):
        self.passed += seconds


# The same store with jobs in threads: limits and a full disk.


@pytest.fixture
def inline(site, commands):
    def start(**settings):
        return site.greeted(site.start(site.config(**settings), commands=commands, runner="inline"))

    return start


def test_number_of_jobs_is_bounded_and_acknowledged_ones_give_way(inline, error):
    client = inline(max_jobs=3)
    for name in "abc":
        client.call("submit", name, XCATINFO, 5)
        finish(client, name)
    assert error(client.call("submit", "d", XCATINFO, 5))[0] == LIMIT
    client.call("acknowledge", "a")
    client.call("acknowledge", "c")
    assert "ok" in client.call("submit", "d", XCATINFO, 5)
    finish(client, "d")
    assert {job["job_id"] for job in client.call("jobs")["ok"]} == {"b", "c", "d"}
    assert error(client.call("follow", "a", 0, 0))[0] == UNKNOWN


def test_jobs_nobody_acknowledged_do_not_stand_in_the_way_for_ever(inline, error, site):
    client = inline(max_jobs=2, keep_jobs=100.0)
    for name in "ab":
        client.call("submit", name, XCATINFO, 5)
        finish(client, name)
    assert error(client.call("submit", "c", XCATINFO, 5))[0] == LIMIT
    long_ago = time.time() - 200
    os.utime(site.path / "jobs" / "sn1" / "b", (long_ago, long_ago))
    assert "ok" in client.call("submit", "c", XCATINFO, 5)
    finish(client, "c")
    assert {job["job_id"] for job in client.call("jobs")["ok"]} == {"a", "c"}


def test_a_job_nobody_acknowledged_is_kept_longer_than_others(inline, site):
    client = inline(keep_jobs=100.0)
    for name, ago in (("a", 200), ("b", 200), ("c", 500)):
        client.call("submit", name, XCATINFO, 5)
        finish(client, name)
        if name == "b":
            client.call("acknowledge", name)
        then = time.time() - ago
        os.utime(site.path / "jobs" / "sn1" / name, (then, then))
    site.servers[-1].stop()
    client = inline(keep_jobs=100.0)  # the first job after a start sweeps
    client.call("submit", "d", XCATINFO, 5)
    finish(client, "d")
    assert {job["job_id"] for job in client.call("jobs")["ok"]} == {"a", "d"}


def test_running_jobs_are_bounded(inline, error, until, commands, site):
    import threading

    gate = threading.Event()
    commands.programs["netstat"] = lambda _argv: gate.wait(10) and ""
    client = inline(max_running=1)
    route = {"kind": "client.default_route@1", "args": {"old": "10.0.0.1", "new": "10.0.0.2"}}
    client.call("submit", "r", route, 30)
    until(lambda: commands.ran)
    assert error(client.call("submit", "x", XCATINFO, 5))[0] == LIMIT
    gate.set()
    finish(client, "r")


def test_disk_full_at_submit_leaves_nothing(inline, error, monkeypatch, site):
    client = inline()
    real = files.write

    def full(path, *args, **kwargs):
        if path.name == "spec.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(files, "write", full)
    code, text = error(client.call("submit", "j", XCATINFO, 5))
    assert (code, text) == (NO_SPACE, "cannot accept the job j: No space left on device")
    assert list((site.path / "jobs/sn1").iterdir()) == []
    monkeypatch.undo()
    assert "ok" in client.call("submit", "j", XCATINFO, 5)
    assert finish(client, "j")[1]["outcome"]["ok"]


def test_disk_full_at_the_end_is_a_lost_job(inline, monkeypatch):
    client = inline()
    real = files.write

    def full(path, *args, **kwargs):
        if path.name == "result.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(files, "write", full)
    client.call("submit", "j", XCATINFO, 5)
    assert finish(client, "j")[1]["state"] == "lost"
    assert client.call("probe", XCATINFO, "j")["ok"]["verdict"] == "done"


def test_no_wrapper_can_be_started_is_nothing_accepted(site, monkeypatch, error):
    from xcat_aix_agent import shell

    def no_process(*_args, **_kwargs):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    client = site.greeted(site.start(site.config()))
    monkeypatch.setattr(shell, "start_detached", no_process)
    code, text = error(client.call("submit", "j", XCATINFO, 5))
    assert text == "cannot start the job j: Resource temporarily unavailable"
    assert code == 501
    assert client.call("jobs") == {"ok": []}


def test_leftovers_are_swept_up_at_start(site, server):
    server.stop()
    unfinished = site.path / "jobs/sn1/.j.new"
    unfinished.mkdir()
    (unfinished / "spec.json").write_text("{")
    site.start(server.config)
    assert not unfinished.exists()


def test_abandoned_inline_job_is_lost_to_the_next_agent(site, commands, until):
    import threading

    gate = threading.Event()
    commands.programs["netstat"] = lambda _argv: gate.wait(10) and ""
    config = site.config()
    server = site.start(config, commands=commands, runner="inline")
    client = site.greeted(server)
    route = {"kind": "client.default_route@1", "args": {"old": "10.0.0.1", "new": "10.0.0.2"}}
    client.call("submit", "r", route, 30)
    until(lambda: commands.ran)
    server.stop(abandon=True)
    client = site.greeted(site.start(config, commands=commands, runner="inline"))
    assert client.call("follow", "r", 0, 0)["ok"]["status"]["state"] == "lost"
    gate.set()
