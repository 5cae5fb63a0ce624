"""One lane's steps, done one after the other in a worker thread.

The order for each step: intent (committed) -> probe -> effect -> outcome (committed).  The outcome of a step
travels with the intent of the next one, so that a lane of n steps waits for n + 1 commits.  The lane's agent is
connected before an intent is written: an agent that was never there leaves no doubt behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xcat_aix.plan.model import Plan, Step
from xcat_aix_proto.jobs import Verdict

from . import names
from .errors import StepFailed, StepLost, Unreachable
from .line import Line, Said
from .registry import AnyKind, DatabaseKind, Registry, StepKind
from .states import Event, StepRecord, StepState, Word
from .store import Transaction
from .task import Task

if TYPE_CHECKING:
    from xcatd.api import Clock

#: Called with the name of a boundary (:data:`POINTS`), the lane and the step; tests end the process there.
Crash = Callable[[str, str, str], None]

#: The boundaries, in the order in which a step passes them.
POINTS = (
    "before-intent",
    "after-intent",
    "after-probe",
    "after-effect",
    "before-outcome",
    "after-outcome",
    "before-commit",
    "in-write",
    "after-commit",
    "before-close",
    "after-close",
)


_WORDS = {
    Verdict.DONE: Word.PROBED_DONE,
    Verdict.NOT_DONE: Word.PROBED_NOT_DONE,
    Verdict.BROKEN: Word.PROBED_BROKEN,
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What all lanes of one execution share.  ``timeout``: seconds a lane may take."""

    plan_id: str
    plan: Plan
    registry: Registry
    clock: Clock
    halt: threading.Event
    timeout: float
    retry: bool
    crash: Crash


