from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.run.states import (
    PLAN_TRANSITIONS,
    STEP_TRANSITIONS,
    CorruptJournal,
    Event,
    LaneResult,
    Outcome,
    Phase,
    StepState,
    Word,
)
from xcat_aix.run.story import PlanState, Shape, fold

PLAN_WORDS = [word for word in Word if word.is_about_plan]
#: ``by-node`` is several of the others at once: see test_nodes.py.
STEP_WORDS = [word for word in Word if not word.is_about_plan and word is not Word.BY_NODE]
SHAPE: Shape = {"a": {"one": ()}}

TWO_LANES: Shape = {"a": {"one": (), "two": ()}, "b": {"one": ()}}

# The shortest way to each state of a step and phase of a plan, written by hand.
OPENED = Event(Word.OPENED)
INTENT = Event(Word.INTENT, "a", "one", 1, "job1")


def about(word: Word, attempt: int = 1, **detail: object) -> Event:
    return Event(word, "a", "one", attempt, detail=detail)


def closed(outcome: str) -> Event:
    return Event(Word.CLOSED, detail={"outcome": outcome})


WAYS_TO_STATE = {
    StepState.TODO: [OPENED],
    StepState.WAITING: [OPENED, about(Word.WAITS, 0)],
    StepState.DOING: [OPENED, INTENT],
    StepState.DONE: [OPENED, INTENT, about(Word.DONE)],
    StepState.FAILED: [OPENED, INTENT, about(Word.FAILED)],
    StepState.UNKNOWN: [OPENED, INTENT, about(Word.LOST)],
    StepState.HELD: [OPENED, about(Word.HELD, 0)],
    StepState.SKIPPED: [OPENED, about(Word.SKIPPED, 0)],
}
WAYS_TO_PHASE = {
    Phase.NEW: [],
    Phase.SAVED: [Event(Word.SAVED)],
    Phase.OPEN: [OPENED],
    Phase.CLOSED: [OPENED, closed("partial")],
    Phase.UNDOING: [OPENED, closed("ok"), Event(Word.UNDO_INTENT, detail={"by": "u1"})],
    Phase.UNDONE: [
        OPENED,
        closed("ok"),
        Event(Word.UNDO_INTENT, detail={"by": "u1"}),
        Event(Word.UNDONE, detail={"by": "u1"}),
    ],
}


@pytest.mark.parametrize(("state", "word"), list(itertools.product(WAYS_TO_STATE, STEP_WORDS)))
def test_every_step_event_in_every_state(state: StepState, word: Word) -> None:
    plan = fold(SHAPE, WAYS_TO_STATE[state])
    attempt = plan.record("a", "one").attempt + (word is Word.INTENT)
    expected = STEP_TRANSITIONS.get((state, word))
    if expected is None:
        with pytest.raises(CorruptJournal, match=f"'{word.value}' of a/one cannot be: the step is"):
            plan.apply(about(word, attempt))
        assert plan.record("a", "one").state is state
    else:
        plan.apply(about(word, attempt))
        assert plan.record("a", "one").state is expected


@pytest.mark.parametrize(("phase", "word"), list(itertools.product(Phase, PLAN_WORDS)))
def test_every_plan_event_in_every_phase(phase: Phase, word: Word) -> None:
    plan = fold(SHAPE, WAYS_TO_PHASE[phase])
    expected = PLAN_TRANSITIONS.get((phase, word))
    event = Event(word, detail={"outcome": "ok"})
    if expected is None:
        with pytest.raises(CorruptJournal, match=f"the plan is {phase.value}"):
            plan.apply(event)
        assert plan.phase is phase
    else:
        plan.apply(event)
        assert plan.phase is expected


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.OPEN])
def test_steps_move_in_open_plans_only(phase: Phase) -> None:
    with pytest.raises(CorruptJournal, match=f"the plan is {phase.value}"):
        fold(SHAPE, [*WAYS_TO_PHASE[phase], INTENT])


@pytest.mark.parametrize("word", [Word.CLAIMED, Word.RELEASED])
def test_what_was_being_done_is_in_doubt_when_nobody_is_at_work(word: Word) -> None:
    plan = fold(SHAPE, [OPENED, INTENT, Event(word)])
    assert plan.record("a", "one").state is StepState.UNKNOWN


def test_closing_leaves_doubt_too() -> None:
    plan = fold(SHAPE, [OPENED, INTENT, closed("abandoned")])
    assert plan.record("a", "one").state is StepState.UNKNOWN
    assert plan.outcome is Outcome.ABANDONED


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_unfinished_plans_are_opened_again(outcome: Outcome) -> None:
    events = [OPENED, closed(outcome.value), Event(Word.CLAIMED)]
    if outcome in {Outcome.PARTIAL, Outcome.FAILED}:
        plan = fold(SHAPE, events)
        assert (plan.phase, plan.outcome) == (Phase.OPEN, None)
    else:
        with pytest.raises(CorruptJournal, match=f"closed {outcome.value}"):
            fold(SHAPE, events)


