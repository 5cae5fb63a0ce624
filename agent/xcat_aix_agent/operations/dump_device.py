"""``client.dump_device@1``: point the iSCSI dump device at another server.

Discover the disk, make it available, configure the dump, make it the primary dump device
(docs/facts/aix.md, Dump device).
"""

from __future__ import annotations

import re
from typing import Any, List, Mapping

from xcat_aix_agent.host import Host, Report
from xcat_aix_agent.nim import commands, lsnim
from xcat_aix_agent.shell import Completed
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import Probe, Verdict
from xcat_aix_proto.operations import SetDumpDevice

_LIMIT = 120.0


def run(operation: SetDumpDevice, host: Host, report: Report) -> Mapping[str, Any]:
    """Raises ``NIM_REFUSED``, ``NOT_FOUND`` or ``COMMAND_FAILED``."""
    disk = _disk(_checked(commands.discover_dump(operation), host))
    _checked(commands.make_device_available(disk), host)
    _checked(commands.configure_dump(operation), host)
    _checked(commands.set_dump_device(disk), host)
    report(f"dumps go to {disk}, {operation.target} on {operation.server}")
    return {"disk": disk}


def probe(operation: SetDumpDevice, host: Host) -> Probe:
    """DONE by this agent's own record of the job: AIX does not tell which server a dump disk is on.

    All four commands may be run again.
    """
    if host.finished(operation):
        return Probe(Verdict.DONE, "this agent set it")
    return Probe(Verdict.NOT_DONE, "there is no record that it was set")


def _checked(argv: List[str], host: Host) -> Completed:
    done = host.commands.run(argv, timeout=_LIMIT)
    if done.rc != 0:
        text = f"{argv[0]}: {lsnim.message(done.stdout, done.stderr)}"
        raise AgentError(ErrorCode.NIM_REFUSED, text, f"{done.stdout}{done.stderr}".strip())
    return done


def _disk(done: Completed) -> str:
    found = [word for word in done.stdout.split() if re.match(r"hdisk\d+\Z", word)]
    if not found:
        text = f"{done.argv[0]} found no disk for the dump target"
        raise AgentError(ErrorCode.NOT_FOUND, text, done.stdout)
    return found[-1]
