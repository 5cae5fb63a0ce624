"""Steps that an agent carries out as jobs: submit, follow, acknowledge.

Owns what a lost line, a lost job and an interrupted attempt mean.  Knows no operation: the step's kind and
arguments are those of one, the agent's probe tells whether it is done, and its words are in :mod:`.client`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from xcat_aix.plan.kinds import Begun, NoReverse
from xcat_aix.plan.model import Step
from xcat_aix.run.chains import Ending
from xcat_aix.run.errors import StepFailed, StepLost, Unreachable
from xcat_aix.run.task import Connection, Task
from xcat_aix_proto import bounds, jobs, operations
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import (
    JobState,
    JobStatus,
    JobUpdate,
    Outcome,
    Probe,
    Record,
    RecordState,
    Verdict,
)
from xcat_aix_proto.operations import Chain, Operation

from .client import WORDS

T = TypeVar("T")

#: Seconds that one ``follow`` waits at the agent; also how soon a stop is noticed.
FOLLOW_WAIT = 2.0

#: Seconds that the agent is given to end a job whose time is up, and to tell about it.
LATE = 5.0

#: Seconds between attempts to get a lost line back; after the last one the step is lost.
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)

_NO_REASON = "failed without giving a reason"

_PART = re.compile(r"\[(\d{1,3})/\d{1,3}\] (.*)\Z", re.DOTALL)

# The line broke, or the agent cannot take it now; the same call can be made again.
_LINE_LOST = frozenset({ErrorCode.UNREACHABLE, ErrorCode.TIMED_OUT})
_TRY_LATER = frozenset({ErrorCode.BUSY, ErrorCode.JOB_LIMIT})


def agent_steps(pauses: Sequence[float] = PAUSES, *, late: float = LATE) -> Iterator[AgentStep]:
    """A step kind for every operation that runs as a job, and for those of older plans.

    Raises ValueError for one of which nobody wrote what it is called, and what takes it back.
    """
    kinds = [operation.kind for operation in operations.BY_KIND.values() if not operation.is_query]
    chain = AgentChain(pauses, late=late)
    for kind in (*kinds, *operations.FORMER):
        yield AgentStep(kind, pauses, late=late, chain=chain)


class AgentStep:
    """Steps of one operation's kind; those that follow each other travel as one job through ``chain``.

    Raises ValueError for a kind without words.
    """

    def __init__(
        self,
        kind: str,
        pauses: Sequence[float] = PAUSES,
        *,
        late: float = LATE,
        chain: AgentChain | None = None,
    ) -> None:
        if kind not in WORDS:
            raise ValueError(f"step kind {kind!r} has neither title nor reverse: nobody wrote them")
        self.kind = kind
        self.chain = chain or AgentChain(pauses, late=late)
        self._words = WORDS[kind]
        self._pauses = pauses
        self._late = late

    def title(self, step: Step) -> str:
        """What its operation is called; the kind's name where the arguments cannot be read."""
        try:
            return self._words.title(step.args)
        except (KeyError, TypeError):
            return self.kind

    def reverse(self, begun: Begun) -> Step | NoReverse | None:
        """The operation that takes it back."""
        return self._words.reverse(begun)

    def check(self, task: Task) -> None:
        """Its agent must know the operation, as it said itself when it was connected."""
        with _in_words():
            task.link.get().require(_operation(task.step))

    def probe(self, task: Task) -> Probe:
        """What the agent finds; the job of an interrupted attempt is waited for first."""
        operation = _operation(task.step)
        if task.earlier_job:
            status = self._job(task, task.earlier_job)
            if status is not None and status.outcome is not None and status.outcome.ok:
                return Probe(Verdict.DONE, "the interrupted attempt had completed it")
        return self._ask(task, operation, task.earlier_job or task.job_id)

    def effect(self, task: Task) -> Mapping[str, Any]:
        """Run the job to its end."""
        operation = _operation(task.step)
        job = _Job(task, task.job_id, self._pauses, self._late)
        status = job.finish(job.submit(operation))
        if status.state is JobState.LOST or status.outcome is None:
            return self._after_loss(task, operation)
        if not status.outcome.ok:
            raise _failure(status.outcome)
        return bounds.result(status.outcome.result)

    def _job(self, task: Task, job_id: str) -> JobStatus | None:
        """The end of an earlier job, or None if the agent has no such job."""
        job = _Job(task, job_id, self._pauses, self._late)
        status = job.look()
        return None if status is None else job.finish(status)

    def _ask(self, task: Task, operation: Operation, job_id: str) -> Probe:
        return _ask(task, self._pauses, operation, job_id)

    def _after_loss(self, task: Task, operation: Operation) -> Mapping[str, Any]:
        """The job's process died without a result: only a look can tell."""
        found = _seen_after_loss(task, self._pauses, operation)
        if isinstance(found, StepFailed):
            raise found
        return {}


