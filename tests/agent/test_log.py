"""The log tells who did what, when and as part of what; no peer can forge a line of it."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import stat
import struct

import pytest

from xcat_aix_agent.log import LineFormatter
from xcat_aix_proto import TRACE

XCATINFO = {"kind": "client.xcatinfo@1", "args": {"server": "10.0.0.1"}}


def formatted(*args, exc_info=None):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
    record = logging.LogRecord("x", logging.INFO, __file__, 1, args[0], args[1:], exc_info)
    handler.emit(record)
    return stream.getvalue()


def test_control_characters_become_visible():
    text = formatted("from %s", "a\nINFO b\r\x1b[2J\x00\u2028\x9b")
    assert text == "INFO from a\\nINFO b\\r\\x1b[2J\\x00\\u2028\\x9b\n"


def test_long_lines_are_cut():
    assert len(formatted("%s", "x" * 10**6)) < 5000


def test_tracebacks_cannot_pass_for_lines():
    with pytest.raises(ValueError) as caught:
        int("x\nERROR everything is well\x1b[2J")
    text = formatted("oops", exc_info=(caught.type, caught.value, caught.tb))
    first, *rest = text.splitlines()
    assert first == "INFO oops"
    assert all(line.startswith("  | ") for line in rest)
    assert "\x1b" not in text


def traced(client, trace: bytes, method, *params):
    """One call with an annotation."""
    body = client.body(method, *params)
    note = TRACE.encode() + struct.pack("!I", len(trace)) + trace
    client.seq += 1
    numbers = (4, 3, 0, client.seq, len(body), len(note), b"\0" * 16, 0, 0x4DC5)
    client.sock.sendall(struct.pack(client.HEADER, b"PYRO", 502, *numbers) + note + body)
    return client.receive()


@pytest.fixture
def server(site, commands, caplog):
    caplog.set_level(logging.INFO)
    return site.start(site.config(), commands=commands, runner="inline")


def test_accepted_job_is_logged_with_who_what_and_trace(site, server, caplog, until):
    client = site.greeted(server)
    assert "ok" in traced(client, b"r4711", "submit", "j", XCATINFO, 5)
    said = caplog.text
    assert re.search(
        r"job j \(client\.xcatinfo@1\) submitted by xcat-aix:mn:mn1 at 127\.0\.0\.1:\d+, trace r4711: ",
        said,
    )
    assert '"trace": "r4711"' in (site.path / "jobs/sn1/j/spec.json").read_text()
    until(lambda: client.call("follow", "j", 0, 1)["ok"]["status"]["state"] == "exited")
    client.call("cancel", "j")
    assert "job j cancelled by xcat-aix:mn:mn1" in caplog.text


def test_refusals_are_logged(site, server, caplog, until):
    site.allow("read")
    client = site.greeted(server)
    traced(client, b"r4711", "submit", "j", XCATINFO, 5)
    assert "refused submit of xcat-aix:mn:mn1 at 127.0.0.1" in caplog.text
    assert "trace r4711: xcat-aix:mn:mn1 needs the right operate here and has read" in caplog.text
    site.credential("mn9", "xcat-aix:mn:mn9")
    traced(site.connect(server, "mn9"), b"r4712", "hello", {"protocols": [1], "version": "x"})
    until(lambda: "refused xcat-aix:mn:mn9 at 127.0.0.1" in caplog.text)
    assert "trace r4712" in caplog.text


def test_reload_of_the_policy_is_logged(site, server, caplog):
    client = site.greeted(server)
    site.policy.write_text("[xcat-aix:mn:mn1]\nallow = admin\n[xcat-aix:mn:mn2]\nallow = read\n")
    client.call("jobs")
    text = f"policy {site.policy} read: xcat-aix:mn:mn1 admin, xcat-aix:mn:mn2 read"
    assert text in caplog.text


def test_who_is_nobody_cannot_silence_what_is_said_of_others(site, server, caplog):
    for _ in range(30):
        assert site.is_refused(server, "")
    site.allow("read")
    site.greeted(server).call("submit", "j", XCATINFO, 5)
    assert "refused submit of xcat-aix:mn:mn1" in caplog.text


@pytest.mark.parametrize("trace", [b"a b", b"\xff", b"", b"x" * 65, b"a\nb"])
def test_trace_is_by_rule(site, server, trace):
    client = site.greeted(server)
    with pytest.raises(EOFError):
        traced(client, trace, "jobs")


def test_log_file_is_nobody_elses(site, tmp_path):
    from .test_process import Program, write_settings

    log = tmp_path / "agent.log"
    log.touch(0o644)
    settings = write_settings(site, log=log)
    old = os.umask(0)
    try:
        agent = Program(settings).wait_until_ready()
    finally:
        os.umask(old)
    agent.end(signal.SIGTERM)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_refused_submit_tells_what_was_asked(site, server, caplog):
    site.allow("read")
    client = site.greeted(server)
    client.call("submit", "plan-1.n1", XCATINFO, 5)
    assert "and has read; allow it in" in caplog.text
    assert "(it asked: plan-1.n1 client.xcatinfo@1)" in caplog.text
    client.call("submit", "j\n2026 INFO forged" + "x" * 5000, {"kind": "y" * 5000, "args": {}}, 5)
    client.call("submit", 7, ["z"], 5)
    assert "(it asked: nothing)" in caplog.text
    assert max(len(record.getMessage()) for record in caplog.records) < 1000


def test_one_management_node_cannot_silence_what_is_said_of_another(site, server, caplog, until):
    site.credential("mn2", "xcat-aix:mn:mn2")
    both = "[xcat-aix:mn:mn1]\nallow = read\n[xcat-aix:mn:mn2]\nallow = read\n"
    site.policy.write_text(both)
    loud, other = site.greeted(server), site.greeted(server, "mn2")
    for _ in range(50):
        loud.call("submit", "loud", XCATINFO, 5)
    other.call("submit", "other", XCATINFO, 5)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("asked: loud" in line for line in lines) == 20
    assert sum("asked: other" in line for line in lines) == 1
    assert "more such lines about xcat-aix:mn:mn1 within 60 s are left out" in lines
    site.policy.write_text("[xcat-aix:mn:mn2]\nallow = read\n")
    server.look_after_peers()
    assert "hung up on xcat-aix:mn:mn1" in caplog.text


def test_counts_of_the_log_are_bounded_and_told(caplog):
    from xcat_aix_agent.serving.quiet import QuietLog

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    log = QuietLog(logging.getLogger("x"), clock)
    for who in range(1000):
        for _ in range(30):
            log.warning("about %s", who, about=str(who))
    assert len(caplog.records) == 65 * 21
    caplog.clear()
    clock.now = 61.0
    log.warning("again", about="5")
    lines = [record.getMessage() for record in caplog.records]
    assert "10 more such lines about 5 were left out" in lines
    assert f"{936 * 30 - 20} more such lines about others were left out" in lines
    assert lines[-1] == "again"
