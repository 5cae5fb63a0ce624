"""The demo tells the truth: 0 when all is well, and not when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcat_aix_lab import demo
from xcat_aix_lab.lab import Lab

# A dozen processes and several whole moves: more than a minute on a machine that has other work.
pytestmark = pytest.mark.timeout(240)


def test_the_story_from_nothing_to_the_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "lab"
    status = demo.run_demo(place, keep=False)
    told = capfd.readouterr().out
    assert status == 0, told
    assert "Everything was as it should be" in told
    assert not place.exists()


def test_a_node_that_nim_refuses_ends_the_story_badly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    kill = Lab.kill

    def kill_and_break(lab: Lab, node: str) -> None:
        kill(lab, node)
        lab.fault("n02", ["fail", "niminit", "0042-175", "the dog ate it"])

    monkeypatch.setattr(Lab, "kill", kill_and_break)
    assert demo.run_demo(tmp_path / "lab", keep=False) == 1
    told = capfd.readouterr().out
    assert "0042-175 niminit: the dog ate it" in told
    assert "NOT AS IT SHOULD BE: snmove -s sn1 ended with 2 instead of 0" in told
    assert not (tmp_path / "lab").exists()


def test_the_demo_overwrites_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert demo.run_demo(tmp_path, keep=False) == 1
    assert "the demo begins from nothing" in capfd.readouterr().err
