"""NIM's fixed lists: classes, types, which operation applies to what and what it needs.

Names from docs/facts/nim.md, nim operations; Resource types and files.  The descriptions are our own words.
"""

from __future__ import annotations

CLASSES = {
    "machines": "machines that NIM installs or boots",
    "resources": "what is needed to install or boot machines",
    "networks": "networks that machines are reached over",
    "management": "hosts that manage machines",
    "groups": "sets of machines or resources",
}
RESOURCES = {
    "lpp_source": "images of optional software products",
    "spot": "shared product object tree: the /usr of network boots",
    "mksysb": "image of an installed system",
    "savevg": "image of a volume group",
    "bosinst_data": "answers for an unattended installation",
    "image_data": "layout of disks and file systems",
    "resolv_conf": "name server settings",
    "script": "shell script run on the client",
    "fb_script": "shell script run at the first boot",
    "adapter_def": "secondary adapter definitions",
    "installp_bundle": "list of filesets",
    "exclude_files": "files left out of an image",
    "fix_bundle": "list of fixes",
    "res_group": "resources allocated together",
    "root": "parent of the clients' / directories",
    "shared_root": "/ directory shared by diskless clients",
    "paging": "parent of the clients' paging files",
    "dump": "parent of the clients' dump files",
    "tmp": "parent of the clients' /tmp directories",
    "home": "parent of the clients' /home directories",
    "shared_home": "/home directory shared by clients",
    "boot": "network boot image",
    "nim_script": "directory of scripts made by NIM",
    "ios_mksysb": "image of an installed Virtual I/O server",
}
MACHINES = {
    "master": "the NIM master",
    "alternate_master": "a second NIM master",
    "standalone": "machine with its own disks",
    "diskless": "machine without disks: all file systems come from the network",
    "dataless": "machine that keeps paging and dump on its own disk",
    "wpar": "workload partition",
}
NETWORKS = {
    "ent": "ethernet",
    "ent6": "ethernet, IPv6",
    "tok": "token ring",
    "fddi": "fiber ring",
    "atm": "asynchronous transfer mode",
    "hfi": "host fabric interface",
    "generic": "any other network",
}
GROUPS = {"mac_group": "group of machines", "res_group": "group of resources"}
TYPES = {"machines": MACHINES, "resources": RESOURCES, "networks": NETWORKS, "groups": GROUPS}

#: A machine may have several of these at once.
REPEATABLE = ("script", "fb_script", "installp_bundle", "savevg")
#: Every client gets its own directory or file below the resource's location.
PER_CLIENT = ("root", "paging", "dump", "tmp", "home")

_DISKLESS_ONLY = ("root", "shared_root", "paging", "dump", "tmp", "home", "shared_home")
_STANDALONE_ONLY = (
    "lpp_source", "mksysb", "savevg", "bosinst_data", "image_data", "script", "fb_script",
    "adapter_def", "installp_bundle", "exclude_files", "fix_bundle", "nim_script",
)  # fmt: skip
_COMMON = ("spot", "boot", "resolv_conf", "res_group")
ALLOCATABLE = {
    "standalone": _STANDALONE_ONLY + _COMMON,
    "diskless": _DISKLESS_ONLY + _COMMON,
    "dataless": _DISKLESS_ONLY + _COMMON,
    "master": (),
    "alternate_master": (),
}
SUBCLASSES = {
    "all": tuple(RESOURCES),
    "bos_res": ("lpp_source", "mksysb", "spot", "bosinst_data", "image_data"),
    "standalone_res": _STANDALONE_ONLY + _COMMON,
    "dkls_res": _DISKLESS_ONLY + _COMMON,
}

#: operation -> (description, required attributes, optional attributes)
OPERATIONS = {
    "allocate": ("give resources to a machine", (), tuple(RESOURCES)),
    "bos_inst": ("enable an installation", ("spot",), ("lpp_source", "source", "boot_client")),
    "change": ("change attributes", (), ()),
    "check": ("check and repair the state", (), ("debug",)),
    "cust": ("install software", ("lpp_source",), ("filesets", "installp_bundle")),
    "deallocate": ("take resources from a machine", (), ("subclass", *RESOURCES)),
    "define": ("make an object", ("server", "location"), ("source", "comments")),
    "dkls_init": ("enable a diskless boot", ("spot", "paging"), ("root", "shared_root", "dump")),
    "dtls_init": ("enable a dataless boot", ("spot", "root"), ("tmp", "home")),
    "remove": ("take an object away", (), ("rm_image",)),
    "reset": ("make an object ready again", (), ("force",)),
    "sync_roots": ("bring client roots in line with a SPOT", (), ("num_parallel",)),
    "unconfig": ("end being a NIM master", (), ()),
    "update": ("add or remove images", ("packages",), ("source", "rm_images")),
}
APPLICABLE = {
    "master": ("change", "check", "cust", "reset", "unconfig"),
    "standalone": ("allocate", "bos_inst", "change", "check", "cust", "deallocate", "remove",
                   "reset"),
    "diskless": ("allocate", "change", "check", "deallocate", "dkls_init", "remove", "reset"),
    "dataless": ("allocate", "change", "check", "deallocate", "dtls_init", "remove", "reset"),
    "lpp_source": ("change", "check", "remove", "reset", "update"),
    "spot": ("change", "check", "cust", "remove", "reset", "sync_roots"),
}  # fmt: skip
OTHER_APPLICABLE = ("change", "check", "remove", "reset")


def class_of(type_: str) -> str | None:
    """The class that a type belongs to."""
    for cls, types in TYPES.items():
        if type_ in types:
            return cls
    return None
