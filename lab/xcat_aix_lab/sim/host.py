"""What one simulated AIX host knows of itself, apart from its files and its NIM database."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The kinds of host; they decide which commands are installed.
MANAGEMENT, SERVICE, COMPUTE = "mn", "sn", "cn"
_FIELDS = (
    "name", "kind", "hostname", "oslevel", "cpuid", "interfaces", "routes", "filesystems",
    "subsystems", "options", "bootlist", "devices", "dump",
)  # fmt: skip


class SimulatedHost:
    """The state of one host; every field is plain data."""

    __slots__ = _FIELDS

    name: str
    kind: str
    hostname: str
    oslevel: str
    cpuid: str
    #: ``{"name": "en0", "address": …, "mask": …, "mac": …}``
    interfaces: list[dict[str, str]]
    #: ``[destination, gateway, interface]``; destination is ``default`` or ``net/prefix``
    routes: list[list[str]]
    #: ``{"device": …, "mount": …, "mib": size, "free": …}``
    filesystems: list[dict[str, Any]]
    #: name -> ``{"group": …, "pid": 0 when inoperative}``
    subsystems: dict[str, dict[str, Any]]
    #: network options, ``no -o``
    options: dict[str, str]
    #: lines of ``bootlist -m normal -o``
    bootlist: list[str]
    #: name -> ``{"status": …, attributes …}``
    devices: dict[str, dict[str, str]]
    #: ``{"primary": …, "secondary": …}``
    dump: dict[str, str]

    def __init__(self, **fields: Any) -> None:
        for field in _FIELDS:
            setattr(self, field, fields.pop(field))
        if fields:
            raise TypeError(f"a host has no {', '.join(sorted(fields))}")

    def to_json(self) -> dict[str, Any]:
        """Plain data for :meth:`from_json`."""
        return {field: getattr(self, field) for field in _FIELDS}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SimulatedHost:
        """The inverse of :meth:`to_json`."""
        return cls(**data)

    def copy(self) -> SimulatedHost:
        """An independent copy."""
        return SimulatedHost.from_json({field: _copy(getattr(self, field)) for field in _FIELDS})

    def is_active(self, subsystem: str) -> bool:
        """Tell whether a subsystem is there and running."""
        return bool(self.subsystems.get(subsystem, {}).get("pid"))


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copy(inner) for inner in value]
    return value


def new_host(
    name: str, kind: str, interfaces: list[tuple[str, str]], *, number: int, diskless: bool = False
) -> SimulatedHost:
    """A freshly installed host with en0, en1, … at (address, mask); ``number`` makes it unique."""
    cpuid = f"00F6{number:04X}4C00"
    return SimulatedHost(
        name=name,
        kind=kind,
        hostname=name,
        oslevel="7300-02-02-2420",
        cpuid=cpuid,
        interfaces=[
            {"name": f"en{i}", "address": address, "mask": mask, "mac": f"{number:010X}{i:02X}"}
            for i, (address, mask) in enumerate(interfaces)
        ],
        routes=[],
        filesystems=_filesystems(kind, diskless=diskless),
        subsystems=_subsystems(kind),
        options={"ipforwarding": "1" if kind == SERVICE else "0"},
        bootlist=["ent0"] if diskless else ["hdisk0 blv=hd5 pathid=0"],
        devices=_devices(len(interfaces), diskless=diskless),
        dump={"primary": "/dev/sysdumpnull" if diskless else "/dev/lg_dumplv"},
    )


def _filesystems(kind: str, *, diskless: bool) -> list[dict[str, Any]]:
    prefix = "sn:/install/nim" if diskless else "/dev"
    table = [("hd4", "/", 512, 220), ("hd2", "/usr", 4096, 900), ("hd9var", "/var", 1024, 640)]
    table.append(("hd10opt", "/opt", 512, 300))
    if kind == SERVICE:
        table += [("installlv", "/install", 102400, 61440), ("tftplv", "/tftpboot", 2048, 1536)]
    return [
        {"device": f"{prefix}/{device}", "mount": mount, "mib": mib, "free": free}
        for device, mount, mib, free in table
    ]


def _subsystems(kind: str) -> dict[str, dict[str, Any]]:
    table = {"inetd": ("tcpip", 1), "syslogd": ("ras", 2), "xntpd": ("tcpip", 3)}
    if kind == COMPUTE:
        table["nimsh"] = ("nimclient", 4)
    if kind == SERVICE:
        table["bootps"] = ("tcpip", 0)
        table["nfsd"] = ("nfs", 5)
    return {
        name: {"group": group, "pid": 3_000_000 + 256 * order if order else 0}
        for name, (group, order) in table.items()
    }


def _devices(adapters: int, *, diskless: bool) -> dict[str, dict[str, str]]:
    devices = {
        "sys0": {"status": "Available", "realmem": "8388608", "fullcore": "false"},
        "inet0": {"status": "Available", "hostname": ""},
    }
    for i in range(adapters):
        devices[f"ent{i}"] = {"status": "Available", "media_speed": "Auto_Negotiation"}
        devices[f"en{i}"] = {"status": "Available", "state": "up"}
    if not diskless:
        devices["hdisk0"] = {"status": "Available", "size_in_mb": "71687"}
    return devices
