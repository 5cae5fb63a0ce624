"""The package is replaced while it runs: wrappers of before go on, and agents of before still start wrappers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import xcat_aix_agent
import xcat_aix_proto
from xcat_aix_agent.clock import SystemClock, stamp
from xcat_aix_agent.jobs.job import Job, Spec
from xcat_aix_proto.operations import RunPostscripts, to_wire

#: What an agent of the version before tells its wrappers.
FORMER_PLACE = ("node", "root", "path", "postscripts", "max_log")


@pytest.fixture
def installed(tmp_path):
    """A copy of the two packages, as installed."""
    place = tmp_path / "installed"
    for package in (xcat_aix_agent, xcat_aix_proto):
        source = Path(package.__file__).parent
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, place / source.name, ignore=ignore)
    return place


@pytest.fixture
def accepted(site):
    """An accepted job whose script says that it runs, fails when the file ``go`` is there."""
    config = site.config()
    script = config.root / "xcatpost" / "slow"
    script.parent.mkdir()
    ran, go = site.path / "ran", site.path / "go"
    script.write_text(f"#!/bin/sh\ntouch {ran}\nwhile [ ! -e {go} ]; do sleep 0.05; done\nexit 3\n")
    script.chmod(0o755)
    config.jobs.mkdir(parents=True, mode=0o700)
    job = Job(config.jobs / "j")
    operation = to_wire(RunPostscripts(("slow",), "10.0.0.1", "sn1"))
    job.accept(Spec("j", operation, 60.0, "xcat-aix:mn:mn1", stamp(SystemClock().now())))
    return config, job, ran, go


@pytest.fixture
def wrappers():
    started = []

    def start(config, job, place):
        values = {name: getattr(config, name) for name in FORMER_PLACE[:-1]}
        told = {**{name: str(value) for name, value in values.items()}, "max_log": 10_000}
        argv = [sys.executable, "-m", "xcat_aix_agent.runjob", str(job.path), json.dumps(told)]
        environment = {"PATH": config.path, "PYTHONPATH": str(place), "PYTHONUTF8": "1"}
        started.append(
            subprocess.Popen(
                argv, env=environment, cwd="/", stderr=subprocess.PIPE, start_new_session=True
            )
        )
        return started[-1]

    yield start
    for one in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
        one.communicate(timeout=20)


def test_wrapper_goes_on_while_its_code_is_taken_away(site, accepted, installed, wrappers, until):
    """All it needs is loaded before the operation begins, also to fail and to tell why."""
    config, job, ran, go = accepted
    wrapper = wrappers(config, job, installed)
    until(ran.exists)
    shutil.rmtree(installed)
    client = site.greeted(site.start(config))  # the agent of the new version
    assert client.call("follow", "j", 0, 0)["ok"]["status"]["state"] == "running"
    go.touch()
    assert wrapper.wait(20) == 0
    outcome = client.call("follow", "j", 0, 0)["ok"]["status"]["outcome"]
    assert outcome["error"]["message"] == "postscripts: slow ended with 3"


def test_wrapper_that_an_agent_of_before_starts(accepted, installed, wrappers):
    config, job, _, go = accepted
    go.touch()
    wrapper = wrappers(config, job, installed)
    assert wrapper.wait(20) == 0
    assert job.outcome().error["message"] == "postscripts: slow ended with 3"
    assert wrapper.stderr.read() == b""


def test_job_that_an_agent_of_before_accepted_is_begun(site, accepted, until):
    config, job, ran, go = accepted
    go.touch()
    site.start(config)
    until(lambda: job.is_exited)
    assert ran.exists()
