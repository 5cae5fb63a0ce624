"""A cluster as data: its nodes and addresses, and the rows of its xCAT database.

Nothing here touches a file or a process.  :func:`sample` makes the cluster of the demo; a cluster
read from somewhere else only has to become the same :class:`Cluster`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xcat_aix_lab.sim.store import Topology

Rows = Mapping[str, Sequence[Mapping[str, str]]]

MASK = "255.255.240.0"
STANDALONE, DISKLESS = "standalone", "diskless"
MOST_NODES = 3500
AGENTPORT = 3009
_DOMAIN = "lab.example"


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """A name and the address it stands for."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Node:
    """One machine; the first interface is the one that carries its node name."""

    name: str
    kind: str
    interfaces: tuple[NamedAddress, ...]
    aliases: tuple[str, ...] = ()
    #: ``standalone`` or ``diskless`` for a compute node, else empty
    nimtype: str = ""
    #: service nodes in order of preference, by node name
    service_nodes: tuple[str, ...] = ()
    #: of a compute node: its osimage, and the name and the gateway it knows its service node by
    image: str = ""
    master: str = ""
    gateway: str = ""

    @property
    def address(self) -> str:
        """The address its node name stands for."""
        return self.interfaces[0].address

    @property
    def facing_nodes(self) -> NamedAddress:
        """Of a service node: the interface that its compute nodes know."""
        return self.interfaces[-1]


@dataclass(frozen=True, slots=True)
class Image:
    """An osimage and the NIM resources it is made of, as (type, name, extra attributes)."""

    name: str
    nimtype: str
    resources: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class NimNetwork:
    """A network as NIM knows it; all of a lab have the same mask."""

    name: str
    net: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes, the images, the networks that compute nodes are in, and the database."""

    nodes: Mapping[str, Node]
    images: tuple[Image, ...]
    networks: tuple[NimNetwork, ...]
    tables: Rows
    mask: str = MASK
    #: whether every service node is ready for every compute node, or only for those that name it
    ready_for_all: bool = True

    def of_kind(self, kind: str) -> tuple[Node, ...]:
        """The nodes of a kind: ``mn``, ``sn`` or ``cn``."""
        return tuple(node for node in self.nodes.values() if node.kind == kind)

    def clients(self, server: Node) -> tuple[Node, ...]:
        """The compute nodes that a service node is ready for."""
        compute = self.of_kind("cn")
        if self.ready_for_all:
            return compute
        return tuple(node for node in compute if server.name in node.service_nodes)

    def network_of(self, address: str) -> NimNetwork | None:
        """The network that holds an address."""
        net = ipaddress.IPv4Interface(f"{address}/{self.mask}").network.network_address
        return next((found for found in self.networks if found.net == str(net)), None)

    @property
    def with_agent(self) -> tuple[Node, ...]:
        """The nodes that run an agent: service nodes and diskful compute nodes."""
        return tuple(n for n in self.nodes.values() if n.kind == "sn" or n.nimtype == STANDALONE)

    def topology(self) -> Topology:
        """Which names and addresses lead where."""
        names: dict[str, tuple[str, str]] = {}
        for node in self.nodes.values():
            for interface in node.interfaces:
                names[interface.name] = (node.name, interface.address)
            for alias in node.aliases:
                names[alias] = (node.name, node.address)
            for interface in node.interfaces:
                names[interface.address] = (node.name, interface.address)
        return Topology(names, {node.name: node.kind for node in self.nodes.values()})


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """What the sample cluster depends on."""

    #: the second octet of all addresses
    octet: int
    xcatdport: int
    #: directory that holds ``cert`` and ``aix``
    confdir: str
    agentport: int = AGENTPORT
    compute_nodes: int = 12
    service_nodes: int = 2
    #: of every service node's compute nodes, how many of hundred are diskful
    diskful_percent: int = 50


def sample(settings: SampleSettings) -> Cluster:
    """MN ``mn``, SNs ``sn1``…, CNs ``n01``…: every SN has its share and backs up another's."""
    nodes = {node.name: node for node in _nodes(settings)}
    images = (_standalone_image("aix73"), _diskless_image("aix73dl"))
    networks = (NimNetwork("master_net", f"127.{settings.octet}.16.0"),)
    return Cluster(nodes, images, networks, _tables(nodes, images, settings))


