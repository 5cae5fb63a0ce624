"""Hostile input: what was found once, some of a campaign, and with the marker ``servers`` all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.attack import campaign, targets
from tests.attack.campaign import Report, Work
from tests.attack.targets import PROGRAMS, SHARES

CORPUS = Path(__file__).parent / "corpus"

#: How many inputs of each target are tried at every change.
FEW = {
    "requests": 100,
    "noderanges": 60,
    "expressions": 100,
    "csv": 40,
    "stanzas": 12,
    "jobs": 80,
    "operations": 150,
    "daemon": 12,
    "agent": 20,
}
SEED, COUNT = 1, 10_000


def findings(report: Report) -> list[str]:
    return [str(finding) for finding in report.findings]


# Each accident costs its time-out; without one this takes seconds.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", SHARES)
def test_what_found_something_once_finds_nothing_now(target):
    files = tuple(str(path) for path in sorted((CORPUS / target).iterdir()))
    report = campaign.tried(Work(target, files=files))
    assert findings(report) == []
    assert report.tried == len(files) > 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", SHARES)
def test_some_hostile_inputs(target):
    report = campaign.tried(Work(target, SEED, 0, FEW[target]))
    assert findings(report) == []
    assert report.tried == FEW[target]


@pytest.mark.servers
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", SHARES)
def test_the_whole_campaign(target):
    pieces = [work for work in campaign.plan(SEED, COUNT) if work.target == target]
    report = campaign.run(pieces)[target]
    assert findings(report) == []
    assert report.tried == sum(work.last - work.first for work in pieces)


# That the harness finds what there is to find.


def control(tmp_path: Path, *words: str) -> Report:
    files = []
    for place, word in enumerate(words):
        path = tmp_path / str(place)
        path.write_bytes(word.encode())
        files.append(str(path))
    return campaign.tried(Work("control", files=tuple(files), silence=3.0))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("crash", "raised KeyError: 'not as documented' (control.py:"),
        ("complain", "something does not hold"),
        ("deep", "raised RecursionError"),
        ("grow", "MiB of memory; 32 are allowed"),
        ("slow", "s; 0.5 are allowed"),
        ("hang", "does not end: File "),
        ("wait", "does not end: File "),
        ("die", "the process ended by itself"),
    ],
)
def test_each_kind_of_accident_is_found_and_the_rest_is_tried(tmp_path, word, text):
    report = control(tmp_path, "fine", word, "declared", "fine")
    (finding,) = report.findings
    assert finding.index == 1
    assert text in finding.text
    assert report.tried == (3 if word in ("hang", "wait", "die") else 4)


def test_what_is_fine_or_declared_is_no_finding(tmp_path):
    assert findings(control(tmp_path, "fine", "declared", "fine")) == []


def test_a_target_that_cannot_be_made_is_no_result(tmp_path):
    with pytest.raises(RuntimeError, match="cannot be made"):
        campaign.tried(Work("nosuch", 1, 0, 5))


@pytest.mark.parametrize("target", [name for name in SHARES if name not in PROGRAMS])
def test_seed_and_index_name_an_input(tmp_path, target):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = (targets.make(target, tmp_path / name) for name in "ab")
    made = [targets.make_input(one, target, 7, index) for index in range(30)]
    assert made == [targets.make_input(other, target, 7, index) for index in range(30)]
    assert made != [targets.make_input(one, target, 8, index) for index in range(30)]
    assert all(len(data) <= one.longest for data in made)


def test_a_campaign_gives_every_target_its_share():
    pieces = campaign.plan(3, COUNT)
    counts = dict.fromkeys(SHARES, 0)
    for work in pieces:
        counts[work.target] += work.last - work.first
    assert counts == SHARES
    assert sum(counts.values()) == COUNT
