"""From the dump of a cluster to a cluster that a lab can run: who is simulated, where, and who serves whom.

Pure.  Service nodes and AIX nodes become simulated hosts at addresses of the lab; everything else is in the
database only.  What could not be taken over is told in the :class:`RehearsalReport`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from xcat_aix.plan.fold import fold
from xcat_aix.plan.servicenodes.readiness import resources
from xcat_aix_lab import addressing, rehearsal_tables
from xcat_aix_lab.addressing import AddressMap, TooManyError
from xcat_aix_lab.cluster import (
    DISKLESS,
    STANDALONE,
    Cluster,
    Image,
    NamedAddress,
    NimNetwork,
    Node,
    SampleSettings,
)
from xcat_aix_lab.dump import Dump, DumpError
from xcatd.db.snapshot import Snapshot
from xcatd.resolve import Resolver

_MN = rehearsal_tables.MN
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    """What a lab made of a dump, line by line for people."""

    lines: tuple[str, ...]


@dataclass(slots=True)
class _Findings:
    """What is told at the end."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str, nodes: Iterable[str] = ()) -> None:
        """Remember something that is not as in the real cluster."""
        names = list(nodes)
        self.notes.append(f"{text}: {fold(names)}" if names else text)


def rehearse(
    dump: Dump, settings: SampleSettings, hosts_file: Path | None
) -> tuple[Cluster, RehearsalReport]:
    """The cluster of a dump; names without an address there are looked up in ``hosts_file``.

    Raises :class:`DumpError`.
    """
    return _Rehearsal(dump, settings, hosts_file).make()


def _texts(snapshot: Snapshot, table: str, *columns: str) -> dict[str, dict[str, str]]:
    """Effective values as plain texts."""
    rows = snapshot.values(table, columns)
    return {node: {c: value.text for c, value in row.items()} for node, row in rows.items()}


def _names(text: str | None) -> list[str]:
    return [name for item in (text or "").split(",") if (name := item.strip())]


