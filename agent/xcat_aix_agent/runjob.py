"""The wrapper of one job: ``python -m xcat_aix_agent.runjob DIRECTORY PLACE``.

``PLACE`` is a :class:`.jobs.job.JobEnvironment` as JSON: the agent's settings.  Runs in a session of its own and
outlives the agent.  Holds the job's lock, performs the operation, records the outcome.  A program like
:mod:`.main`, under a name that does not change: an agent of another version that is still running starts it.
Loads TLS only if the operation reaches another agent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Callable, ContextManager, NoReturn, Optional

from xcat_aix_proto import codec
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.jobs import JobOutcome
from xcat_aix_proto.messages import TakeRequest

from .clock import SystemClock
from .host import Host
from .jobs.job import Job, JobEnvironment, Spec
from .jobs.perform import cancelled_outcome, perform
from .reach import KnownAgents, Read, SourceAgent
from .shell import Subprocesses, make_private

_ATTEMPTS, _PAUSE = 100, 0.02


class _Cancelled(BaseException):
    """SIGTERM arrived."""


def _cancel(_number: int, _frame: Any) -> NoReturn:
    raise _Cancelled


def main(directory: str, place: str) -> int:
    """Work on the job in ``directory`` unless somebody does or did; 0, or 1 if it is not recorded."""
    make_private()
    job, clock = Job(Path(directory)), SystemClock()
    try:
        job.check_owner()
    except AgentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    # Somebody who looks whether the lock is held holds it for a moment.
    for _ in range(_ATTEMPTS):
        if job.lock():
            break
        clock.sleep(_PAUSE)
    else:
        return 0
    try:
        spec = job.spec()
    except AgentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if job.is_started or job.is_exited or clock.now().timestamp() > spec.deadline:
        return 0
    signal.signal(signal.SIGTERM, _cancel)
    try:
        outcome = _work(job, spec, codec.from_wire(JobEnvironment, json.loads(place)))
    except _Cancelled:
        outcome = cancelled_outcome(job.records(spec) if spec.is_chain else ())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    job.finish(outcome)
    return 0


def _work(job: Job, spec: Spec, place: JobEnvironment) -> JobOutcome:
    job.start(os.getpid())
    host = host_of(place, job.record_group)
    return perform(spec, host, lambda text: job.report(text, host.clock, place.max_log), job.record)


def host_of(place: JobEnvironment, on_group: Callable[[Optional[int]], None]) -> Host:
    """The host as the job's operation gets it; ``on_group`` as in :class:`.shell.Subprocesses`."""
    return Host(
        node=place.node,
        commands=Subprocesses(place.path, on_group),
        root=Path(place.root),
        postscripts=place.postscripts,
        peers=_Peers(place) if place.certificate else KnownAgents(),
    )


class _Peers:
    """The real way to other agents, whose code is loaded when it is needed."""

    def __init__(self, place: JobEnvironment) -> None:
        self._place = place

    def take(
        self, source: SourceAgent, request: TakeRequest, *, timeout: float
    ) -> ContextManager[Read]:
        """See :meth:`.reach.OtherAgents.take`."""
        from .transfer.agents import TlsAgents  # noqa: PLC0415 - see the module

        place = self._place
        crl = Path(place.crl) if place.crl else None
        agents = TlsAgents(Path(place.certificate), Path(place.ca), crl, SystemClock())
        return agents.take(source, request, timeout=timeout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
