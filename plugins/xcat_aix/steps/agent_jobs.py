"""Calls and jobs of one step's agent: what a lost line and a lost answer mean.

A broken line is opened again and the call repeated: a job is known by its id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from xcat_aix.run.errors import StepFailed, StepLost, StepRefused, Unreachable
from xcat_aix.run.task import AgentLine, Task
from xcat_aix_proto import bounds
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import JobStatus, JobUpdate
from xcat_aix_proto.operations import Operation

T = TypeVar("T")

#: Seconds that one ``follow`` waits at the agent; also how soon a stop is noticed.
FOLLOW_WAIT = 2.0

#: Seconds that the agent is given to end a job whose time is up, and to tell about it.
LATE = 5.0

#: Seconds between attempts to get a lost line back; after the last one the step is lost.
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)

_PART = re.compile(r"\[(\d{1,3})/\d{1,3}\] (.*)\Z", re.DOTALL)

# The line broke, or the agent cannot take it now; the same call can be made again.
_LINE_LOST = frozenset({ErrorCode.UNREACHABLE, ErrorCode.TIMED_OUT})
_TRY_LATER = frozenset({ErrorCode.BUSY, ErrorCode.JOB_LIMIT})


@contextmanager
def in_words() -> Iterator[None]:
    """What an agent or its operation refuses, as the failure of a step."""
    try:
        yield
    except AgentError as problem:
        raise failed(problem) from problem


def failed(problem: AgentError) -> StepFailed:
    """What an agent says, as the failure of a step."""
    return StepFailed(problem.message, problem.detail, int(problem.code))


class AgentCaller:
    """Calls an agent.

    A broken line is opened again and the call repeated, after a pause.  While nothing was ``sent`` that
    could go on without us, an agent that cannot be connected is given up at once.
    """

    def __init__(self, task: Task, pauses: Sequence[float]) -> None:
        self._task = task
        self._pauses = pauses
        self.sent = False

    def call(self, what: Callable[[AgentLine], T]) -> T:
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
        trouble = failed(problem)
        if problem.code in _TRY_LATER:
            return trouble
        raise trouble from problem


class JobFollower:
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
        self._caller = AgentCaller(task, pauses)
        self._seen = 0
        self._story = bounds.Story()

    def begin(self, operation: Operation) -> JobStatus:
        """Have the agent accept the job; a second time with the same id it is the same job.  Hears what it says.

        Raises :class:`StepRefused`, and :class:`StepLost` if nobody knows.
        """
        limit = max(1.0, self._task.remaining())

        def send(connection: AgentLine) -> JobUpdate:
            self._caller.sent = True
            return connection.begin(self._id, operation, limit, min(FOLLOW_WAIT, limit))

        try:
            return self._heard(self._caller.call(send)).status
        except Unreachable as problem:
            if self._caller.sent:
                raise _lost("the line was lost", problem) from problem
            raise
        except StepFailed as problem:
            raise StepRefused(problem.message, problem.detail, problem.code) from problem

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
        self._task.afterwards.append(self._forget)
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
        return self._heard(update)

    def _heard(self, update: JobUpdate) -> JobUpdate:
        for text in self._story.told(event.text for event in update.events):
            self._tell(text)
        self._seen = max([self._seen, *(event.seq for event in update.events)])
        return update

    def _tell(self, text: str) -> None:
        """A line of a chain's story says whose it is: ``[2/5] ...``."""
        match = _PART.match(text) if self._parts else None
        place = int(match[1]) - 1 if match else 0
        if match and 0 <= place < len(self._parts):
            self._parts[place].report(match[2])
        else:
            self._task.report(text)

    def _forget(self) -> None:
        """Let the agent forget the job; if this does not arrive it is kept, which does no harm."""
        self._task.link.forget(self._id)


def _lost(what: str, problem: StepFailed) -> StepLost:
    return StepLost(f"{what}: {problem.message}", problem.detail, problem.code)
