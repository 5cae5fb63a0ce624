"""Steps that an agent carries out as jobs: submit, follow, acknowledge.

Owns what a lost line, a lost job and an interrupted attempt mean.  Knows no operation: the step's kind and
arguments are those of one, the agent's probe tells whether it is done, and its words are in :mod:`.client`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from xcat_aix.plan.kinds import Begun, NoReverse
from xcat_aix.plan.model import Step
from xcat_aix.run.errors import StepFailed, StepLost, Unreachable
from xcat_aix.run.task import Connection, Task
from xcat_aix_proto import bounds, operations
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import JobState, JobStatus, JobUpdate, Probe, Verdict
from xcat_aix_proto.operations import Operation

from .client import WORDS

T = TypeVar("T")

#: Seconds that one ``follow`` waits at the agent; also how soon a stop is noticed.
FOLLOW_WAIT = 2.0

#: Seconds that the agent is given to end a job whose time is up, and to tell about it.
LATE = 5.0

#: Seconds between attempts to get a lost line back; after the last one the step is lost.
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)

# The line broke, or the agent cannot take it now; the same call can be made again.
_LINE_LOST = frozenset({ErrorCode.UNREACHABLE, ErrorCode.TIMED_OUT})
_TRY_LATER = frozenset({ErrorCode.BUSY, ErrorCode.JOB_LIMIT})


def agent_steps(pauses: Sequence[float] = PAUSES, *, late: float = LATE) -> Iterator[AgentStep]:
    """A step kind for every operation that runs as a job, and for those of older plans.

    Raises ValueError for one of which nobody wrote what it is called, and what takes it back.
    """
    kinds = [operation.kind for operation in operations.BY_KIND.values() if not operation.is_query]
    for kind in (*kinds, *operations.FORMER):
        yield AgentStep(kind, pauses, late=late)


class AgentStep:
    """Steps of one operation's kind; raises ValueError for one without words."""

    def __init__(self, kind: str, pauses: Sequence[float] = PAUSES, *, late: float = LATE) -> None:
        if kind not in WORDS:
            raise ValueError(f"step kind {kind!r} has neither title nor reverse: nobody wrote them")
        self.kind = kind
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
        failure = status.outcome.failure()
        if failure is not None:
            raise StepFailed(failure.message, failure.detail, int(failure.code))
        if not status.outcome.ok:
            raise StepFailed("failed without giving a reason")
        return bounds.result(status.outcome.result)

    def _job(self, task: Task, job_id: str) -> JobStatus | None:
        """The end of an earlier job, or None if the agent has no such job."""
        job = _Job(task, job_id, self._pauses, self._late)
        status = job.look()
        return None if status is None else job.finish(status)

    def _ask(self, task: Task, operation: Operation, job_id: str) -> Probe:
        """Some effects are proved by nothing but the record of the job that brought them about."""

        def ask(connection: Connection) -> Probe:
            return connection.probe(operation, job_id)

        return _Caller(task, self._pauses).call(ask)

    def _after_loss(self, task: Task, operation: Operation) -> Mapping[str, Any]:
        """The job's process died without a result: only a look can tell."""
        try:
            probe = self._ask(task, operation, task.job_id)
        except StepFailed as problem:
            raise StepLost(problem.message, problem.detail, problem.code) from problem
        if probe.verdict is Verdict.DONE:
            return {}
        seen = f": {probe.text}" if probe.text else ""
        raise StepFailed(f"its job on the agent died before it was done{seen}")


def _operation(step: Step) -> Operation:
    try:
        return operations.from_stored(step.kind, step.args)
    except AgentError as problem:
        raise StepFailed(problem.message, problem.detail, int(problem.code)) from problem


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
        trouble = StepFailed(problem.message, problem.detail, int(problem.code))
        if problem.code in _TRY_LATER:
            return trouble
        raise trouble from problem


class _Job:
    """One job on the agent."""

    def __init__(self, task: Task, job_id: str, pauses: Sequence[float], late: float) -> None:
        self._task = task
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
            self._task.report(text)
        self._seen = max([self._seen, *(event.seq for event in update.events)])
        return update

    def _acknowledge(self) -> None:
        """Let the agent forget the job; if this fails it is kept, which does no harm."""
        try:
            self._task.link.get().acknowledge(self._id)
        except (AgentError, StepFailed):
            self._task.link.drop()


def _lost(what: str, problem: StepFailed) -> StepLost:
    return StepLost(f"{what}: {problem.message}", problem.detail, problem.code)
