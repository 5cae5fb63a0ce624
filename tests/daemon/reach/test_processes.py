"""Programs are fed, heard, and ended with all they started."""

from __future__ import annotations

import os
import select
import sys
import threading
from pathlib import Path

import pytest

from xcatd.processes import Process, TooSlowError, UnwantedError

ENVIRON = {"PATH": "/usr/bin:/bin"}


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


class Heard:
    def __init__(self) -> None:
        self.out, self.err = b"", b""
        self.any = threading.Event()

    def take(self, data: bytes, is_error: bool) -> None:
        if is_error:
            self.err += data
        else:
            self.out += data
        self.any.set()


def test_input_and_output_of_any_size_pass_each_other() -> None:
    heard = Heard()
    given = os.urandom(1 << 20)
    code = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer); sys.stderr.write('e'); sys.exit(7)"
    assert Process(python(code), ENVIRON).talk(given, 30, heard.take) == 7
    assert (heard.out, heard.err) == (given, b"e")


def test_a_program_that_reads_nothing_is_no_trouble() -> None:
    assert Process(["/bin/true"], ENVIRON).talk(b"x" * (1 << 20), 30, Heard().take) == 0


def test_its_environment_is_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/x")
    heard = Heard()
    Process(["/usr/bin/env"], {"A": "b"}).talk(b"", 30, heard.take)
    assert heard.out == b"A=b\n"


def _is_gone(pid: int) -> bool:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 20)[0])
    finally:
        os.close(process)


@pytest.mark.parametrize("way", ["late", "unwanted", "taker"])
def test_it_is_ended_with_all_it_started(way: str) -> None:
    heard = Heard()
    process = Process(["/bin/sh", "-c", "sleep 600 & echo $!; wait"], ENVIRON)

    def take(data: bytes, is_error: bool) -> None:
        heard.take(data, is_error)
        if way == "taker":
            raise OSError("nobody takes it")

    limit = 1.0 if way == "late" else 30
    expected = {"late": TooSlowError, "unwanted": UnwantedError, "taker": OSError}[way]
    wanted = (lambda: not heard.any.is_set()) if way == "unwanted" else (lambda: True)
    with pytest.raises(expected):
        process.talk(b"", limit, take, wanted)
    assert _is_gone(int(heard.out))


def test_what_it_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    heard = Heard()
    script = "setsid sleep 600 & echo $!"
    assert Process(["/bin/sh", "-c", script], ENVIRON).talk(b"", 40, heard.take) == 0
    os.kill(int(heard.out), 9)


def test_a_program_that_closes_its_pipes_is_waited_for_until_it_ends() -> None:
    code = "import os; [os.close(fd) for fd in (0, 1, 2)]; os._exit(9)"
    assert Process(python(code), ENVIRON).talk(b"", 30, Heard().take) == 9
    silent = Process(["/bin/sh", "-c", "exec <&- >&- 2>&-; sleep 600"], ENVIRON)
    with pytest.raises(TooSlowError):
        silent.talk(b"", 0.5, Heard().take)
