"""Which groups nodes are in, while a command changes that several times over.

Owns: nodelist.groups of the nodes a command touches.  Must not: read the database.
Facts: docs/facts/database.md, Tables and their columns.
"""

from __future__ import annotations

from xcatd.changes import Draft
from xcatd.tablenames import Snapshot

from . import itemlists


class Memberships:
    """Group lists as they will be; every change goes to ``draft``, guarded by what was read."""

    def __init__(self, snapshot: Snapshot, draft: Draft) -> None:
        self._snapshot = snapshot
        self._draft = draft
        self._texts: dict[str, str | None] = {}

    def text(self, node: str) -> str | None:
        """The node's groups now; None: it has none."""
        if node in self._texts:
            return self._texts[node]
        row = self._snapshot.own("nodelist", node)
        return (row["groups"] or None) if row is not None else None

    def set(self, node: str, text: str | None) -> None:
        """Make this the node's groups."""
        self._texts[node] = text or None
        stored = self._snapshot.stored("nodelist", node)
        before = stored["groups"] if stored is not None else None
        place = ("nodelist", (("node", node),))
        self._draft.guard(place, "groups", before)
        self._draft.set(place, "groups", text)

    def forget(self, node: str) -> None:
        """The node's old definition is removed: whatever it was in counts no more."""
        self._texts[node] = None

    def add(self, node: str, group: str) -> None:
        """Put the node into the group, last."""
        before = self.text(node)
        if before is None:
            self.set(node, group)
        elif group not in itemlists.split(before):
            self.set(node, f"{before},{group}")

    def remove(self, node: str, group: str) -> str | None:
        """Take the node out of the group; what to tell when it is not in it."""
        before = self.text(node)
        if before is None:
            return f"No value got for attribute 'groups' for the '{node}' definition."
        if group not in itemlists.split(before):
            return f"{node} is not a member of '{group}'."
        self.set(node, itemlists.removed(before, group))
        return None
