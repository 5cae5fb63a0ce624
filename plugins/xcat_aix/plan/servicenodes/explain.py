"""A plan as text for an AIX admin, and as JSON for programs.

Owns: the words and the folding of what is equal for many nodes.  Must not: leave anything out: every
cell before and after, every step of every node, every note is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Lane, Note, Plan
from xcatd.changes import Cell, Changes, Guard

#: The last line of what is only shown.
PLAN_ONLY = "This is the plan only: nothing was changed."

_LEVELS = {"error": "ERROR", "warning": "warning", "info": "note"}


def to_text(plan: Plan) -> list[str]:
    """The lines of the explanation; none of them is empty."""
    if not plan.nodes:
        return [*_balance(plan.summary), *_notes(plan.notes), "Nothing to change."]
    return [
        *_heading(plan),
        *_balance(plan.summary),
        *_database(plan.changes),
        *_conserver(plan.summary),
        *_nodes(plan),
        *_boot(plan.summary),
        *_notes(plan.notes),
        PLAN_ONLY,
    ]


def to_json(plan: Plan) -> str:
    """The stored form of the plan with named cells and guards, as one line of JSON."""
    body = plan.to_json()
    body["cells"] = [_named(cell) for cell in plan.changes.cells()]
    body["guards"] = [_named(guard) for guard in plan.changes.guards()]
    return json.dumps(body, ensure_ascii=False)


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


def _heading(plan: Plan) -> Iterator[str]:
    kept = plan.summary.get("kept") or ()
    only = f", change {len(kept)} without a move" if kept else ""
    yield f"Plan: move {count(len(plan.nodes) - len(kept), 'node')}{only}"
    for route in plan.summary["routes"]:
        yield f"  {fold(route['nodes'])}"
        yield f"      {_route_text(route)}"


def _balance(summary: Mapping[str, Any]) -> Iterator[str]:
    """How many nodes each service node has, of those that were given, before and after."""
    if not summary.get("balance"):
        return
    rows = [("service node", "weight", "primary of", "backup of")]
    for line in summary["balance"]:
        is_given = bool(line["server"])
        name, weight = (line["server"], str(line["weight"])) if is_given else ("others, none", "-")
        primary, backup = (f"{now} -> {then}" for now, then in (line["primary"], line["backup"]))
        rows.append((name, weight, primary, backup))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    yield "Nodes per service node, now -> then:"
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _route_text(route: Mapping[str, Any]) -> str:
    return (
        f"{route['kind']}: servicenode {_value(route['old'])} -> {_value(route['new'])},"
        f" xcatmaster {_value(route['old_master'])} -> {_value(route['new_master'])}"
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


def _conserver(summary: Mapping[str, Any]) -> Iterator[str]:
    if summary.get("conserver"):
        yield "Then, once:"
        yield f"  makeconservercf {fold(summary['conserver'])}"


def _nodes(plan: Plan) -> Iterator[str]:
    lanes = [lane for lane in plan.lanes if lane.target]
    if not lanes:
        if plan.summary.get("ignore_nodes"):
            yield "On the nodes: nothing (-i)"
        return
    yield "On the nodes, all in parallel, each in this order:"
    for same in _alike(lanes):
        lane = same[0]
        optional = " (if the node is up)" if lane.if_unreachable == "skip" else ""
        yield f"  {fold([one.subject for one in same])}{optional}"
        yield from (f"      {number}. {title}" for number, title in enumerate(_titles(lane), 1))


def _titles(lane: Lane) -> tuple[str, ...]:
    return tuple(step.title or step.kind for step in lane.steps)


def _alike(lanes: Iterable[Lane]) -> list[list[Lane]]:
    groups: dict[tuple[Any, ...], list[Lane]] = {}
    for lane in lanes:
        groups.setdefault((lane.if_unreachable, _titles(lane)), []).append(lane)
    return list(groups.values())


def _boot(summary: Mapping[str, Any]) -> Iterator[str]:
    if summary.get("boot"):
        yield f"Afterwards, {boot_line(summary['boot'])}"


def _notes(notes: Iterable[Note]) -> Iterator[str]:
    lines = [f"  {_LEVELS.get(note.level, note.level)}: {note_line(note)}" for note in notes]
    if lines:
        yield "Mind:"
        yield from lines