def test_a_close_must_name_its_outcome() -> None:
    with pytest.raises(CorruptJournal, match="names no outcome"):
        fold(SHAPE, [OPENED, closed("perhaps")])


def test_an_unknown_step_is_corrupt() -> None:
    with pytest.raises(CorruptJournal, match="no such step"):
        fold(SHAPE, [OPENED, Event(Word.INTENT, "a", "two", 1)])


@pytest.mark.parametrize("attempt", [0, 2])
def test_attempts_count_without_gaps(attempt: int) -> None:
    with pytest.raises(CorruptJournal, match=f"attempt {attempt}, not 1"):
        fold(SHAPE, [OPENED, Event(Word.INTENT, "a", "one", attempt)])


def test_an_outcome_must_be_of_the_running_attempt() -> None:
    with pytest.raises(CorruptJournal, match="attempt 2, not 1"):
        fold(SHAPE, [OPENED, INTENT, about(Word.DONE, 2)])


def test_no_step_starts_before_those_ahead_of_it_are_done() -> None:
    with pytest.raises(CorruptJournal, match="steps before it are not done"):
        fold({"a": {"one": (), "two": ()}}, [OPENED, Event(Word.INTENT, "a", "two", 1)])


def test_the_sequence_number_is_named() -> None:
    with pytest.raises(CorruptJournal, match="journal of p1: event 17 'done'"):
        fold(SHAPE, [OPENED, Event(Word.DONE, "a", "one", seq=17)], "p1")


def test_a_record_keeps_reason_job_and_result() -> None:
    plan = fold(
        SHAPE,
        [OPENED, INTENT, about(Word.PROGRESS, text="at it"), about(Word.PROGRESS),
         about(Word.FAILED, text="no", detail="output", code=401)],
    )  # fmt: skip
    record = plan.record("a", "one")
    assert (record.job, record.attempt, record.progress_rows) == ("job1", 1, 2)
    assert (record.text, record.detail, record.code) == ("no", "output", 401)
    assert plan.trouble("a") is record
    for event in (about(Word.RETRIED), Event(Word.INTENT, "a", "one", 2, "job2")):
        plan.apply(event)
    assert (record.job, record.attempt, record.progress_rows, record.text) == ("job2", 2, 0, "")
    plan.apply(about(Word.DONE, 2, result={"x": 1}))
    assert record.result == {"x": 1}
    assert plan.trouble("a") is None


def two(*words: str) -> LaneResult:
    """The result of a lane whose steps were given these events."""
    plan = fold({"a": {str(i): () for i in range(len(words))}}, [OPENED])
    for number, word in enumerate(words):
        step = str(number)
        if word in {"skipped", "held"}:
            plan.apply(Event(Word(word), "a", step))
        elif word:
            plan.apply(Event(Word.INTENT, "a", step, 1))
            if word == "broken":
                plan.apply(Event(Word.LOST, "a", step, 1))
                word = "probed-broken"  # noqa: PLW2901 - the way to it
            if word != "doing":
                plan.apply(Event(Word(word), "a", step, 1))
    return plan.lane_result("a")


def test_results_of_lanes() -> None:
    assert two() is LaneResult.DONE
    assert two("done", "probed-done") is LaneResult.DONE
    assert two("skipped", "skipped") is LaneResult.SKIPPED
    assert two("", "") is two("failed", "") is two("held", "held") is LaneResult.UNDONE
    assert two("done", "") is two("done", "failed") is two("lost") is two("doing") is two("broken")
    assert two("broken") is LaneResult.PARTIAL


def test_half_done_stays_mixed_until_a_new_attempt() -> None:
    plan = fold(SHAPE, [OPENED, INTENT, about(Word.LOST), about(Word.PROBED_BROKEN)])
    plan.apply(about(Word.RETRIED))
    assert plan.lane_result("a") is LaneResult.PARTIAL
    plan.apply(Event(Word.INTENT, "a", "one", 2))
    plan.apply(about(Word.FAILED, 2))
    assert plan.lane_result("a") is LaneResult.UNDONE


@pytest.mark.parametrize(
    ("ends", "is_begun"),
    [
        ([about(Word.FAILED)], True),
        ([about(Word.FAILED), about(Word.RETRIED), about(Word.FAILED)], True),
        ([about(Word.FAILED, unbegun=True)], False),
        ([about(Word.NOT_BEGUN)], False),
        ([about(Word.NOT_BEGUN), about(Word.FAILED)], False),
        ([about(Word.LOST)], True),
        ([about(Word.DONE)], True),
        ([about(Word.LOST), about(Word.PROBED_NOT_DONE)], False),
        ([about(Word.LOST), about(Word.PROBED_BROKEN), about(Word.RETRIED)], True),
    ],
)
def test_what_failed_after_it_was_begun_counts_as_begun(ends: list[Event], is_begun: bool) -> None:
    record = fold(SHAPE, [OPENED, INTENT, *ends]).record("a", "one")
    assert bool(record.begun()) is is_begun
    assert bool(record.copy().begun()) is is_begun


