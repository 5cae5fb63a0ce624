"""The network boot of a diskless node: what it finds on its boot server, it is afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xcat_aix_lab.cluster import DISKLESS
from xcat_aix_lab.sim import niminfo
from xcat_aix_lab.sim.objects import DISKLESS_ENABLED

if TYPE_CHECKING:
    from xcat_aix_lab.sim.store import Store


class CannotBoot(Exception):
    """The node gets no boot image; the message says why."""


def netboot(store: Store, node: str, address: str, server: str) -> None:
    """Boot ``node`` at ``address`` from ``server``, a name or address; raises :class:`CannotBoot`."""
    found = store.topology.find(server)
    if found is None:
        raise CannotBoot(f"cannot boot {node}: nobody knows a server {server!r}")
    master, master_address = found
    with store.lock(node):
        values = _boot_information(store, node, address, master)
        files = store.files(node)
        files.write(niminfo.PATH, niminfo.text(_own(values, node)))
        files.write("/etc/xcatinfo", f"XCATSERVER={master_address}\n")
        host = store.host(node).copy()
        gateway = ["default", master_address, host.interfaces[0]["name"]]
        host.routes = [route for route in host.routes if route[0] != "default"] + [gateway]
        host.bootlist = [f"ent0 bserver={master_address} client={address} gateway={master_address}"]
        store.save_host(host)


def _boot_information(store: Store, node: str, address: str, master: str) -> dict[str, str]:
    if store.faults(master).down:
        raise CannotBoot(f"cannot boot {node}: {master} does not answer")
    database = store.nim(master)
    machine = database.objects.get(node) if database else None
    if machine is None or machine.attributes.get("Cstate") != DISKLESS_ENABLED:
        raise CannotBoot(f"cannot boot {node}: it is not initialised on {master} (mkdsklsnode)")
    text = store.files(master).read(f"/tftpboot/{address}.info")
    if text is None:
        raise CannotBoot(f"cannot boot {node}: {master} has no /tftpboot/{address}.info")
    return niminfo.parse(text)


def _own(values: dict[str, str], node: str) -> dict[str, str]:
    """The /etc/niminfo that a booted client has."""
    own = niminfo.client(node, node, values["NIM_MASTER_HOSTNAME"], "")
    return {**own, "NIM_CONFIGURATION": DISKLESS}
