"""From committed events to what the user is told.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xcat_aix.plan.fold import unfold
from xcat_aix.plan.model import Lane, Step

from .progress import LaneEnded, Progress, StepEnded, StepSaid, StepStarted, StepWaits
from .states import Event, LaneResult, StepState, Word
from .story import NodeState, PlanState, whole

#: What these events make of a step; others are not told.
_STATES = {
    Word.PROBED_DONE: StepState.DONE,
    Word.PROBED_BROKEN: StepState.FAILED,
    Word.PROBED_UNREACHABLE: StepState.UNKNOWN,
    Word.DONE: StepState.DONE,
    Word.FAILED: StepState.FAILED,
    Word.LOST: StepState.UNKNOWN,
    Word.SKIPPED: StepState.SKIPPED,
}

#: What is not begun, of a step that is over for other nodes.
_LEFT = {Word.NOT_BEGUN: StepState.TODO, Word.PROBED_NOT_DONE: StepState.TODO}


class Teller:
    """Knows the plan's lanes and steps by id.

    Of several steps of one job the first is told to be started with the job, each other when there is something to
    say about it.
    """

    def __init__(self, lanes: Iterable[Lane], state: PlanState) -> None:
        self._state = state
        self._lanes = {lane.id: lane for lane in lanes}
        self._steps = {
            (lane.id, step.id): step for lane in self._lanes.values() for step in lane.steps
        }
        self._unsaid: set[tuple[str, str]] = set()

    def tell(self, events: Iterable[Event]) -> Iterator[Progress]:
        """What there is to say about these events of steps; many say nothing."""
        for event in events:
            place = event.lane, event.step
            lane, step = self._lanes[event.lane], self._steps[place]
            if event.word is Word.INTENT:
                if event.detail.get("part", "1/").startswith("1/"):
                    yield StepStarted(lane, step, event.attempt)
                else:
                    self._unsaid.add(place)
            elif event.word is Word.NOT_BEGUN:
                self._unsaid.discard(place)
            else:
                if place in self._unsaid:
                    self._unsaid.remove(place)
                    yield StepStarted(lane, step, event.attempt)
                yield from _said(lane, step, event)

    def lane_ended(self, lane: Lane) -> LaneEnded:
        """The lane's result, with the reason if it is not moved."""
        result = self._state.lane_result(lane.id)
        trouble = self._state.trouble(lane.id) if result is not LaneResult.DONE else None
        return LaneEnded(lane, result, trouble.text if trouble else "")


def _said(lane: Lane, step: Step, event: Event) -> Iterator[Progress]:
    if event.word is Word.PROGRESS:
        yield StepSaid(lane, step, str(event.detail.get("text", "")))
    elif event.word is Word.WAITS:
        yield StepWaits(
            lane, step, tuple(event.detail.get("locks", ())), str(event.detail.get("holder", ""))
        )
    elif event.word is Word.BY_NODE:
        yield _ended_by_node(lane, step, event)
    elif event.word in _STATES:
        yield _ended(lane, step, event)


def _ended(lane: Lane, step: Step, event: Event) -> StepEnded:
    return StepEnded(
        lane=lane,
        step=step,
        state=_STATES[event.word],
        text=str(event.detail.get("text", "")),
        detail=str(event.detail.get("detail", "")),
        code=event.detail.get("code"),
        result=event.detail.get("result", {}),
        was_so=event.word is Word.PROBED_DONE,
    )


def _ended_by_node(lane: Lane, step: Step, event: Event) -> StepEnded:
    groups = event.detail["nodes"]
    states = _STATES | _LEFT
    nodes = {
        node: NodeState(states[Word(word)], text)
        for word, folded, text in groups
        for node in unfold(folded)
    }
    return StepEnded(
        lane=lane,
        step=step,
        state=whole([node.state for node in nodes.values()]),
        text=str(event.detail.get("text", "")),
        result=event.detail.get("result", {}),
        nodes=nodes,
    )
