"""``nim.snapshot@1``: objects of this host's NIM database, by a few ``lsnim``, never one per object."""

from __future__ import annotations

from xcat_aix_agent.host import Host
from xcat_aix_agent.nim import commands, database, lsnim, niminfo
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.facts import NimDatabase
from xcat_aix_proto.operations import NimSnapshot


def answer(operation: NimSnapshot, host: Host) -> NimDatabase:
    """The asked objects; raises ``NIM_REFUSED`` where the host is a master and lsnim fails."""
    try:
        done = host.commands.run(commands.lsnim(), timeout=database.LIMIT)
    except AgentError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return _no_master(operation, error.message)
    if done.rc != 0:
        reason = f"lsnim: {lsnim.message(done.stdout, done.stderr)}"
        if (niminfo.read(host) or {}).get("NIM_CONFIGURATION") == "master":
            raise AgentError(ErrorCode.NIM_REFUSED, reason, done.stderr)
        return _no_master(operation, reason)
    present = [name for name, _, _ in lsnim.listing(done.stdout)]
    known = set(present)
    wanted = [name for name in dict.fromkeys(operation.names or present) if name in known]
    objects, problems = database.objects(wanted, host)
    missing = tuple(name for name in operation.names if name not in known)
    return NimDatabase(True, objects, missing, problems)


def _no_master(operation: NimSnapshot, reason: str) -> NimDatabase:
    return NimDatabase(is_master=False, missing=operation.names, problems=(reason,))