@dataclass(slots=True)
class LaneRunner:
    """Runs one lane once.  ``records`` is read only; the settling thread moves it on."""

    around: Circumstances
    line: Line
    records: Mapping[str, StepRecord]
    #: Outcomes that are committed with the next intent.
    _pending: list[Event] = field(default_factory=list)
    _afterwards: list[Callable[[], None]] = field(default_factory=list)

    @property
    def outcomes(self) -> Sequence[Event]:
        """What is done and not committed yet."""
        return tuple(self._pending)

    def run(self) -> None:
        """Do what is left to do, as far as it goes; raises :class:`.line.Stopped`."""
        try:
            for step in self.line.lane.steps:
                if not self._go_on(step):
                    break
            self._commit()
        finally:
            self.line.link.drop()

    def _go_on(self, step: Step) -> bool:
        """Whether ``step`` is done now."""
        kind = self.around.registry[step.kind]
        record = self.records[step.id]
        if record.state is StepState.UNKNOWN and not self.around.halt.is_set():
            self._ask(step, kind, record)
        if self.records[step.id].state is StepState.DONE:
            return True
        if self.records[step.id].state is not StepState.TODO or self.around.halt.is_set():
            return False
        if self._is_late():
            limit = f"the time limit of {self.around.timeout:g} s was over before this step"
            self._pending.append(self._event(Word.FAILED, step, text=limit))
            return False
        if isinstance(kind, DatabaseKind):
            return self._do_in_database(step, kind)
        return self._do(step, kind)

    # A step whose last attempt was interrupted

    def _ask(self, step: Step, kind: AnyKind, record: StepRecord) -> None:
        task = self._task(step, job="", earlier=record.job)
        try:
            probe = kind.probe(task)
        except StepFailed as problem:
            self._pending.append(self._failure(Word.PROBED_UNREACHABLE, step, problem))
            return self._commit(task)
        self._crash("after-probe", step)
        word = _WORDS[probe.verdict]
        self._pending.append(self._event(word, step, text=probe.text))
        if word is Word.PROBED_BROKEN and self.around.retry:
            self._pending.append(self._event(Word.RETRIED, step))
        return self._commit(task)

    # A step to be done

    def _do(self, step: Step, kind: StepKind) -> bool:
        if not self._is_connected(step):
            return False
        attempt = self.records[step.id].attempt + 1
        job = names.job_id(self.around.plan_id, self.line.lane.id, step.id, attempt)
        self._crash("before-intent", step)
        self._pending.append(self._event(Word.INTENT, step, attempt=attempt, job=job))
        self._commit()
        self._crash("after-intent", step)
        task = self._task(step, job=job)
        outcome = self._attempt(step, kind, task)
        self._crash("before-outcome", step)
        self._pending.extend(outcome)
        self._afterwards += task.afterwards
        is_done = outcome[0].word in {Word.DONE, Word.PROBED_DONE}
        if not is_done:
            self._commit()
            self._crash("after-outcome", step)
        return is_done

    def _is_connected(self, step: Step) -> bool:
        if self.line.lane.target is None:
            return True
        try:
            self.line.link.get()
        except Unreachable as problem:
            self._pending.extend(self._unreachable(step, problem))
            return False
        except StepFailed as problem:
            self._pending.append(self._failure(Word.FAILED, step, problem))
            return False
        return True

    def _attempt(self, step: Step, kind: StepKind, task: Task) -> Sequence[Event]:
        try:
            probe = kind.probe(task)
            self._crash("after-probe", step)
            if probe.verdict is Verdict.DONE:
                return [self._event(Word.PROBED_DONE, step, text=probe.text)]
            # Half there is a reason to do it, not to leave it: operations start from what they find.
            result = kind.effect(task)
        except StepLost as problem:
            return [self._failure(Word.LOST, step, problem)]
        except StepFailed as problem:
            return [self._failure(Word.FAILED, step, problem)]
        self._crash("after-effect", step)
        return [self._event(Word.DONE, step, result=dict(result))]

    def _unreachable(self, step: Step, problem: Unreachable) -> Sequence[Event]:
        lane = self.line.lane
        if lane.if_unreachable != "skip" or step is not lane.steps[0]:
            return [self._failure(Word.FAILED, step, problem)]
        text = lane.skip_note or problem.message
        return [self._event(Word.SKIPPED, each, text=text) for each in lane.steps]

    def _do_in_database(self, step: Step, kind: DatabaseKind) -> bool:
        attempt = self.records[step.id].attempt + 1
        task = self._task(step, job="")
        intent = self._event(Word.INTENT, step, attempt=attempt)

        def write(transaction: Transaction) -> Sequence[Event]:
            result = dict(kind.write(task, transaction))
            self._crash("in-write", step)
            return [intent, self._event(Word.DONE, step, attempt=attempt, result=result)]

        try:
            self._commit(tables=kind.tables(task), write=write)
        except StepFailed as problem:
            failure = self._failure(Word.FAILED, step, problem, attempt=attempt)
            self._pending += [intent, failure]
            return False
        return True

    # Small things

    def _commit(
        self,
        task: Task | None = None,
        tables: Sequence[str] = (),
        write: Callable[[Transaction], Sequence[Event]] | None = None,
    ) -> None:
        if task is not None:
            self._afterwards += task.afterwards
        if self._pending or write is not None:
            self.line.commit(tuple(self._pending), tables, write)
            self._pending.clear()
        afterwards, self._afterwards = self._afterwards, []
        for call in afterwards:
            call()

    def _task(self, step: Step, *, job: str, earlier: str = "") -> Task:
        record = self.records[step.id]

        def report(text: str) -> None:
            said = self._event(Word.PROGRESS, step, text=text, attempt=record.attempt)
            self.line.put(Said(self.line, said))

        return Task(
            plan_id=self.around.plan_id,
            plan=self.around.plan,
            lane=self.line.lane,
            step=step,
            job_id=job,
            earlier_job=earlier,
            deadline=self.line.deadline or 0.0,
            clock=self.around.clock,
            stop=self.around.halt,
            link=self.line.link,
            report=report,
        )

    def _event(
        self, word: Word, step: Step, *, attempt: int | None = None, job: str = "", **detail: Any
    ) -> Event:
        if attempt is None:
            attempt = self.records[step.id].attempt
        kept = {name: value for name, value in detail.items() if value}
        return Event(word, self.line.lane.id, step.id, attempt, job, kept)

    def _failure(
        self, word: Word, step: Step, problem: StepFailed, *, attempt: int | None = None
    ) -> Event:
        return self._event(
            word,
            step,
            attempt=attempt,
            text=problem.message,
            detail=problem.detail,
            code=problem.code,
        )

    def _is_late(self) -> bool:
        return self.around.clock.monotonic() >= (self.line.deadline or 0.0)

    def _crash(self, point: str, step: Step) -> None:
        self.around.crash(point, self.line.lane.id, step.id)
