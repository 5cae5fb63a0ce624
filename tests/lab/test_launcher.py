from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xcat_aix_lab.launcher import Launcher, NotReady, Program, run_lines

FOREVER = "import signal; print('ready on port 1', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN);" + FOREVER.partition(";")[2]


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    made = Launcher(tmp_path)
    yield made
    made.end(made.running(), 5.0, first=signal.SIGKILL)


def program(tmp_path: Path, name: str = "one", code: str = FOREVER) -> Program:
    argv = [sys.executable, "-c", code]
    return Program(name, argv, dict(os.environ), tmp_path / f"{name}.log", "ready on")


def test_start_is_idempotent_and_end_ends(launcher: Launcher, tmp_path: Path) -> None:
    launcher.start([program(tmp_path), program(tmp_path, "two")], 20.0)
    first = launcher.pid("one")
    launcher.start([program(tmp_path)], 20.0)
    assert launcher.pid("one") == first
    assert launcher.running() == ["one", "two"]
    assert launcher.end(["one", "two"], 10.0) == ["one", "two"]
    assert launcher.running() == []
    assert launcher.end(["one"], 10.0) == []


def test_a_program_that_ends_at_once_shows_its_log(launcher: Launcher, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"(?s)one ended at once.*it is broken"):
        launcher.start([program(tmp_path, code="print('it is broken')")], 20.0)


def test_a_program_that_never_gets_ready(launcher: Launcher, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="did not get ready in time"):
        launcher.start([program(tmp_path, code="import signal; signal.pause()")], 0.2)


def test_who_does_not_end_is_killed(launcher: Launcher, tmp_path: Path) -> None:
    launcher.start([program(tmp_path, code="import signal;" + STUBBORN)], 20.0)
    assert launcher.end(["one"], 0.2) == ["one"]
    assert not launcher.is_running("one")


def test_a_stranger_with_the_same_number_is_left_alone(launcher: Launcher, tmp_path: Path) -> None:
    launcher.start([program(tmp_path)], 20.0)
    file = tmp_path / "one.pid"
    known = json.loads(file.read_text())
    file.write_text(json.dumps({**known, "started": known["started"] - 1}))
    assert launcher.pid("one") is None
    assert launcher.end(["one"], 0.2) == []
    os.kill(known["pid"], 0)
    file.write_text(json.dumps(known))
    assert launcher.kill("one")


def test_lines_come_as_they_are_printed() -> None:
    seen: list[str] = []
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    status, text = run_lines(
        [sys.executable, "-uc", code], os.environ, seconds=20.0, on_line=seen.append
    )
    assert (status, text, seen) == (3, "out\nerr\n", ["out\n", "err\n"])


def test_a_command_that_lasts_too_long_is_killed() -> None:
    code = "import signal; signal.pause()"
    status, _ = run_lines([sys.executable, "-c", code], os.environ, seconds=0.3, on_line=print)
    assert status == -signal.SIGKILL
