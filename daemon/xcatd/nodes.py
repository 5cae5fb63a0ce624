"""Nodes of a request: noderange expansion over the database, plugin order, and routing values.

Glue between :mod:`xcatd.noderange` (pure) and the database.
Facts: specs/noderange.md; specs/wire-protocol.md, section 6.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from xcatd import noderange
from xcatd.noderange import Expansion
from xcatd.objects import mapping, reader
from xcatd.rights import ALL, Rights

if TYPE_CHECKING:
    from .db.database import Database
    from .db.snapshot import Snapshot

_FILE_SIZE = 16 << 20

__all__ = ["Expansion", "Route", "expand", "in_plugin_order"]


def read_file(path: str) -> str | None:
    """A noderange file; None for what is no regular file, or larger than anybody's list of nodes."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            data = file.read(_FILE_SIZE + 1)
    except OSError:
        return None
    finally:
        os.close(fd)
    return None if len(data) > _FILE_SIZE else data.decode("utf-8", "surrogateescape")


def expand(
    database: Database,
    text: str,
    *,
    verify: bool = True,
    snapshot: Snapshot | None = None,
    environ: Mapping[str, str] | None = None,
    rights: Rights = ALL,
) -> Expansion:
    """Expand a noderange; reads the tables it needs once, unless a snapshot holds them all.

    ``environ`` has the node prefix and suffix; ``rights`` say whether ``^file`` is read and secrets may be selected
    by, and which nodes may be named.  Raises :class:`xcatd.noderange.NoderangeError`.
    """
    needed = noderange.tables_needed(text)
    if snapshot is None or not _holds(snapshot, needed):
        snapshot = database.read(needed)
    files = read_file if rights.reads_files else None
    needed |= noderange.tables_needed(text, snapshot, noderange.World(snapshot, read_file=files))
    if asked := noderange.dynamic_attributes(snapshot):
        needed |= mapping.tables(("node",), asked)
    if not _holds(snapshot, needed):
        snapshot = database.read(needed)
    variables = environ or {}
    world = noderange.World(
        snapshot,
        attribute=reader.attribute_lookup(snapshot) if asked else None,
        read_file=files,
        prefix=variables.get("XCAT_NODE_PREFIX", "node"),
        suffix=variables.get("XCAT_NODE_SUFFIX", ""),
        with_secrets=rights.is_unrestricted,
    )
    expansion = noderange.expand(text, world, verify=verify)
    if (refusal := rights.refusal(expansion.nodes)) is not None:
        raise noderange.NoderangeError(refusal)
    return expansion


def _holds(snapshot: Snapshot, tables: set[str]) -> bool:
    if tables <= snapshot.tables:
        return True
    try:  # a whole database given as plain data has every table, named or not
        for table in tables:
            snapshot.rows(table)
    except LookupError:
        return False
    return True


def _first_number(name: str) -> int:
    match = re.search(r"[0-9]+", name)
    return int(match.group()) if match else -1


def in_plugin_order(names: Iterable[str]) -> tuple[str, ...]:
    """Each node once, by the first number in its name, then by name."""
    return tuple(sorted(set(names), key=lambda name: (_first_number(name), name)))


class Route:
    """What the choice of plugins looks at (:class:`xcatd.plugins.NodeRoute`)."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def site(self) -> Mapping[str, str]:
        """The site table."""
        return self._snapshot.site

    def lookup(
        self, table: str, columns: Sequence[str], nodes: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Effective values: node to column to text."""
        found = self._snapshot.values(table, columns, nodes)
        return {
            node: {column: value.text for column, value in row.items()}
            for node, row in found.items()
        }
