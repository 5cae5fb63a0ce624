"""A plan's events folded into its state: per step, per node, per lane.

A sequence that the tables of :mod:`.states` do not allow is :class:`.states.CorruptJournal`, never a guess.  Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from xcat_aix.plan.fold import fold as fold_names
from xcat_aix.plan.fold import unfold

from .states import (
    PLAN_TRANSITIONS,
    STEP_TRANSITIONS,
    WORK_ENDS,
    CorruptJournal,
    Event,
    LaneResult,
    Outcome,
    Phase,
    StepState,
    Word,
)

#: The lanes with their steps, and the nodes that each is about.
Shape = Mapping[str, Mapping[str, Sequence[str]]]

#: Stands for a step that is about no node.
WHOLE = ""

# A new attempt or a look at the world; anything else leaves open whether it is half done.
_TELLS_BROKEN = frozenset({Word.INTENT, Word.PROBED_DONE, Word.PROBED_NOT_DONE, Word.PROBED_BROKEN})

# Nobody is at work any more after these: what was being done is in doubt.
_ENDS_WORK = frozenset({Word.CLAIMED, Word.RELEASED, Word.CLOSED})

_UNTOUCHED = frozenset(
    {StepState.TODO, StepState.WAITING, StepState.HELD, StepState.SKIPPED, StepState.FAILED}
)

#: Of a node in one of these the effect is there, or may be.
_BEGUN = frozenset({StepState.DONE, StepState.DOING, StepState.UNKNOWN})

#: Of several states, the first that is there is the one of the whole, unless some of it is done.
_FIRST = (StepState.DOING, StepState.WAITING, StepState.UNKNOWN)
_REST = (StepState.FAILED, StepState.TODO, StepState.HELD, StepState.SKIPPED)


class _Impossible(Exception):
    """Why an event cannot come here."""


class NodeState(NamedTuple):
    """Where one node stands, and why."""

    state: StepState
    text: str = ""


@dataclass(slots=True)
class StepRecord:
    """What the events say about one step.  Changed by :meth:`LaneState.apply` and ``end_work`` only."""

    nodes: dict[str, NodeState]
    state: StepState = StepState.TODO
    attempt: int = 0
    #: The job of the newest attempt.
    job: str = ""
    #: Why it is not done, or what was seen.
    text: str = ""
    detail: str = ""
    code: int | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    #: The nodes whose effect a probe found half there.
    broken: frozenset[str] = frozenset()
    #: The nodes for which an attempt failed that had been begun: what it did before that is there.
    tried: frozenset[str] = frozenset()
    progress_rows: int = 0

    def copy(self) -> StepRecord:
        """The same, to go its own way."""
        return StepRecord(
            dict(self.nodes), self.state, self.attempt, self.job, self.text, self.detail,
            self.code, self.result, self.broken, self.tried, self.progress_rows,
        )  # fmt: skip

    @property
    def about(self) -> tuple[str, ...]:
        """The nodes it is about."""
        return tuple(node for node in self.nodes if node != WHOLE)

    @property
    def has_done(self) -> bool:
        """Whether it is done for some of its nodes, so that its lane goes on for them."""
        if self.state in {StepState.DONE, StepState.PARTIAL}:
            return True
        return any(node.state is StepState.DONE for node in self.nodes.values())

    @property
    def is_at_work(self) -> bool:
        """Something is being done, or was when it was last heard of."""
        return self.state in {StepState.DOING, StepState.UNKNOWN}

    def begun(self, *, is_whole: bool = False) -> frozenset[str]:
        """The nodes for which it was done, or something of it may have been; :data:`WHOLE` as in ``nodes``.

        ``is_whole``: where it fails nothing of it is there.
        """
        half = self.broken if is_whole else self.broken | self.tried
        return half.union(node for node, found in self.nodes.items() if found.state in _BEGUN)

    def in_state(self, state: StepState) -> tuple[str, ...]:
        """The nodes that are in this state now."""
        return tuple(node for node, found in self.nodes.items() if found.state is state)

    def moves(self, event: Event) -> dict[str, tuple[Word, StepState, str]]:
        """What ``event`` would make of which nodes; raises :class:`_Impossible`."""
        if event.word is Word.BY_NODE:
            return dict(self._each(event.detail.get("nodes")))
        text = str(event.detail.get("text", ""))
        meant = event.detail.get("nodes")
        nodes = self._affected(event.word) if meant is None else tuple(self._named(str(meant)))
        if not nodes:
            raise _Impossible(f"the step is {self.state.value}")
        return {node: (event.word, self._after(node, event.word), text) for node in nodes}

    def _each(self, groups: Any) -> Iterator[tuple[str, tuple[Word, StepState, str]]]:
        try:
            read = [(Word(word), str(nodes), str(text)) for word, nodes, text in groups]
        except (TypeError, ValueError):
            raise _Impossible("it does not say what became of which node") from None
        for word, nodes, text in read:
            for node in self._named(nodes):
                yield node, (word, self._after(node, word), text)

    def _named(self, folded: str) -> Iterator[str]:
        """The nodes of a folded text: no more than the step is about, however large the ranges that it has."""
        try:
            for count, node in enumerate(unfold(folded, len(self.nodes))):
                if count >= len(self.nodes):
                    raise _Impossible("it names more nodes than the step is about")
                yield node
        except ValueError:
            raise _Impossible("it names more nodes than the step is about") from None

    def _after(self, node: str, word: Word) -> StepState:
        if node not in self.nodes:
            raise _Impossible(f"the step is not about {node}")
        after = STEP_TRANSITIONS.get((self.nodes[node].state, word))
        if after is None:
            raise _Impossible(f"the step is {self.nodes[node].state.value} for {node}")
        return after

    def _affected(self, word: Word) -> tuple[str, ...]:
        """The nodes that a word without names means: those under way, else all that it can be about."""
        if len(self.nodes) == 1:
            ((node, only),) = self.nodes.items()
            return (node,) if (only.state, word) in STEP_TRANSITIONS else ()
        found = {
            node: each.state
            for node, each in self.nodes.items()
            if (each.state, word) in STEP_TRANSITIONS
        }
        doing = tuple(node for node, state in found.items() if state is StepState.DOING)
        return doing or tuple(found)

    def take(self, event: Event, moves: Mapping[str, tuple[Word, StepState, str]]) -> None:
        """Move on because of ``event``."""
        if event.word is Word.PROGRESS:
            self.progress_rows += 1
            return
        for node, (word, state, text) in moves.items():
            if word is Word.FAILED and not event.detail.get("unbegun"):
                self.tried |= {node} if self.nodes[node].state is StepState.DOING else set()
            self.nodes[node] = NodeState(state, text)
            is_broken = word is Word.PROBED_BROKEN
            if word in _TELLS_BROKEN and is_broken != (node in self.broken):
                self.broken ^= {node}
        self.state = whole([each.state for each in self.nodes.values()])
        if event.word is Word.INTENT:
            self.attempt, self.job, self.progress_rows = event.attempt, event.job, 0
        self.text = str(event.detail.get("text", ""))
        self.detail = str(event.detail.get("detail", ""))
        self.code = event.detail.get("code")
        self.result = event.detail.get("result", {})

    def end_work(self) -> None:
        """Nobody is at work any more."""
        for node, found in self.nodes.items():
            if found.state in WORK_ENDS:
                self.nodes[node] = NodeState(WORK_ENDS[found.state], found.text)
        self.state = whole([each.state for each in self.nodes.values()])


def meant(record: StepRecord, nodes: Collection[str]) -> dict[str, str]:
    """What an event's detail says of the nodes it is about: nothing where it is about all of the step's."""
    return {"nodes": fold_names(nodes)} if len(nodes) != len(record.nodes) else {}


def whole(states: Sequence[StepState]) -> StepState:
    """The state of a step from those of its nodes."""
    if len(states) == 1:
        return states[0]
    found = frozenset(states)
    if len(found) == 1:
        return next(iter(found))
    for state in _FIRST:
        if state in found:
            return state
    if found & {StepState.DONE, StepState.PARTIAL}:
        return StepState.PARTIAL
    return next(state for state in _REST if state in found)


class LaneState:
    """The steps of one lane.  A worker has a copy of its own and moves it on by its own events."""

    def __init__(self, steps: Mapping[str, Sequence[str]]) -> None:
        self.steps = {
            step: StepRecord({node: NodeState(StepState.TODO) for node in nodes or (WHOLE,)})
            for step, nodes in steps.items()
        }

    def copy(self) -> LaneState:
        """The same, to go its own way."""
        other = LaneState({})
        other.steps = {name: record.copy() for name, record in self.steps.items()}
        return other

    def apply(self, event: Event) -> None:
        """Take one event of a step in; raises :class:`_Impossible` and then leaves everything as it was."""
        record = self.steps.get(event.step)
        if record is None:
            raise _Impossible("the plan has no such step")
        moves = {} if event.word is Word.PROGRESS and record.is_at_work else record.moves(event)
        expected = record.attempt + (event.word is Word.INTENT)
        if event.attempt != expected:
            raise _Impossible(f"it is of attempt {event.attempt}, not {expected}")
        if event.word is Word.INTENT and not self._may_begin(event, moves):
            raise _Impossible("the steps before it are not done")
        record.take(event, moves)

    def _may_begin(self, event: Event, nodes: Collection[str]) -> bool:
        """Whether all before the step is done for these nodes, or is being done by the same job."""
        for record in self._before(event.step):
            is_same = record.state is StepState.DOING and record.job == event.job != ""
            if not is_same and not all(_is_through(record, node) for node in nodes):
                return False
        return True

    def ready(self, step: str) -> tuple[str, ...]:
        """The nodes for which a step can be begun: it is still to do, and all before it is done.

        :data:`WHOLE` stands for a step that is about none.
        """
        before = tuple(self._before(step))
        return tuple(
            node
            for node, found in self.steps[step].nodes.items()
            if found.state in {StepState.TODO, StepState.WAITING}
            and all(_is_through(record, node) for record in before)
        )

    def _before(self, step: str) -> Iterator[StepRecord]:
        for name, record in self.steps.items():
            if name == step:
                return
            yield record

    @property
    def result(self) -> LaneResult:
        """What became of the lane, by what is recorded now."""
        states = {record.state for record in self.steps.values()}
        if states <= {StepState.DONE}:
            return LaneResult.DONE
        if states <= {StepState.SKIPPED}:
            return LaneResult.SKIPPED
        if states <= _UNTOUCHED and not any(record.broken for record in self.steps.values()):
            return LaneResult.UNDONE
        return LaneResult.PARTIAL

    @property
    def trouble(self) -> StepRecord | None:
        """The first step that is not done, if it says why."""
        for record in self.steps.values():
            if record.state is not StepState.DONE:
                return record if record.text else None
        return None


def _is_through(record: StepRecord, node: str) -> bool:
    """Whether a step after this one may be begun for ``node``."""
    found = record.nodes.get(node)
    return record.has_done if found is None else found.state is StepState.DONE


class PlanState:
    """The state of one plan, moved on by its events.

    :meth:`apply` raises :class:`.states.CorruptJournal` and then leaves everything as it was.
    """

    def __init__(self, shape: Shape, plan_id: str = "") -> None:
        self.plan_id = plan_id
        self.phase = Phase.NEW
        self.outcome: Outcome | None = None
        #: The plan that takes this one back.
        self.undone_by = ""
        self._lanes = {lane: LaneState(steps) for lane, steps in shape.items()}

    @property
    def lanes(self) -> Mapping[str, Mapping[str, StepRecord]]:
        """The records of all steps."""
        return {name: lane.steps for name, lane in self._lanes.items()}

    def lane(self, name: str) -> LaneState:
        """The steps of one lane; raises KeyError."""
        return self._lanes[name]

    def apply(self, event: Event) -> None:
        """Take one event in; raises :class:`.states.CorruptJournal` for one that cannot come here."""
        try:
            if event.word.is_about_plan:
                self._apply_to_plan(event)
            else:
                self._apply_to_step(event)
        except _Impossible as why:
            name = self.plan_id or "a plan"
            raise CorruptJournal(f"journal of {name}: {event} cannot be: {why}") from None

    def after(self, events: Iterable[Event]) -> Mapping[str, LaneState]:
        """The lanes that these events of steps are about as they would be then; changes nothing.

        Raises as :meth:`apply` does.
        """
        trial = PlanState({}, self.plan_id)
        trial.phase = self.phase
        for event in events:
            if event.lane in self._lanes and event.lane not in trial._lanes:
                trial._lanes[event.lane] = self._lanes[event.lane].copy()
            trial.apply(event)
        return trial._lanes

    def _apply_to_step(self, event: Event) -> None:
        if self.phase is not Phase.OPEN:
            raise _Impossible(f"the plan is {self.phase.value}")
        lane = self._lanes.get(event.lane)
        if lane is None:
            raise _Impossible("the plan has no such step")
        lane.apply(event)

    def _apply_to_plan(self, event: Event) -> None:
        phase = PLAN_TRANSITIONS.get((self.phase, event.word))
        if phase is None:
            raise _Impossible(f"the plan is {self.phase.value}")
        match event.word:
            case Word.CLOSED:
                self.outcome = _outcome_of(event)
            case Word.CLAIMED if self.outcome is not None:
                if not self.outcome.can_be_resumed:
                    raise _Impossible(f"the plan was closed {self.outcome.value}")
                self.outcome = None
            case Word.UNDO_INTENT | Word.UNDONE:
                self.undone_by = str(event.detail.get("by", ""))
            case Word.UNDO_FAILED:
                self.undone_by = ""
            case _:
                pass
        self.phase = phase
        if event.word in _ENDS_WORK:
            for _, record in self.records():
                if record.state in WORK_ENDS:
                    record.end_work()

    def records(self) -> Iterator[tuple[tuple[str, str], StepRecord]]:
        """Every step as ``((lane, step), record)``, in plan order."""
        for name, lane in self._lanes.items():
            for step, record in lane.steps.items():
                yield (name, step), record

    def record(self, lane: str, step: str) -> StepRecord:
        """The record of one step; raises KeyError."""
        return self._lanes[lane].steps[step]

    def nodes(self) -> dict[str, NodeState]:
        """Every node over all steps about it: done if all of them are, else where it stands and why."""
        found: dict[str, list[NodeState]] = {}
        for _, record in self.records():
            for node, state in record.nodes.items():
                if node != WHOLE:
                    found.setdefault(node, []).append(state)
        return {node: _node_state(states) for node, states in found.items()}

    def undone(self, lanes: Iterable[str]) -> frozenset[str]:
        """The nodes for which some step about them in these lanes is not done."""
        return frozenset(
            node
            for lane in lanes
            for record in self._lanes[lane].steps.values()
            if record.state is not StepState.DONE
            for node, found in record.nodes.items()
            if node != WHOLE and found.state is not StepState.DONE
        )

    def lane_result(self, lane: str) -> LaneResult:
        """What became of one lane, by what is recorded now."""
        return self._lanes[lane].result

    def results(self) -> dict[str, LaneResult]:
        """The result of every lane."""
        return {name: lane.result for name, lane in self._lanes.items()}

    def trouble(self, lane: str) -> StepRecord | None:
        """The first step of a lane that is not done, if it says why."""
        return self._lanes[lane].trouble

    def final_outcome(self) -> Outcome:
        """The outcome if the plan were closed now."""
        results = set(self.results().values())
        if all(result.lets_others_go_on for result in results):
            return Outcome.OK
        something = results & {LaneResult.DONE, LaneResult.PARTIAL}
        return Outcome.PARTIAL if something else Outcome.FAILED


def _outcome_of(event: Event) -> Outcome:
    try:
        return Outcome(event.detail.get("outcome"))
    except ValueError:
        raise _Impossible("it names no outcome") from None


def _node_state(states: Sequence[NodeState]) -> NodeState:
    """A node that failed is failed, however much of it was done before."""
    all_of_it = whole([state.state for state in states])
    open_ = [state for state in states if state.state is not StepState.DONE]
    failed = next((state for state in open_ if state.state is StepState.FAILED), None)
    if all_of_it is StepState.PARTIAL and failed is not None:
        return failed
    text = next((state.text for state in (*open_, *states) if state.text), "")
    return NodeState(all_of_it, text)


def fold(shape: Shape, events: Iterable[Event], plan_id: str = "") -> PlanState:
    """The state that ``events`` lead to; raises :class:`.states.CorruptJournal`."""
    state = PlanState(shape, plan_id)
    for event in events:
        state.apply(event)
    return state
