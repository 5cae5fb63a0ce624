"""Which machines this host serves: those of its own NIM database, at the addresses of their names.

Owns: looking, and remembering for a while what was seen, so that one look serves many questions.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import FrozenSet, Mapping

from xcat_aix_agent.host import Host, LimitedCommands

from . import commands, database, lsnim

#: Seconds for which the machines of the NIM database are remembered.
REMEMBER = 30.0

#: Seconds all commands of one look may take together.
_LIMIT = 90.0


class Clients:
    """Safe for use by several threads."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._machines: Mapping[str, FrozenSet[str]] = {}
        self._read_at = float("-inf")

    def addresses(self, node: str) -> FrozenSet[str]:
        """Where the machine ``node`` is, none if it is not a client here.  Raises if NIM cannot be asked."""
        hosts = self._hosts(node)
        return frozenset(found for name in hosts for found in self._host.addresses(name) | {name})

    def _hosts(self, node: str) -> FrozenSet[str]:
        """The host names NIM knows for the machine."""
        with self._lock:
            now = self._host.clock.monotonic()
            if now >= self._read_at + REMEMBER:
                self._machines = self._read()
                self._read_at = self._host.clock.monotonic()
            return self._machines.get(node) or self._machines.get(_short(node)) or frozenset()

    def _read(self) -> Mapping[str, FrozenSet[str]]:
        limited = LimitedCommands(self._host.commands, self._host.clock, _LIMIT)
        done = limited.run(commands.lsnim(), timeout=database.LIMIT)
        machines = [
            name
            for name, kind, type_ in lsnim.listing(done.stdout)
            if kind == "machines" and type_ != "master"
        ]
        if done.rc != 0:
            return {}
        host = dataclasses.replace(self._host, commands=limited)
        found, _ = database.objects(machines, host)
        return {machine.name: frozenset(lsnim.hosts(machine)) for machine in found}


def _short(name: str) -> str:
    return name.partition(".")[0]
