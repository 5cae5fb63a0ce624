"""The system resource controller (docs/facts/aix.md, The System Resource Controller)."""

from __future__ import annotations

from . import flags
from .messages import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import SimulatedHost
    from .world import World

_HEADER = "Subsystem         Group            PID          Status \n"


def lssrc(args: list[str], world: World) -> str:
    """``lssrc -s NAME``, ``-g GROUP`` or ``-a``."""
    options, _ = flags.parse("lssrc", args, "as:g:")
    table = world.host.subsystems
    names = list(table) if ("a", "") in options else _chosen(world.host, options)
    return _HEADER + "".join(
        _line(name, table[name]["group"], table[name]["pid"]) for name in names
    )


def _line(name: str, group: str, pid: int) -> str:
    status = "active" if pid else "inoperative"
    return f" {name:<16} {group:<16} {pid or '':<12} {status}\n"


def _chosen(host: SimulatedHost, options: list[tuple[str, str]]) -> list[str]:
    values = dict(options)
    if "s" in values:
        name = values["s"]
        if name not in host.subsystems:
            raise CommandError(1, f"0513-085 The {name} Subsystem is not on file.\n")
        return [name]
    if "g" in values:
        names = [name for name, entry in host.subsystems.items() if entry["group"] == values["g"]]
        if not names:
            raise CommandError(1, f"0513-086 The {values['g']} Group is not on file.\n")
        return names
    raise CommandError(1, "0513-007 -s, -g or -a is needed.\n")


def startsrc(args: list[str], world: World) -> str:
    """Start one subsystem or a group."""
    options, _ = flags.parse("startsrc", args, "s:g:a:e:")
    host = world.edit_host()
    text = ""
    for name in _chosen(host, options):
        entry = host.subsystems[name]
        if entry["pid"]:
            raise CommandError(1, f"0513-029 The {name} Subsystem is already active.\n", text)
        entry["pid"] = 8_000_000 + 256 * list(host.subsystems).index(name)
        text += (
            f"0513-059 The {name} Subsystem has been started. Subsystem PID is {entry['pid']}.\n"
        )
    return text


def stopsrc(args: list[str], world: World) -> str:
    """Stop one subsystem or a group."""
    options, _ = flags.parse("stopsrc", args, "s:g:fc")
    host = world.edit_host()
    text = ""
    for name in _chosen(host, options):
        if not host.subsystems[name]["pid"]:
            raise CommandError(1, f"0513-004 The Subsystem {name} is not currently active.\n", text)
        host.subsystems[name]["pid"] = 0
        text += f"0513-044 The {name} Subsystem was requested to stop.\n"
    return text


def mkssys(args: list[str], world: World) -> str:
    """Add a subsystem."""
    values = dict(flags.parse("mkssys", args, "s:p:a:u:Sn:f:RQG:o:e:i:t:dDqOKE:w:")[0])
    name = values.get("s")
    if not name or not values.get("p"):
        raise CommandError(1, "0513-007 -s and -p are needed.\n")
    host = world.edit_host()
    if name in host.subsystems:
        raise CommandError(1, f"0513-009 The {name} Subsystem already exists.\n")
    host.subsystems[name] = {"group": values.get("G", ""), "pid": 0, "program": values["p"]}
    return f"0513-071 The {name} Subsystem has been added.\n"


def chssys(args: list[str], world: World) -> str:
    """Change a subsystem."""
    options, _ = flags.parse("chssys", args, "s:p:a:u:Sn:f:RQG:o:e:i:t:dDqOKE:w:")
    values = dict(options)
    host = world.edit_host()
    for name in _chosen(host, options):
        if "p" in values:
            host.subsystems[name]["program"] = values["p"]
        if "G" in values:
            host.subsystems[name]["group"] = values["G"]
    return "0513-077 Subsystem has been changed.\n"


def rmssys(args: list[str], world: World) -> str:
    """Take a subsystem away."""
    options, _ = flags.parse("rmssys", args, "s:")
    host = world.edit_host()
    for name in _chosen(host, options):
        del host.subsystems[name]
    return "0513-083 Subsystem has been Deleted.\n"
