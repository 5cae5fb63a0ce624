"""One lane's steps, done one after the other in a worker thread.

The order for each step: intent (committed) -> probe -> effect -> outcome (committed).  The outcome of a step
travels with the intent of the next one, so that a lane of n steps waits for n + 1 commits; steps that are one job
have their intents together, and their outcomes.  The lane's agent is connected before an intent is written: an agent
that was never there leaves no doubt behind.

A step is done for the nodes for which all before it is done.  Those for which it fails stay behind; the lane goes on
for the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from xcat_aix.plan.model import Plan, Step
from xcat_aix_proto.jobs import Probe

from . import names, outcomes
from .chains import ChainKind, Ending, chain_of, check_of, linked, locks_of
from .errors import StepFailed, StepLost, StepRefused, Unreachable
from .outcomes import NodeOutcomes
from .ports import CommitRequest, Finished, LaneParked, LanePort, Said, Write
from .registry import AnyKind, DatabaseKind, Registry, StepKind, is_database
from .states import Event, StepState, Word
from .store import Transaction
from .story import WHOLE, LaneState, meant
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

_NOTHING: Mapping[str, Any] = MappingProxyType({})

_NOT_BEGUN = frozenset({StepState.TODO, StepState.WAITING})


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
    """Runs one lane once, or as far as it gets until it has to wait for a lock."""

    around: Circumstances
    line: LanePort
    #: Events that are committed with the next intent.
    _pending: list[Event] = field(default_factory=list)
    _afterwards: list[Callable[[], None]] = field(default_factory=list)
    _has_locks: bool = False
    _is_checked: bool = False
    _is_over: bool = False
    _memory: dict[str, Any] = field(default_factory=dict)

    @property
    def uncommitted(self) -> Sequence[Event]:
        """What is done and not committed yet."""
        return tuple(self._pending)

    @property
    def state(self) -> LaneState:
        """Where the lane stands; our own copy."""
        return self.line.state

    def run(self) -> None:
        """Do what is left to do, as far as it goes; raises :class:`.ports.Stopped` and :class:`.ports.LaneParked`."""
        try:
            place = 0
            while place < len(self.line.lane.steps):
                count = self._go_on(place)
                if not self._goes_on_after(place + count - 1):
                    break
                place += count
            self._end()
        finally:
            self.line.link.drop()

    def _goes_on_after(self, place: int) -> bool:
        record = self.state.steps[self.line.lane.steps[place].id]
        is_halted = self.around.halt.is_set() and record.state is not StepState.DONE
        return record.has_done and not is_halted

    def _go_on(self, place: int) -> int:
        """Do a step, and those that travel with it; how many they were."""
        step = self.line.lane.steps[place]
        if not self.around.halt.is_set():
            self._clear_up(place)
        nodes = self.state.ready(step.id)
        if not nodes or self.around.halt.is_set():
            return 1
        if self._is_late():
            limit = f"the time limit of {self.around.timeout:g} s was over before this step"
            self._add(self._event(Word.FAILED, step, nodes, text=limit))
            return 1
        kind = self.around.registry[step.kind]
        if is_database(kind):
            self._do_in_database(step, kind, nodes)
            return 1
        is_connected = self._is_connected(step, nodes)
        return self._do(place, cast("StepKind", kind), nodes) if is_connected else 1

    # Steps whose last attempt was interrupted

    def _clear_up(self, place: int) -> None:
        """Find out what became of the nodes that are in doubt; of steps that were one job, of all of them."""
        step = self.line.lane.steps[place]
        if not self._doubts(step):
            return
        together = self._of_job(self.state.steps[step.id].job) or [step]
        chain = chain_of(self.around.registry[step.kind])
        if chain and len(together) > 1:
            self._recall(chain, together)
        for each in together:
            nodes = self._doubts(each)
            if nodes and not self._ask(each, self.around.registry[each.kind], nodes):
                return

    def _of_job(self, job: str) -> list[Step]:
        return [
            step for step in self.line.lane.steps if job and self.state.steps[step.id].job == job
        ]

    def _doubts(self, step: Step) -> tuple[str, ...]:
        return self.state.steps[step.id].in_state(StepState.UNKNOWN)

    def _recall(self, chain: ChainKind, steps: Sequence[Step]) -> None:
        """Ask the record of a job of several steps once for all of them."""
        job = self.state.steps[steps[0].id].job
        tasks = [self._task(step, self._doubts(step), earlier=job) for step in steps]
        try:
            endings = chain.recall(tasks)
        except StepFailed:
            return  # each is asked for by itself, and tells what there is to tell
        self._afterwards += (call for task in tasks for call in task.afterwards)
        for step, ending in zip(steps, endings, strict=True):
            nodes = self._doubts(step)
            if nodes and isinstance(ending, Probe):
                self._add(
                    self._event(outcomes.PROBED[ending.verdict], step, nodes, text=ending.text)
                )

    def _ask(self, step: Step, kind: AnyKind, nodes: tuple[str, ...]) -> bool:
        """Whether there was an answer."""
        task = self._task(step, nodes, earlier=self.state.steps[step.id].job)
        try:
            probe = kind.probe(task)
        except StepFailed as problem:
            self._add(self._failure(Word.PROBED_UNREACHABLE, step, nodes, problem))
            return False
        self._crash("after-probe", step)
        self._afterwards += task.afterwards
        verdicts = outcomes.probed(probe, nodes)
        self._add(self._told(step, verdicts))
        broken = tuple(node for node, (word, _) in verdicts.items() if word is Word.PROBED_BROKEN)
        if broken and self.around.retry:
            self._add(self._event(Word.RETRIED, step, broken))
        return True

    # Steps to be done

    def _do(self, place: int, kind: StepKind, nodes: tuple[str, ...]) -> int:
        step = self.line.lane.steps[place]
        attempt = self.state.steps[step.id].attempt + 1
        job = names.job_id(self.around.plan_id, self.line.lane.id, step.id, attempt)
        try:
            tasks = self._joined(place, nodes, job)
        except StepFailed as problem:
            self._add(self._failure(Word.FAILED, step, nodes, problem))
            return 1
        self._crash("before-intent", step)
        self._intend(tasks, job)
        self._crash("after-intent", step)
        events = self._attempt(kind, tasks)
        self._crash("before-outcome", step)
        for event in events:
            self._add(event)
        self._afterwards += (call for task in tasks for call in task.afterwards)
        if not self._goes_on_after(place + len(tasks) - 1):
            self._end()
            self._crash("after-outcome", step)
        return len(tasks)

    def _joined(self, place: int, nodes: tuple[str, ...], job: str) -> list[Task]:
        """The step and those that travel with it: nothing of them is done, and all before them is."""
        steps = linked(self.line.lane.steps[place:], self.around.registry)
        tasks = [self._task(steps[0], nodes, job=job)]
        is_whole = len(nodes) == len(self.state.steps[steps[0].id].nodes)
        for step in steps[1:] if is_whole else ():
            if self.state.steps[step.id].state is not StepState.TODO:
                break
            tasks.append(self._task(step, tuple(self.state.steps[step.id].nodes), job=job))
        chain = chain_of(self.around.registry[steps[0].kind])
        return tasks[: chain.reach(tasks)] if chain and len(tasks) > 1 else tasks[:1]

    def _intend(self, tasks: Sequence[Task], job: str) -> None:
        """Commit the intents, with what is pending; raises :class:`.ports.LaneParked`."""
        count = len(tasks)
        intents = [
            self._event(
                Word.INTENT,
                task.step,
                task.nodes or (WHOLE,),
                attempt=self.state.steps[task.step.id].attempt + 1,
                job=job,
                part=f"{number}/{count}" if count > 1 else "",
            )
            for number, task in enumerate(tasks, 1)
        ]
        locks = locks_of(task.step for task in tasks)
        self._commit(intents=intents, locks=locks)
        for intent in intents:
            self.state.apply(intent)
        self._has_locks = bool(locks)

    def _attempt(self, kind: StepKind, tasks: Sequence[Task]) -> list[Event]:
        """The outcomes of steps that were begun."""
        chain = chain_of(kind) if len(tasks) > 1 else None
        if chain is None:
            verdicts, event = self._attempt_one(kind, tasks[0])
            return [self._told(tasks[0].step, verdicts, event)]
        try:
            endings = chain.effect(tasks)
        except StepFailed as problem:
            endings = [problem] * len(tasks)
        self._crash("after-effect", tasks[0].step)
        return [self._ended(task, ending) for task, ending in zip(tasks, endings, strict=True)]

    def _is_connected(self, step: Step, nodes: tuple[str, ...]) -> bool:
        """Whether the lane's agent is there, and knows what the rest of the lane needs of it."""
        if self.line.lane.target is None:
            return True
        try:
            self.line.link.get()
            self._check_rest(step)
        except Unreachable as problem:
            self._unreachable(step, nodes, problem)
            return False
        except StepFailed as problem:
            self._add(self._failure(Word.FAILED, step, nodes, problem))
            return False
        return True

    def _check_rest(self, first: Step) -> None:
        if self._is_checked:
            return
        self._is_checked = True
        steps = self.line.lane.steps
        for step in steps[steps.index(first) :]:
            check = check_of(self.around.registry[step.kind])
            if check is not None:
                check(self._task(step, ()))

    def _attempt_one(
        self, kind: StepKind, task: Task
    ) -> tuple[outcomes.Verdicts, Mapping[str, Any]]:
        """What became of each node of a step, and what else there is to say."""
        asked = task.nodes or (WHOLE,)
        found: dict[str, tuple[Word, str]] = {}
        is_asked = False
        try:
            probe = kind.probe(task)
            self._crash("after-probe", task.step)
            is_asked = True
            # Half there is a reason to do it, not to leave it: operations start from what they find.
            found = {
                n: v for n, v in outcomes.probed(probe, asked).items() if v[0] is Word.PROBED_DONE
            }
            left = tuple(node for node in asked if node not in found)
            if not left:
                return found, {}
            if found:
                task.nodes = left
            ending: Ending = kind.effect(task)
        except StepFailed as problem:
            ending = problem
            left = tuple(node for node in asked if node not in found)
        self._crash("after-effect", task.step)
        verdicts, more = _ending(ending, left)
        if not is_asked:
            more = {**more, **_UNBEGUN}
        return {**found, **verdicts}, more

    def _ended(self, task: Task, ending: Ending) -> Event:
        verdicts, more = _ending(ending, task.nodes or (WHOLE,))
        return self._told(task.step, verdicts, more)

    def _unreachable(self, step: Step, nodes: tuple[str, ...], problem: Unreachable) -> None:
        lane = self.line.lane
        if lane.if_unreachable != "skip" or step is not lane.steps[0]:
            self._add(self._failure(Word.FAILED, step, nodes, problem))
            return
        text = lane.skip_note or problem.message
        for each in lane.steps:
            if self.state.steps[each.id].state in _NOT_BEGUN:
                self._add(self._event(Word.SKIPPED, each, text=text))

    def _do_in_database(self, step: Step, kind: DatabaseKind, nodes: tuple[str, ...]) -> None:
        attempt = self.state.steps[step.id].attempt + 1
        task = self._task(step, nodes)
        intent = self._event(Word.INTENT, step, nodes, attempt=attempt)
        done: list[Event] = []

        def write(transaction: Transaction) -> Sequence[Event]:
            ending = kind.write(task, transaction)
            self._crash("in-write", step)
            verdicts, more = _ending(ending, nodes)
            done[:] = [intent, self._told(step, verdicts, more, attempt=attempt)]
            return done

        try:
            self._commit(intents=[intent], locks=step.holds, tables=kind.tables(task), write=write)
        except StepFailed as problem:
            done[:] = [intent, self._failure(Word.FAILED, step, nodes, problem, attempt=attempt)]
            self._pending += done
        for event in done:
            self.state.apply(event)

    # Small things

    def _add(self, event: Event) -> None:
        """Commit it with the next intent; for us it is so already."""
        self.state.apply(event)
        self._pending.append(event)

    def _commit(
        self,
        *,
        intents: Sequence[Event] = (),
        locks: tuple[str, ...] = (),
        tables: Sequence[str] = (),
        write: Write | None = None,
        is_last: bool = False,
    ) -> None:
        wish = CommitRequest(
            self.line, tuple(self._pending), intents, locks, tables, write,
            releases=self._has_locks, is_last=is_last,
        )  # fmt: skip
        try:
            self.line.commit(wish)
        except LaneParked:
            self._call_afterwards()
            raise
        self._pending.clear()
        self._has_locks = False
        self._is_over |= is_last
        self._call_afterwards()

    def _call_afterwards(self) -> None:
        calls, self._afterwards = self._afterwards, []
        for call in calls:
            call()

    def _end(self) -> None:
        """The last wish of the lane; a lane that has none just ends."""
        if self._is_over:
            return
        if self._pending:
            self._commit(is_last=True)
        else:
            self._is_over = True
            self.line.put(Finished(self.line))

    def _task(
        self, step: Step, nodes: tuple[str, ...], *, job: str = "", earlier: str = ""
    ) -> Task:
        record = self.state.steps[step.id]

        def report(text: str) -> None:
            said = self._event(Word.PROGRESS, step, text=text, attempt=record.attempt)
            self.line.put(Said(self.line, said))

        deadline = self.line.deadline or 0.0
        if step.limit is not None:
            deadline = min(deadline, self.around.clock.monotonic() + step.limit)
        return Task(
            plan_id=self.around.plan_id,
            plan=self.around.plan,
            lane=self.line.lane,
            step=step,
            nodes=tuple(node for node in nodes if node != WHOLE),
            undone=self.line.undone,
            job_id=job,
            earlier_job=earlier,
            deadline=deadline,
            clock=self.around.clock,
            stop=self.around.halt,
            link=self.line.link,
            report=report,
            memory=self._memory,
        )

    def _told(
        self,
        step: Step,
        verdicts: outcomes.Verdicts,
        more: Mapping[str, Any] = _NOTHING,
        *,
        attempt: int | None = None,
    ) -> Event:
        """The event that says what became of these nodes; where it is the same for all, in one word."""
        words = set(verdicts.values())
        if len(words) == 1:
            word, text = words.pop()
            said = {"text": text, **more}
            return self._event(word, step, tuple(verdicts), attempt=attempt, **said)
        groups = outcomes.grouped(verdicts)
        said = {"text": outcomes.summary(groups), **more}
        event = self._event(Word.BY_NODE, step, attempt=attempt, **said)
        return replace(event, detail={**event.detail, "nodes": groups})

    def _event(
        self,
        word: Word,
        step: Step,
        nodes: Sequence[str] = (),
        *,
        attempt: int | None = None,
        job: str = "",
        **detail: Any,
    ) -> Event:
        """``nodes`` are named where they are not all of the step's."""
        record = self.state.steps[step.id]
        kept = {name: value for name, value in detail.items() if value}
        if nodes:
            kept |= meant(record, nodes)
        attempt = record.attempt if attempt is None else attempt
        return Event(word, self.line.lane.id, step.id, attempt, job, kept)

    def _failure(
        self,
        word: Word,
        step: Step,
        nodes: Sequence[str],
        problem: StepFailed,
        *,
        attempt: int | None = None,
    ) -> Event:
        return self._event(
            word, step, nodes, attempt=attempt, text=problem.message, **_more(problem)
        )

    def _is_late(self) -> bool:
        return self.around.clock.monotonic() >= (self.line.deadline or 0.0)

    def _crash(self, point: str, step: Step) -> None:
        self.around.crash(point, self.line.lane.id, step.id)


_UNBEGUN = {"unbegun": True}


def _more(problem: StepFailed) -> dict[str, Any]:
    unbegun = _UNBEGUN if isinstance(problem, StepRefused) else {}
    return {"detail": problem.detail, "code": problem.code, **unbegun}


def _ending(
    ending: Ending, nodes: Sequence[str]
) -> tuple[dict[str, tuple[Word, str]], Mapping[str, Any]]:
    """What became of each node, and what else the event says."""
    match ending:
        case None:
            return dict.fromkeys(nodes, (Word.NOT_BEGUN, "")), {}
        case StepLost():
            return dict.fromkeys(nodes, (Word.LOST, ending.message)), _more(ending)
        case StepFailed():
            return dict.fromkeys(nodes, (Word.FAILED, ending.message)), _more(ending)
        case NodeOutcomes():
            return ending.verdicts(nodes), {"result": dict(ending.result)}
        case Probe():
            return dict.fromkeys(nodes, (Word.PROBED_DONE, ending.text)), {}
        case _:
            return dict.fromkeys(nodes, (Word.DONE, "")), {"result": dict(ending)}
