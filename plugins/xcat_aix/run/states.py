"""What a plan and its steps can be, and what each event makes of them.

Owns the states, the transitions (as data) and the fold of a plan's events into its state.  Pure:
imports nothing of ours, does nothing.  A sequence that the tables do not allow is
:class:`CorruptJournal`, never a guess.

    step   todo    --intent-->  doing     doing   --done | probed-done-->  done
           doing   --failed-->  failed    doing   --lost | claimed | released | closed-->  unknown
           unknown --probed-done-->  done      unknown --probed-not-done-->  todo
           unknown --probed-broken-->  failed  unknown --probed-unreachable-->  unknown
           todo    --held-->  held        todo    --skipped-->  skipped
           failed | held | skipped  --retried-->  todo
    plan   --opened-->  open  --closed(ok | partial | failed | abandoned)-->  closed
           closed(partial | failed)  --claimed-->  open
           closed  --undo-intent-->  undoing  --undone-->  undone
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class CorruptJournal(Exception):  # noqa: N818 - says what is the case
    """Stored events that cannot have happened; the message names plan, sequence number and event."""


class StepState(enum.Enum):
    """Where one step stands."""

    TODO = "todo"
    DOING = "doing"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    HELD = "held"
    SKIPPED = "skipped"

    @property
    def sentence(self) -> str:
        """The state in words for people."""
        return _STEP_SENTENCES[self]


class LaneResult(enum.Enum):
    """What became of a lane: all, nothing or some of it, or nobody knows."""

    MOVED = "moved"
    SKIPPED = "skipped"
    UNMOVED = "unmoved"
    MIXED = "mixed"

    @property
    def sentence(self) -> str:
        """The result in words for people."""
        return _LANE_SENTENCES[self]

    @property
    def lets_others_go_on(self) -> bool:
        """Whether lanes that need this one may start."""
        return self in {LaneResult.MOVED, LaneResult.SKIPPED}


class Phase(enum.Enum):
    """Where a plan stands.  Whether somebody works on an open one is told by its lease."""

    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"
    UNDOING = "undoing"
    UNDONE = "undone"

    @property
    def sentence(self) -> str:
        """The phase in words for people."""
        return _PHASE_SENTENCES[self]


class Outcome(enum.Enum):
    """How a plan was closed."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"
    ABANDONED = "abandoned"

    @property
    def sentence(self) -> str:
        """The outcome in words for people."""
        return _OUTCOME_SENTENCES[self]

    @property
    def can_be_resumed(self) -> bool:
        """Whether there is something left to do."""
        return self in {Outcome.PARTIAL, Outcome.FAILED}


class Word(enum.Enum):
    """The event words of the journal.  The first six are about the plan, the others about a step."""

    OPENED = "opened"
    CLAIMED = "claimed"
    RELEASED = "released"
    CLOSED = "closed"
    UNDO_INTENT = "undo-intent"
    UNDO_FAILED = "undo-failed"
    UNDONE = "undone"

    INTENT = "intent"
    PROGRESS = "progress"
    PROBED_DONE = "probed-done"
    PROBED_NOT_DONE = "probed-not-done"
    PROBED_BROKEN = "probed-broken"
    PROBED_UNREACHABLE = "probed-unreachable"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    HELD = "held"
    SKIPPED = "skipped"
    RETRIED = "retried"

    @property
    def is_about_plan(self) -> bool:
        """Whether the event has no lane and step."""
        return self in _PLAN_WORDS


_PLAN_WORDS = frozenset(
    {
        Word.OPENED,
        Word.CLAIMED,
        Word.RELEASED,
        Word.CLOSED,
        Word.UNDO_INTENT,
        Word.UNDO_FAILED,
        Word.UNDONE,
    }
)

_STEP_SENTENCES = {
    StepState.TODO: "not started",
    StepState.DOING: "started; its outcome is not recorded yet",
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.UNKNOWN: "was interrupted; whether it was done must be asked",
    StepState.HELD: "not started, because something it needs was not done",
    StepState.SKIPPED: "skipped",
}
_LANE_SENTENCES = {
    LaneResult.MOVED: "done",
    LaneResult.SKIPPED: "skipped, nothing was to be done or could be",
    LaneResult.UNMOVED: "not done, nothing was changed",
    LaneResult.MIXED: "done in part, or not known",
}
_PHASE_SENTENCES = {
    Phase.NEW: "not opened yet",
    Phase.OPEN: "open",
    Phase.CLOSED: "closed",
    Phase.UNDOING: "being taken back",
    Phase.UNDONE: "taken back",
}
_OUTCOME_SENTENCES = {
    Outcome.OK: "everything was done",
    Outcome.PARTIAL: "some of it was done",
    Outcome.FAILED: "nothing of it was completed",
    Outcome.ABANDONED: "given up before it was finished",
}

