"""A plan as text for an AIX admin, and as data for programs: of any command, with its own words for what it is about.

Owns: the order, the folding of what is equal for many nodes.  Must not: leave anything out: every cell before and after,
every step of every lane, every note is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from xcatd.changes import Cell, Changes, Guard

from .fold import fold
from .kinds import Title
from .model import Lane, Note, Plan, Step
from .phrases import count

#: The last line of what is only shown.
PLAN_ONLY = "This is the plan only: nothing was changed."

NOTHING = "Nothing to change."

_LEVELS = {"error": "ERROR", "warning": "warning", "info": "note"}
_WHERE = {"cn": "On the nodes", "sn": "On the service nodes", "mn": "On the management nodes"}


class Meaning(Protocol):
    """What a command says its plan is about."""

    def heading(self) -> Iterator[str]:
        """What the plan is for: the first lines."""

    def overview(self) -> Iterator[str]:
        """Figures that help to judge it, shown although nothing is to be changed."""

    def without_agents(self) -> Iterator[str]:
        """Why nothing is done on any host."""

    def afterwards(self) -> Iterator[str]:
        """What stays to be done by the user."""


def to_text(plan: Plan, title: Title, meaning: Meaning) -> list[str]:
    """The lines of the explanation; none of them is empty.  ``title`` gives the name of a step."""
    if not plan.lanes:
        return [*meaning.overview(), *_notes(plan.notes), NOTHING]
    return [
        *meaning.heading(),
        *meaning.overview(),
        *_database(plan),
        *_shared(plan, title),
        *_hosts(plan, title, meaning),
        *meaning.afterwards(),
        *_notes(plan.notes),
        PLAN_ONLY,
    ]


def in_short(plan: Plan, meaning: Meaning) -> list[str]:
    """What a user must know who is asked whether it is to be carried out."""
    return [
        *meaning.heading(),
        *meaning.overview(),
        *meaning.afterwards(),
        *_notes(plan.notes),
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


def note_line(note: Note) -> str:
    """One note with its nodes in front."""
    return f"{note.subject}: {note.text}" if note.subject else note.text


def whom(step: Step) -> str:
    """For which nodes a step is, behind its title; nothing where that is its lane's own."""
    return f" for {fold(step.about)}" if step.about else ""


def value(text: str | None) -> str:
    """A cell's value for people."""
    return text or "(none)"


def _database(plan: Plan) -> Iterator[str]:
    for lane in plan.lanes:
        for step in lane.steps:
            if step.changes is not None:
                yield from _changes(step.changes)


def _changes(changes: Changes) -> Iterator[str]:
    """Cells with the same change are one line, and lines about the same nodes stand together."""
    cells = _by_name(changes.cells())
    yield f"Database: {count(len(cells), 'cell')} in one transaction"
    nodes_of: dict[str, list[str]] = {}
    for cell in cells:
        line = f"{cell.table}.{cell.column}: {_before(cell)} -> {value(cell.after)}"
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


def _shared(plan: Plan, title: Title) -> Iterator[str]:
    """What the management node does itself beside the database."""
    titles = [
        title(step)
        for lane in plan.lanes
        if lane.target is None
        for step in lane.steps
        if step.changes is None
    ]
    if titles:
        yield "Then, once:"
        yield from (f"  {each}" for each in titles)


def _hosts(plan: Plan, title: Title, meaning: Meaning) -> Iterator[str]:
    by_role: dict[str, list[Lane]] = {}
    for lane in plan.lanes:
        if lane.target is not None:
            by_role.setdefault(lane.target.role, []).append(lane)
    if not by_role:
        yield from meaning.without_agents()
    for role in sorted(by_role, key=list(_WHERE).index, reverse=True):
        yield f"{_WHERE[role]}, all in parallel, each in this order:"
        for (if_unreachable, titles), subjects in _alike(by_role[role], title).items():
            optional = " (if the node is up)" if if_unreachable == "skip" else ""
            yield f"  {fold(subjects)}{optional}"
            yield from (f"      {number}. {name}" for number, name in enumerate(titles, 1))


def _alike(lanes: Iterable[Lane], title: Title) -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """Lanes in which the same is done, together: what that is, and whom they are about."""
    named = _naming(title)
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for lane in lanes:
        titles = tuple([named(lane, number) for number in range(len(lane.steps))])
        groups.setdefault((lane.if_unreachable, titles), []).append(lane.subject or lane.id)
    return groups


def _naming(title: Title) -> Callable[[Lane, int], str]:
    """Titles of steps, with the nodes of those that serve more than the lane's own."""

    def named(lane: Lane, number: int) -> str:
        step = lane.steps[number]
        return f"{title(step)}{whom(step)}"

    return named


def _notes(notes: Iterable[Note]) -> Iterator[str]:
    lines = [f"  {_LEVELS.get(note.level, note.level)}: {note_line(note)}" for note in notes]
    if lines:
        yield "Mind:"
        yield from lines
