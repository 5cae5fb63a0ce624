from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.plan.model import FORMAT, Lane, Note, Plan, Step, Target, digest
from xcatd.changes import Change, ChangedRow, Changes, Way

from .rig import lane, plan

_text = st.text(max_size=5)
_maybe = st.none() | _text
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)
_data = st.dictionaries(_text, _json, max_size=3)
_columns = st.lists(_text, max_size=2, unique=True).map(tuple)
_pairs = st.lists(st.tuples(_text, _maybe), max_size=2).map(tuple)
_changes = st.builds(Change, st.sampled_from(Way), _text, _columns, _pairs, _pairs, _pairs)
_rows = _changes.flatmap(
    lambda change: st.tuples(*(_text for _ in change.key)).map(lambda key: ChangedRow(change, key))
)
_written = st.lists(_rows, max_size=4).map(tuple).map(Changes)
_steps = st.builds(Step, _text, _text, _data, changes=st.none() | _written)
_targets = st.none() | st.builds(Target, _text, _text)
_lanes = st.builds(
    Lane, _text, st.lists(_steps, max_size=3).map(tuple), _text, _targets, _targets,
    st.lists(_text, max_size=2).map(tuple), st.lists(_text, max_size=2).map(tuple), _text, _text,
)  # fmt: skip
_plans = st.builds(
    Plan,
    command=_text,
    nodes=st.lists(_text, max_size=3).map(tuple),
    lanes=st.lists(_lanes, max_size=3).map(tuple),
    notes=st.lists(st.builds(Note, _text, _text, _text)).map(tuple),
    summary=_data,
    undoes=_maybe,
)


@given(_plans)
def test_a_plan_survives_being_stored(stored: Plan) -> None:
    found = Plan.from_json(json.loads(stored.text()))
    assert found == stored
    assert found.digest() == stored.digest() == digest(stored.text())


@given(_plans)
def test_the_stored_form_is_plain_data(stored: Plan) -> None:
    assert json.loads(json.dumps(stored.to_json())) == stored.to_json()


def test_another_plan_has_another_digest() -> None:
    assert plan(["n1"]).digest() != plan(["n2"]).digest()


@pytest.mark.parametrize("form", [FORMAT + 1, 0, None, "1"])
def test_another_format_is_refused(form: object) -> None:
    with pytest.raises(ValueError, match="is not known to this version"):
        Plan.from_json({**plan().to_json(), "format": form})


def test_a_sound_plan_has_no_problems() -> None:
    assert plan().problems() == ()


def one_lane(**values: object) -> Plan:
    return plan(lanes=[replace(lane("n1", needs=()), **values)])  # type: ignore[arg-type] # by name


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (plan(lanes=[lane("n1", needs=()), lane("n1", needs=())]), "lane 'n1' is there 2 times"),
        (one_lane(steps=(Step("a", "k@1"),) * 2), "lane 'n1': step 'a' is there 2 times"),
        (one_lane(steps=(Step("a.b", "k@1"),)), "lane 'n1': bad step id 'a.b'"),
        (one_lane(if_unreachable="dance"), "lane 'n1': bad if_unreachable 'dance'"),
        (one_lane(needs=("x",)), "lane 'n1' needs 'x', which is not there"),
        (one_lane(needs=("n1",)), "lanes need each other: n1 -> n1"),
    ],
)
def test_what_makes_a_plan_impossible(bad: Plan, problem: str) -> None:
    assert bad.problems() == (problem,)
