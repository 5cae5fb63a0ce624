"""``client.repoint@1``: make this host a NIM client of another master.

Order (docs/facts/snmove.md, On the nodes): keep /etc/niminfo aside, ``niminit`` in the rebuild form with
the master's name as this node knows it, ``nimclient -p``, verify; on any failure the old file goes back.
A copy that is still there when an attempt begins means that an earlier one was killed: it is put back
first, so that the host never loses its old registration.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from xcat_aix_agent.host import Host, Report
from xcat_aix_agent.nim import commands, lsnim, niminfo
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import Probe, Verdict
from xcat_aix_proto.operations import RepointClient

_NIMINIT_LIMIT, _NIMCLIENT_LIMIT = 180.0, 60.0


def run(operation: RepointClient, host: Host, report: Report) -> Mapping[str, Any]:
    """See the module; raises ``NIM_REFUSED`` with NIM's own innermost message."""
    if niminfo.is_half_done(host):
        report(f"an earlier attempt was interrupted; {niminfo.FILE} is put back first")
        niminfo.put_back(host)
    before = _master(niminfo.read(host))
    if probe(operation, host).verdict is Verdict.DONE:
        report(f"this host already is a client of {before}")
        _allow_push(host)
        return {"before": before, "changed": False}
    niminfo.set_aside(host)
    try:
        _register(operation, host)
    except BaseException:
        niminfo.put_back(host)
        report(f"the old {niminfo.FILE} (master {before}) is back")
        raise
    niminfo.keep_previous(host)
    return {"before": before, "changed": True}


def probe(operation: RepointClient, host: Host) -> Probe:
    """DONE if niminfo names the master and the master answers for this client."""
    if niminfo.is_half_done(host):
        text = f"an attempt was interrupted; the old registration is in {niminfo.COPY}"
        return Probe(Verdict.NOT_DONE, text)
    current = niminfo.read(host)
    if current is None:
        return Probe(Verdict.NOT_DONE, f"there is no {niminfo.FILE}")
    master = _master(current)
    if current.get("NIM_NAME") != operation.nim_name or not _is(operation.master, master, host):
        text = f"this host is the client {current.get('NIM_NAME')} of {master}"
        return Probe(Verdict.NOT_DONE, text)
    problem = _master_problem(operation.nim_name, host)
    if problem is not None:
        return Probe(Verdict.NOT_DONE, f"master {master}: {problem.message}")
    return Probe(Verdict.DONE, f"the NIM master is {master}, and it answers")


def recover(host: Host) -> None:
    """After a killed attempt: the old registration is back in place."""
    if niminfo.is_half_done(host):
        niminfo.put_back(host)


def _register(operation: RepointClient, host: Host) -> None:
    done = host.commands.run(
        commands.niminit(operation.nim_name, operation.master), timeout=_NIMINIT_LIMIT
    )
    if done.rc != 0:
        raise _refused("niminit", done.stderr, done.stdout)
    _allow_push(host)
    master = _master(niminfo.read(host))
    if not _is(operation.master, master, host):
        text = f"{niminfo.FILE} names the master {master or 'nobody'} after niminit"
        raise AgentError(ErrorCode.VERIFICATION_FAILED, text)
    problem = _master_problem(operation.nim_name, host)
    if problem is not None:
        raise problem


def _allow_push(host: Host) -> None:
    done = host.commands.run(commands.allow_push(), timeout=_NIMCLIENT_LIMIT)
    if done.rc != 0:
        raise _refused("nimclient -p", done.stderr, done.stdout)


def _master_problem(nim_name: str, host: Host) -> Optional[AgentError]:
    """Why the master does not answer for this client, None if it does."""
    done = host.commands.run(commands.ask_master(nim_name), timeout=_NIMCLIENT_LIMIT)
    if done.rc != 0:
        return _refused("nimclient -l", done.stderr, done.stdout)
    if nim_name not in {found.name for found in lsnim.stanzas(done.stdout)}:
        text = f"nimclient -l shows no object {nim_name} on the master"
        return AgentError(ErrorCode.VERIFICATION_FAILED, text, done.stdout)
    return None


def _refused(command: str, stderr: str, stdout: str) -> AgentError:
    text = f"{command}: {lsnim.message(stdout, stderr)}"
    return AgentError(ErrorCode.NIM_REFUSED, text, f"{stdout}{stderr}".strip())


def _master(values: Optional[Mapping[str, str]]) -> str:
    return (values or {}).get("NIM_MASTER_HOSTNAME", "")


def _is(wanted: str, found: str, host: Host) -> bool:
    """Whether two names, or a name and an address, are one host as this node resolves them."""
    if not found:
        return False
    if wanted.lower() == found.lower():
        return True
    return bool((host.addresses(wanted) | {wanted}) & (host.addresses(found) | {found}))
