"""The part of the daemon's database that the journal and its steps use, as an interface.

``xcatd.db.Database`` fulfils it, and so does :class:`.testing.MemoryDatabase`; both go through the same tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from xcatd.changes import Changes

#: The journal's tables.
PLANS = "aixplan"
EVENTS = "aixevent"
LOCKS = "aixlock"

Row = Mapping[str, str | None]


class Transaction(Protocol):
    """Reads and writes that are committed together or not at all."""

    def select(
        self,
        table: str,
        where: Mapping[str, Any] | None = None,
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[str] = (),
    ) -> Sequence[Row]:
        """Chosen rows, values as text; a tuple in ``where`` means one of these."""

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows."""

    def update(self, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Change the rows with this key; how many there were."""

    def delete(self, table: str, key: Mapping[str, Any]) -> int:
        """Remove the rows with this key; how many there were."""

    def apply(self, changes: Changes) -> None:
        """Compare what was read, then write; raises ``xcatd.api.ChangedMeanwhile``."""


class Database(Protocol):
    """Where the journal lives, beside the tables its plans change."""

    def transaction(self, *tables: str) -> AbstractContextManager[Transaction]:
        """A transaction on these tables that excludes every other writer of them; makes those that are not there."""

    def select(
        self,
        table: str,
        where: Mapping[str, Any] | None = None,
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[str] = (),
    ) -> Sequence[Row]:
        """Chosen rows without a lock; none if the table is not there."""
