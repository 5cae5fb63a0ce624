"""Bring a cluster's simulated hosts to the state of one that runs well.

Everything is done by the simulated commands themselves, so that the state is one they can reach.
"""

from __future__ import annotations

from collections.abc import Sequence

from xcat_aix_lab.cluster import DISKLESS, STANDALONE, Cluster, Image, Node, mac
from xcat_aix_lab.sim import catalogue, niminfo
from xcat_aix_lab.sim.execute import execute
from xcat_aix_lab.sim.files import MemoryFiles
from xcat_aix_lab.sim.host import new_host
from xcat_aix_lab.sim.store import DirectoryStore, MemoryStore


def prepare(cluster: Cluster) -> MemoryStore:
    """All hosts and NIM databases, in memory: every SN is ready for every compute node."""
    store = MemoryStore(cluster.topology())
    for number, node in enumerate(cluster.nodes.values()):
        interfaces = [(interface.address, cluster.mask) for interface in node.interfaces]
        store.save_host(
            new_host(
                node.name, node.kind, interfaces, number=number, diskless=node.nimtype == DISKLESS
            )
        )
    numbers = {name: number for number, name in enumerate(cluster.nodes)}
    for service_node in cluster.of_kind("sn"):
        _prepare_master(cluster, service_node, store, numbers)
    for node in cluster.of_kind("cn"):
        _prepare_client(node, store)
    return store


def copy_to_directory(store: MemoryStore, target: DirectoryStore) -> None:
    """Write the state of all nodes into a lab directory."""
    for name in store.topology.kinds:
        target.save_host(store.host(name))
        database = store.nim(name)
        if database is not None:
            target.save_nim(name, database)
        files = store.files(name)
        if isinstance(files, MemoryFiles):
            for path, text in files.texts.items():
                target.files(name).write(path, text)


def _run(store: MemoryStore, node: str, *argv: str) -> None:
    result = execute(argv, node, store, _no_waiting)
    if result.rc != 0:
        raise RuntimeError(f"cannot prepare {node}: {' '.join(argv)}: {result.stderr}")


def _no_waiting(seconds: float) -> None:
    raise RuntimeError(f"a command of a lab in preparation asked to wait {seconds} s")


def _prepare_master(
    cluster: Cluster, service_node: Node, store: MemoryStore, numbers: dict[str, int]
) -> None:
    name = service_node.name
    clients = cluster.clients(service_node)
    _define_networks(cluster, service_node, clients, store)
    wanted = {node.image for node in clients}
    defined: set[str] = set()
    for image in cluster.images:
        if image.name not in wanted and not cluster.ready_for_all:
            continue
        for type_, resource, extra in image.resources:
            if resource not in defined:
                _define_resource(store, name, image, (type_, resource, extra))
                defined.add(resource)
    images = {image.name: image for image in cluster.images}
    for node in clients:
        interface = f"if1=find_net {node.name} {mac(numbers[node.name])} ent0"
        argv = ["-a", interface, "-a", "cable_type1=N/A", "-a", "netboot_kernel=64", node.name]
        _run(store, name, "nim", "-Fo", "define", "-t", node.nimtype, *argv)
        if node.nimtype == DISKLESS and node.image in images:
            _initialise_diskless(store, name, images[node.image], node)


def _define_networks(
    cluster: Cluster, service_node: Node, clients: Sequence[Node], store: MemoryStore
) -> None:
    """The one of the interface that faces the nodes is NIM's first one."""
    name = service_node.name
    own = cluster.network_of(service_node.facing_nodes.address)
    card = f"en{len(service_node.interfaces) - 1}"
    netname = own.name if own else f"net_{name}"
    _run(store, name, "nimconfig", "-a", f"pif_name={card}", "-a", f"netname={netname}")
    used = dict.fromkeys(cluster.network_of(node.address) for node in clients)
    for network in used:
        if network is not None and network != own:
            argv = ["-a", f"net_addr={network.net}", "-a", f"snm={cluster.mask}", network.name]
            _run(store, name, "nim", "-Fo", "define", "-t", "ent", *argv)


def _define_resource(
    store: MemoryStore, master: str, image: Image, resource: tuple[str, str, tuple[str, ...]]
) -> None:
    type_, name, extra = resource
    base = f"/install/nim/{type_}"
    location = base if type_ == "spot" else f"{base}/{name}"
    attributes = ["server=master", f"location={location}", f"comments={image.name}", *extra]
    argv = [word for attribute in attributes for word in ("-a", attribute)]
    _run(store, master, "nim", "-Fo", "define", "-t", type_, *argv, name)


def _initialise_diskless(store: MemoryStore, master: str, image: Image, node: Node) -> None:
    allowed = catalogue.ALLOCATABLE[DISKLESS]
    wanted = [(t, name) for t, name, _ in image.resources if t in allowed]
    argv = [word for type_, name in wanted for word in ("-a", f"{type_}={name}")]
    _run(store, master, "nim", "-Fo", "dkls_init", *argv, node.name)


def _prepare_client(node: Node, store: MemoryStore) -> None:
    found = store.topology.find(node.master)
    if found is None:
        return
    server, address = found
    if node.nimtype == STANDALONE:
        if store.nim(server) is not None:
            argv = ("-a", f"name={node.name}", "-a", f"master={node.master}")
            _run(store, node.name, "niminit", *argv)
            _run(store, node.name, "nimclient", "-p")
    else:
        values = niminfo.client(node.name, node.name, node.master, store.host(server).cpuid)
        values["NIM_CONFIGURATION"] = DISKLESS
        store.files(node.name).write(niminfo.PATH, niminfo.text(values))
    boot = [f"bserver={address}", f"client={node.address}"]
    gateway = store.topology.find(node.gateway)
    hop = gateway[1] if gateway else node.gateway
    if hop:
        _run(store, node.name, "route", "add", "default", hop)
        boot.append(f"gateway={hop}")
    _run(store, node.name, "bootlist", "-m", "normal", "ent0", *boot)
    xcatinfo = f"XCATSERVER={address}\nREBOOT=TRUE\n"
    store.files(node.name).write("/etc/xcatinfo", xcatinfo)