class _Rehearsal:
    """One dump on its way into a lab."""

    def __init__(self, dump: Dump, settings: SampleSettings, hosts_file: Path | None) -> None:
        self.dump = dump
        self.settings = settings
        self.found = _Findings()
        self.snapshot = Snapshot.from_rows(dump.tables)
        self.resolver = Resolver(
            self.snapshot, hosts_file=hosts_file or Path("/dev/null"), lookup=lambda _name: None
        )
        self.own: IPv4Address | None = None
        self.types = _texts(self.snapshot, "nodetype", "os", "provmethod")
        self.noderes = _texts(
            self.snapshot, "noderes", "servicenode", "xcatmaster", "nfsserver", "tftpserver"
        )
        self.addresses = self.resolver.addresses(self._all_names())

    def _all_names(self) -> Iterator[str]:
        yield from self.snapshot.nodes
        yield self.snapshot.site.get("master", "")
        for row in self.noderes.values():
            for text in row.values():
                yield from _names(text)

    def make(self) -> tuple[Cluster, RehearsalReport]:
        """Everything in order; raises :class:`DumpError`."""
        aix = [node for node in self.snapshot.nodes if self._is_aix(node)]
        master = self._management_node()
        self.has_mn = master is not None
        aix = [node for node in aix if node != master]
        if not aix:
            raise DumpError(
                f"cannot rehearse with {self.dump.directory}: none of its {len(self.snapshot.nodes)} nodes "
                "has an os (nodetype.os) that begins with AIX"
            )
        self._check_addresses(aix)
        servers = self._servers(aix)
        self.interfaces = {node: self._interfaces(node) for node in aix}
        self._adopt_masters(aix, servers)
        self.map = self._address_map(master)
        nodes = self._nodes(aix, servers, master)
        images = tuple(self._images(nodes))
        networks = tuple(self._networks())
        tables = rehearsal_tables.make(self, master, nodes)
        cluster = Cluster(nodes, images, networks, tables, mask=self.map.mask, ready_for_all=False)
        self._check_result(cluster)
        return cluster, self._summary(cluster)

    def _is_aix(self, node: str) -> bool:
        return self.types.get(node, {}).get("os", "").upper().startswith("AIX")

    def _management_node(self) -> str | None:
        """The node that site.master means, if there is one."""
        named = self.snapshot.site.get("master", "")
        if named in self.snapshot.nodes:
            return named
        address = self.addresses.get(named)
        if address is None:
            return None
        return next((n for n in self.snapshot.nodes if self.addresses.get(n) == address), None)

    def _check_addresses(self, aix: Sequence[str]) -> None:
        without = [node for node in aix if addressing.parse(self.addresses.get(node, "")) is None]
        if without:
            raise DumpError(
                f"cannot rehearse with {self.dump.directory}: {len(without)} AIX nodes have no IPv4 address in "
                f"the tables hosts and nics: {_some(without)}; give the file that has them with --hosts"
            )
        shared = Counter(self.addresses[node] for node in aix)
        twice = [node for node in aix if shared[self.addresses[node]] > 1]
        if twice:
            raise DumpError(
                f"cannot rehearse with {self.dump.directory}: AIX nodes have the same address: {_some(twice)}"
            )

    # Service nodes

    def _servers(self, aix: Sequence[str]) -> frozenset[str]:
        """AIX nodes that the servicenode table or another node's attributes make service nodes."""
        own = {row.get("node") for row in self.snapshot.rows("servicenode")}
        listed = {
            node for node in aix if node in own or not own.isdisjoint(self.snapshot.groups(node))
        }
        by_address = {self.addresses[node]: node for node in aix}
        named = {
            server
            for node in aix
            for name in _names(self.noderes.get(node, {}).get("servicenode"))
            if (server := self._server(name, by_address)) and server != node
        }
        servers = frozenset(listed | named)
        if not servers:
            raise DumpError(
                f"cannot rehearse with {self.dump.directory}: no AIX node is a service node: none is in the table "
                "servicenode, and none is named in a node's servicenode"
            )
        return servers

    def _server(self, name: str, by_address: Mapping[str, str]) -> str | None:
        """The AIX node that a name in servicenode means."""
        if name in by_address.values():
            return name
        return by_address.get(self.addresses.get(name, ""))

    def _service_nodes(self, node: str, servers: frozenset[str]) -> tuple[str, ...]:
        by_address = {self.addresses[server]: server for server in servers}
        found = (
            self._server(name, by_address)
            for name in _names(self.noderes.get(node, {}).get("servicenode"))
        )
        return tuple(dict.fromkeys(server for server in found if server))

    # Interfaces

    def _interfaces(self, node: str) -> dict[str, str]:
        """Names to addresses; aliases of one address are left out."""
        found = {node: self.addresses[node]}
        for name, address in self.resolver.names(node):
            if addressing.parse(address) and address not in found.values():
                found[name] = address
        return found

    def _adopt_masters(self, aix: Sequence[str], servers: frozenset[str]) -> None:
        """An xcatmaster at an address that no node has is an interface of the first service node."""
        owners = {a for names in self.interfaces.values() for a in names.values()}
        for node in aix:
            name = self.noderes.get(node, {}).get("xcatmaster", "")
            address = self.addresses.get(name, "")
            if not addressing.parse(address) or address in owners:
                continue
            first = self._service_nodes(node, servers)[:1]
            for server in first:
                self.interfaces[server][name] = address
                owners.add(address)

    def _facing_last(self, server: str, clients: Iterable[str]) -> list[str]:
        """Names of a service node's interfaces: its own first, the one that most nodes know last."""
        known = Counter(self.addresses.get(self._master_of(client), "") for client in clients)
        names = self.interfaces[server]
        others = sorted(
            (name for name in names if name != server), key=lambda name: known[names[name]]
        )
        return [server, *others]

    def _master_of(self, node: str) -> str:
        return self.noderes.get(node, {}).get("xcatmaster", "")

    # Addresses

    def _address_map(self, master: str | None) -> AddressMap:
        texts = [
            text
            for name, rows in self.dump.tables.items()
            for row in rows
            for column, text in row.items()
            if (name, column) != ("networks", "mask")
        ]
        known = {a for a in map(addressing.parse, self.addresses.values()) if a}
        used = {
            a
            for names in self.interfaces.values()
            for a in map(addressing.parse, names.values())
            if a
        }
        own = addressing.parse(self.addresses.get(self.snapshot.site.get("master", ""), ""))
        own = own or addressing.parse(self.addresses.get(master or "", ""))
        networks = [
            net
            for row in self.snapshot.rows("networks")
            if (net := addressing.network(row.get("net") or "", row.get("mask") or ""))
        ]
        self.own = None if own in used else own
        try:
            return AddressMap(
                self.settings.octet,
                networks,
                used | ({own} if own else set()) | known,
                addressing.found_in(texts),
                with_own=self.own is None,
            )
        except TooManyError as error:
            raise DumpError(f"cannot rehearse with {self.dump.directory}: {error}") from None

    def mapped(self, address: str) -> str:
        """What stands for an address in the lab; every address that is asked for is mapped."""
        found = self.map.of(address)
        if found is None:
            raise DumpError(f"cannot give {address} a place in the lab")
        return found

    def own_address(self) -> str:
        """The management node's address in the lab."""
        return self.map.own or self.mapped(str(self.own))

    def _networks(self) -> Iterator[NimNetwork]:
        names: dict[str, str] = {}
        for row in self.snapshot.rows("networks"):
            net = addressing.network(row.get("net") or "", row.get("mask") or "")
            if net is not None and row.get("netname"):
                names.setdefault(str(net), _nim_name(row["netname"] or ""))
        for place, (net, block) in enumerate(self.map.networks.items()):
            name = names.get(str(net)) or f"net_{place}"
            yield NimNetwork(name, str(block.network_address))

    # Nodes

    def _nodes(
        self, aix: Sequence[str], servers: frozenset[str], master: str | None
    ) -> dict[str, Node]:
        if _MN in aix:
            raise DumpError(
                f"cannot rehearse with {self.dump.directory}: a node that is not the management node is called "
                f"{_MN!r}, the name that a lab's management node has"
            )
        name = master or _MN
        nodes = {_MN: Node(_MN, "mn", (NamedAddress(name, self.own_address()),), aliases=(_MN,))}
        serving = {node: self._service_nodes(node, servers) for node in aix if node not in servers}
        for server in sorted(servers):
            clients = [node for node, named in serving.items() if server in named]
            ordered = self._facing_last(server, clients)
            nodes[server] = Node(server, "sn", self._placed(server, ordered), self._aliases(server))
        for node, named in serving.items():
            nodes[node] = self._compute_node(node, named)
        self._tell_of_odd_nodes(serving)
        return nodes

    def _placed(self, node: str, names: Iterable[str]) -> tuple[NamedAddress, ...]:
        interfaces = self.interfaces[node]
        return tuple(NamedAddress(name, self.mapped(interfaces[name])) for name in names)

    def _aliases(self, node: str) -> tuple[str, ...]:
        """Further names of a node's own address."""
        own = self.addresses[node]
        found = {name for name, address in self.resolver.names(node) if address == own}
        found |= {name for name, address in self.addresses.items() if address == own}
        return tuple(sorted(found - {node, own}))

    def _compute_node(self, node: str, named: tuple[str, ...]) -> Node:
        image = self.types.get(node, {}).get("provmethod", "")
        master = self._master_of(node)
        if addressing.parse(self.addresses.get(master, "")) is None:
            master = named[0] if named else ""
        return Node(
            node,
            "cn",
            self._placed(node, self.interfaces[node]),
            self._aliases(node),
            nimtype=self._nimtype(image),
            service_nodes=named,
            image=image,
            master=self.map.rewritten(master) if addressing.parse(master) else master,
            gateway=self._gateway(node, master),
        )

    def _nimtype(self, image: str) -> str:
        kind = self._image_rows().get(image, {}).get("nimtype")
        return DISKLESS if kind in {"diskless", "dataless"} else STANDALONE

    def _image_rows(self) -> dict[str, dict[str, str]]:
        return {
            row["imagename"]: row
            for row in self.dump.tables.get("nimimage", ())
            if "imagename" in row
        }

    def _gateway(self, node: str, master: str) -> str:
        """The default gateway, where it is in the node's own network."""
        address = addressing.parse(self.addresses[node])
        best: tuple[int, str] = (-1, "")
        for row in self.snapshot.rows("networks"):
            net = addressing.network(row.get("net") or "", row.get("mask") or "")
            if net is not None and address in net:
                best = max(best, (net.prefixlen, row.get("gateway") or ""))
        wanted = master if best[1] in {"", "<xcatmaster>"} else best[1]
        hop = self.map.of(self.addresses.get(wanted) or wanted)
        return hop if hop and self._together(hop, self.mapped(self.addresses[node])) else ""

    def _together(self, one: str, other: str) -> bool:
        return any(
            IPv4Address(one) in block and IPv4Address(other) in block
            for block in self.map.networks.values()
        )

    def _tell_of_odd_nodes(self, serving: Mapping[str, tuple[str, ...]]) -> None:
        unserved = [node for node, named in serving.items() if not named]
        if unserved:
            self.found.note("AIX nodes without a simulated service node", unserved)
        rows = self._image_rows()
        kinds = {node: rows.get(self.types[node].get("provmethod", ""), {}) for node in serving}
        unknown = [node for node, row in kinds.items() if "nimtype" not in row]
        if unknown:
            self.found.note("taken for diskful, as no NIM osimage is known of them", unknown)
        dataless = [node for node, row in kinds.items() if row.get("nimtype") == "dataless"]
        if dataless:
            self.found.note("dataless nodes, simulated as diskless ones", dataless)

    # Images

    def _images(self, nodes: Mapping[str, Node]) -> Iterator[Image]:
        used = {node.image for node in nodes.values() if node.kind == "cn"}
        for name, row in self._image_rows().items():
            if name not in used:
                continue
            found = list(_resources(row))
            types = {kind for kind, _, _ in found}
            if self._nimtype(name) == DISKLESS and not {"spot", "paging"} <= types:
                self.found.note(
                    f"osimage {name} names no SPOT or no paging: its nodes cannot be booted"
                )
                continue
            yield Image(name, self._nimtype(name), tuple(found))

    # The end

    def _check_result(self, cluster: Cluster) -> None:
        """No name that a move asks for may lead out of the lab."""
        made = Resolver(
            Snapshot.from_rows(cluster.tables),
            hosts_file=Path("/dev/null"),
            lookup=lambda _name: None,
        )
        names = {
            name for node in cluster.of_kind("cn") for name in (node.name, *node.service_nodes)
        }
        wanted = {
            name for node in cluster.of_kind("cn") for name in _names(self._master_of(node.name))
        }
        found = made.addresses(sorted(names | wanted))
        outside = sorted(name for name, address in found.items() if not address.startswith("127."))
        lost = sorted(names - found.keys())
        if outside or lost:
            raise DumpError(
                f"cannot rehearse with {self.dump.directory}: no address in the lab for {_some([*outside, *lost])}"
            )
        unknown = sorted(wanted - found.keys())
        if unknown:
            self.found.note(
                f"xcatmaster without an address (--hosts may give it): {_some(unknown)}"
            )

    def _summary(self, cluster: Cluster) -> RehearsalReport:
        compute = cluster.of_kind("cn")
        diskful = sum(node.nimtype == STANDALONE for node in compute)
        servers = [node.name for node in cluster.of_kind("sn")]
        others = len(self.snapshot.nodes) - len(compute) - len(servers) - self.has_mn
        simulated = (
            f"simulated: {len(servers)} service nodes ({fold(servers)}), {len(compute)} AIX compute nodes "
            f"({diskful} diskful with an agent, {len(compute) - diskful} diskless), "
            f"{len(cluster.images)} osimages"
        )
        lines = [
            f"dump {self.dump.directory}: {len(self.snapshot.nodes)} nodes",
            simulated,
            f"in the database only: {others} other nodes",
        ]
        if self.dump.left_out:
            lines.append(f"not taken over: {', '.join(self.dump.left_out)}")
        return RehearsalReport((*lines, *(f"note: {note}" for note in self.found.notes)))


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _nim_name(text: str) -> str:
    """A name that NIM takes."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in text)[:39]


def _resources(row: Mapping[str, str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """NIM resources of an image, in an order in which they can be defined."""
    named = list(resources(row))
    source = next((name for kind, name in named if kind in {"lpp_source", "mksysb"}), None)
    spot = next((name for kind, name in named if kind == "spot"), None)
    if spot is not None and source is None:
        source = f"{spot}_lpp_source"
        named.insert(0, ("lpp_source", source))
    named.sort(key=lambda pair: ("lpp_source", "mksysb", "spot", pair[0]).index(pair[0]))
    extra = {
        "spot": (f"source={source}",),
        "shared_root": (f"spot={spot}",),
        "dump": ("dump_target=iqn.lab", "dump_lunid=0x1000000000000"),
    }
    for kind, name in named:
        if kind != "shared_root" or spot is not None:
            yield kind, name, extra.get(kind, ())
