"""Which commands a simulated host has, and the module of each, loaded when it is run."""

from __future__ import annotations

import importlib

from .host import MANAGEMENT, SERVICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .world import World

    Command = Callable[[list[str], World], str]

_MASTER = {
    "lsnim": "lsnim:lsnim",
    "nim": "nim:nim",
    "nimconfig": "master:nimconfig",
    "nim_master_setup": "master:nim_master_setup",
}
_EVERYWHERE = {
    "niminit": "client:niminit",
    "nimclient": "client:nimclient",
    "ifconfig": "network:ifconfig",
    "netstat": "network:netstat",
    "route": "network:route",
    "hostname": "network:hostname",
    "no": "network:no",
    "oslevel": "system:oslevel",
    "df": "system:df",
    "bootlist": "devices:bootlist",
    "lsattr": "devices:lsattr",
    "mkdev": "devices:mkdev",
    "sysdumpdev": "devices:sysdumpdev",
    "c_disc_target": "devices:c_disc_target",
    "c_config_dump": "devices:c_config_dump",
    "lssrc": "subsystems:lssrc",
    "startsrc": "subsystems:startsrc",
    "stopsrc": "subsystems:stopsrc",
    "mkssys": "subsystems:mkssys",
    "chssys": "subsystems:chssys",
    "rmssys": "subsystems:rmssys",
}


def names(kind: str) -> list[str]:
    """The commands that a kind of host has; only masters have the filesets of a master."""
    return sorted(_EVERYWHERE | _MASTER if kind in (SERVICE, MANAGEMENT) else _EVERYWHERE)


def find(name: str, kind: str) -> Command | None:
    """The function of a command, or None where it is not installed."""
    place = _EVERYWHERE.get(name)
    if place is None and kind in (SERVICE, MANAGEMENT):
        place = _MASTER.get(name)
    if place is None:
        return None
    module, _, function = place.partition(":")
    command: Command = getattr(importlib.import_module(f".{module}", __package__), function)
    return command


def operation_of(args: list[str]) -> str | None:
    """What faults call the operation: the word after ``-o``, else the first flag's letter."""
    for word, following in zip(args, [*args[1:], ""], strict=False):
        if word.startswith("-") and word.endswith("o"):
            return following or None
        if word.startswith("-o"):
            return word[2:]
    first = next((word for word in args if word.startswith("-") and len(word) > 1), "-")
    return first[1:2] or None
