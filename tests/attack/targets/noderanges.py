"""Noderanges over a small cluster: bounded in time, bytes, names and missed names, whatever they say."""

from __future__ import annotations

import random
from pathlib import Path

from tests.attack import grammars
from tests.attack.meter import Bounds, Complaint
from tests.attack.targets import Target
from tests.daemon.noderange import clusters

from xcatd import noderange

#: Names that do not exist are told, but not all of them: twenty, and a word about the rest.
MOST_MISSED = 21

#: Characters that a node's name may have.
LONGEST_NAME = 255

_FILES = {"/names": "node1\nn[01-04]\n#c\n^x\nnode2:x\n/n.*\n" + "nosuch\n" * 50}


class Noderanges(Target):
    """``noderange.expand``; whether the names have to exist follows from the input."""

    allowed = (noderange.NoderangeError,)
    # Python's own calls take several times as long where they cross the end of a piece of its stack.
    bounds = Bounds(seconds=12.0)
    tokens = (
        *(b",", b",-", b"@", b"(", b")", b"[", b"]", b"-", b":", b"+", b"/", b"^", b"=~", b"!=", b"==", b"=", b"~"),
        *(b"n[1-99]", b"[1-199999]", b"/^(a+)+$", b"^/names", b"all", b"compute", b"mgt=~", b"((((((((((", b"@@"),
    )  # fmt: skip
    seeds = tuple(
        text.encode()
        for text in (
            *("all", "node1,node2", "node1-node10", "n[01-04]", "all,-compute", "compute@rack1", "/n0.*"),
            *("mgt=ipmi", "nodetype.arch=~x86", "^/names", "n01+3", "(all,-(n01,n02))@small", "f[1-2]n[1-2]"),
            *("dynx86", "42", "'n01','n02'", "login-1-login-2", "cn-01-a:cn-02-a", "-n01", "groups=~/^st/"),
        )
    )  # fmt: skip

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._world = clusters.world("example", _FILES, excludenodes="n04")

    def generate(self, rng: random.Random) -> bytes:
        return grammars.noderange(rng).encode()

    def run(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        noderange.tables_needed(text, self._world.snapshot, self._world)
        found = noderange.expand(text, self._world, verify=sum(data) % 3 > 0)
        _check(found, len(text))


def _check(found: noderange.Expansion, size: int) -> None:
    if len(found.missed) > MOST_MISSED:
        raise Complaint(f"{len(found.missed)} missed names are kept; {MOST_MISSED} are enough")
    kept = sum(map(len, found.missed))
    if kept > size + MOST_MISSED * LONGEST_NAME:
        raise Complaint(f"{size} characters make {kept} of missed names")
    if len(found.nodes) > len(set(found.nodes)):
        raise Complaint("a node is there twice")
    longest = max(map(len, found.nodes), default=0)
    if longest > LONGEST_NAME:
        raise Complaint(f"a name of {longest} characters cannot be a node's")


TARGET = Noderanges