def _nodes(settings: SampleSettings) -> list[Node]:
    if not 1 <= settings.compute_nodes <= MOST_NODES or settings.service_nodes < 2:
        raise ValueError(f"a lab has 1 to {MOST_NODES} compute nodes and at least 2 service nodes")
    management = ipaddress.IPv4Address(f"127.{settings.octet}.0.0")
    compute = ipaddress.IPv4Address(f"127.{settings.octet}.16.0")
    nodes = [Node("mn", "mn", (NamedAddress("mn", str(management + 1)),))]
    for i in range(1, settings.service_nodes + 1):
        interfaces = (
            NamedAddress(f"sn{i}", str(management + 10 + i)),
            NamedAddress(f"sn{i}b", str(compute + i)),
        )
        nodes.append(Node(f"sn{i}", "sn", interfaces, aliases=(f"sn{i}a",)))
    return nodes + _compute_nodes(settings, compute + 257)


def _compute_nodes(settings: SampleSettings, first: ipaddress.IPv4Address) -> list[Node]:
    """Diskful nodes first, then diskless ones, each in equal blocks per service node."""
    count = settings.compute_nodes
    width = max(2, len(str(count)))
    diskful = round(count * settings.diskful_percent / 100)
    nodes = []
    for i in range(count):
        of_kind, place = (diskful, i) if i < diskful else (count - diskful, i - diskful)
        primary = place * settings.service_nodes // of_kind + 1
        backup = primary % settings.service_nodes + 1
        name = f"n{i + 1:0{width}d}"
        nodes.append(
            Node(
                name,
                "cn",
                (NamedAddress(name, str(first + i)),),
                nimtype=STANDALONE if i < diskful else DISKLESS,
                service_nodes=(f"sn{primary}", f"sn{backup}"),
                image="aix73" if i < diskful else "aix73dl",
                master=f"sn{primary}b",
                gateway=f"sn{primary}b",
            )
        )
    return nodes


def _standalone_image(name: str) -> Image:
    return Image(
        name,
        STANDALONE,
        (
            ("lpp_source", f"{name}_lpp_source", ()),
            ("spot", name, (f"source={name}_lpp_source",)),
            ("bosinst_data", f"{name}_bosinst_data", ()),
            ("script", "xcataixscript", ()),
            ("resolv_conf", "master_net_resolv_conf", ()),
        ),
    )


def _diskless_image(name: str) -> Image:
    return Image(
        name,
        DISKLESS,
        (
            ("lpp_source", f"{name}_lpp_source", ()),
            ("spot", name, (f"source={name}_lpp_source",)),
            ("shared_root", f"{name}_shared_root", (f"spot={name}",)),
            ("paging", f"{name}_paging", ()),
            ("dump", f"{name}_dump", (f"dump_target=iqn.{name}", "dump_lunid=0x1000000000000")),
            ("resolv_conf", "master_net_resolv_conf", ()),
        ),
    )


# The database


def _tables(nodes: Mapping[str, Node], images: Sequence[Image], settings: SampleSettings) -> Rows:
    compute = [node for node in nodes.values() if node.kind == "cn"]
    facing = {node.name: node.facing_nodes.name for node in nodes.values() if node.kind == "sn"}
    return {
        "site": [{"key": k, "value": v} for k, v in _site(nodes["mn"], settings).items()],
        "policy": _policy(),
        "networks": _networks(settings.octet),
        "nodelist": [_nodelist(node) for node in nodes.values()],
        "hosts": [_hosts(node) for node in nodes.values()],
        "mac": [{"node": n.name, "mac": mac(i)} for i, n in enumerate(nodes.values())],
        "nodetype": _nodetype(images),
        "noderes": [_noderes(node, facing) for node in compute],
        "nodehm": [_nodehm(node) for node in compute],
        "servicenode": [_servicenode(node) for node in nodes.values() if node.kind == "sn"],
        "osimage": [_osimage(image) for image in images],
        "nimimage": [_nimimage(image) for image in images],
        "postscripts": [
            {"node": "xcatdefaults", "postscripts": "syslog,setupntp"},
            {"node": "compute", "postscripts": "mkresolvconf", "postbootscripts": "otherpkgs"},
            {"node": "service", "postscripts": "servicenode"},
        ],
    }


def mac(number: int) -> str:
    """The hardware address of node ``number``'s first adapter."""
    return f"{number:010X}00"


