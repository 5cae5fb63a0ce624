"""Bring a cluster's simulated hosts to the state of one that runs well.

Everything is done by the simulated commands themselves, so that the state is one they can reach.
"""

from __future__ import annotations

from xcat_aix_lab.cluster import DISKLESS, MASK, STANDALONE, Cluster, Image, Node, mac
from xcat_aix_lab.sim import niminfo
from xcat_aix_lab.sim.execute import execute
from xcat_aix_lab.sim.files import MemoryFiles
from xcat_aix_lab.sim.host import new_host
from xcat_aix_lab.sim.store import DirectoryStore, MemoryStore


def prepare(cluster: Cluster) -> MemoryStore:
    """All hosts and NIM databases, in memory: every SN is ready for every compute node."""
    store = MemoryStore(cluster.topology())
    for number, node in enumerate(cluster.nodes.values()):
        interfaces = [(interface.address, MASK) for interface in node.interfaces]
        store.save_host(
            new_host(
                node.name, node.kind, interfaces, number=number, diskless=node.nimtype == DISKLESS
            )
        )
    numbers = {name: number for number, name in enumerate(cluster.nodes)}
    for service_node in cluster.of_kind("sn"):
        _prepare_master(cluster, service_node, store, numbers)
    for node in cluster.of_kind("cn"):
        _prepare_client(cluster, node, store)
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
    _run(store, name, "nimconfig", "-a", "pif_name=en1", "-a", "netname=master_net")
    defined: set[str] = set()
    for image in cluster.images:
        for type_, resource, extra in image.resources:
            if resource not in defined:
                _define_resource(store, name, image, (type_, resource, extra))
                defined.add(resource)
    images = {image.nimtype: image for image in cluster.images}
    for node in cluster.of_kind("cn"):
        interface = f"if1=find_net {node.name} {mac(numbers[node.name])} ent0"
        argv = ["-a", interface, "-a", "cable_type1=N/A", "-a", "netboot_kernel=64", node.name]
        _run(store, name, "nim", "-Fo", "define", "-t", node.nimtype, *argv)
        if node.nimtype == DISKLESS:
            _initialise_diskless(store, name, images[DISKLESS], node)


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
    wanted = [(t, name) for t, name, _ in image.resources if t != "lpp_source"]
    argv = [word for type_, name in wanted for word in ("-a", f"{type_}={name}")]
    _run(store, master, "nim", "-Fo", "dkls_init", *argv, node.name)


def _prepare_client(cluster: Cluster, node: Node, store: MemoryStore) -> None:
    server = cluster.nodes[node.service_nodes[0]].facing_nodes
    if node.nimtype == STANDALONE:
        _run(store, node.name, "niminit", "-a", f"name={node.name}", "-a", f"master={server.name}")
        _run(store, node.name, "nimclient", "-p")
    else:
        values = niminfo.client(
            node.name, node.name, server.name, store.host(node.service_nodes[0]).cpuid
        )
        values["NIM_CONFIGURATION"] = DISKLESS
        store.files(node.name).write(niminfo.PATH, niminfo.text(values))
    _run(store, node.name, "route", "add", "default", server.address)
    boot = [f"bserver={server.address}", f"client={node.address}", f"gateway={server.address}"]
    _run(store, node.name, "bootlist", "-m", "normal", "ent0", *boot)
    xcatinfo = f"XCATSERVER={server.address}\nREBOOT=TRUE\n"
    store.files(node.name).write("/etc/xcatinfo", xcatinfo)