#: What an event makes of a step; what is not here cannot happen.
STEP_TRANSITIONS: Mapping[tuple[StepState, Word], StepState] = {
    (StepState.TODO, Word.INTENT): StepState.DOING,
    (StepState.TODO, Word.HELD): StepState.HELD,
    (StepState.TODO, Word.SKIPPED): StepState.SKIPPED,
    # Refused before anything was begun: no agent to connect, no time left.
    (StepState.TODO, Word.FAILED): StepState.FAILED,
    (StepState.DOING, Word.PROGRESS): StepState.DOING,
    # It was so before we did anything.
    (StepState.DOING, Word.PROBED_DONE): StepState.DONE,
    (StepState.DOING, Word.DONE): StepState.DONE,
    (StepState.DOING, Word.FAILED): StepState.FAILED,
    (StepState.DOING, Word.LOST): StepState.UNKNOWN,
    (StepState.UNKNOWN, Word.PROGRESS): StepState.UNKNOWN,
    (StepState.UNKNOWN, Word.PROBED_DONE): StepState.DONE,
    (StepState.UNKNOWN, Word.PROBED_NOT_DONE): StepState.TODO,
    (StepState.UNKNOWN, Word.PROBED_BROKEN): StepState.FAILED,
    (StepState.UNKNOWN, Word.PROBED_UNREACHABLE): StepState.UNKNOWN,
    (StepState.FAILED, Word.RETRIED): StepState.TODO,
    (StepState.HELD, Word.RETRIED): StepState.TODO,
    (StepState.SKIPPED, Word.RETRIED): StepState.TODO,
}

#: What an event makes of a plan; what is not here cannot happen.
PLAN_TRANSITIONS: Mapping[tuple[Phase, Word], Phase] = {
    (Phase.NEW, Word.OPENED): Phase.OPEN,
    (Phase.OPEN, Word.CLAIMED): Phase.OPEN,
    (Phase.OPEN, Word.RELEASED): Phase.OPEN,
    (Phase.OPEN, Word.CLOSED): Phase.CLOSED,
    (Phase.CLOSED, Word.CLAIMED): Phase.OPEN,
    (Phase.CLOSED, Word.UNDO_INTENT): Phase.UNDOING,
    # An undo that was given up is followed by another one; one that did nothing leaves no trace.
    (Phase.UNDOING, Word.UNDO_INTENT): Phase.UNDOING,
    (Phase.UNDOING, Word.UNDO_FAILED): Phase.CLOSED,
    (Phase.UNDOING, Word.UNDONE): Phase.UNDONE,
}

# A new attempt or a look at the world; anything else leaves open whether it is half done.
_TELLS_BROKEN = frozenset({Word.INTENT, Word.PROBED_DONE, Word.PROBED_NOT_DONE, Word.PROBED_BROKEN})

