"""``oslevel`` and ``df``."""

from __future__ import annotations

from . import flags
from .messages import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .host import SimulatedHost
    from .world import World


def oslevel(args: list[str], world: World) -> str:
    """Plain: version; ``-r`` with technology level; ``-s`` with service pack."""
    options, _ = flags.parse("oslevel", args, "rs")
    level = world.host.oslevel
    if ("s", "") in options:
        return f"{level}\n"
    if ("r", "") in options:
        return "-".join(level.split("-")[:2]) + "\n"
    version = level.partition("-")[0]
    return ".".join(version) + "\n"


def df(args: list[str], world: World) -> str:
    """``df -m [DIRECTORY…]``; sizes in MiB with two decimals."""
    options, paths = flags.parse("df", args, "mMkgIi")
    unit, divisor = ("MB", 1.0) if ("m", "") in options else ("512", 1 / 2048)
    full = world.store.faults(world.node).disk_full
    header = f"Filesystem    {unit} blocks      Free %Used    Iused %Iused Mounted on\n"
    chosen = [_holding(world.host, path) for path in paths] or world.host.filesystems
    return header + "".join(_line(entry, divisor, full=full) for entry in chosen)


def _holding(host: SimulatedHost, path: str) -> dict[str, Any]:
    if not path.startswith("/"):
        raise CommandError(1, f"df: {path}: A file or directory in the path name does not exist.\n")
    fitting = [e for e in host.filesystems if f"{path}/".startswith(e["mount"].rstrip("/") + "/")]
    return max(fitting, key=lambda entry: len(entry["mount"]))


def _line(entry: dict[str, Any], divisor: float, *, full: bool) -> str:
    size, free = entry["mib"], 0 if full else entry["free"]
    used = round(100 * (size - free) / size)
    blocks, left = size / divisor, free / divisor
    return (
        f"{entry['device']:<14} {blocks:>10.2f} {left:>9.2f} {used:>4}% "
        f"{40 * (size - free) // 16 + 9:>8} {max(1, used // 4):>5}% {entry['mount']}\n"
    )
