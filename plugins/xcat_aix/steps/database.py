"""The step that writes a plan's changes, all of them in one transaction with its own journal events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from xcat_aix.plan.kinds import Begun, NoReverse
from xcat_aix.plan.model import Step
from xcat_aix.plan.phrases import count
from xcat_aix.run.errors import StepFailed
from xcat_aix.run.outcomes import NodeOutcomes
from xcat_aix.run.store import Database, Row, Transaction
from xcat_aix.run.task import Task
from xcat_aix_proto.jobs import Probe, Verdict
from xcatd.api import DatabaseError
from xcatd.changes import ChangedRow, Changes, Values, Way, named

#: Cells that a message names.
_SHOWN = 5

#: Argument of a step that writes the rows of those nodes only for which all that comes before it is done.  Rows that are
#: no node's come with the last of them, so that they are written once.
ONLY_DONE = "only_done"

_NOT_YET = "not written yet: what comes before it is not done"


def _size(changes: Changes) -> tuple[int, int]:
    """How many cells are written, and how many keys deleted."""
    deleted = sum(row.change.way is Way.DELETE for row in changes.rows)
    return sum(len(row.change.after) for row in changes.rows), deleted


class DatabaseWrite:
    """``database.write@2``: the step's ``changes``, if everything they were made from is as it was read."""

    kind = "database.write@2"

    def __init__(self, db: Database) -> None:
        self._db = db

    def title(self, step: Step) -> str:
        """How much is written, and deleted."""
        cells, deleted = _size(step.changes or Changes())
        parts = [f"write {count(cells, 'cell')}"] if cells or not deleted else []
        parts += [f"delete {count(deleted, 'row')}"] if deleted else []
        return f"{' and '.join(parts)} in one transaction"

    def reverse(self, begun: Begun) -> Step | NoReverse:
        """The old values, if the new ones are still there."""
        changes = begun.step.changes or Changes()
        if begun.step.args.get(ONLY_DONE):
            about = begun.step.about
            written = {row.node for row in changes.rows if row.change.writes and row.node}
            changes = changes.of_nodes(about, with_shared=written.issubset(about))
        try:
            return replace(begun.step, changes=changes.reversed())
        except ValueError as problem:
            return NoReverse(str(problem))

    def probe(self, task: Task) -> Probe:
        """Compare everything that is written with what is stored, each table read once."""
        found = [seen for part in self._seen(_changes(task)) for seen in part]
        left = [seen for seen in found if not seen.is_new]
        if not left:
            return Probe(Verdict.DONE, f"all {len(found)} cells hold their new values")
        if all(seen.is_old for seen in found):
            return Probe(Verdict.NOT_DONE, f"all {len(found)} cells hold their old values")
        other = [seen for seen in left if not seen.is_old]
        return Probe(Verdict.BROKEN, f"not as written: {_names(other or left)}")

    def tables(self, task: Task) -> Sequence[str]:
        """Every table that is compared or written."""
        return _changes(task).tables

    def write(self, task: Task, transaction: Transaction) -> Mapping[str, Any] | NodeOutcomes:
        """A value, written or only read, that changed since the plan was made stops it, named."""
        changes = _changes(task)
        try:
            transaction.apply(changes)
        except DatabaseError as problem:
            raise StepFailed(str(problem)) from problem
        cells, rows = _size(changes)
        result = {"cells": cells} | ({"rows": rows} if rows else {})
        if not task.step.args.get(ONLY_DONE):
            return result
        waiting = dict.fromkeys(task.undone.intersection(task.nodes), _NOT_YET)
        return NodeOutcomes(frozenset(task.nodes) - task.undone, not_yet=waiting, result=result)

    def _seen(self, changes: Changes) -> Iterator[Iterator[Seen]]:
        for table, rows in changes.by_table().items():
            written = [row for row in rows if row.change.writes]
            if written:
                yield _compared(written, self._db.select(table, columns=_columns(written)))


def _changes(task: Task) -> Changes:
    changes = task.step.changes or Changes()
    if not task.step.args.get(ONLY_DONE):
        return changes
    due = [node for node in task.nodes if node not in task.undone]
    is_last = task.undone.isdisjoint(task.lane.about(task.step))
    return changes.of_nodes(due, with_shared=is_last) if due else Changes()


class Seen(NamedTuple):
    """One cell, or whole row, as it is found: as before the step, as after it, or as neither."""

    row: ChangedRow
    column: str
    is_old: bool
    is_new: bool

    def __str__(self) -> str:
        key = self.row.key[0] if len(self.row.key) == 1 else named(self.row.place)
        return f"{self.row.change.table} {key} {self.column}".rstrip()


def _columns(rows: Sequence[ChangedRow]) -> tuple[str, ...]:
    """Everything that is looked at."""
    changes = dict.fromkeys(row.change for row in rows)
    found = {name: None for change in changes for name in change.key}
    for change in changes:
        found |= dict.fromkeys(name for name, _ in (*change.after, *change.before))
    return tuple(found)


def _compared(rows: Sequence[ChangedRow], stored: Sequence[Row]) -> Iterator[Seen]:
    indexes: dict[tuple[str, ...], dict[tuple[str | None, ...], list[Row]]] = {}
    made = {row.place for row in rows if row.change.way is not Way.DELETE}
    for row in rows:
        columns = row.change.key
        if columns not in indexes:
            indexes[columns] = _index(stored, columns)
        there = indexes[columns].get(row.key, [])
        match row.change.way:
            case Way.DELETE:
                if row.place not in made:
                    yield Seen(row, "", any(map(_holder(row.change.before), there)), not there)
            case Way.INSERT:
                is_new = any(map(_holder(row.change.after), there))
                yield Seen(row, "", not is_new, is_new)
            case _:
                yield from _cells(row, there)


def _index(
    rows: Sequence[Row], columns: tuple[str, ...]
) -> dict[tuple[str | None, ...], list[Row]]:
    found: dict[tuple[str | None, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple([row[column] for column in columns]), []).append(row)
    return found


def _holder(values: Values) -> Callable[[Row], bool]:
    return lambda row: all((row[column] or "") == (text or "") for column, text in values)


def _cells(row: ChangedRow, there: Sequence[Row]) -> Iterator[Seen]:
    """Every cell of a row that is set; one whose value before is not known may have been anything."""
    before, stored = dict(row.change.before), dict(row.change.stored)
    for column, text in row.change.after:
        now = [found[column] for found in there]
        is_new = all(value in {text, stored[column]} for value in now) if now else not text
        is_old = column not in before or before[column] in (now or [None])
        yield Seen(row, column, is_old, is_new)


def _names(cells: Sequence[Seen]) -> str:
    shown = ", ".join(map(str, cells[:_SHOWN]))
    return shown + (f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else "")
