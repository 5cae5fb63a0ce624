"""Perform one accepted job and record how it ended; the same in a wrapper process and in a thread.

Owns: the way from an operation, or a chain of them, to an :class:`JobOutcome`.  Must not: choose where it runs.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import traceback
from typing import Callable, List, Optional, Sequence, Tuple, TypeVar, Union

from xcat_aix_agent import files, operations
from xcat_aix_agent.host import End, Host, LimitedAgents, LimitedCommands, Report
from xcat_aix_proto import bounds
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import JobOutcome, Record, RecordState, Verdict, with_records
from xcat_aix_proto.operations import Operation

from .job import Spec

T = TypeVar("T")

#: Notes what became of the next operation of a chain, by its kind; may raise :class:`OSError`.
Keep = Callable[[str, Record], None]


def perform(
    spec: Spec,
    host: Host,
    report: Report,
    keep: Keep,
    cancelled: Optional[threading.Event] = None,
) -> JobOutcome:
    """Run the operation of ``spec``; every failure becomes part of the outcome."""
    work = _Work(spec, host, report, cancelled)
    operation = work.attempt(spec.decoded)
    if isinstance(operation, Operation) and spec.is_chain:
        return _perform_chain(operation.parts, work, keep)
    if isinstance(operation, Operation):
        single = operation
        result = work.attempt(lambda: operations.run(single, work.host, report))
    else:
        result = operation
    if isinstance(result, AgentError):
        return JobOutcome(ok=False, error=result.to_wire())
    return JobOutcome(ok=True, result=bounds.result(result))


def cancelled_outcome(records: Sequence[Record] = ()) -> JobOutcome:
    """The outcome of a job that was stopped on request; ``records`` are what a chain noted until then."""
    error = AgentError(ErrorCode.CANCELLED, "cancelled")
    if not records:
        return JobOutcome(ok=False, error=error.to_wire())
    if all(record.is_done for record in records):
        return with_records(records, None)
    at_work = Record(RecordState.FAILED, error=error.to_wire())
    found = [at_work if one.state is RecordState.LOST else one for one in records]
    return with_records(found, error)


class _Work:
    """What the operations of one job get: the host until the job must end, and a way to tell."""

    def __init__(
        self, spec: Spec, host: Host, report: Report, cancelled: Optional[threading.Event]
    ) -> None:
        ends = (host.clock, spec.deadline - host.clock.now().timestamp(), cancelled)
        commands = LimitedCommands(host.commands, *ends, self._tell)
        peers = LimitedAgents(host.peers, *ends, self._tell)
        self.host = dataclasses.replace(host, commands=commands, peers=peers)
        self.check = End(*ends).check
        #: Takes what is told at the moment.
        self.report = report

    def _tell(self, text: str) -> None:
        self.report(text)

    def attempt(self, action: Callable[[], T]) -> Union[T, AgentError]:
        """The answer, or the failure, which is told."""
        try:
            return action()
        except AgentError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - the outer boundary of a job
            self.report(traceback.format_exc())
            failure = AgentError(ErrorCode.INTERNAL, f"internal error: {error!r}")
        self.report(f"failed: {failure.message}\n{failure.detail}")
        return failure


def _perform_chain(parts: Tuple[Operation, ...], work: _Work, keep: Keep) -> JobOutcome:
    """One after the other until one fails; what became of each is kept as soon as it is over."""
    records: List[Record] = []
    error: Optional[AgentError] = None
    room, report = bounds.MAX_RESULT, work.report
    for place, part in enumerate(parts, 1):
        work.report = _marked(report, f"[{place}/{len(parts)}] ")
        record = _perform_part(part, work, room)
        room -= len(json.dumps(record.result))
        records.append(record)
        kept = work.attempt(lambda: _keep(part, record, keep))  # noqa: B023 - called at once
        error = record.failure() or kept
        if error is not None:
            break
    rest = [Record(RecordState.NOT_BEGUN)] * (len(parts) - len(records))
    return with_records([*records, *rest], error)


def _perform_part(part: Operation, work: _Work, room: int) -> Record:
    """Do it unless it is done already; what it returns gets so many characters as JSON."""
    record = work.attempt(lambda: _done(part, work, work.report))
    if isinstance(record, AgentError):
        return Record(RecordState.FAILED, error=record.to_wire())
    return dataclasses.replace(record, result=bounds.result(record.result, room))


def _done(part: Operation, work: _Work, report: Report) -> Record:
    work.check()
    work.report = _nobody  # the commands of a probe are no news
    try:
        seen = operations.probe(part, work.host)
    finally:
        work.report = report
    if seen.verdict is Verdict.DONE:
        report(f"{part.kind} is done already: {seen.text}")
        return Record(RecordState.WAS_SO, bounds.line(seen.text))
    return Record(RecordState.DONE, result=operations.run(part, work.host, report))


def _keep(part: Operation, record: Record, keep: Keep) -> None:
    """Raises ``NO_SPACE`` or ``INTERNAL``: what cannot be recorded is not gone on with."""
    with files.disk_errors(f"record what became of {part.kind}"):
        keep(part.kind, record)


def _nobody(_text: str) -> None:
    pass


def _marked(report: Report, mark: str) -> Report:
    """Tells the same, each line with a mark in front."""
    return lambda text: report("\n".join(mark + line for line in text.splitlines()))
