"""Worked examples of the specification, and what xCAT's own code answered to generated noderanges."""

from __future__ import annotations

import pytest

from xcatd import noderange

from .clusters import cases, world


def _answer(case):
    site = {"excludenodes": case["excludenodes"]} if "excludenodes" in case else {}
    where = world(case.get("cluster", "example"), case.get("files"), **site)
    return noderange.expand(case["text"], where, verify=case.get("verify", True))


def _check(case):
    if "error" in case:
        with pytest.raises(noderange.UnbalancedParentheses, match=case["error"]):
            _answer(case)
        return
    found = _answer(case)
    assert (list(found.nodes), list(found.missed)) == (case["nodes"], _kept(case["missed"]))


def _kept(missed):
    """xCAT repeats every missed name, we the first ones."""
    more = len(missed) - noderange.MOST_MISSED
    return [*missed[: noderange.MOST_MISSED], f"and {more} more"] if more > 0 else missed


@pytest.mark.parametrize("case", cases("examples.json"), ids=lambda case: case["text"])
def test_example_of_the_specification(case):
    _check(case)


@pytest.mark.parametrize("cluster", ["example", "wild"])
def test_recorded_answers_of_xcat(cluster):
    recorded = [case for case in cases("recorded.json") if case["cluster"] == cluster]
    assert len(recorded) == 300
    for case in recorded:
        _check(case)