# Nobody is at work any more after these: what was being done is in doubt.
_ENDS_WORK = frozenset({Word.CLAIMED, Word.RELEASED, Word.CLOSED})


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal.

    ``seq`` is the journal's own number, 0 before it is stored.  ``lane`` and ``step`` are empty for
    events of the plan.  ``attempt`` counts a step's intents from 1; ``at`` is UTC ISO 8601.
    ``detail`` is JSON data: ``text``, ``detail``, ``code``, ``result``, ``outcome``, ``by``.
    """

    word: Word
    lane: str = ""
    step: str = ""
    attempt: int = 0
    job: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    seq: int = 0

    def __str__(self) -> str:
        where = f" of {self.lane}/{self.step}" if self.lane else ""
        return f"event {self.seq} {self.word.value!r}{where}"


@dataclass(slots=True)
class StepRecord:
    """What the events say about one step.  Changed by :meth:`PlanState.apply` only."""

    state: StepState = StepState.TODO
    attempt: int = 0
    #: The job of the newest attempt.
    job: str = ""
    #: Why it is not done, or what was seen.
    text: str = ""
    detail: str = ""
    code: int | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    #: A probe found its effect half there.
    is_broken: bool = False
    progress_rows: int = 0

    def take(self, state: StepState, event: Event) -> None:
        """Move to ``state`` because of ``event``."""
        self.state = state
        if event.word is Word.PROGRESS:
            self.progress_rows += 1
            return
        if event.word is Word.INTENT:
            self.attempt, self.job, self.progress_rows = event.attempt, event.job, 0
        if event.word in _TELLS_BROKEN:
            self.is_broken = event.word is Word.PROBED_BROKEN
        self.text = str(event.detail.get("text", ""))
        self.detail = str(event.detail.get("detail", ""))
        self.code = event.detail.get("code")
        self.result = event.detail.get("result", {})


class PlanState:
    """The state of one plan, moved on by its events.

    ``shape`` gives the lanes with their step ids, in order.  :meth:`apply` raises
    :class:`CorruptJournal` and then leaves everything as it was.
    """

    def __init__(self, shape: Mapping[str, Sequence[str]], plan_id: str = "") -> None:
        self.plan_id = plan_id
        self.phase = Phase.NEW
        self.outcome: Outcome | None = None
        #: The plan that takes this one back.
        self.undone_by = ""
        self.lanes: Mapping[str, Mapping[str, StepRecord]] = {
            lane: {step: StepRecord() for step in steps} for lane, steps in shape.items()
        }

    def apply(self, event: Event) -> None:
        """Take one event in; raises :class:`CorruptJournal` for one that cannot come here."""
        if event.word.is_about_plan:
            self._apply_to_plan(event)
        else:
            self._apply_to_step(event)

    def _apply_to_plan(self, event: Event) -> None:
        phase = PLAN_TRANSITIONS.get((self.phase, event.word))
        if phase is None:
            raise self._corrupt(event, f"the plan is {self.phase.value}")
        match event.word:
            case Word.CLOSED:
                self.outcome = self._outcome_of(event)
            case Word.CLAIMED if self.outcome is not None:
                if not self.outcome.can_be_resumed:
                    raise self._corrupt(event, f"the plan was closed {self.outcome.value}")
                self.outcome = None
            case Word.UNDO_INTENT | Word.UNDONE:
                self.undone_by = str(event.detail.get("by", ""))
            case Word.UNDO_FAILED:
                self.undone_by = ""
            case _:
                pass
        self.phase = phase
        if event.word in _ENDS_WORK:
            self._doubt()

    def _outcome_of(self, event: Event) -> Outcome:
        try:
            return Outcome(event.detail.get("outcome"))
        except ValueError:
            raise self._corrupt(event, "it names no outcome") from None

    def _doubt(self) -> None:
        for _, record in self.records():
            if record.state is StepState.DOING:
                record.state = StepState.UNKNOWN

    def _apply_to_step(self, event: Event) -> None:
        if self.phase is not Phase.OPEN:
            raise self._corrupt(event, f"the plan is {self.phase.value}")
        record = self.lanes.get(event.lane, {}).get(event.step)
        if record is None:
            raise self._corrupt(event, "the plan has no such step")
        state = STEP_TRANSITIONS.get((record.state, event.word))
        if state is None:
            raise self._corrupt(event, f"the step is {record.state.value}")
        expected = record.attempt + (event.word is Word.INTENT)
        if event.attempt != expected:
            raise self._corrupt(event, f"it is of attempt {event.attempt}, not {expected}")
        if event.word is Word.INTENT and not self._is_next(event.lane, event.step):
            raise self._corrupt(event, "the steps before it are not done")
        record.take(state, event)

    def _is_next(self, lane: str, step: str) -> bool:
        for name, record in self.lanes[lane].items():
            if name == step:
                return True
            if record.state is not StepState.DONE:
                return False
        return False  # pragma: no cover - the caller found the step in the lane

    def _corrupt(self, event: Event, why: str) -> CorruptJournal:
        return CorruptJournal(f"journal of {self.plan_id or 'a plan'}: {event} cannot be: {why}")

    def records(self) -> Iterator[tuple[tuple[str, str], StepRecord]]:
        """Every step as ``((lane, step), record)``, in plan order."""
        for lane, steps in self.lanes.items():
            for step, record in steps.items():
                yield (lane, step), record

    def record(self, lane: str, step: str) -> StepRecord:
        """The record of one step; raises KeyError."""
        return self.lanes[lane][step]

    def lane_result(self, lane: str) -> LaneResult:
        """What became of one lane, by what is recorded now."""
        return _lane_result(self.lanes[lane].values())

    def results(self) -> dict[str, LaneResult]:
        """The result of every lane."""
        return {lane: self.lane_result(lane) for lane in self.lanes}

    def trouble(self, lane: str) -> StepRecord | None:
        """The first step of a lane that is not done, if it says why."""
        for record in self.lanes[lane].values():
            if record.state is not StepState.DONE:
                return record if record.text else None
        return None

    def final_outcome(self) -> Outcome:
        """The outcome if the plan were closed now."""
        results = set(self.results().values())
        if all(result.lets_others_go_on for result in results):
            return Outcome.OK
        something = results & {LaneResult.MOVED, LaneResult.MIXED}
        return Outcome.PARTIAL if something else Outcome.FAILED


def fold(
    shape: Mapping[str, Sequence[str]], events: Iterable[Event], plan_id: str = ""
) -> PlanState:
    """The state that ``events`` lead to; raises :class:`CorruptJournal`."""
    state = PlanState(shape, plan_id)
    for event in events:
        state.apply(event)
    return state


_UNTOUCHED = frozenset({StepState.TODO, StepState.HELD, StepState.SKIPPED, StepState.FAILED})


def _lane_result(records: Iterable[StepRecord]) -> LaneResult:
    records = tuple(records)
    states = {record.state for record in records}
    if states <= {StepState.DONE}:
        return LaneResult.MOVED
    if states <= {StepState.SKIPPED}:
        return LaneResult.SKIPPED
    if states <= _UNTOUCHED and not any(record.is_broken for record in records):
        return LaneResult.UNMOVED
    return LaneResult.MIXED
