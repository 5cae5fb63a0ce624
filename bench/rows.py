"""The rows of a cluster of any size: AIX nodes served by sn1, with sn2 as the backup.

About 25 attributes each: some in the node's own rows, some inherited from its groups, two of them as expressions over
its name, as an administrator of many nodes has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Row = dict[str, str]

#: Rows of groups: what all their nodes inherit.
_GROUPS: Mapping[str, Row] = {
    "nodehm": {"node": "compute", "power": "hmc", "mgt": "hmc", "getmac": "hmc"},
    "noderes": {
        "node": "compute",
        "netboot": "nimol",
        "primarynic": "en0",
        "installnic": "en0",
        "nameservers": "<xcatmaster>",
    },
    "postscripts": {"node": "compute", "postscripts": "setupntp,configrmcnode"},
    "ppc": {"node": "compute", "hcp": r"|\D+(\d+)|hmc((($1-1)/200)+1)|", "pprofile": "normal"},
    "nodepos": {"node": "compute", "rack": r"|\D+(\d+)|rack((($1-1)/40)+1)|"},
}


def fixed(settings: Mapping[str, str]) -> dict[str, list[Row]]:
    """Everything that is not about single compute nodes."""
    rows: dict[str, list[Row]] = {
        "site": [{"key": key, "value": value} for key, value in settings.items()],
        "policy": [{"priority": "1", "name": "root", "rule": "allow"}],
        "nodelist": [{"node": sn, "groups": "service,all"} for sn in ("sn1", "sn2")],
        "hosts": [
            {"node": sn, "ip": f"127.90.255.{i}", "otherinterfaces": f"{sn}b:127.91.255.{i}"}
            for i, sn in enumerate(("sn1", "sn2"), 1)
        ],
        "networks": [
            {
                "netname": "nodes",
                "net": "127.91.0.0",
                "mask": "255.255.0.0",
                "gateway": "<xcatmaster>",
            }
        ],
        "osimage": [{"imagename": "aix73", "imagetype": "NIM", "osname": "AIX"}],
        "nimimage": [{"imagename": "aix73", "nimtype": "standalone", "spot": "aix73"}],
    }
    for table, row in _GROUPS.items():
        rows.setdefault(table, []).append(dict(row))
    rows["postscripts"].append({"node": "xcatdefaults", "postscripts": "syslog,aixremoteshell"})
    return rows


def of_nodes(count: int) -> Iterator[tuple[str, Row]]:
    """The own rows of nodes n00001, n00002, …: table and row."""
    for number in range(count):
        for table, row in _of_node(number):
            yield table, {"node": f"n{number + 1:05d}", **row}


def _of_node(number: int) -> Iterator[tuple[str, Row]]:
    yield (
        "nodelist",
        {
            "groups": f"compute,aix,frame{number // 40 + 1},all",
            "status": "booted",
            "statustime": "11-23-2026 04:00:00",
            "updatestatus": "synced",
        },
    )
    yield (
        "hosts",
        {
            "ip": f"127.91.{number // 250}.{number % 250 + 1}",
            "otherinterfaces": f"-hf0:127.92.{number // 250}.{number % 250 + 1}",
        },
    )
    yield "nodetype", {"os": "AIX", "arch": "ppc64", "provmethod": "aix73", "profile": "aix73"}
    yield (
        "noderes",
        {
            "servicenode": "sn1,sn2",
            "xcatmaster": "sn1b",
            "nfsserver": "sn1b",
            "tftpserver": "sn1b",
            "monserver": "sn1,sn1b",
        },
    )
    yield "nodehm", {"cons": "hmc", "conserver": "sn1"}
    yield "mac", {"mac": f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"}
    yield "vpd", {"serial": f"S{number:06d}", "mtm": "9009-42A"}
    yield "ppc", {"id": str(number % 200 + 1), "parent": f"cec{number // 8 + 1}"}