class AgentChain:
    """Steps of a lane that are one job of its agent, with a record for each."""

    def __init__(self, pauses: Sequence[float] = PAUSES, *, late: float = LATE) -> None:
        self._pauses = pauses
        self._late = late

    def reach(self, tasks: Sequence[Task]) -> int:
        """All that differ, up to the longest chain, if the agent has chains; else they go singly."""
        if not tasks[0].link.get().knows(Chain.kind):
            return 1
        found: list[Operation] = []
        for task in tasks[: operations.MAX_CHAIN]:
            operation = _operation(task.step)
            if operation in found:
                break
            found.append(operation)
        return len(found)

    def effect(self, tasks: Sequence[Task]) -> Sequence[Ending]:
        """One job for all; the record of each tells how it ended."""
        parts = [_operation(task.step) for task in tasks]
        job = _Job(tasks[0], tasks[0].job_id, self._pauses, self._late, tasks)
        with _in_words():
            chain = Chain.of(parts)
        records = _records(job.finish(job.submit(chain)), len(tasks))
        endings: list[Ending] = []
        for task, operation, record in zip(tasks, parts, records, strict=True):
            is_lost = record.state is RecordState.LOST
            if is_lost and all(map(_is_good, endings)):
                endings.append(self._looked_after(task, operation))
            else:
                endings.append(_BROKEN_OFF if is_lost else _ending(record))
        return endings

    def _looked_after(self, task: Task, operation: Operation) -> Ending:
        """The job died at this one, or before it could tell: only a look can."""
        try:
            found = _seen_after_loss(task, self._pauses, operation)
        except StepLost as problem:
            return problem
        return {} if isinstance(found, Probe) else found

    def recall(self, tasks: Sequence[Task]) -> Sequence[Ending]:
        """What was done by the record, is done; what was not begun, is not.  The rest is to be asked for."""
        job = _Job(tasks[0], tasks[0].earlier_job, self._pauses, self._late, tasks)
        status = job.look()
        if status is None:
            return [None] * len(tasks)
        return [_recalled(record) for record in _records(job.finish(status), len(tasks))]


#: Of operations behind the one at which a job died: asked for when the lane comes to them again.
_BROKEN_OFF = StepLost("its job on the agent died; whether it was begun is not known")


def _is_good(ending: Ending) -> bool:
    return not (ending is None or isinstance(ending, StepFailed))


def _ending(record: Record) -> Ending:
    if record.state is RecordState.WAS_SO:
        return Probe(Verdict.DONE, record.text)
    if record.state is RecordState.DONE:
        return bounds.result(record.result)
    if record.state is RecordState.NOT_BEGUN:
        return None
    failure = record.failure()
    return _failed(failure) if failure else StepFailed(record.text or _NO_REASON)


def _records(status: JobStatus, count: int) -> Sequence[Record]:
    """One for each operation; of a job that tells nothing usable, that they are lost."""
    lost = [Record(RecordState.LOST)] * count
    if status.outcome is None:
        return lost
    try:
        return jobs.records(status.outcome, count)
    except AgentError:
        return lost


def _recalled(record: Record) -> Probe | None:
    if record.is_done:
        return Probe(Verdict.DONE, "the interrupted attempt had completed it")
    if record.state is RecordState.NOT_BEGUN:
        return Probe(Verdict.NOT_DONE, "the interrupted attempt had not begun it")
    return None


def _ask(task: Task, pauses: Sequence[float], operation: Operation, job_id: str) -> Probe:
    """Some effects are proved by nothing but the record of the job that brought them about."""

    def ask(connection: Connection) -> Probe:
        return connection.probe(operation, job_id)

    return _Caller(task, pauses).call(ask)


def _seen_after_loss(
    task: Task, pauses: Sequence[float], operation: Operation
) -> Probe | StepFailed:
    """What a look tells of an operation whose job died; raises :class:`StepLost` if there is no answer."""
    try:
        probe = _ask(task, pauses, operation, task.job_id)
    except StepFailed as problem:
        raise StepLost(problem.message, problem.detail, problem.code) from problem
    if probe.verdict is Verdict.DONE:
        return probe
    seen = f": {probe.text}" if probe.text else ""
    return StepFailed(f"its job on the agent died before it was done{seen}")


@contextmanager
def _in_words() -> Iterator[None]:
    """What an agent or its operation refuses, as the failure of a step."""
    try:
        yield
    except AgentError as problem:
        raise _failed(problem) from problem


def _failed(problem: AgentError) -> StepFailed:
    return StepFailed(problem.message, problem.detail, int(problem.code))


def _failure(outcome: Outcome) -> StepFailed:
    failure = outcome.failure()
    return StepFailed(_NO_REASON) if failure is None else _failed(failure)


