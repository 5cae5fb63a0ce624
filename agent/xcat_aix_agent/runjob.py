"""The wrapper of one job: ``python -m xcat_aix_agent.runjob DIRECTORY``.

Runs in a session of its own and outlives the agent.  Holds the job's lock, performs the operation,
records the outcome.  Imports no network code.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from xcat_aix_proto.jobs import Outcome

from .clock import SystemClock
from .host import Host
from .jobs import Job, Spec
from .perform import cancelled_outcome, perform
from .shell import Subprocesses

_ATTEMPTS, _PAUSE = 100, 0.02


class _Cancelled(BaseException):
    """SIGTERM arrived."""


def _cancel(_number: int, _frame: Any) -> NoReturn:
    raise _Cancelled


def main(directory: str) -> int:
    """Work on the job in ``directory`` unless somebody does or did; 0, or 1 if it is not recorded."""
    job, clock = Job(Path(directory)), SystemClock()
    # Somebody who looks whether the lock is held holds it for a moment.
    for _ in range(_ATTEMPTS):
        if job.lock():
            break
        clock.sleep(_PAUSE)
    else:
        return 0
    spec = job.spec()
    if job.is_started or job.is_exited or clock.now().timestamp() > spec.deadline:
        return 0
    signal.signal(signal.SIGTERM, _cancel)
    try:
        outcome = _work(job, spec)
    except _Cancelled:
        outcome = cancelled_outcome()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    job.finish(outcome)
    return 0


def _work(job: Job, spec: Spec) -> Outcome:
    job.start(os.getpid())
    host = Host(
        node=spec.node,
        commands=Subprocesses(spec.path, job.record_group),
        root=Path(spec.root),
        postscripts=spec.postscripts,
    )
    return perform(spec, host, lambda text: job.report(text, host.clock, spec.max_log))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
