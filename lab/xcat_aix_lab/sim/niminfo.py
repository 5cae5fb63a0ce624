"""``/etc/niminfo``: what a host keeps about its place in NIM (docs/facts/nim.md, The file niminfo)."""

from __future__ import annotations

PATH = "/etc/niminfo"
_BANNER = "#------------------ Network Install Manager ---------------\n"
_WARNING = "# warning - this file contains NIM configuration information\n"
_QUOTED = ("NIM_SHELL", "NIM_MOUNTS", "NIM_HOSTS")


def client(name: str, hostname: str, master: str, master_id: str) -> dict[str, str]:
    """The variables of a standalone client of ``master``."""
    return {
        "NIM_NAME": name,
        "NIM_HOSTNAME": hostname,
        "NIM_CONFIGURATION": "standalone",
        "NIM_MASTER_HOSTNAME": master,
        "NIM_MASTER_PORT": "1058",
        "NIM_REGISTRATION_PORT": "1059",
        "NIM_SHELL": "nimsh",
        "NIM_MASTERID": master_id,
        "NIM_LICENSE_ACCEPT": "yes",
        "NIM_MOUNTS": "",
    }


def master(hostname: str) -> dict[str, str]:
    """The variables of a master."""
    return {
        "NIM_NAME": "master",
        "NIM_CONFIGURATION": "master",
        "NIM_MASTER_HOSTNAME": hostname,
        "NIM_MASTER_PORT": "1058",
        "NIM_REGISTRATION_PORT": "1059",
    }


def text(values: dict[str, str]) -> str:
    """The file."""
    lines = [
        f'export {name}="{value}"\n' if name in _QUOTED else f"export {name}={value}\n"
        for name, value in values.items()
    ]
    return _BANNER + _WARNING + "".join(lines)


def parse(content: str) -> dict[str, str]:
    """The inverse of :func:`text`; lines that are no assignment are passed over."""
    values = {}
    for line in content.splitlines():
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        if sign and not name.startswith("#"):
            values[name] = value.strip("\"'")
    return values
