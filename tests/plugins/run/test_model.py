from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

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
_texts = st.lists(_text, max_size=2).map(tuple)
_agents = st.none() | st.builds(Target, _text, _text)
_limits = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_steps = st.builds(Step, _text, _text, _data, _texts, _limits, _texts, st.none() | _written)
_lanes = st.builds(
    Lane, _text, st.lists(_steps, max_size=3).map(tuple), _text, _agents, _agents,
    _texts, _texts, _text, _text,
)  # fmt: skip
_plans = st.builds(
    Plan,
    command=_text,
    nodes=st.lists(_text, max_size=3).map(tuple),
    lanes=st.lists(_lanes, max_size=3).map(tuple),
    notes=st.lists(st.builds(Note, _text, _text, _text)).map(tuple),
    summary=_data,
    undoes=_maybe,
    rest=st.lists(_lanes, max_size=2).map(tuple),
    undoes_seq=st.none() | st.integers(),
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


def one_step(**values: Any) -> Plan:
    return one_lane(steps=(Step("a", "k@1", **values),))


def test_names_of_locks_times_and_nodes_that_are_sound() -> None:
    sound = one_step(holds=("nim:sn1.example.com", "conserver"), limit=0.5, about=("n2", "n1"))
    assert sound.problems() == ()


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (plan(lanes=[lane("n1", needs=()), lane("n1", needs=())]), "lane 'n1' is there 2 times"),
        (one_lane(steps=(Step("a", "k@1"),) * 2), "lane 'n1': step 'a' is there 2 times"),
        (one_lane(steps=(Step("a.b", "k@1"),)), "lane 'n1': bad step id 'a.b'"),
        (one_lane(if_unreachable="dance"), "lane 'n1': bad if_unreachable 'dance'"),
        (one_lane(needs=("x",)), "lane 'n1' needs 'x', which is not there"),
        (one_lane(after=("x",)), "lane 'n1' comes after 'x', which is not there"),
        (one_lane(needs=("n1",)), "lanes wait for each other: n1 -> n1"),
        (
            plan(lanes=[lane("a", needs=("b",)), lane("b", needs=(), after=("a",))]),
            "lanes wait for each other: a -> b -> a",
        ),
        (one_lane(target=Target("xn", "n1")), "lane 'n1': n1 cannot be of role 'xn'"),
        (one_lane(via=Target("", "sn1")), "lane 'n1': sn1 cannot be of role ''"),
        (one_step(limit=0), "lane 'n1': step 'a' cannot be done in 0 seconds"),
        (one_step(limit=float("nan")), "lane 'n1': step 'a' cannot be done in nan seconds"),
        (one_step(holds=("nim:",)), "lane 'n1': step 'a': bad name of a lock 'nim:'"),
        (one_step(holds=("nim:sn1", "A")), "lane 'n1': step 'a': bad name of a lock 'A'"),
        (one_step(about=("n1", "n9")), "lane 'n1': step 'a' is about n9, not a node of the plan"),
    ],
)
def test_what_makes_a_plan_impossible(bad: Plan, problem: str) -> None:
    assert bad.problems() == (problem,)
