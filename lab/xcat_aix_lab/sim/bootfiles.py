"""The files that NIM keeps on its server for a client: boot information and the client's parts.

Formats: docs/facts/nim.md, Client and master set-up; Resource types and files.
"""

from __future__ import annotations

from .define import interfaces_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .nim import NimCall
    from .objects import SimulatedObject

_BANNER = "#------------------ Network Install Manager ---------------\n"
_BOOTPTAB = "/etc/bootptab"


def info_path(call: NimCall, machine: SimulatedObject) -> str:
    """``/tftpboot/<address>.info``."""
    return f"/tftpboot/{_address(call, machine)}.info"


def write_boot_files(call: NimCall, machine: SimulatedObject, configuration: str) -> None:
    """The .info file and the bootptab line of a client that is about to boot."""
    address = _address(call, machine)
    server = _server_name(call)
    held = dict(machine.allocations)
    lines = {
        "NIM_NAME": machine.name,
        "NIM_HOSTNAME": machine.attributes["if1"].split()[1],
        "NIM_CONFIGURATION": machine.type,
        "NIM_MASTER_HOSTNAME": server,
        "NIM_MASTER_PORT": "1058",
        "RC_CONFIG": configuration,
        "NIM_HOSTS": f'" 127.0.0.1:loopback:localhost {address}:{machine.name} "',
    }
    for type_ in ("spot", "root", "shared_root", "paging", "dump"):
        if type_ in held:
            variable = {"shared_root": "NIM_SHARED_ROOT"}.get(type_, type_.upper())
            location = call.db.get(held[type_]).attributes["location"]
            own = f"/{machine.name}" if type_ in ("root", "paging", "dump") else ""
            lines[variable] = f"{server}:{location}{own}"
    text = _BANNER + "".join(f"export {name}={value}\n" for name, value in lines.items())
    call.world.write(f"/tftpboot/{address}.info", text, call.node)
    image = f"{held.get('spot', 'spot')}.chrp.{machine.attributes['netboot_kernel']}.ent"
    mac = machine.attributes["if1"].split()[2]
    hardware = f"ha={mac}:" if mac != "0" else ""
    line = f"{machine.name}:bf=/tftpboot/{address}:ip={address}:ht=ethernet:{hardware}sa={server}:"
    _replace_bootptab(call, machine, line + f"hd=/tftpboot:td={image}:\n")


def remove_boot_files(call: NimCall, machine: SimulatedObject) -> None:
    """Take the .info file and the bootptab line away."""
    if call.world.resolve(machine.attributes["if1"].split()[1]) is not None:
        call.world.store.files(call.node).remove(info_path(call, machine))
    _replace_bootptab(call, machine, "")


def make_client_part(call: NimCall, resource: SimulatedObject, machine: SimulatedObject) -> None:
    """A client's own directory or file below root, paging, dump, tmp or home."""
    place = f"{resource.attributes['location']}/{machine.name}"
    if resource.type == "root":
        call.world.write(f"{place}/etc/hosts", _hosts(call, machine), call.node)
        call.world.write(f"{place}/etc/filesystems", _filesystems(call, machine), call.node)
    else:
        call.world.write(f"{place}/.nim", f"{machine.name}\n", call.node)


def make_client_data(call: NimCall, shared_root: SimulatedObject, machine: SimulatedObject) -> None:
    """A client's files in ``.client_data`` of a shared root."""
    place = f"{shared_root.attributes['location']}/etc/.client_data"
    call.world.write(f"{place}/hosts.{machine.name}", _hosts(call, machine), call.node)
    call.world.write(f"{place}/filesystems.{machine.name}", _filesystems(call, machine), call.node)


def remove_client_part(call: NimCall, resource: SimulatedObject, machine: SimulatedObject) -> None:
    """Delete what :func:`make_client_part` or :func:`make_client_data` made."""
    files = call.world.store.files(call.node)
    location = resource.attributes["location"]
    if resource.type == "shared_root":
        for name in ("hosts", "filesystems"):
            files.remove(f"{location}/etc/.client_data/{name}.{machine.name}")
    else:
        files.remove_below(f"{location}/{machine.name}")


def _address(call: NimCall, machine: SimulatedObject) -> str:
    host = machine.attributes["if1"].split()[1]
    found = call.world.resolve(host)
    return found[1] if found else host


def _server_name(call: NimCall) -> str:
    return next(interfaces_of(call.db.get("master"))).split()[1]


def _hosts(call: NimCall, machine: SimulatedObject) -> str:
    return f"127.0.0.1 loopback localhost\n{_address(call, machine)} {machine.name}\n"


def _filesystems(call: NimCall, machine: SimulatedObject) -> str:
    server = _server_name(call)
    return f"/:\n\tdev = {machine.name}\n\tnodename = {server}\n\tvfs = nfs\n\tmount = automatic\n"


def _replace_bootptab(call: NimCall, machine: SimulatedObject, line: str) -> None:
    old = call.world.read(_BOOTPTAB, call.node) or ""
    kept = [
        text for text in old.splitlines(keepends=True) if text.partition(":")[0] != machine.name
    ]
    new = "".join(kept) + line
    if new != old:
        call.world.write(_BOOTPTAB, new, call.node)
