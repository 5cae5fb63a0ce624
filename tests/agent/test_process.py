"""The program itself: ready line, signals, kill -9 in the middle of a job, its other commands."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from xcat_aix_agent import main as program
from xcat_aix_agent.jobs.job import Job


def write_settings(site, **changes):
    config = site.config(port=changes.pop("port", 0))
    path = site.path / "agent.ini"
    values = {
        "node": config.node,
        "role": "sn",
        "certificate": config.certificate,
        "ca": config.ca,
        "policy": config.policy,
        "jobs": config.jobs,
        "root": config.root,
        "listen": "127.0.0.1",
        "port": config.port,
        "path": os.environ["PATH"],
    }
    values.update(changes)
    path.write_text("[agent]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()))
    return path


class Program:
    """The agent as a process of its own."""

    def __init__(self, settings: Path) -> None:
        argv = [sys.executable, "-m", "xcat_aix_agent.main", "serve", "--config", str(settings)]
        environment = {**os.environ, "PYRO_NONSENSE": "1", "PYRO_SERIALIZER": "marshal"}
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        self.addresses = ()

    def wait_until_ready(self) -> Program:
        line = self.process.stdout.readline()
        assert line.startswith("xcat-aix-agent: ready at 127.0.0.1:")
        self.addresses = (("127.0.0.1", int(line.rpartition(":")[2])),)
        return self

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=20)
        return self.process.returncode


@pytest.fixture
def programs():
    started = []

    def start(settings):
        started.append(Program(settings))
        return started[-1].wait_until_ready()

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


def script(site, name, text):
    path = site.path / "roots/sn1/xcatpost" / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    args = {"scripts": [name], "master": "10.0.0.1", "node": "sn1"}
    return {"kind": "client.postscripts@2", "args": args}


def test_serves_until_sigterm(site, programs):
    agent = programs(write_settings(site))
    assert "ok" in site.connect(agent).hello()
    assert agent.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_job_outlives_the_agent(site, programs, until, number, tmp_path):
    go, ran = tmp_path / "go", tmp_path / "ran"
    text = f"echo x >> {ran}; while [ ! -e {go} ]; do sleep 0.05; done; echo over"
    operation = script(site, "slow", text)
    settings = write_settings(site)
    agent = programs(settings)
    client = site.greeted(agent)
    assert "ok" in client.call("submit", "j", operation, 60)
    until(ran.exists)
    agent.end(number)
    client = site.greeted(programs(settings))
    assert client.call("follow", "j", 0, 0)["ok"]["status"]["state"] == "running"
    assert client.call("submit", "j", operation, 60)["ok"]["state"] == "running"
    go.touch()
    until(lambda: client.call("follow", "j", 0, 1)["ok"]["status"]["state"] == "exited")
    update = client.call("follow", "j", 0, 0)["ok"]
    assert update["status"]["outcome"]["ok"]
    assert update["events"][-1]["text"] == "slow: over"
    assert ran.read_text() == "x\n"


def test_repoint_whose_wrapper_and_agent_are_killed_gives_the_old_registration_back(
    site, programs, until, tmp_path
):
    binaries = tmp_path / "bin"
    binaries.mkdir()
    begun = tmp_path / "begun"
    niminit = binaries / "niminit"
    niminit.write_text(f"#!/bin/sh\ntouch {begun}\nexec sleep 60\n")
    niminit.chmod(0o755)
    settings = write_settings(site, path=f"{binaries}:{os.environ['PATH']}")
    niminfo = site.path / "roots/sn1/etc/niminfo"
    old = "export NIM_NAME=n1\nexport NIM_MASTER_HOSTNAME=old\n"
    niminfo.write_text(old)
    agent = programs(settings)
    operation = {"kind": "client.repoint@1", "args": {"nim_name": "n1", "master": "10.0.0.2"}}
    site.greeted(agent).call("submit", "j", operation, 60)
    until(begun.exists)
    assert not niminfo.exists()
    job = Job(site.path / "jobs/sn1/j")
    until(lambda: job.group)
    agent.end(signal.SIGKILL)
    os.kill(job.wrapper, signal.SIGKILL)
    os.killpg(job.group, signal.SIGKILL)
    until(lambda: not job.lock_is_held())
    agent = programs(settings)
    client = site.greeted(agent)
    until(niminfo.exists)  # the agent looks after it by itself
    assert niminfo.read_text() == old
    assert client.call("follow", "j", 0, 0)["ok"]["status"]["state"] == "lost"
    assert client.call("probe", operation, "j")["ok"]["verdict"] == "not_done"
    # The lost job is still known when the agent starts in the middle of the next one.
    begun.unlink()
    assert "ok" in client.call("submit", "j2", operation, 60)
    until(begun.exists)
    agent.end(signal.SIGKILL)
    client = site.greeted(programs(settings))
    assert client.call("follow", "j2", 0, 0)["ok"]["status"]["state"] == "running"
    assert not niminfo.exists()
    assert client.call("cancel", "j2")["ok"]["outcome"]["error"]["code"] == 408
    assert niminfo.read_text() == old


def test_jobs_lists_what_is_kept(site, commands, until, capsys):
    server = site.start(site.config(), commands=commands, runner="inline")
    client = site.greeted(server)
    good = {"kind": "client.xcatinfo@1", "args": {"server": "10.0.0.1"}}
    bad = {"kind": "client.default_route@1", "args": {"old": "10.0.0.1", "new": "10.0.0.2"}}
    for name, operation in (("a", good), ("b", bad)):
        client.call("submit", name, operation, 5)
        until(lambda name=name: client.call("follow", name, 0, 1)["ok"]["status"]["outcome"])
    settings = str(write_settings(site))
    assert program.main(["jobs", "--config", settings]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a  client.xcatinfo@1  exited  ok",
        "b  client.default_route@1  exited  failed: cannot find the command netstat on this host",
    ]


def test_no_jobs(site, capsys):
    assert program.main(["jobs", "--config", str(write_settings(site))]) == 0
    assert capsys.readouterr().out == ""


def test_certificate_of_another_node_is_refused_at_start(site, capsys):
    settings = write_settings(site, node="sn2")
    assert program.main(["serve", "--config", str(settings)]) == 1
    text = capsys.readouterr().err
    assert "it is for xcat-aix:sn:sn1, this agent is xcat-aix:sn:sn2" in text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"certificate": "/none.pem"}, "cannot use /none.pem"),
        ({"port": "70000"}, "port = 70000"),
        ({"nonsense": "1"}, "it has no setting nonsense"),
        ({"listen": "203.0.113.1"}, "cannot listen at 203.0.113.1"),
    ],
)
def test_start_fails_with_one_clear_line(site, capsys, changes, text):
    port = changes.pop("port", None)
    settings = write_settings(site, **changes)
    if port:
        settings.write_text(settings.read_text().replace("port = 0", f"port = {port}"))
    assert program.main(["serve", "--config", str(settings)]) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("content", [None, "", "rubbish"])
def test_without_a_policy_it_says_that_it_serves_nobody(site, until, content):
    site.policy.unlink() if content is None else site.policy.write_text(content)
    settings = write_settings(site)
    argv = [sys.executable, "-m", "xcat_aix_agent.main", "serve", "--config", str(settings)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            port = int(process.stdout.readline().rpartition(":")[2])
            agent = type("Agent", (), {"addresses": [("127.0.0.1", port)]})
            assert site.connect(agent).hello()["error"]["code"] == 202
            site.allow("read")
            assert "ok" in site.connect(agent).hello()
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=20)
    (line,) = [line for line in said.splitlines() if line.startswith("xcat-aix-agent: ")]
    assert str(site.policy) in line
    assert "nobody is served until it has a section [xcat-aix:mn:NAME]" in line


def test_no_settings(tmp_path, capsys):
    assert program.main(["serve", "--config", str(tmp_path / "none.ini")]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_selfcheck_command(site, capsys):
    code = program.main(["selfcheck", "--json", "--config", str(write_settings(site))])
    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert found["lockf"]["result"] == "holds"
    assert found["tls"]["result"] == "holds"
    assert found["lsnim-columns"]["result"] == "cannot tell"
    assert code == 1  # this is no AIX host


def test_log_file_is_used(site, programs, tmp_path):
    log = tmp_path / "agent.log"
    agent = programs(write_settings(site, log=log))
    with socket.create_connection(agent.addresses[0]) as sock:
        sock.sendall(b"garbage, and enough of it\n")
        sock.recv(1)
    agent.end(signal.SIGTERM)
    assert "listens at 127.0.0.1" in log.read_text()
    assert "refused 127.0.0.1" in log.read_text()
