"""``client.postscripts@2``: run postscripts one after the other, stopping at none of them.

A script is a file of the postscripts directory, where links lead as well, that nobody but root or our own
user can change: looked at each time, right before it is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping, Optional

from xcat_aix_agent import ownership
from xcat_aix_agent.host import Host, Report
from xcat_aix_proto import names
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import Probe, Verdict
from xcat_aix_proto.operations import RunPostscripts

_LIMIT = 3600.0


def run(operation: RunPostscripts, host: Host, report: Report) -> Mapping[str, Any]:
    """Raises ``COMMAND_FAILED`` naming every script that failed, after all have run."""
    failures: List[str] = []
    for script in operation.scripts:
        problem = _run_one(script, operation.environment(), host, report)
        if problem is not None:
            report(problem)
            failures.append(problem)
    if failures:
        raise AgentError(ErrorCode.COMMAND_FAILED, f"postscripts: {'; '.join(failures)}")
    return {"scripts": list(operation.scripts)}


def probe(operation: RunPostscripts, host: Host) -> Probe:
    """DONE only if the job asked about is here and ran exactly these scripts with success.

    What a script does cannot be seen from outside, and a later move must run it again: so the record
    of the one job is the only truth.  Scripts can be run again (xCAT does at every updatenode), so a
    job that is unknown or was lost is NOT_DONE.
    """
    if host.finished(operation):
        return Probe(Verdict.DONE, "this agent ran them")
    return Probe(Verdict.NOT_DONE, "there is no record that they were run")


def _run_one(
    script: str, environment: Mapping[str, str], host: Host, report: Report
) -> Optional[str]:
    """What went wrong, None on success.  Only what ends the whole job is raised."""
    name, *words = names.script(script)
    try:
        path = _trusted(name, host)
        done = host.commands.run([str(path), *words], timeout=_LIMIT, env=environment)
    except ownership.OwnershipError as error:
        return f"{name}: {error}"
    except AgentError as error:
        if error.code in (ErrorCode.TIMED_OUT, ErrorCode.CANCELLED):
            raise
        return f"{name}: {error.message}"
    for line in (done.stdout + done.stderr).splitlines():
        report(f"{name}: {line}")
    return None if done.rc == 0 else f"{name} ended with {done.rc}"


def _trusted(name: str, host: Host) -> Path:
    """The script's file; raises :class:`ownership.OwnershipError` if somebody else has a hand in it."""
    directory = host.file(host.postscripts)
    path = directory / name
    ownership.check_directory(directory)
    ownership.check_file(path)
    found, place = path.resolve(), directory.resolve()
    if place not in found.parents:
        raise ownership.OwnershipError(f"cannot trust {path}: it leads out of {directory}")
    return path
