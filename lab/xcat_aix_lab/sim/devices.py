"""``bootlist``, ``lsattr``, ``mkdev``, ``sysdumpdev`` and NIM's methods for the dump device."""

from __future__ import annotations

from . import flags, messages
from .messages import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import SimulatedHost
    from .world import World


def bootlist(args: list[str], world: World) -> str:
    """``bootlist -m normal ent0 bserver=… client=… gateway=…``; ``-o`` prints the list."""
    options, words = flags.parse("bootlist", args, "m:oi")
    if dict(options).get("m") not in ("normal", "service", "both"):
        raise CommandError(1, "bootlist: 0514-210 -m normal, service or both is needed\n")
    if words:
        entries = _entries(world.host, words)
        world.edit_host().bootlist = entries
    if ("o", "") in options:
        return "".join(f"{entry}\n" for entry in world.host.bootlist)
    return ""


def _entries(host: SimulatedHost, words: list[str]) -> list[str]:
    entries: list[str] = []
    for word in words:
        if "=" not in word:
            if word not in host.devices:
                raise CommandError(1, f"bootlist: 0514-221 Unable to find device {word}.\n")
            entries.append(f"{word} blv=hd5 pathid=0" if word.startswith("hdisk") else word)
        elif not entries or word.partition("=")[0] not in (
            "bserver",
            "client",
            "gateway",
            "hardware",
        ):
            raise CommandError(1, f"bootlist: 0514-219 Invalid attribute {word}.\n")
        else:
            entries[-1] += f" {word}"
    return entries


def lsattr(args: list[str], world: World) -> str:
    """``lsattr -El DEVICE [-a ATTRIBUTE]``."""
    options, _ = flags.parse("lsattr", args, "EDl:a:F:H")
    values = dict(options)
    name = values.get("l", "")
    device = world.host.devices.get(name)
    if device is None:
        raise CommandError(1, _no_device("lsattr", name))
    wanted = [value for letter, value in options if letter == "a"]
    for attribute in wanted:
        if attribute not in device:
            text = f"lsattr: 0514-528 The attribute {attribute} does not exist in the list.\n"
            raise CommandError(1, text)
    shown = {n: v for n, v in device.items() if n != "status" and (not wanted or n in wanted)}
    if values.get("F") == "value":
        return "".join(f"{value}\n" for value in shown.values())
    return "".join(f"{n:<15} {v:<16} attribute of {name} True\n" for n, v in shown.items())


def _no_device(command: str, name: str) -> str:
    return (
        f"{command}: 0514-519 The following device was not found in the customized\n"
        f"\tdevice configuration database:\n\t{name}\n"
    )


def mkdev(args: list[str], world: World) -> str:
    """``mkdev -l DEVICE``: make a known device available."""
    options, _ = flags.parse("mkdev", args, "l:a:")
    name = dict(options).get("l", "")
    if name not in world.host.devices:
        raise CommandError(1, _no_device("mkdev", name))
    world.edit_host().devices[name]["status"] = "Available"
    return f"{name} Available\n"


def sysdumpdev(args: list[str], world: World) -> str:
    """``sysdumpdev -l`` and ``sysdumpdev [-P] -p DEVICE``."""
    options, _ = flags.parse("sysdumpdev", args, "lp:s:P")
    values = dict(options)
    for letter, which in (("p", "primary"), ("s", "secondary")):
        if letter in values:
            _set_dump_device(world, which, values[letter])
    dump = world.host.dump
    return (
        f"primary              {dump['primary']}\n"
        f"secondary            {dump.get('secondary', '/dev/sysdumpnull')}\n"
        "copy directory       /var/adm/ras\n"
        "forced copy flag     TRUE\n"
        "always allow dump    FALSE\n"
        "dump compression     ON\n"
        "type of dump         traditional\n"
    )


def _set_dump_device(world: World, which: str, path: str) -> None:
    name = path.removeprefix("/dev/")
    available = world.host.devices.get(name, {}).get("status") == "Available"
    if not available and not path.startswith(("/dev/lg_", "/dev/hd6", "/dev/sysdumpnull")):
        raise CommandError(1, f"sysdumpdev: 0453-009 {path} is not a valid dump device.\n")
    world.edit_host().dump[which] = path


# The methods that NIM brings for an iSCSI dump target


def c_disc_target(args: list[str], world: World) -> str:
    """Discover the disk of an iSCSI target and print its name."""
    given = _method("c_disc_target", args, ("operation", "target", "dump_port", "ipaddr", "lun_id"))
    _reach(world, given["ipaddr"], "c_disc_target")
    host = world.edit_host()
    for name, device in host.devices.items():
        if (device.get("target"), device.get("lun")) == (given["target"], given["lun_id"]):
            device["server"] = given["ipaddr"]
            return f"{name}\n"
    number = sum(name.startswith("hdisk") for name in host.devices)
    host.devices[f"hdisk{number}"] = {
        "status": "Defined",
        "target": given["target"],
        "lun": given["lun_id"],
        "server": given["ipaddr"],
    }
    return f"hdisk{number}\n"


def c_config_dump(args: list[str], world: World) -> str:
    """Configure how the dump is taken."""
    wanted = ("configdump", "target", "dump_port", "ipaddr", "lun_id")
    given = _method("c_config_dump", args, wanted)
    _reach(world, given["ipaddr"], "c_config_dump")
    if given["configdump"] not in ("selective", "full", "none"):
        text = f'"{given["configdump"]}" is not a valid configdump value'
        raise messages.NimError(messages.BAD_VALUE, "c_config_dump", text)
    world.edit_host().dump["configdump"] = given["configdump"]
    return ""


def _method(command: str, args: list[str], required: tuple[str, ...]) -> dict[str, str]:
    options, _ = flags.parse(command, args, "a:")
    given = dict(flags.attributes(command, options))
    for attribute in required:
        if not given.get(attribute):
            text = f'the "{attribute}" attribute is required for this operation'
            raise messages.NimError(messages.REQUIRED, command, text)
    return given


def _reach(world: World, address: str, method: str) -> None:
    found = world.resolve(address)
    if found is None or not world.is_up(found[0]):
        raise messages.NimError(messages.CONNECT, method, f"unable to reach {address}")