def _operation(step: Step) -> Operation:
    with _in_words():
        return operations.from_stored(step.kind, step.args)


class _Caller:
    """Calls an agent.

    A broken line is opened again and the call repeated, after a pause.  While nothing was ``sent`` that
    could go on without us, an agent that cannot be connected is given up at once.
    """

    def __init__(self, task: Task, pauses: Sequence[float]) -> None:
        self._task = task
        self._pauses = pauses
        self.sent = False

    def call(self, what: Callable[[Connection], T]) -> T:
        """The answer; raises :class:`Unreachable`, or :class:`StepFailed` for a refusal."""
        pauses = iter(self._pauses)
        while True:
            try:
                return what(self._task.link.get())
            except Unreachable as problem:
                if not self.sent:
                    raise
                trouble: StepFailed = problem
            except AgentError as problem:
                trouble = self._trouble(problem)
            pause = next(pauses, None)
            if pause is None or self._task.stop.is_set() or self._task.remaining() <= 0:
                raise trouble
            self._task.stop.wait(pause)

    def _trouble(self, problem: AgentError) -> StepFailed:
        """What to raise when there is no more time; raises at once what will not pass."""
        if problem.code in _LINE_LOST:
            self._task.link.drop()
            return Unreachable(problem.message, problem.detail, int(problem.code))
        trouble = _failed(problem)
        if problem.code in _TRY_LATER:
            return trouble
        raise trouble from problem


class _Job:
    """One job on the agent, for one step or for all ``parts``."""

    def __init__(
        self,
        task: Task,
        job_id: str,
        pauses: Sequence[float],
        late: float,
        parts: Sequence[Task] = (),
    ) -> None:
        self._task = task
        self._parts = parts
        self._id = job_id
        self._limit = task.deadline + late
        self._caller = _Caller(task, pauses)
        self._seen = 0
        self._story = bounds.Story()

    def submit(self, operation: Operation) -> JobStatus:
        """Have the agent accept the job; a second time with the same id it is the same job."""

        def send(connection: Connection) -> JobStatus:
            self._caller.sent = True
            return connection.submit(self._id, operation, max(1.0, self._task.remaining()))

        try:
            return self._caller.call(send)
        except Unreachable as problem:
            if self._caller.sent:
                raise _lost("the line was lost", problem) from problem
            raise

    def look(self) -> JobStatus | None:
        """The job's status, None if the agent does not know it; what it said so far is old news."""
        try:
            status = self._caller.call(lambda agent: agent.follow(self._id, 0, 0.0)).status
        except StepFailed as problem:
            if problem.code == ErrorCode.JOB_UNKNOWN:
                return None
            raise
        self._seen = status.last_seq
        return status

    def finish(self, status: JobStatus) -> JobStatus:
        """Follow the job to its end, with what it says; raises :class:`StepLost`."""
        self._caller.sent = True
        while not status.state.is_over:
            if self._task.stop.is_set():
                raise StepLost("not waited for any longer; its job goes on at the agent")
            time_left = self._limit - self._task.clock.monotonic()
            status = self._follow(max(0.0, min(FOLLOW_WAIT, time_left))).status
            if time_left <= 0 and not status.state.is_over:
                raise StepLost("no result within the time limit; its job may go on at the agent")
        with suppress(StepFailed):  # how it ended is known; only what it said is missing
            self._hear_the_rest(status)
        self._task.afterwards.append(self._acknowledge)
        return status

    def _hear_the_rest(self, status: JobStatus) -> None:
        """A long story comes in portions; one that does not go on, or not in time, is left."""
        before = -1
        while before < self._seen < status.last_seq and not self._task.stop.is_set():
            if self._task.clock.monotonic() > self._limit:
                return
            before = self._seen
            self._follow(0.0)

    def _follow(self, wait: float) -> JobUpdate:
        try:
            update = self._caller.call(lambda agent: agent.follow(self._id, self._seen, wait))
        except StepFailed as problem:
            raise _lost("its job cannot be followed", problem) from problem
        for text in self._story.told(event.text for event in update.events):
            self._tell(text)
        self._seen = max([self._seen, *(event.seq for event in update.events)])
        return update

    def _tell(self, text: str) -> None:
        """A line of a chain's story says whose it is: ``[2/5] ...``."""
        match = _PART.match(text) if self._parts else None
        place = int(match[1]) - 1 if match else 0
        if match and place < len(self._parts):
            self._parts[place].report(match[2])
        else:
            self._task.report(text)

    def _acknowledge(self) -> None:
        """Let the agent forget the job; if this fails it is kept, which does no harm."""
        try:
            self._task.link.get().acknowledge(self._id)
        except (AgentError, StepFailed):
            self._task.link.drop()


def _lost(what: str, problem: StepFailed) -> StepLost:
    return StepLost(f"{what}: {problem.message}", problem.detail, problem.code)
