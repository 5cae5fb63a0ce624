"""From committed events to what the user is told.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xcat_aix.plan.model import Lane, Step

from .progress import LaneEnded, Progress, StepEnded, StepSaid, StepStarted
from .states import Event, LaneResult, PlanState, StepState, Word

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


class Teller:
    """Knows the plan's lanes and steps by id."""

    def __init__(self, lanes: Iterable[Lane], state: PlanState) -> None:
        self._state = state
        self._lanes = {lane.id: lane for lane in lanes}
        self._steps = {
            (lane.id, step.id): step for lane in self._lanes.values() for step in lane.steps
        }

    def tell(self, events: Iterable[Event]) -> Iterator[Progress]:
        """What there is to say about these events of steps; many say nothing."""
        for event in events:
            lane, step = self._lanes[event.lane], self._steps[event.lane, event.step]
            if event.word is Word.INTENT:
                yield StepStarted(lane, step, event.attempt)
            elif event.word is Word.PROGRESS:
                yield StepSaid(lane, step, str(event.detail.get("text", "")))
            elif event.word in _STATES:
                yield _ended(lane, step, event)

    def lane_ended(self, lane: Lane) -> LaneEnded:
        """The lane's result, with the reason if it is not moved."""
        result = self._state.lane_result(lane.id)
        trouble = self._state.trouble(lane.id) if result is not LaneResult.MOVED else None
        return LaneEnded(lane, result, trouble.text if trouble else "")


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
