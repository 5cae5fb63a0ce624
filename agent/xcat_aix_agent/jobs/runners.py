"""Where accepted jobs run: in a process that outlives the agent, or in a thread of it.

Owns: starting, stopping and watching what works on a job.  Must not: decide what a job's state means
to a management node (see :mod:`.store`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Protocol

import xcat_aix_agent
import xcat_aix_proto
from xcat_aix_agent import shell
from xcat_aix_agent.clock import Clock
from xcat_aix_agent.config import AgentConfig
from xcat_aix_agent.host import Host
from xcat_aix_proto import codec
from xcat_aix_proto.jobs import Record

from .job import Job, JobEnvironment, Spec
from .perform import perform

#: Seconds a cancelled wrapper gets to clean up before it is killed with its command.
CANCEL_GRACE = 5.0

_FIRST_LOOK, _LONGEST_LOOK = 0.002, 0.1


class JobRunner(Protocol):
    """Works on jobs."""

    def start(self, job: Job, spec: Spec) -> None:
        """Begin to work on an accepted job; harmless if somebody already does."""

    def is_working(self, job: Job, spec: Spec) -> bool:
        """Whether anything still works on a started job."""

    def wait(self, job: Job, done: Callable[[], bool], seconds: float) -> None:
        """Until ``done`` or for ``seconds``."""

    def cancel(self, job: Job) -> None:
        """Stop the work."""

    def close(self, *, abandon: bool = False) -> None:
        """The agent ends."""


class Detached:
    """Each job in a wrapper process (:mod:`.runjob`) with a session of its own."""

    def __init__(self, clock: Clock, config: AgentConfig) -> None:
        self._clock = clock
        self._place = place_of(config)

    def start(self, job: Job, spec: Spec) -> None:  # noqa: ARG002 - see Runner
        """See :meth:`JobRunner.start`."""
        argv = [sys.executable, "-m", "xcat_aix_agent.runjob", str(job.path)]
        argv.append(json.dumps(codec.to_wire(self._place)))
        environment = {
            "PATH": self._place.path,
            "PYTHONPATH": _source_roots(),
            "PYTHONUTF8": "1",
            "LC_ALL": "C",
        }
        shell.start_detached(argv, environment, job.path / "wrapper.log")

    def is_working(self, job: Job, spec: Spec) -> bool:
        """The wrapper lives, or was killed and left a command that is still within its time.

        After that time the group's number may be somebody else's, so it counts no more.
        """
        shell.reap()
        if job.lock_is_held():
            return True
        group = job.group
        in_time = self._clock.now().timestamp() < spec.deadline + CANCEL_GRACE
        if group is None or not in_time:
            return False
        return group == shell.STARTING or shell.group_is_alive(group)

    def wait(self, job: Job, done: Callable[[], bool], seconds: float) -> None:  # noqa: ARG002 - see Runner
        """See :meth:`JobRunner.wait`; looks again and again, at most ten times a second."""
        until = self._clock.monotonic() + seconds
        pause = _FIRST_LOOK
        while not done():
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            self._clock.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_LOOK)

    def cancel(self, job: Job) -> None:
        """Ask the wrapper to stop; after a grace kill it; then kill a command left behind."""
        wrapper = job.wrapper
        if wrapper and job.lock_is_held():
            _signal(wrapper, signal.SIGTERM)
            self.wait(job, lambda: job.is_exited or not job.lock_is_held(), CANCEL_GRACE)
            if job.lock_is_held() and not job.is_exited:
                _signal(wrapper, signal.SIGKILL)
        group = job.group
        if group and not job.is_exited:  # STARTING is 0, and would be our own group
            shell.signal_group(group, signal.SIGKILL)

    def close(self, *, abandon: bool = False) -> None:
        """Wrappers live on."""


class Inline:
    """Each job in a thread: for laboratories with hundreds of agents in one process.

    Nothing is flushed to disk, and jobs end with the process.
    """

    def __init__(self, host: Callable[[], Host], max_log: int) -> None:
        self._host = host
        self._max_log = max_log
        self._changed = threading.Condition()
        self._running: Dict[str, threading.Event] = {}
        self._abandoned = False

    def start(self, job: Job, spec: Spec) -> None:
        """See :meth:`JobRunner.start`."""
        with self._changed:
            if job.job_id in self._running or job.is_started:
                return
            self._running[job.job_id] = threading.Event()
        name = f"job {job.job_id}"
        threading.Thread(target=self._work, args=(job, spec), name=name, daemon=True).start()

    def _work(self, job: Job, spec: Spec) -> None:
        host = self._host()
        try:
            job.start(os.getpid())
            outcome = perform(
                spec,
                host,
                lambda text: self._report(job, text),
                lambda kind, record: self._keep(job, kind, record),
                self._running[job.job_id],
            )
            if not self._abandoned:
                job.finish(outcome)
        except OSError as error:
            # As in a wrapper: without a result the job is lost, and a probe decides.
            self._report(job, f"cannot record the job: {error}")
        finally:
            with self._changed:
                self._running.pop(job.job_id, None)
                self._changed.notify_all()

    def _report(self, job: Job, text: str) -> None:
        if self._abandoned:
            return
        job.report(text, self._host().clock, self._max_log)
        with self._changed:
            self._changed.notify_all()

    def _keep(self, job: Job, kind: str, record: Record) -> None:
        if not self._abandoned:
            job.record(kind, record)

    def is_working(self, job: Job, spec: Spec) -> bool:  # noqa: ARG002 - see Runner
        """See :meth:`JobRunner.is_working`."""
        return job.job_id in self._running

    def wait(self, job: Job, done: Callable[[], bool], seconds: float) -> None:  # noqa: ARG002 - see Runner
        """See :meth:`JobRunner.wait`."""
        with self._changed:
            self._changed.wait_for(done, seconds)

    def cancel(self, job: Job) -> None:
        """The job ends at its next command."""
        cancelled = self._running.get(job.job_id)
        if cancelled is not None:
            cancelled.set()
            self.wait(job, lambda: job.job_id not in self._running, CANCEL_GRACE)

    def close(self, *, abandon: bool = False) -> None:
        """End all jobs at their next command; abandoned ones leave no result, as after a kill."""
        self._abandoned = abandon
        for cancelled in list(self._running.values()):
            cancelled.set()


def place_of(config: AgentConfig) -> JobEnvironment:
    """What the wrapper of a job is told."""
    return JobEnvironment(
        node=config.node,
        root=str(config.root),
        path=config.path,
        postscripts=config.postscripts,
        max_log=config.max_job_log,
        certificate=str(config.certificate),
        ca=str(config.ca),
        crl=str(config.crl or ""),
    )


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)


def _source_roots() -> str:
    """Where a wrapper finds this very code, be it installed, a checkout or a zip file."""
    modules: Any = (xcat_aix_proto, xcat_aix_agent)
    return os.pathsep.join(dict.fromkeys(str(Path(m.__file__).parent.parent) for m in modules))
