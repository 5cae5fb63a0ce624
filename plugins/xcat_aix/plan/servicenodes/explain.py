"""A plan as text for an AIX admin, and as JSON for programs.

Owns: the words and the folding of what is equal for many nodes.  Must not: leave anything out: every
cell before and after, every step of every node, every note is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from xcat_aix.plan.fold import fold
from xcat_aix.plan.kinds import Title
from xcat_aix.plan.model import Lane, Note, Plan
from xcatd.changes import Cell, Changes, Guard

from .summary import BalanceLine, MoveSummary, Route

#: The last line of what is only shown.
PLAN_ONLY = "This is the plan only: nothing was changed."

_LEVELS = {"error": "ERROR", "warning": "warning", "info": "note"}


def to_text(plan: Plan, title: Title) -> list[str]:
    """The lines of the explanation; none of them is empty.  ``title`` gives the name of a step."""
    summary = MoveSummary.of(plan)
    if not plan.nodes:
        return [*_balance(summary.balance), *_notes(plan.notes), "Nothing to change."]
    return [
        *_heading(plan, summary),
        *_balance(summary.balance),
        *_database(plan.changes),
        *_conserver(summary),
        *_nodes(plan, summary, title),
        *_boot(summary),
        *_notes(plan.notes),
        PLAN_ONLY,
    ]


def to_json(plan: Plan, title: Title) -> str:
    """:func:`shown` as one line of JSON."""
    return json.dumps(shown(plan, title), ensure_ascii=False)


def shown(plan: Plan, title: Title) -> dict[str, Any]:
    """The stored form of the plan for programs: with named cells and guards, and with the titles of its steps."""
    body = plan.to_json()
    body["cells"] = [_named(cell) for cell in plan.changes.cells()]
    body["guards"] = [_named(guard) for guard in plan.changes.guards()]
    for name, lanes in (("lanes", plan.lanes), ("rest", plan.rest)):
        for lane, found in zip(lanes, body[name], strict=True):
            for step, entry in zip(lane.steps, found["steps"], strict=True):
                entry["title"] = title(step)
    return body


def _named(cell: Cell | Guard) -> dict[str, Any]:
    """Its fields by name; a key of one column is two texts, of more two lists."""
    columns, texts = zip(*cell.key, strict=True) if cell.key else ((), ())
    is_one = len(columns) == 1
    key = {
        "key_column": columns[0] if is_one else columns,
        "key": texts[0] if is_one else texts,
    }
    return {**cell._asdict(), **key}


def count(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def boot_line(nodes: Sequence[str]) -> str:
    """What an admin does with moved diskless nodes, in one line."""
    return f"to be network-booted from the new service node: rnetboot {fold(nodes)}"


def note_line(note: Note) -> str:
    """One note with its nodes in front."""
    return f"{note.subject}: {note.text}" if note.subject else note.text


def _heading(plan: Plan, summary: MoveSummary) -> Iterator[str]:
    kept = summary.kept
    only = f", change {len(kept)} without a move" if kept else ""
    yield f"Plan: move {count(len(plan.nodes) - len(kept), 'node')}{only}"
    for route in summary.routes:
        yield f"  {fold(route.nodes)}"
        yield f"      {_route_text(route)}"


def _balance(lines: Sequence[BalanceLine]) -> Iterator[str]:
    """How many nodes each service node has, of those that were given, before and after."""
    if not lines:
        return
    rows = [("service node", "weight", "primary of", "backup of")]
    for line in lines:
        name, weight = (line.server, str(line.weight)) if line.server else ("others, none", "-")
        primary, backup = (f"{now} -> {then}" for now, then in (line.primary, line.backup))
        rows.append((name, weight, primary, backup))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    yield "Nodes per service node, now -> then:"
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _route_text(route: Route) -> str:
    return (
        f"{route.kind.value}: servicenode {_value(route.old)} -> {_value(route.new)},"
        f" xcatmaster {_value(route.old_master)} -> {_value(route.new_master)}"
    )


def _value(text: str | None) -> str:
    return text or "(none)"


def _database(changes: Changes) -> Iterator[str]:
    """Cells with the same change are one line, and lines about the same nodes stand together."""
    cells = _by_name(changes.cells())
    yield f"Database: {count(len(cells), 'cell')} in one transaction"
    nodes_of: dict[str, list[str]] = {}
    for cell in cells:
        line = f"{cell.table}.{cell.column}: {_before(cell)} -> {_value(cell.after)}"
        nodes_of.setdefault(line, []).append(cell.name)
    lines_of: dict[tuple[str, ...], list[str]] = {}
    for line, nodes in nodes_of.items():
        lines_of.setdefault(tuple(nodes), []).append(line)
    for same, lines in lines_of.items():
        yield f"  {fold(same)}"
        yield from (f"      {line}" for line in lines)


def _by_name(cells: Iterable[Cell]) -> list[Cell]:
    """All cells of a node together, nodes in order."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.name, []).append(cell)
    return [cell for some in found.values() for cell in some]


def _before(cell: Cell) -> str:
    """The value readers saw, and whether it is the row's own."""
    if cell.before:
        if cell.effective is not None and cell.effective != cell.before:
            return f"{cell.before} (read as {cell.effective})"
        return cell.before
    return f"{cell.effective} (from a group)" if cell.effective else "(none)"


def _conserver(summary: MoveSummary) -> Iterator[str]:
    if summary.conserver:
        yield "Then, once:"
        yield f"  makeconservercf {fold(summary.conserver)}"


def _nodes(plan: Plan, summary: MoveSummary, title: Title) -> Iterator[str]:
    lanes = [lane for lane in plan.lanes if lane.target]
    if not lanes:
        if summary.ignore_nodes:
            yield "On the nodes: nothing (-i)"
        return
    yield "On the nodes, all in parallel, each in this order:"
    for (if_unreachable, titles), subjects in _alike(lanes, title).items():
        optional = " (if the node is up)" if if_unreachable == "skip" else ""
        yield f"  {fold(subjects)}{optional}"
        yield from (f"      {number}. {name}" for number, name in enumerate(titles, 1))


def _alike(lanes: Iterable[Lane], title: Title) -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """Lanes in which the same is done, together: what that is, and whom they are about."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for lane in lanes:
        titles = tuple([title(step) for step in lane.steps])
        groups.setdefault((lane.if_unreachable, titles), []).append(lane.subject)
    return groups


def _boot(summary: MoveSummary) -> Iterator[str]:
    if summary.boot:
        yield f"Afterwards, {boot_line(summary.boot)}"


def _notes(notes: Iterable[Note]) -> Iterator[str]:
    lines = [f"  {_LEVELS.get(note.level, note.level)}: {note_line(note)}" for note in notes]
    if lines:
        yield "Mind:"
        yield from lines
