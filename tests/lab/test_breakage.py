from __future__ import annotations

import pytest

from xcat_aix_lab.breakage import BadFault, apply
from xcat_aix_lab.sim.store import MemoryStore

from . import transcript


@pytest.fixture
def store() -> MemoryStore:
    return transcript.fresh()


def test_faults_are_set_shown_and_cleared(store: MemoryStore) -> None:
    for words in (
        ["fail-once", "niminit", "0042-053", "no", "such", "object"],
        ["busy", "nim:define"],
        ["slow", "2.5", "nimclient"],
        ["hang"],
        ["disk-full"],
        ["quirk", "z_drops_empty", "off"],
    ):
        assert apply(store, "n01", words) == ""
    assert apply(store, "n01", ["show"]) == (
        "disk-full\n"
        "fail niminit 0042-053 no such object (1 times)\n"
        "fail nim:define 0042-013 unable to acquire the NIM global lock: NIM is busy\n"
        "slow nimclient 2.5 s\n"
        "hang *\n"
        "quirk z_drops_empty off\n"
    )
    apply(store, "n01", ["clear"])
    assert apply(store, "n01", ["show"]) == ""


@pytest.mark.parametrize(
    "words",
    [[], ["explode"], ["slow"], ["slow", "much"], ["fail", "niminit"], ["quirk", "x", "on"]],
)
def test_words_that_are_no_fault(store: MemoryStore, words: list[str]) -> None:
    with pytest.raises(BadFault, match="what FAULT may be"):
        apply(store, "n01", words)
    assert apply(store, "n01", ["show"]) == ""
