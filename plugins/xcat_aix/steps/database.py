"""The step that writes a plan's cells, all of them in one transaction with its own journal events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xcat_aix.plan.kinds import Begun
from xcat_aix.plan.model import Cell, Guard, Step
from xcat_aix.run.errors import StepFailed
from xcat_aix.run.store import Database, Transaction
from xcat_aix.run.task import Task
from xcat_aix_proto.jobs import Probe, Verdict
from xcatd.api import DatabaseError

#: Cells that a message names.
_SHOWN = 5


class DatabaseWrite:
    """``database.write@1``: the plan's ``cells``, if its ``guards`` hold.  Takes no arguments."""

    kind = "database.write@1"

    def __init__(self, db: Database) -> None:
        self._db = db

    def title(self, step: Step) -> str:  # noqa: ARG002 - its cells are the plan's
        """The same for every plan."""
        return "write the new values in one transaction"

    def reverse(self, begun: Begun) -> Step:
        """The same step, over the plan's cells turned round."""
        return begun.step

    def probe(self, task: Task) -> Probe:
        """Compare all cells with what is stored, each table read once."""
        cells = task.plan.cells
        found = tuple(self._stored(cells))
        other = [cell for cell, value in found if value not in {cell.before, cell.after}]
        left = [cell for cell, value in found if value != cell.after]
        if not left:
            return Probe(Verdict.DONE, f"all {len(cells)} cells hold their new values")
        if not other and len(left) == len(cells):
            return Probe(Verdict.NOT_DONE, f"all {len(cells)} cells hold their old values")
        return Probe(Verdict.BROKEN, f"not as written: {_names(other or left)}")

    def tables(self, task: Task) -> Sequence[str]:
        """Every table that is compared or written."""
        plan = task.plan
        tables = [cell.table for cell in plan.cells] + [guard.table for guard in plan.guards]
        return tuple(dict.fromkeys(tables))

    def write(self, task: Task, transaction: Transaction) -> Mapping[str, Any]:
        """A value, written or only read, that changed since the plan was made stops it, named."""
        cells = task.plan.cells
        before = (Guard(c.table, c.key_column, c.key, c.column, c.before) for c in cells)
        try:
            transaction.write_cells(cells, [*before, *task.plan.guards])
        except DatabaseError as problem:
            raise StepFailed(str(problem)) from problem
        return {"cells": len(task.plan.cells)}

    def _stored(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, str | None]]:
        places: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            places.setdefault((cell.table, cell.key_column), []).append(cell)
        for (table, key_column), part in places.items():
            columns = tuple(dict.fromkeys((key_column, *(cell.column for cell in part))))
            rows = {row[key_column]: row for row in self._db.select(table, columns=columns)}
            for cell in part:
                row = rows.get(cell.key)
                yield cell, None if row is None else row[cell.column]


def _names(cells: Sequence[Cell]) -> str:
    shown = ", ".join(f"{cell.table} {cell.key} {cell.column}" for cell in cells[:_SHOWN])
    return shown + (f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else "")
