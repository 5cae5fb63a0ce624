"""Simulated hosts in a state that was recorded elsewhere: names, interfaces, NIM, and who is down.

Where :mod:`.prepare` makes a cluster by the simulated commands, here everything is put as it is said to have been.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xcat_aix_lab.sim import niminfo
from xcat_aix_lab.sim.faults import Faults
from xcat_aix_lab.sim.host import COMPUTE, MANAGEMENT, SERVICE, new_host
from xcat_aix_lab.sim.state import database_of
from xcat_aix_lab.sim.store import MemoryStore, Topology

_MASK = "255.255.255.0"
_ETC_HOSTS = "/etc/hosts"


@dataclass(frozen=True, slots=True)
class Client:
    """A compute node as it stands: what it is to which NIM master, and whether it has no disks."""

    master: str = ""
    is_diskless: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """What is staged.

    ``hosts`` are lines of /etc/hosts; ``interfaces`` are those that are not only a host's own name, as ``en0 ADDRESS
    MASK``; ``nim`` is the recorded NIM state of every host that may be a master; ``networks`` are (address, mask) for
    the interfaces of ``clients``.
    """

    management: str
    hosts: Sequence[str]
    interfaces: Mapping[str, Sequence[str]]
    nim: Mapping[str, Mapping[str, Any]]
    clients: Mapping[str, Client] = field(default_factory=dict)
    networks: Sequence[tuple[str, str]] = ()
    down: frozenset[str] = frozenset()

    def addresses(self) -> dict[str, str]:
        """Every name's address."""
        found: dict[str, str] = {}
        for line in self.hosts:
            address, *names = line.partition("#")[0].split() or [""]
            for name in names:
                found.setdefault(name, address)
        return found

    def kinds(self) -> dict[str, str]:
        """The hosts, each with its kind."""
        masters = dict.fromkeys([*self.interfaces, *self.nim], SERVICE)
        return {**dict.fromkeys(self.clients, COMPUTE), **masters, self.management: MANAGEMENT}

    def cards(self, host: str) -> list[tuple[str, str]]:
        """(address, mask) of a host's interfaces, in order."""
        if host in self.interfaces:
            return [(line.split()[1], line.split()[2]) for line in self.interfaces[host]]
        address = self.addresses().get(host)
        return [(address, self._mask(address))] if address else []

    def _mask(self, address: str) -> str:
        own = ipaddress.IPv4Address(address)
        found = (
            network
            for net, mask in self.networks
            if own in (network := ipaddress.IPv4Network(f"{net}/{mask}", strict=False))
        )
        best = max(found, key=lambda network: network.prefixlen, default=None)
        return str(best.netmask) if best else _MASK

    def topology(self) -> Topology:
        """Which names and addresses lead where."""
        kinds = self.kinds()
        owners = {address: host for host in kinds for address, _ in self.cards(host)}
        names = {
            name: (owners[address], address)
            for name, address in self.addresses().items()
            if address in owners
        }
        names |= {address: (host, address) for address, host in owners.items()}
        return Topology(names, kinds)


def store_of(stage: Stage, directory: Path) -> MemoryStore:
    """All hosts of a stage; their files lie below ``directory``, one root for each."""
    store = MemoryStore(stage.topology())
    for number, (name, kind) in enumerate(stage.kinds().items(), 1):
        store.use_directory(name, str(directory / name))
        client = stage.clients.get(name, Client())
        host = new_host(name, kind, stage.cards(name), number=number, diskless=client.is_diskless)
        database = database_of(stage.nim[name]) if name in stage.nim else None
        if database is not None:
            host.subsystems["nimesis"] = {"group": "nim", "pid": 5_242_880}
            store.save_nim(name, database)
        store.save_host(host)
        if name in stage.down:
            store.save_faults(name, Faults(down=True))
    for name, path, text in _files(stage, store):
        store.files(name).write(path, text)
    return store


def _files(stage: Stage, store: MemoryStore) -> Iterator[tuple[str, str, str]]:
    """(host, path, text) of what every host of its kind has."""
    hosts = "".join(f"{line}\n" for line in stage.hosts)
    for name in stage.kinds():
        yield name, _ETC_HOSTS, hosts
        if store.nim(name) is not None:
            yield name, niminfo.PATH, niminfo.text(niminfo.master(name))
    for name, client in stage.clients.items():
        found = store.topology.find(client.master)
        if found is not None:
            cpuid = store.host(found[0]).cpuid
            values = niminfo.client(name, name, client.master, cpuid)
            if client.is_diskless:
                values["NIM_CONFIGURATION"] = "diskless"
            yield name, niminfo.PATH, niminfo.text(values)
            yield name, "/etc/xcatinfo", f"XCATSERVER={found[1]}\n"