def _site(mn: Node, settings: SampleSettings) -> dict[str, str]:
    return {
        "master": mn.address,
        "domain": _DOMAIN,
        "nameservers": mn.address,
        "xcatdport": str(settings.xcatdport),
        "xcatiport": str(settings.xcatdport + 1),
        "xcatlport": str(settings.xcatdport + 2),
        "xcatconfdir": settings.confdir,
        "aixagentport": str(settings.agentport),
        "installdir": "/install",
        "tftpdir": "/tftpboot",
        "sharedinstall": "no",
        "timezone": "UTC",
    }


def _policy() -> list[dict[str, str]]:
    rows = [{"priority": "1", "name": "root", "rule": "allow"}]
    rows.append({"priority": "1.2", "name": "mn", "rule": "trusted"})
    commands = {
        "2": "getbmcconfig",
        "2.1": "remoteimmsetup",
        "2.3": "lsxcatd",
        "3": "nextdestiny",
        "4": "getdestiny",
        "4.4": "getpostscript",
        "4.5": "getcredentials",
        "4.6": "syncfiles",
        "4.7": "litefile",
        "4.8": "litetree",
        "4.9": "getadapter",
    }
    rows += [{"priority": p, "commands": c, "rule": "allow"} for p, c in commands.items()]
    return rows


def _networks(octet: int) -> list[dict[str, str]]:
    return [
        {"netname": "mgtnet", "net": f"127.{octet}.0.0", "mask": MASK, "mgtifname": "en0"},
        {
            "netname": "master_net",
            "net": f"127.{octet}.16.0",
            "mask": MASK,
            "mgtifname": "en1",
            "gateway": "<xcatmaster>",
        },
    ]


def _nodelist(node: Node) -> dict[str, str]:
    kinds = {STANDALONE: "diskful,compute,all", DISKLESS: "diskless,compute,all"}
    groups = {"mn": "__mgmtnode", "sn": "service,all", "cn": kinds.get(node.nimtype, "all")}
    return {"node": node.name, "groups": groups[node.kind], "status": "booted"}


def _hosts(node: Node) -> dict[str, str]:
    row = {"node": node.name, "ip": node.address}
    if node.aliases:
        row["hostnames"] = ",".join(node.aliases)
    others = [f"{interface.name}:{interface.address}" for interface in node.interfaces[1:]]
    if others:
        row["otherinterfaces"] = ",".join(others)
    return row


def _nodetype(images: Sequence[Image]) -> list[dict[str, str]]:
    common = {"os": "AIX", "arch": "ppc64", "nodetype": "osi,ppc"}
    groups = {STANDALONE: "diskful", DISKLESS: "diskless"}
    rows = [{"node": groups[i.nimtype], "provmethod": i.name, **common} for i in images]
    return [*rows, {"node": "service", **common}]


def _noderes(node: Node, facing: Mapping[str, str]) -> dict[str, str]:
    primary = node.service_nodes[0]
    return {
        "node": node.name,
        "servicenode": ",".join(node.service_nodes),
        "xcatmaster": facing[primary],
        "nfsserver": facing[primary],
        "tftpserver": facing[primary],
        "monserver": f"{primary},{facing[primary]}",
        "installnic": "en0",
        "primarynic": "en0",
    }


def _nodehm(node: Node) -> dict[str, str]:
    return {
        "node": node.name,
        "mgt": "hmc",
        "power": "hmc",
        "cons": "hmc",
        "conserver": node.service_nodes[0],
    }


def _servicenode(node: Node) -> dict[str, str]:
    services = ("nimserver", "conserver", "monserver", "nfsserver", "tftpserver")
    return {"node": node.name, **dict.fromkeys(services, "1")}


def _osimage(image: Image) -> dict[str, str]:
    return {
        "imagename": image.name,
        "imagetype": "NIM",
        "osname": "AIX",
        "osvers": "7.3",
        "osarch": "ppc64",
        "provmethod": "nim",
    }


def _nimimage(image: Image) -> dict[str, str]:
    row = {"imagename": image.name, "nimtype": image.nimtype}
    if image.nimtype == STANDALONE:
        row["nimmethod"] = "rte"
    else:
        row["configdump"] = "selective"
    return row | {type_: name for type_, name, _ in image.resources}
