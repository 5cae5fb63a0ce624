"""The argv of every NIM and AIX command the agent runs.

Owns: words and their order (docs/facts/nim.md, lsnim; Client and master set-up; docs/facts/aix.md, Routes;
Boot list; Dump device).  Must not: run them.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

from xcat_aix_proto.operations import SetBootlist, SetDumpDevice

Argv = List[str]

#: Bytes of names in one ``lsnim -l``: well below the smallest ARG_MAX of AIX (24 KiB).
_BATCH = 16 * 1024


def lsnim() -> Argv:
    """All objects, one line each."""
    return ["lsnim"]


def lsnim_long(names: Sequence[str]) -> Argv:
    """The stanzas of several objects."""
    return ["lsnim", "-l", *names]


def batches(names: Sequence[str]) -> Tuple[Tuple[str, ...], ...]:
    """``names`` in as few portions as fit into an argument list."""
    found: List[List[str]] = []
    size = _BATCH
    for name in names:
        size += len(name) + 1
        if size > _BATCH:
            found.append([])
            size = len(name) + 1
        found[-1].append(name)
    return tuple(map(tuple, found))


def niminit(name: str, master: str) -> Argv:
    """The rebuild form: writes /etc/niminfo and registers nothing."""
    return ["niminit", "-a", f"name={name}", "-a", f"master={master}"]


def allow_push() -> Argv:
    """Let the master push."""
    return ["nimclient", "-p"]


def ask_master(name: str) -> Argv:
    """``lsnim -l <name>`` on the master, asked by its client."""
    return ["nimclient", "-l", "-l", name]


def change_default_route(gateway: str) -> Argv:
    """Replace the default gateway."""
    return ["route", "change", "default", gateway]


def set_bootlist(device: str, wanted: SetBootlist) -> Argv:
    """Network boot over ``device``."""
    words = ["bootlist", "-m", "normal", device]
    if wanted.gateway is not None:
        words.append(f"gateway={wanted.gateway}")
    return [*words, f"bserver={wanted.server}", f"client={wanted.client}"]


def show_bootlist() -> Argv:
    """The boot list of the normal mode."""
    return ["bootlist", "-m", "normal", "-o"]


def discover_dump(wanted: SetDumpDevice) -> Argv:
    """Find the disk of an iSCSI dump target; prints its name."""
    return ["c_disc_target", "-a", "operation=discover", *_dump_target(wanted)]


def configure_dump(wanted: SetDumpDevice) -> Argv:
    """Say how the dump is taken."""
    return ["c_config_dump", "-a", f"configdump={wanted.configdump}", *_dump_target(wanted)]


def _dump_target(wanted: SetDumpDevice) -> Argv:
    attributes = {
        "target": wanted.target,
        "dump_port": str(wanted.port),
        "ipaddr": wanted.server,
        "lun_id": wanted.lun,
    }
    return [word for name, value in attributes.items() for word in ("-a", f"{name}={value}")]


def make_device_available(disk: str) -> Argv:
    """Configure a known device."""
    return ["mkdev", "-l", disk]


def set_dump_device(disk: str) -> Argv:
    """Make a disk the primary dump device until the next boot."""
    return ["sysdumpdev", "-p", f"/dev/{disk}"]


def show_routes() -> Argv:
    """The routing table, numeric."""
    return ["netstat", "-rn"]


def show_interfaces() -> Argv:
    """The interfaces with their addresses, numeric."""
    return ["netstat", "-in"]


def show_addresses() -> Argv:
    """The interfaces with addresses and netmasks."""
    return ["ifconfig", "-a"]


def show_os_level() -> Argv:
    """``7300-02-02-2420``."""
    return ["oslevel", "-s"]


def show_hostname() -> Argv:
    """The host name; never with options, some of which set it."""
    return ["hostname"]


def show_space() -> Argv:
    """Free space of all file systems in MiB."""
    return ["df", "-m"]
