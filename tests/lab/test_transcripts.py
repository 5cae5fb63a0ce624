from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from xcat_aix_lab.directory import LabDirectory
from xcat_aix_lab.sim.execute import NotInstalled, Result, execute

from . import transcript


@pytest.mark.parametrize("path", transcript.sessions(), ids=lambda path: path.stem)
def test_in_memory(path: Path) -> None:
    text = path.read_text()
    assert transcript.play(text, transcript.in_memory(transcript.fresh())) == text


@pytest.mark.parametrize("path", transcript.sessions(), ids=lambda path: path.stem)
def test_state_in_files(path: Path, lab: LabDirectory) -> None:
    def runner(node: str, argv: list[str]) -> Result:
        try:
            return execute(argv, node, lab.store, transcript.never)
        except NotInstalled as error:
            return Result(127, "", f"ksh: {error}:  not found.\n")

    text = path.read_text()
    assert transcript.play(text, runner) == text


@pytest.mark.parametrize("name", ["takeover", "unconfigured"])
def test_real_executables(name: str, lab: LabDirectory) -> None:
    def runner(node: str, argv: list[str]) -> Result:
        path = f"{lab.node(node)}/bin:/usr/bin:/bin"
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env={"PATH": path, "LC_ALL": "C"}
        )
        return Result(done.returncode, done.stdout, done.stderr)

    text = (transcript.GOLDEN / f"{name}.txt").read_text()
    assert transcript.play(text, runner) == text


def test_a_command_that_is_not_installed_says_so(lab: LabDirectory) -> None:
    program = lab.node("n01") / "bin" / "lsnim"
    assert not program.exists()
    launcher = lab.node("sn1") / "bin" / "lsnim"
    assert launcher.exists()
