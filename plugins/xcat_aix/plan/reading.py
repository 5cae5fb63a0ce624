"""What a planner needs of the database: tables as they were read, and nothing that reads them.

Owns: the two protocols; ``xcatd.db.snapshot.Snapshot`` is the thing that has this shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

Row = Mapping[str, str | None]


class Effective(Protocol):
    """A node's effective value of one column, and where it came from."""

    @property
    def text(self) -> str:
        """The value readers see."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups it came from; empty when it is the node's own."""


#: Node to column to value; a column without a value is not there.
EffectiveRows = Mapping[str, Mapping[str, Effective]]


class Tables(Protocol):
    """The tables at one moment (docs/facts/database.md, Reading; Effective values; Values that are expressions)."""

    @property
    def site(self) -> Mapping[str, str]:
        """The site table."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of nodelist."""

    def rows(self, table: str, *, include_disabled: bool = False) -> Sequence[Row]:
        """The live rows."""

    def groups(self, node: str) -> tuple[str, ...]:
        """The node's groups in order."""

    def values(
        self, table: str, columns: Sequence[str], nodes: Iterable[str] | None = None
    ) -> EffectiveRows:
        """Effective values of many nodes; columns without a value do not appear."""

    def own(self, table: str, node: str) -> Row | None:
        """The live row of a node or group, raw."""

    def stored(self, table: str, node: str) -> Row | None:
        """The row of a node or group, raw, even if it is disabled."""
