"""``nim.snapshot@1``: objects of this host's NIM database, by a few ``lsnim``, never one per object."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from xcat_aix_agent.host import Host
from xcat_aix_agent.nim import commands, lsnim, niminfo
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.facts import NimDatabase, NimObject
from xcat_aix_proto.operations import NimSnapshot

_LIMIT = 60.0


def answer(operation: NimSnapshot, host: Host) -> NimDatabase:
    """The asked objects; raises ``NIM_REFUSED`` where the host is a master and lsnim fails."""
    try:
        done = host.commands.run(commands.lsnim(), timeout=_LIMIT)
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
    objects, problems = _stanzas(wanted, host)
    missing = tuple(name for name in operation.names if name not in known)
    return NimDatabase(True, objects, missing, problems)


def _no_master(operation: NimSnapshot, reason: str) -> NimDatabase:
    return NimDatabase(is_master=False, missing=operation.names, problems=(reason,))


def _stanzas(names: Sequence[str], host: Host) -> Tuple[Tuple[NimObject, ...], Tuple[str, ...]]:
    objects: List[NimObject] = []
    problems: List[str] = []
    for batch in commands.batches(names):
        done = host.commands.run(commands.lsnim_long(batch), timeout=_LIMIT)
        objects += lsnim.stanzas(done.stdout)
        if done.rc != 0:
            # An object may go between the two looks; the others are there all the same.
            problems.append(f"lsnim: {lsnim.message(done.stderr)}")
    shown = {found.name for found in objects}
    problems += [f"lsnim shows nothing of {name}" for name in names if name not in shown]
    return tuple(objects), tuple(problems)
