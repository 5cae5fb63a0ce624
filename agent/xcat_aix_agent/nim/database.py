"""Objects of this host's NIM database, by a few ``lsnim``, never one per object."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from xcat_aix_agent.host import Host
from xcat_aix_proto.facts import NimObject

from . import commands, lsnim

#: Seconds for one ``lsnim``.
LIMIT = 60.0


def objects(names: Sequence[str], host: Host) -> Tuple[Tuple[NimObject, ...], Tuple[str, ...]]:
    """The objects of these names, and in words what is wrong with those that are not among them."""
    found: List[NimObject] = []
    problems: List[str] = []
    for batch in commands.batches(names):
        done = host.commands.run(commands.lsnim_long(batch), timeout=LIMIT)
        found += lsnim.stanzas(done.stdout)
        if done.rc != 0:
            # An object may go between the two looks; the others are there all the same.
            problems.append(f"lsnim: {lsnim.message(done.stderr)}")
    shown = {one.name for one in found}
    problems += [f"lsnim shows nothing of {name}" for name in names if name not in shown]
    return tuple(found), tuple(problems)
