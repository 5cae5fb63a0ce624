"""What a plan and its steps can be, and what each event makes of them.

Owns the states and the transitions, as data; :mod:`.story` folds events by them.  Pure: imports nothing of ours.

Of a step, each node that it is about has a state of its own; a step that is about none has one for the whole.

    todo     --intent-->  doing       --waits-->  waiting    --held-->  held    --skipped-->  skipped
    waiting  --intent-->  doing       --claimed | released | closed-->  todo
    doing    --done | probed-done-->  done    --failed-->  failed    --not-begun-->  todo
    doing    --lost | claimed | released | closed-->  unknown
    unknown  --probed-done-->  done    --probed-not-done-->  todo    --probed-broken-->  failed
    unknown  --probed-unreachable-->  unknown
    todo | waiting  --failed-->  failed
    failed | held | skipped  --retried-->  todo
    plan   --saved-->  saved  --opened-->  open
           --opened-->  open  --closed(ok | partial | failed | abandoned)-->  closed
           closed(partial | failed)  --claimed-->  open
           closed  --undo-intent-->  undoing  --undone-->  undone
           undoing | undone  --undo-failed-->  closed
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class CorruptJournal(Exception):
    """Stored events that cannot have happened; the message names plan, sequence number and event."""


class StepState(enum.Enum):
    """Where one step stands, and each node of it; only a step as a whole can be PARTIAL."""

    TODO = "todo"
    WAITING = "waiting"
    DOING = "doing"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    HELD = "held"
    SKIPPED = "skipped"
    PARTIAL = "partial"

    __hash__ = (
        object.__hash__
    )  # there is one of each; the name's would cost more than all that is looked up by it

    @property
    def sentence(self) -> str:
        """The state in words for people."""
        return _STEP_SENTENCES[self]


class LaneResult(enum.Enum):
    """What became of a lane: all, nothing or some of it, or nobody knows."""

    DONE = "done"
    SKIPPED = "skipped"
    UNDONE = "undone"
    PARTIAL = "partial"

    @property
    def sentence(self) -> str:
        """The result in words for people."""
        return _LANE_SENTENCES[self]

    @property
    def lets_others_go_on(self) -> bool:
        """Whether lanes that need this one may start."""
        return self in {LaneResult.DONE, LaneResult.SKIPPED}


class Phase(enum.Enum):
    """Where a plan stands.  Whether somebody works on an open one is told by its lease."""

    NEW = "new"
    SAVED = "saved"
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
    """The event words of the journal.  The first seven are about the plan, the others about a step."""

    SAVED = "saved"
    OPENED = "opened"
    CLAIMED = "claimed"
    RELEASED = "released"
    CLOSED = "closed"
    UNDO_INTENT = "undo-intent"
    UNDO_FAILED = "undo-failed"
    UNDONE = "undone"

    WAITS = "waits"
    INTENT = "intent"
    PROGRESS = "progress"
    PROBED_DONE = "probed-done"
    PROBED_NOT_DONE = "probed-not-done"
    PROBED_BROKEN = "probed-broken"
    PROBED_UNREACHABLE = "probed-unreachable"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    NOT_BEGUN = "not-begun"
    #: Several of the words above at once, each for some of the step's nodes.
    BY_NODE = "by-node"
    HELD = "held"
    SKIPPED = "skipped"
    RETRIED = "retried"

    __hash__ = object.__hash__  # as above

    @property
    def is_about_plan(self) -> bool:
        """Whether the event has no lane and step."""
        return self in _PLAN_WORDS


_PLAN_WORDS = frozenset(
    {
        Word.SAVED,
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
    StepState.WAITING: "waits for a lock that another plan holds",
    StepState.DOING: "started; its outcome is not recorded yet",
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.UNKNOWN: "was interrupted; whether it was done must be asked",
    StepState.HELD: "not started, because something it needs was not done",
    StepState.SKIPPED: "skipped",
    StepState.PARTIAL: "done for some of its nodes only",
}
_LANE_SENTENCES = {
    LaneResult.DONE: "done",
    LaneResult.SKIPPED: "skipped, nothing was to be done or could be",
    LaneResult.UNDONE: "not done, nothing was changed",
    LaneResult.PARTIAL: "done in part, or not known",
}
_PHASE_SENTENCES = {
    Phase.NEW: "not opened yet",
    Phase.SAVED: "kept for later, not begun",
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

#: What a word makes of a node of a step; what is not here cannot happen.
STEP_TRANSITIONS: Mapping[tuple[StepState, Word], StepState] = {
    (StepState.TODO, Word.INTENT): StepState.DOING,
    (StepState.TODO, Word.WAITS): StepState.WAITING,
    (StepState.TODO, Word.HELD): StepState.HELD,
    (StepState.TODO, Word.SKIPPED): StepState.SKIPPED,
    # Refused before anything was begun: no agent to connect, no time left.
    (StepState.TODO, Word.FAILED): StepState.FAILED,
    (StepState.WAITING, Word.INTENT): StepState.DOING,
    (StepState.WAITING, Word.WAITS): StepState.WAITING,
    (StepState.WAITING, Word.FAILED): StepState.FAILED,
    (StepState.WAITING, Word.SKIPPED): StepState.SKIPPED,
    (StepState.DOING, Word.PROGRESS): StepState.DOING,
    # It was so before we did anything.
    (StepState.DOING, Word.PROBED_DONE): StepState.DONE,
    (StepState.DOING, Word.DONE): StepState.DONE,
    (StepState.DOING, Word.FAILED): StepState.FAILED,
    (StepState.DOING, Word.LOST): StepState.UNKNOWN,
    (StepState.DOING, Word.NOT_BEGUN): StepState.TODO,
    (StepState.UNKNOWN, Word.PROGRESS): StepState.UNKNOWN,
    (StepState.UNKNOWN, Word.PROBED_DONE): StepState.DONE,
    (StepState.UNKNOWN, Word.PROBED_NOT_DONE): StepState.TODO,
    (StepState.UNKNOWN, Word.PROBED_BROKEN): StepState.FAILED,
    (StepState.UNKNOWN, Word.PROBED_UNREACHABLE): StepState.UNKNOWN,
    (StepState.FAILED, Word.RETRIED): StepState.TODO,
    (StepState.HELD, Word.RETRIED): StepState.TODO,
    (StepState.SKIPPED, Word.RETRIED): StepState.TODO,
}

#: What becomes of a node's state when nobody is at work any more.
WORK_ENDS: Mapping[StepState, StepState] = {
    StepState.DOING: StepState.UNKNOWN,
    StepState.WAITING: StepState.TODO,
}

#: What an event makes of a plan; what is not here cannot happen.
PLAN_TRANSITIONS: Mapping[tuple[Phase, Word], Phase] = {
    (Phase.NEW, Word.OPENED): Phase.OPEN,
    (Phase.NEW, Word.SAVED): Phase.SAVED,
    (Phase.SAVED, Word.OPENED): Phase.OPEN,
    (Phase.OPEN, Word.CLAIMED): Phase.OPEN,
    (Phase.OPEN, Word.RELEASED): Phase.OPEN,
    (Phase.OPEN, Word.CLOSED): Phase.CLOSED,
    (Phase.CLOSED, Word.CLAIMED): Phase.OPEN,
    (Phase.CLOSED, Word.UNDO_INTENT): Phase.UNDOING,
    # An undo that was given up is followed by another one; one that did nothing leaves no trace.
    (Phase.UNDOING, Word.UNDO_INTENT): Phase.UNDOING,
    (Phase.UNDOING, Word.UNDO_FAILED): Phase.CLOSED,
    # Its undo was itself taken back.
    (Phase.UNDONE, Word.UNDO_FAILED): Phase.CLOSED,
    (Phase.UNDOING, Word.UNDONE): Phase.UNDONE,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal.

    ``seq`` is the journal's own number, 0 before it is stored.  ``lane`` and ``step`` are empty for
    events of the plan.  ``attempt`` counts a step's intents from 1; ``at`` is UTC ISO 8601.
    ``detail`` is JSON data: ``text``, ``detail``, ``code``, ``result``, ``outcome``, ``by``, ``part`` (such as 2/5: a
    step that is the second of five of one job), ``locks`` and ``holder`` of one that waits, and ``nodes``: those of the
    step's nodes that are meant, folded, where these are not all that the word can be about; of ``by-node`` see
    :mod:`.outcomes`.  A ``failed`` with ``unbegun`` came before anything of the effect was begun, though its intent is there.
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
