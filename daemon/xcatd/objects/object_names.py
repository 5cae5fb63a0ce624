"""Which names objects may have (docs/facts/object-commands.md, mkdef).

Pure.  Must not: know which objects exist.
"""

from __future__ import annotations

import ipaddress
import re

from xcatd import noderange
from xcatd.db import schema
from xcatd.db.snapshot import Snapshot

_NODE = re.compile(r"[a-zA-Z0-9_-]+")

_NOWHERE = noderange.Cluster(Snapshot.from_rows({}))


def is_valid(kind: str, name: str) -> bool:
    """Whether an object of this type may have the name; types other than node and group take any.

    A group's name must not mean several names, or another one, as a noderange.  Beyond xCAT's rule, no name begins
    with a dash, which makes it an option, and groups' names have no signs of a shell or a path.
    """
    if kind in {"node", "group"} and not schema.is_key(name):
        return False
    match kind:
        case "node":
            return _NODE.fullmatch(name) is not None or _is_address(name)
        case "group":
            return _is_own_range(name)
        case _:
            return True


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _is_own_range(name: str) -> bool:
    try:
        return noderange.expand(name, _NOWHERE, verify=False).nodes == (name,)
    except noderange.NoderangeError:
        return False
