"""What all golden cases share: loading, the difference in words, writing anew."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from . import cases


def test_equal_values_do_not_differ() -> None:
    value = {"a": [1, {"b": None}], "c": "text"}
    assert cases.differences(value, json.loads(json.dumps(value))) == []


def test_a_difference_names_its_place_and_both_values() -> None:
    wanted = {"lanes": [{"id": "x", "steps": ["a", "b"]}], "nodes": ["n1"], "gone": 1}
    found = {"lanes": [{"id": "x", "steps": ["a", "c"]}], "nodes": ["n1", "n2"], "new": 2}
    assert cases.differences(wanted, found) == [
        'lanes[0].steps[1]: wanted "b", is "c"',
        'nodes: wanted ["n1"], is ["n1", "n2"]',
        "gone: wanted 1, is not there",
        "new: not wanted, is 2",
    ]


def test_true_is_not_one() -> None:
    assert cases.differences({"a": 1}, {"a": True}) == ["a: wanted 1, is true"]


def test_long_values_are_cut() -> None:
    (difference,) = cases.differences("x" * 1000, "y")
    assert len(difference) < 250


def test_lines_count_as_often_as_they_stand_there() -> None:
    assert cases.missing_and_extra(["a", "a", "b"], ["a", "c", "b"]) == (["a"], ["c"])


def test_a_compressed_file_is_read_like_a_plain_one(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.json", tmp_path / "a.json.gz"
    plain.write_text('[{"id": "é"}]', encoding="utf-8")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert cases.load(plain) == cases.load(packed) == [{"id": "é"}]


def test_only_what_became_different_is_written(tmp_path: Path) -> None:
    old, same = tmp_path / "1.json", tmp_path / "2.json"
    old.write_text(cases.text({"asked": 1, "expect": 5}))
    same.write_text(cases.text({"asked": 2, "expect": 4}))
    changed = cases.rewrite_expectations(cases.find(tmp_path), lambda case: case["asked"] * 2)
    assert changed == [old]
    assert cases.load(old) == {"asked": 1, "expect": 2}
