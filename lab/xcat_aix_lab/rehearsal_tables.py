"""The database of a lab that was made from a dump: the dump's rows, at the lab's addresses.

Pure.  Who is simulated where is :mod:`.rehearsal`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from xcat_aix_lab import addressing
from xcat_aix_lab.addressing import AddressMap
from xcat_aix_lab.cluster import Node, SampleSettings
from xcat_aix_lab.dump import Dump
from xcatd.db.snapshot import Snapshot

#: What a lab's management node is called.
MN = "mn"

#: What the daemon must not take from the real cluster; the rest of ``site`` stays.
_NOT_TAKEN = ("xcatsslversion", "xcatsslciphers", "xcattlspolicy", "xcatmaxconnections")

Rows = dict[str, list[dict[str, str]]]


class Source(Protocol):
    """What is known of the dump and of the lab."""

    @property
    def dump(self) -> Dump: ...
    @property
    def settings(self) -> SampleSettings: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def addresses(self) -> Mapping[str, str]: ...
    @property
    def map(self) -> AddressMap: ...

    def own_address(self) -> str:
        """The management node's address in the lab."""


def make(source: Source, master: str | None, nodes: Mapping[str, Node]) -> Rows:
    """All tables; ``master`` is the dump's node that is the management node, ``nodes`` are simulated."""
    return _Tables(source, master, nodes).make()


class _Tables:
    """The lab's rows: the dump's, at the lab's addresses."""

    def __init__(self, made: Source, master: str | None, nodes: Mapping[str, Node]) -> None:
        self._made = made
        self._master = master
        self._nodes = nodes

    def make(self) -> Rows:
        """All tables."""
        made = self._made
        tables = {
            name: [self._rewritten(row) for row in rows] for name, rows in made.dump.tables.items()
        }
        tables["networks"] = list(self._networks(tables.get("networks", [])))
        tables["hosts"] = list(self._hosts())
        tables["site"] = list(self._site(tables["site"]))
        tables["policy"] = self._policy(tables.get("policy", []))
        tables.pop("nics", None)
        return tables

    def _rewritten(self, row: Mapping[str, str]) -> dict[str, str]:
        return {column: self._made.map.rewritten(text) for column, text in row.items()}

    def _networks(self, rewritten: Sequence[dict[str, str]]) -> Iterator[dict[str, str]]:
        taken = set()
        for old, row in zip(self._made.dump.tables.get("networks", ()), rewritten, strict=True):
            net = addressing.network(old.get("net", ""), old.get("mask", ""))
            block = self._made.map.networks.get(net) if net else None
            if block is not None and block not in taken:
                taken.add(block)
                yield row | {"net": str(block.network_address), "mask": str(block.netmask)}

    def _hosts(self) -> Iterator[dict[str, str]]:
        """A row for every node whose address is known; what groups had is worked out."""
        for node in self._made.snapshot.nodes:
            simulated = self._nodes.get(MN if node == self._master else node)
            if (simulated is not None and node != MN) or node == self._master:
                yield self._of(node, simulated or self._nodes[MN])
            elif (address := self._made.map.of(self._made.addresses.get(node, ""))) is not None:
                yield {"node": node, "ip": address}

    @staticmethod
    def _of(node: str, simulated: Node) -> dict[str, str]:
        row = {"node": node, "ip": simulated.address}
        if aliases := [alias for alias in simulated.aliases if alias != node]:
            row["hostnames"] = ",".join(aliases)
        if others := [f"{one.name}:{one.address}" for one in simulated.interfaces[1:]]:
            row["otherinterfaces"] = ",".join(others)
        return row

    def _site(self, rows: Sequence[dict[str, str]]) -> Iterator[dict[str, str]]:
        settings = self._made.settings
        address = self._made.own_address()
        own = {
            "master": address,
            "nameservers": address,
            "xcatdport": str(settings.xcatdport),
            "xcatiport": str(settings.xcatdport + 1),
            "xcatlport": str(settings.xcatdport + 2),
            "xcatconfdir": settings.confdir,
            "aixagentport": str(settings.agentport),
        }
        for row in rows:
            if row.get("key") not in {*own, *_NOT_TAKEN}:
                yield row
        yield from ({"key": key, "value": value} for key, value in own.items())

    def _policy(self, rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        """Root may do everything in a lab, whatever the real cluster has."""
        own = [{"priority": "0.01", "name": "root", "rule": "allow"}]
        return [*own, *(row for row in rows if row.get("priority") != "0.01")]
