"""Nodes of a request: noderange expansion over the database, plugin order, and routing values.

Glue between :mod:`xcatd.noderange` (pure) and the database.
Facts: specs/noderange.md; specs/wire-protocol.md, section 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from . import noderange
from .noderange import Expansion

if TYPE_CHECKING:
    from .db.database import Database
    from .db.snapshot import Snapshot

__all__ = ["Expansion", "Route", "expand", "in_plugin_order"]


def expand(
    database: Database, text: str, *, verify: bool = True, snapshot: Snapshot | None = None
) -> Expansion:
    """Expand a noderange; reads the tables it needs once, unless a snapshot holds them.

    Raises :class:`xcatd.noderange.UnbalancedParentheses`.
    """
    if snapshot is None:
        snapshot = database.read(noderange.tables_needed(text))
    return noderange.expand(text, noderange.World(snapshot), verify=verify)


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