def test_what_failed_before_its_intent_or_in_a_transaction_was_not_begun() -> None:
    refused = fold(SHAPE, [OPENED, about(Word.FAILED, 0)]).record("a", "one")
    assert not refused.begun()
    failed = fold(SHAPE, [OPENED, INTENT, about(Word.FAILED)]).record("a", "one")
    assert failed.begun() and not failed.begun(is_whole=True)


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (["done", "done"], Outcome.OK),
        (["done", "skipped"], Outcome.OK),
        (["done", "failed"], Outcome.PARTIAL),
        (["failed", "lost"], Outcome.PARTIAL),
        (["failed", "skipped"], Outcome.FAILED),
        (["failed", ""], Outcome.FAILED),
    ],
)
def test_the_final_outcome(words: list[str], outcome: Outcome) -> None:
    plan = fold({"0": {"s": ()}, "1": {"s": ()}}, [OPENED])
    for lane, word in enumerate(words):
        if word == "skipped":
            plan.apply(Event(Word.SKIPPED, str(lane), "s", 0))
        elif word:
            plan.apply(Event(Word.INTENT, str(lane), "s", 1))
            plan.apply(Event(Word(word), str(lane), "s", 1))
    assert plan.final_outcome() is outcome


@pytest.mark.parametrize("of", [StepState, LaneResult, Phase, Outcome])
def test_every_state_has_its_sentence(
    of: type[StepState | LaneResult | Phase | Outcome],
) -> None:
    sentences = [member.sentence for member in of]
    assert all(sentences) and len(set(sentences)) == len(sentences)


# The fold against a naive model: replay everything for each question, with string rules only.

NAIVE = """
todo intent doing|todo waits waiting|todo held held|todo skipped skipped|todo failed failed|doing progress doing
doing probed-done done|doing done done|doing failed failed|doing lost unknown
doing not-begun todo|waiting waits waiting|waiting intent doing|waiting failed failed|waiting skipped skipped
unknown progress unknown|unknown probed-done done|unknown probed-not-done todo
unknown probed-broken failed|unknown probed-unreachable unknown
failed retried todo|held retried todo|skipped retried todo
"""
NAIVE_RULES = {
    (state, word): new
    for state, word, new in (rule.split() for rule in NAIVE.replace("\n", "|").split("|") if rule)
}


def naive(events: list[Event]) -> dict[tuple[str, str], str] | None:
    """The state of each step, None if the story is impossible; only open, claim and steps."""
    state = {("a", "one"): "todo", ("a", "two"): "todo", ("b", "one"): "todo"}
    attempts = dict.fromkeys(state, 0)
    is_open = False
    for event in events:
        if event.word is Word.OPENED:
            if is_open:
                return None
            is_open = True
        elif not is_open:
            return None
        elif event.word is Word.CLAIMED:
            ends = {"doing": "unknown", "waiting": "todo"}
            state = {key: ends.get(s, s) for key, s in state.items()}
        else:
            key = (event.lane, event.step)
            new = NAIVE_RULES.get((state.get(key, ""), event.word.value))
            if event.word is Word.INTENT and key in attempts:
                if key == ("a", "two") and state["a", "one"] != "done":
                    return None
                attempts[key] += 1
            if new is None or attempts[key] != event.attempt:
                return None
            state[key] = new
    return state


_step_events = st.builds(
    Event,
    word=st.sampled_from(STEP_WORDS),
    lane=st.sampled_from(["a", "b"]),
    step=st.sampled_from(["one", "two"]),
    attempt=st.integers(0, 3),
)
_events = st.one_of(_step_events, st.sampled_from([OPENED, Event(Word.CLAIMED)]))


@given(st.lists(_events, max_size=12))
def test_the_fold_agrees_with_a_naive_model(events: list[Event]) -> None:
    check([OPENED, *events])


@given(st.data())
def test_likely_stories_agree_with_a_naive_model(data: st.DataObject) -> None:
    """Random events are mostly impossible at once; these are mostly possible."""
    plan = PlanState(TWO_LANES)
    story = [OPENED]
    plan.apply(OPENED)
    for _ in range(data.draw(st.integers(0, 15))):
        (lane, step), record = data.draw(st.sampled_from(list(plan.records())))
        words = [word for state, word in STEP_TRANSITIONS if state is record.state]
        word = data.draw(st.sampled_from([*words, Word.CLAIMED]))
        attempt = record.attempt + (word is Word.INTENT)
        event = Event(word) if word is Word.CLAIMED else Event(word, lane, step, attempt)
        try:
            plan.apply(event)
        except CorruptJournal:
            check([*story, event])
            continue
        story.append(event)
    check(story)


def check(events: list[Event]) -> None:
    expected = naive(events)
    try:
        plan = fold(TWO_LANES, events)
    except CorruptJournal:
        assert expected is None
        return
    assert {key: record.state.value for key, record in plan.records()} == expected
