"""The plan: what a command will do, as a value that can be printed, stored and compared.

A plan is written whole to the journal before its first effect and resumed as it was written
(DESIGN, section 2).  Nothing here does anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Version of the stored form.  A newer one in a journal parks the plan instead of guessing.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table row that the plan writes.

    ``key`` is the value of the row's node (or other single key) column ``key_column``.  ``before`` is the
    row's own stored value, None when the cell is NULL or the row does not exist; ``effective`` is
    what readers saw before (with group inheritance), for people.
    """

    table: str
    key_column: str
    key: str
    column: str
    before: str | None
    after: str | None
    effective: str | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """A stored cell the plan was computed from: if it changed meanwhile, nothing is written.

    ``value`` is the stored value, None for NULL or a missing row.
    """

    table: str
    key_column: str
    key: str
    column: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One effect: a versioned ``kind`` known to the step registry, and its arguments as JSON data."""

    id: str
    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """Steps done one after the other; a failing step stops its own lane only.

    ``subject`` is what the lane is about (a node name, or a word such as ``database``); ``target``
    names the agent its steps are sent to, if any, and ``via`` a relaying agent to try when the target cannot
    be reached directly.  ``needs`` are lanes that must be done before this one starts.
    ``if_unreachable`` = ``skip`` makes an agent that cannot be connected to end the lane as skipped, with
    ``skip_note`` as the reason, instead of failing it.
    """

    id: str
    steps: tuple[Step, ...]
    subject: str = ""
    target: str | None = None
    via: str | None = None
    needs: tuple[str, ...] = ()
    if_unreachable: str = "fail"
    skip_note: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user must know: ``level`` is info, warning or error; ``subject`` often a node."""

    level: str
    text: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one command will do.

    ``nodes`` are the nodes it works on: no two open plans may share one.  ``cells`` are written in one
    transaction by the single step of kind ``database.write@1``, if ``guards`` still hold.
    ``summary`` is free JSON data of the command (for explanation, undo and listing).
    """

    command: str
    nodes: tuple[str, ...]
    lanes: tuple[Lane, ...]
    cells: tuple[Cell, ...] = ()
    guards: tuple[Guard, ...] = ()
    notes: tuple[Note, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return {"format": FORMAT, **_plain(self)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Plan:
        """Read a stored plan; raises ValueError for a newer format."""
        if body.get("format") != FORMAT:
            raise ValueError(f"plan format {body.get('format')!r} is not known to this version")
        return cls(
            command=body["command"],
            nodes=tuple(body["nodes"]),
            lanes=tuple(
                Lane(
                    **{
                        **lane,
                        "steps": tuple(Step(**step) for step in lane["steps"]),
                        "needs": tuple(lane["needs"]),
                    }
                )
                for lane in body["lanes"]
            ),
            cells=tuple(Cell(**cell) for cell in body["cells"]),
            guards=tuple(Guard(**guard) for guard in body["guards"]),
            notes=tuple(Note(**note) for note in body["notes"]),
            summary=body["summary"],
        )

    def digest(self) -> str:
        """SHA-256 over the canonical stored form, as hex."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
