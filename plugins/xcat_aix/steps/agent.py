"""Steps that an agent carries out as jobs, singly or several as one.

Owns what a lost job and an interrupted attempt mean.  Knows no operation: the step's kind and
arguments are those of one, the agent's probe tells whether it is done, and its words are in :mod:`.client`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from xcat_aix.plan.kinds import Reverse
from xcat_aix.plan.model import Step
from xcat_aix.run.chains import Ending
from xcat_aix.run.errors import StepFailed, StepLost
from xcat_aix.run.outcomes import NodeOutcomes, NodeProbes
from xcat_aix.run.task import AgentLine, Task
from xcat_aix_proto import bounds, jobs, operations
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.jobs import (
    JobOutcome,
    JobState,
    JobStatus,
    NodesProbe,
    NodesResult,
    Probe,
    Record,
    RecordState,
    Verdict,
)
from xcat_aix_proto.operations import Chain, ForNodes, Operation

from .agent_jobs import LATE, PAUSES, AgentCaller, JobFollower, failed, in_words
from .client import WORDS

_NO_REASON = "failed without giving a reason"


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

    Of an operation for several nodes each step is a job of its own, for the nodes of which something is left to
    be done.  Raises ValueError for one without words.
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
        self._words = WORDS[kind]
        is_for_nodes = issubclass(operations.BY_KIND.get(kind, Operation), ForNodes)
        self.chain = None if is_for_nodes else chain or AgentChain(pauses, late=late)
        self._pauses = pauses
        self._late = late

    def check(self, task: Task) -> None:
        """Its agent must know the operation, as it said itself when it was connected."""
        with in_words():
            task.link.get().require(_operation(task))

    def title(self, step: Step) -> str:
        """What its operation is called; the kind's name where the arguments cannot be read."""
        try:
            return self._words.title(step.args)
        except (KeyError, TypeError):
            return self.kind

    @property
    def reverse(self) -> Reverse:
        """What gives the operation that takes a step back."""
        return self._words.reverse

    def probe(self, task: Task) -> Probe | NodeProbes:
        """What the agent finds; the job of an interrupted attempt is waited for first."""
        operation = _operation(task)
        done: Iterable[str] = ()
        if task.earlier_job:
            status = self._job(task, task.earlier_job)
            if status is not None and status.outcome is not None and status.outcome.ok:
                if not isinstance(operation, ForNodes):
                    return _COMPLETED
                done = _done(status.outcome.result, operation).done
        seen = _ask(task, self._pauses, operation, task.earlier_job or task.job_id)
        if isinstance(seen, NodesProbe):
            return NodeProbes({**seen.nodes, **dict.fromkeys(done, _COMPLETED)})
        return seen

    def effect(self, task: Task) -> Mapping[str, Any] | NodeOutcomes:
        """Run the job to its end."""
        operation = _operation(task)
        job = JobFollower(task, task.job_id, self._pauses, self._late)
        status = job.finish(job.begin(operation))
        if status.state is JobState.LOST or status.outcome is None:
            return self._after_loss(task, operation)
        if not status.outcome.ok:
            raise _failure(status.outcome)
        if isinstance(operation, ForNodes):
            return _done(status.outcome.result, operation)
        return bounds.result(status.outcome.result)

    def _job(self, task: Task, job_id: str) -> JobStatus | None:
        """The end of an earlier job, or None if the agent has no such job."""
        job = JobFollower(task, job_id, self._pauses, self._late)
        status = job.look()
        return None if status is None else job.finish(status)

    def _after_loss(self, task: Task, operation: Operation) -> Mapping[str, Any] | NodeOutcomes:
        """The job's process died without a result: only a look can tell."""
        found = _seen_after_loss(task, self._pauses, operation)
        if isinstance(found, StepFailed):
            raise found
        return found if isinstance(found, NodeOutcomes) else {}


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
            operation = _operation(task)
            if operation in found:
                break
            found.append(operation)
        return len(found)

    def effect(self, tasks: Sequence[Task]) -> Sequence[Ending]:
        """One job for all; the record of each tells how it ended."""
        parts = [_operation(task) for task in tasks]
        job = JobFollower(tasks[0], tasks[0].job_id, self._pauses, self._late, tasks)
        with in_words():
            chain = Chain.of(parts)
        records = _records(job.finish(job.begin(chain)), len(tasks))
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
        job = JobFollower(tasks[0], tasks[0].earlier_job, self._pauses, self._late, tasks)
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
    return failed(failure) if failure else StepFailed(record.text or _NO_REASON)


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
        return _COMPLETED
    if record.state is RecordState.NOT_BEGUN:
        return Probe(Verdict.NOT_DONE, "the interrupted attempt had not begun it")
    return None


def _ask(task: Task, pauses: Sequence[float], operation: Operation, job_id: str) -> Probe:
    """Some effects are proved by nothing but the record of the job that brought them about."""

    def ask(connection: AgentLine) -> Probe:
        return connection.probe(operation, job_id)

    return AgentCaller(task, pauses).call(ask)


def _seen_after_loss(
    task: Task, pauses: Sequence[float], operation: Operation
) -> Probe | NodeOutcomes | StepFailed:
    """What a look tells of an operation whose job died; raises :class:`StepLost` if there is no answer."""
    try:
        probe = _ask(task, pauses, operation, task.job_id)
    except StepFailed as problem:
        raise StepLost(problem.message, problem.detail, problem.code) from problem
    if isinstance(probe, NodesProbe):
        left = {node: _died(each) for node, each in probe.nodes.items() if not _is_done(each)}
        return NodeOutcomes([node for node in probe.nodes if node not in left], left)
    return probe if _is_done(probe) else StepFailed(_died(probe))


def _is_done(probe: Probe) -> bool:
    return probe.verdict is Verdict.DONE


def _died(probe: Probe) -> str:
    seen = f": {probe.text}" if probe.text else ""
    return f"its job on the agent died before it was done{seen}"


_COMPLETED = Probe(Verdict.DONE, "the interrupted attempt had completed it")


def _done(result: Mapping[str, Any], operation: ForNodes) -> NodeOutcomes:
    """What a job says of each node; of those that it says nothing usable about nobody knows."""
    try:
        found = NodesResult.of(result)
    except AgentError as problem:
        return NodeOutcomes((), lost=dict.fromkeys(operation.nodes, problem.message))
    return NodeOutcomes(found.done, found.failed)


def _failure(outcome: JobOutcome) -> StepFailed:
    failure = outcome.failure()
    return StepFailed(_NO_REASON) if failure is None else failed(failure)


def _operation(task: Task) -> Operation:
    """What the step asks for, for the task's nodes; read once for the lane."""
    found: Operation | None = task.memory.get(task.step.id)
    if found is None:
        with in_words():
            found = operations.from_stored(task.step.kind, task.step.args)
        if isinstance(found, ForNodes) and set(found.nodes) != set(task.step.about):
            raise StepFailed("its plan is not sound: it is not about the nodes of its operation")
        task.memory[task.step.id] = found
    if isinstance(found, ForNodes) and 0 < len(task.nodes) < len(found.nodes):
        return found.only(task.nodes)
    return found
