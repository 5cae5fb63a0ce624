"""The jobs of one agent: accept once, tell the truth about each, forget what was acknowledged.

Owns: the directory of all jobs, and the state of a job (:class:`xcat_aix_proto.jobs.JobState`) as it
follows from its directory and its runner.  Must not: know peers, rights or the wire.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from xcat_aix_agent import files, ownership
from xcat_aix_agent.clock import Clock, stamp
from xcat_aix_agent.config import AgentConfig
from xcat_aix_proto import MAX_FOLLOW, messages, names
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import (
    JobEvent,
    JobOutcome,
    JobState,
    JobStatus,
    JobUpdate,
    Record,
    RecordState,
    records,
    with_records,
)
from xcat_aix_proto.operations import Operation, to_wire

from .job import Job, Spec, remove
from .runners import JobRunner

_log = logging.getLogger(__name__)

#: Seconds between two looks for jobs that were kept long enough.
_SWEEP = 3600.0

#: So many times as long as an acknowledged job is one kept that ended and that nobody acknowledged: a
#: management node may still come back and ask how it ended.
_PATIENCE = 4

#: Bytes of an event in an answer beside its text: number, time, names of the fields.
_AROUND_EVENT = 80

#: Seconds that a new job waits while what a lost one of its kind left is mended.
_MENDING = 5.0

#: Seconds that :meth:`JobStore.follow` waits for the end once there are news: so many answers a talkative
#: job costs at most, and one that is over soon costs one.
_MOMENT = 0.2


@dataclass(frozen=True)
class StoreLimits:
    """Bounds of a store: jobs kept, jobs running, seconds to keep."""

    kept: int
    running: int
    keep: float

    @classmethod
    def of(cls, config: AgentConfig) -> StoreLimits:
        """Those of the settings."""
        return cls(config.max_jobs, config.max_running, config.keep_jobs)


class JobStore:
    """All jobs below one directory.  Safe for use by several threads."""

    def __init__(
        self,
        directory: Path,
        runner: JobRunner,
        clock: Clock,
        limits: StoreLimits,
        *,
        sync: bool = True,
    ) -> None:
        self._directory = directory
        self._runner = runner
        self._clock = clock
        self._limits = limits
        self._sync = sync
        self._lock = threading.Lock()
        self._mended = threading.Condition(self._lock)
        self._mending: Dict[str, str] = {}
        self._open: Dict[str, Spec] = {}
        self._specs: Dict[str, Spec] = {}
        self._count = 0
        self._swept = 0.0
        #: Called once for each job that turns out to be lost, before another of its kind begins; the
        #: other kinds do not wait for it.  A chain is here the one of its operations that was at work.
        self.on_lost: Callable[[Spec], None] = lambda _spec: None

    def recover(self) -> None:
        """After a start: sweep up, and go on with what was accepted and never started.

        What cannot be read is logged and left alone.  Raises ``INTERNAL`` if somebody else could have put a
        job here, and then none is started.
        """
        self.check_owner()
        with files.disk_errors(f"use the directory {self._directory}"):
            for missing in _missing(self._directory):
                missing.mkdir(mode=0o700, exist_ok=True)  # whatever the mask is
            for entry in sorted(self._directory.iterdir()):
                if entry.name.startswith("."):
                    remove(entry)
        with self._lock:
            for entry in self._directory.iterdir():
                self._job(entry.name).check_owner()
            found = self._jobs()
            self._count = len(found)
            for job in found:
                if not job.is_exited:
                    self._open[job.job_id] = self._spec_of(job)
        self.settle()
        with self._lock:
            for job_id, spec in self._open.items():
                if not self._job(job_id).is_started:
                    self._runner.start(self._job(job_id), spec)
        for trouble in self.troubles():
            _log.error("%s", trouble)

    def check_owner(self) -> None:
        """Raises ``INTERNAL`` if somebody else could put jobs into the directory."""
        try:
            ownership.check_directory(self._directory)
        except ownership.OwnershipError as error:
            raise AgentError(ErrorCode.INTERNAL, str(error)) from None

    def settle(self) -> None:
        """Notice which jobs are over; what lost ones left half done is mended before this returns."""
        lost = self._lost()
        try:
            for spec in lost:
                self.on_lost(spec)
        finally:
            with self._mended:
                for spec in lost:
                    self._mending.pop(spec.kind, None)
                self._mended.notify_all()

    # Operations of the protocol.

    def submit(
        self, job_id: str, operation: Operation, limit: float, by: str, trace: str = ""
    ) -> JobStatus:
        """Accept a job once: again with the same operation it is the same job.

        Raises ``JOB_CONFLICT`` (the id was used for something else), ``JOB_LIMIT``, ``BUSY`` (a job
        of this kind, or of one in the chain, works here), ``NO_SPACE``; then nothing of it is left.
        """
        job = self._job(names.job_id(job_id))
        self.settle()
        with self._lock:
            if not self._known(job, operation):
                self._check_mended(operation)
            if not self._known(job, operation):  # somebody may have been quicker
                self.check_owner()
                self._check_limits(operation)
                spec = self._spec(job_id, operation, limit, by, trace)
                with files.disk_errors(f"accept the job {job_id}"):
                    job.accept(spec)
                self._open[job_id] = self._specs[job_id] = spec
                self._count += 1
            if not job.is_started:
                self._start(job)
        return self.status(job_id)

    def status(self, job_id: str) -> JobStatus:
        """The state of a job; raises ``JOB_UNKNOWN``.

        An outcome that cannot be read is none: the management node looks for the effect itself.
        """
        return self._status(self._existing(job_id))

    def _status(self, job: Job) -> JobStatus:
        spec = self._spec_of(job)
        state = self._state(job, spec)
        outcome = _lost_outcome(job, spec) if state is JobState.LOST else _outcome(job)
        return JobStatus(job.job_id, spec.kind, state, job.last_seq(), outcome)

    def follow(self, job_id: str, after_seq: int, wait: float) -> JobUpdate:
        """Events after ``after_seq``; waits up to ``wait`` seconds for one, or for the end.

        Of a long story only as much as fits into one answer: the caller asks again while
        ``status.last_seq`` is beyond what it has.
        """
        job = self._existing(job_id)
        spec = self._spec_of(job)
        seen = job.size_of_events() if not job.events(after_seq) else -1

        def has_news() -> bool:
            return job.size_of_events() != seen or self._state(job, spec).is_over

        self._runner.wait(job, has_news, max(0.0, min(wait, MAX_FOLLOW)))
        # A short job is over by now or soon: one answer instead of two.
        moment = max(0.0, min(wait, _MOMENT))
        self._runner.wait(job, lambda: self._state(job, spec).is_over, moment)
        # The state first: events are complete once it is over.
        status = self.status(job_id)
        if status.state.is_over:
            self.settle()
        return JobUpdate(status, _portion(job.events(after_seq)))

    def acknowledge(self, job_id: str) -> None:
        """Let an ended job expire; raises ``JOB_NOT_FINISHED``.  An unknown job was expired before."""
        job = self._job(names.job_id(job_id))
        if not job.exists:
            return
        if not self._state(job, self._spec_of(job)).is_over:
            raise AgentError(ErrorCode.JOB_NOT_FINISHED, f"job {job_id} has not ended yet")
        with files.disk_errors(f"acknowledge the job {job_id}"):
            job.acknowledge()

    def cancel(self, job_id: str) -> JobStatus:
        """Stop a job; one that is over stays as it is."""
        job = self._existing(job_id)
        if not self._state(job, self._spec_of(job)).is_over:
            self._runner.cancel(job)
        return self.status(job_id)

    def all(self) -> Tuple[JobStatus, ...]:
        """The state of every job that can be read, oldest first."""
        return tuple(self._status(job) for job in self._jobs())

    def troubles(self) -> Tuple[str, ...]:
        """One line for each job of which something cannot be read: its name, why, and what to do."""
        return tuple(
            trouble for job in self._entries() if (trouble := self._trouble(job)) is not None
        )

    def _trouble(self, job: Job) -> Optional[str]:
        try:
            self._spec_of(job)
            job.outcome()
        except AgentError as error:
            return error.message
        return None

    def finished(self, job_id: str, operation: Operation) -> bool:
        """Whether this job performed exactly this operation with success, by itself or in a chain."""
        job, wanted = self._job(names.job_id(job_id)), _plain(operation)
        if not job.exists:
            return False
        spec = self._spec_of(job)
        if spec.is_chain and wanted in spec.parts:
            return _records(job, spec)[spec.parts.index(wanted)].is_done
        outcome = _outcome(job)
        return spec.operation == wanted and outcome is not None and outcome.ok

    # Inside.

    def _job(self, job_id: str) -> Job:
        return Job(self._directory / job_id, sync=self._sync)

    def _existing(self, job_id: str) -> Job:
        job = self._job(names.job_id(job_id))
        if not job.exists:
            raise AgentError(ErrorCode.JOB_UNKNOWN, f"there is no job {job_id}")
        return job

    def _jobs(self) -> List[Job]:
        return sorted((job for job in self._entries() if self._is_readable(job)), key=self._age)

    def _entries(self) -> Iterator[Job]:
        for entry in self._directory.iterdir():
            job = self._job(entry.name)
            if not entry.name.startswith(".") and job.exists:
                yield job

    def _is_readable(self, job: Job) -> bool:
        try:
            self._spec_of(job)
        except AgentError:
            return False
        return True

    def _age(self, job: Job) -> Tuple[str, str]:
        return self._spec_of(job).accepted, job.job_id

    def _spec_of(self, job: Job) -> Spec:
        """The specification, read once: it never changes; raises ``INTERNAL``, also for one of somebody else."""
        spec = self._specs.get(job.job_id)
        if spec is None:
            job.check_owner()
            spec = self._specs[job.job_id] = job.spec()
        return spec

    def _remove(self, job: Job) -> None:
        remove(job.path)
        self._forget(job)

    def _forget(self, job: Job) -> None:
        self._open.pop(job.job_id, None)
        self._specs.pop(job.job_id, None)
        self._count -= 1

    def _known(self, job: Job, operation: Operation) -> bool:
        if not job.exists:
            return False
        if self._spec_of(job).operation != _plain(operation):
            text = f"job {job.job_id} was submitted before with another operation"
            raise AgentError(ErrorCode.JOB_CONFLICT, text)
        return True

    def _spec(self, job_id: str, operation: Operation, limit: float, by: str, trace: str) -> Spec:
        return Spec(
            job_id=job_id,
            operation=_plain(operation),
            limit=limit,
            by=by,
            accepted=stamp(self._clock.now()),
            trace=trace,
        )

    def _start(self, job: Job) -> None:
        try:
            job.check_owner()
        except AgentError:
            self._forget(job)  # what is there is not ours to remove
            raise
        with files.disk_errors(f"start the job {job.job_id}"):
            try:
                self._runner.start(job, self._open.setdefault(job.job_id, self._spec_of(job)))
            except OSError:
                self._remove(job)
                raise

    def _state(self, job: Job, spec: Spec) -> JobState:
        started = job.is_started
        working = self._runner.is_working(job, spec)
        if job.is_exited:  # asked last: it may have ended meanwhile
            return JobState.EXITED
        if working:
            return JobState.RUNNING
        in_time = self._clock.now().timestamp() <= spec.deadline
        return JobState.ACCEPTED if in_time and not started else JobState.LOST

    def _lost(self) -> List[Spec]:
        """Drop jobs that are over from the open ones; the lost ones of them whose kind is to be mended.

        Until that is done no new job of the kind begins; where one works already nothing is mended under
        its feet, it has done that itself.
        """
        with self._lock:
            lost: List[Spec] = []
            for job_id, spec in list(self._open.items()):
                state = self._state(self._job(job_id), spec)
                if state.is_over:
                    del self._open[job_id]
                    if state is JobState.LOST:
                        lost.append(self._interrupted(spec))
            at_work = {kind for spec in self._open.values() for kind in spec.kinds}
            to_mend = [spec for spec in lost if spec.kind not in at_work]
            self._mending.update((spec.kind, spec.job_id) for spec in to_mend)
            return to_mend

    def _interrupted(self, spec: Spec) -> Spec:
        """A lost job as what it was at work on: of a chain one of its operations."""
        if not spec.is_chain:
            return spec
        states = [record.state for record in self._job(spec.job_id).records(spec)]
        place = states.index(RecordState.LOST) if RecordState.LOST in states else 0
        return dataclasses.replace(spec, operation=spec.parts[place])

    def _check_mended(self, operation: Operation) -> None:
        """The caller holds the lock, which is let go of while somebody else mends."""
        kinds = [part.kind for part in operation.parts]

        def is_mended() -> bool:
            return self._mending.keys().isdisjoint(kinds)

        if not self._mended.wait_for(is_mended, _MENDING):
            kind = next(kind for kind in kinds if kind in self._mending)
            text = (
                f"what the lost job {self._mending[kind]} ({kind}) left is still being mended here"
            )
            raise AgentError(ErrorCode.BUSY, text)

    def _check_limits(self, operation: Operation) -> None:
        wanted = {part.kind for part in operation.parts}
        for other in self._open.values():
            if not wanted.isdisjoint(other.kinds):
                kinds = ", ".join(other.kinds)
                text = f"job {other.job_id} ({kinds}, for {other.by}) is still at work here"
                raise AgentError(ErrorCode.BUSY, text)
        if len(self._open) >= self._limits.running:
            text = f"{len(self._open)} jobs are running here, no more are allowed"
            raise AgentError(ErrorCode.JOB_LIMIT, text)
        self._expire()

    def _expire(self) -> None:
        """Remove jobs that were kept long enough, and where room is needed the oldest that may go."""
        now = self._clock.now().timestamp()
        surplus = self._count - self._limits.kept + 1
        if surplus <= 0 and now < self._swept + _SWEEP:
            return
        self._swept = now
        for job in sorted(self._jobs(), key=lambda job: not job.is_acknowledged):
            if self._may_go(job, now, is_crowded=surplus > 0):
                self._remove(job)
                surplus -= 1
        if surplus > 0:
            text = f"{self._limits.kept} jobs are kept here and none of the rest is acknowledged"
            raise AgentError(ErrorCode.JOB_LIMIT, text)

    def _may_go(self, job: Job, now: float, *, is_crowded: bool) -> bool:
        keep = self._limits.keep
        if job.is_acknowledged:
            return is_crowded or job.changed_at() < now - keep
        limit = keep if is_crowded else _PATIENCE * keep
        return job.changed_at() < now - limit and self._state(job, self._spec_of(job)).is_over


def _missing(path: Path) -> List[Path]:
    """What of a path is not there, the outermost first."""
    found = [place for place in (path, *path.parents) if not place.exists()]
    return found[::-1]


def _portion(events: Tuple[JobEvent, ...]) -> Tuple[JobEvent, ...]:
    """The first of ``events``, as many as one answer holds, at least one."""
    size = 0
    for place, event in enumerate(events):
        size += len(json.dumps(event.text)) + _AROUND_EVENT
        if place and size > messages.MAX_EVENT_BYTES:
            return events[:place]
    return events


def _outcome(job: Job) -> Optional[JobOutcome]:
    try:
        return job.outcome()
    except AgentError:
        return None


def _lost_outcome(job: Job, spec: Spec) -> Optional[JobOutcome]:
    """What a lost chain had done until it died."""
    if not spec.is_chain:
        return None
    error = AgentError(ErrorCode.JOB_LOST, "its process died before it could tell how it ended")
    return with_records(job.records(spec), error)


def _records(job: Job, spec: Spec) -> Tuple[Record, ...]:
    """What is known of each operation of a chain, whether it ended or not."""
    outcome = _outcome(job)
    if outcome is None:
        return job.records(spec)
    try:
        return records(outcome, len(spec.parts))
    except AgentError:
        return job.records(spec)


def _plain(operation: Operation) -> Mapping[str, Any]:
    """The wire form as it reads back from JSON."""
    return to_wire(operation)
