"""The one module that starts processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from xcat_aix_agent import shell
from xcat_aix_agent.clock import SystemClock, parse, stamp
from xcat_aix_agent.host import LimitedCommands
from xcat_aix_agent.shell import Subprocesses
from xcat_aix_proto.errors import AgentError, ErrorCode


@pytest.fixture
def commands():
    return Subprocesses(os.environ["PATH"])


def code(action):
    with pytest.raises(AgentError) as caught:
        action()
    return caught.value.code


def test_both_outputs_and_the_exit_code(commands):
    done = commands.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10)
    assert (done.rc, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert 0 <= done.duration < 10
    failure = done.failure("cannot do it")
    assert failure.message == "cannot do it: sh ended with 3"
    for part in ("command: sh -c", "exit code: 3", "stdout: out", "stderr: err"):
        assert part in failure.detail


def test_environment_is_explicit(commands, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    done = commands.run(["env"], timeout=10, env={"MASTER": "10.0.0.1"})
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert found.pop("PATH") == os.environ["PATH"]
    assert {"LC_ALL": "C", "LANG": "C", "MASTER": "10.0.0.1"}.items() <= found.items()
    assert "SECRET" not in found


def test_standard_input(commands):
    assert commands.run(["cat"], timeout=10).stdout == ""
    text = "line\n" * 100_000
    assert commands.run(["cat"], timeout=20, input=text).stdout == text
    assert commands.run(["true"], timeout=10, input=text).rc == 0


def test_words_are_never_a_shells(commands):
    assert commands.run(["echo", "$HOME; ls `id`"], timeout=10).stdout == "$HOME; ls `id`\n"


def test_signal_is_a_negative_exit_code(commands):
    assert commands.run(["sh", "-c", "kill -9 $$"], timeout=10).rc == -signal.SIGKILL


def test_no_such_program_and_no_permission(commands, tmp_path):
    assert code(lambda: commands.run(["no-such-program"], timeout=1)) is ErrorCode.NOT_FOUND
    plain = tmp_path / "plain"
    plain.touch(mode=0o644)
    assert code(lambda: commands.run([str(plain)], timeout=1)) is ErrorCode.COMMAND_FAILED


def test_time_out_kills_the_whole_group(commands, tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {pids}; echo words >&2; trap '' TERM; wait; sleep 60"
    with pytest.raises(AgentError) as caught:
        commands.run(["sh", "-c", script], timeout=0.5)
    assert (caught.value.code, caught.value.detail) == (ErrorCode.TIMED_OUT, "words\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids.read_text()), 0)


def test_daemon_left_behind_holds_nobody_up(commands):
    begin = time.monotonic()
    done = commands.run(["sh", "-c", "echo started; sleep 3 & exit 0"], timeout=30)
    assert (done.rc, done.stdout) == (0, "started\n")
    assert time.monotonic() - begin < 2.5


def test_output_is_bounded(commands, monkeypatch):
    monkeypatch.setattr(shell, "MAX_OUTPUT", 100_000)
    assert code(lambda: commands.run(["yes"], timeout=20)) is ErrorCode.COMMAND_FAILED


def test_output_that_is_no_utf8_is_kept_readable(commands):
    program = [sys.executable, "-c", "import os; os.write(1, b'a\\xffb')"]
    assert commands.run(program, timeout=20).stdout == "a\ufffdb"


def test_group_is_told_while_the_command_runs(tmp_path):
    told = []
    commands = Subprocesses(os.environ["PATH"], told.append)
    done = commands.run(["sh", "-c", "echo $$"], timeout=10)
    assert told == [shell.STARTING, int(done.stdout), None]
    with pytest.raises(AgentError):
        commands.run(["no-such-program"], timeout=1)
    assert told[3:] == [shell.STARTING, None]


def test_limits_and_cancelling(commands):
    clock = SystemClock()
    limited = LimitedCommands(commands, clock, 0.3)
    assert code(lambda: limited.run(["sleep", "20"], timeout=60)) is ErrorCode.TIMED_OUT
    assert code(lambda: limited.run(["true"], timeout=60)) is ErrorCode.TIMED_OUT
    cancelled, said = threading.Event(), []
    limited = LimitedCommands(commands, clock, 60, cancelled, said.append)
    limited.run(["true"], timeout=10)
    assert said[0].startswith("true: exit code 0 after ")
    cancelled.set()
    assert code(lambda: limited.run(["true"], timeout=10)) is ErrorCode.CANCELLED


def test_time_stamps_read_back():
    now = SystemClock().now()
    assert stamp(now).endswith("Z")
    assert abs((parse(stamp(now)) - now).total_seconds()) < 0.001
