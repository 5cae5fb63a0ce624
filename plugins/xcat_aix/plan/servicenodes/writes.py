"""What a move writes to the database, and the stored cells it depends on.

Owns: own rows and group rows, before-values, guards.  Must not: know a rule of the new values.
Facts: docs/facts/snmove.md, New values; docs/facts/database.md, Reading; Effective values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Note
from xcat_aix.plan.reading import Effective, EffectiveRows, Row, Tables
from xcatd.changes import Changes, Draft

from .moves import Move
from .newvalues import MONSERVER_INVALID, NODEHM, NODERES, is_monserver_valid, new_values
from .selection import Chosen

_COLUMNS = {"noderes": NODERES, "nodehm": NODEHM}
_NO_ROW: Row = {}
_NO_VALUES: Mapping[str, Effective] = {}


@dataclass(frozen=True, slots=True)
class Writes:
    """The database part of a plan, the moves whose nodes change at all, and the nodes that do not."""

    moves: tuple[Move, ...]
    left: tuple[str, ...]
    changes: Changes
    notes: tuple[Note, ...]


def planned_writes(
    tables: Tables, chosen: Chosen, moves: Sequence[Move], addresses: Mapping[str, str]
) -> Writes:
    """What the database part of these moves is; nodes that need no change are left out."""
    writer = _Writer(tables, {"noderes": chosen.noderes, "nodehm": chosen.nodehm})
    bad_monitor: list[str] = []
    known: dict[tuple[object, ...], dict[str, str]] = {}  # most nodes are like many others
    for move in moves:
        now = writer.texts(move.node)
        key = (
            *now.items(),
            move.new_master,
            move.choice.new,
            move.choice.old,
            move.choice.old_master,
            move.choice.servicenode,
            move.choice.change,
        )
        wanted = known.get(key)
        if wanted is None:
            wanted = known[key] = new_values(now, move.choice, move.new_master, addresses)
        if wanted.items() <= now.items():
            writer.leave(move)
        elif writer.write(move, wanted) and not _leaves_monserver_alone(move, now):
            bad_monitor.append(move.node)
    notes = list(writer.notes())
    if bad_monitor:
        notes.append(Note("warning", MONSERVER_INVALID, subject=fold(bad_monitor)))
    return Writes(
        tuple(writer.moves),
        tuple(node for nodes in writer.left.values() for node in nodes),
        writer.draft.done(),
        tuple(notes),
    )


def _leaves_monserver_alone(move: Move, now: Mapping[str, str]) -> bool:
    return move.choice.is_kept or is_monserver_valid(now.get("monserver"))


class _Writer:
    """Collects the cells of one move, node by node."""

    def __init__(self, tables: Tables, effective: Mapping[str, EffectiveRows]) -> None:
        self.tables = tables
        self.effective = effective
        self.moves: list[Move] = []
        self.draft = Draft()
        self.left: dict[str, list[str]] = {}
        self._hidden: dict[str, list[str]] = {}
        self._guarded_groups: set[tuple[str, str, str]] = set()
        self._group_lists = {row.get("node"): row.get("groups") for row in tables.rows("nodelist")}

    def texts(self, node: str) -> dict[str, str]:
        """The node's effective values of all the columns with a rule."""
        return {
            column: value.text
            for found in self.effective.values()
            for column, value in found.get(node, _NO_VALUES).items()
        }

    def leave(self, move: Move) -> None:
        """Note that nothing changes for this node."""
        self.left.setdefault(move.choice.new, []).append(move.node)

    def write(self, move: Move, wanted: Mapping[str, str]) -> bool:
        """Add the node's cells; False for a node whose row is hidden from readers."""
        node = move.node
        rows: dict[str, Row] = {}
        for table, columns in _COLUMNS.items():
            row = self.tables.own(table, node)
            is_hidden = row is None and self.tables.stored(table, node) is not None
            if is_hidden and not wanted.keys().isdisjoint(columns):
                self._hidden.setdefault(table, []).append(node)
                return False
            rows[table] = _NO_ROW if row is None else row
        self.moves.append(move)
        for table, row in rows.items():
            self._add(table, node, row, wanted)
        place = ("nodelist", (("node", node),))
        self.draft.guard(place, "groups", self._group_lists.get(node))
        return True

    def _add(self, table: str, node: str, row: Row, wanted: Mapping[str, str]) -> None:
        found = self.effective[table].get(node, _NO_VALUES)
        place = (table, (("node", node),))
        for column in _COLUMNS[table]:
            before, after, value = row.get(column), wanted.get(column), found.get(column)
            self.draft.guard(place, column, before)
            if after is not None and after != before:
                self.draft.set(place, column, after)
                if value:
                    self.draft.see(place, column, value.text)
            if value and value.groups:
                self._guard_groups(table, node, column, value.groups)

    def _guard_groups(self, table: str, node: str, column: str, groups: Sequence[str]) -> None:
        for group in groups:
            if group != node and (table, group, column) not in self._guarded_groups:
                self._guarded_groups.add((table, group, column))
                row = self.tables.own(table, group) or _NO_ROW
                self.draft.guard((table, (("node", group),)), column, row.get(column))

    def notes(self) -> Iterator[Note]:
        """The nodes that are left alone, and those that cannot be moved."""
        for new, nodes in self.left.items():
            yield Note("info", f"already served by {new}; left as it is", subject=fold(nodes))
        for table, nodes in self._hidden.items():
            yield Note(
                "error",
                f"cannot move: its row in table {table} is disabled, so a new value would not be seen;"
                " enable the row or remove it, then move the node",
                subject=fold(nodes),
            )
