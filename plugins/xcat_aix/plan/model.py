"""The plan: what a command will do, as a value that can be printed, stored and compared.

A plan is written whole to the journal before its first effect and resumed as it was written
(ARCHITECTURE.md, Invariants).  Nothing here does anything.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from xcatd.changes import Changes

from . import formats

#: Version of the stored form.  A newer one in a journal parks the plan instead of guessing; how an older one is read
#: says :mod:`.formats`.
FORMAT = 2

# Part of job ids, where a dot separates: see xcat_aix.run.names.
_STEP_ID = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")


class Target(NamedTuple):
    """An agent: the ``role`` of its certificate (``mn``, ``sn``, ``cn``) and the name of its ``node``."""

    role: str
    node: str


@dataclass(frozen=True, slots=True)
class Step:
    """One effect: a versioned ``kind`` known to the step registry, and its arguments as JSON data.

    ``id`` is unique in its lane: letters, digits, ``_`` and ``-``.  ``about`` names the nodes it serves, where these
    are not just the node of its lane (:meth:`Lane.about`): what became of it is known for each.  ``limit`` is how
    many seconds it may take, None: what its lane has left.  ``holds`` names the locks it needs (``nim:sn1``), which
    no two steps hold at once, whatever plan they are of.  No secret in ``args``: the plan is stored and shown.
    ``changes`` are what a step that writes the database writes there.
    """

    id: str
    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)
    about: tuple[str, ...] = ()
    limit: float | None = None
    holds: tuple[str, ...] = ()
    title: str = ""
    changes: Changes | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        plain = {
            "id": self.id,
            "kind": self.kind,
            "args": _plain(self.args),
            "about": list(self.about),
            "limit": self.limit,
            "holds": list(self.holds),
            "title": self.title,
        }
        return plain if self.changes is None else plain | {"changes": self.changes.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        """Read a stored step."""
        read: dict[str, Any] = {name: tuple(data[name]) for name in ("about", "holds")}
        if "changes" in data:
            read["changes"] = Changes.from_json(data["changes"])
        return cls(**{**data, **read})


@dataclass(frozen=True, slots=True)
class Lane:
    """Steps done one after the other; a failing step stops its own lane only.

    ``subject`` is what the lane is about (a node name, or a word such as ``database``); ``target``
    is the agent its steps are sent to, if any, and ``via`` a relaying agent to try when the target cannot
    be reached directly.  ``needs`` are lanes that must be done before this one starts, ``after`` those that must be
    over, however they ended.
    ``if_unreachable`` = ``skip`` makes an agent that cannot be connected to end the lane as skipped, with
    ``skip_note`` as the reason, instead of failing it.
    """

    id: str
    steps: tuple[Step, ...]
    subject: str = ""
    target: Target | None = None
    via: Target | None = None
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    if_unreachable: str = "fail"
    skip_note: str = ""

    def about(self, step: Step) -> tuple[str, ...]:
        """The nodes that one of its steps serves."""
        if step.about:
            return step.about
        return (self.target.node,) if self.target and self.target.role == "cn" else ()

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return {
            "id": self.id,
            "steps": [step.to_json() for step in self.steps],
            "subject": self.subject,
            "target": self.target and list(self.target),
            "via": self.via and list(self.via),
            "needs": list(self.needs),
            "after": list(self.after),
            "if_unreachable": self.if_unreachable,
            "skip_note": self.skip_note,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Lane:
        """Read a stored lane."""
        read = {name: _target(data[name]) for name in ("target", "via")}
        lists = {name: tuple(data[name]) for name in ("needs", "after")}
        steps = tuple([Step.from_json(step) for step in data["steps"]])
        return cls(**{**data, **read, **lists, "steps": steps})


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user must know: ``level`` is info, warning or error; ``subject`` often a node."""

    level: str
    text: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one command will do.

    ``nodes`` are the nodes it works on: no two open plans may share one.
    ``summary`` is free JSON data of the command (for explanation, undo and listing).  ``undoes`` is the
    id of the plan that this one takes back.
    """

    command: str
    nodes: tuple[str, ...]
    lanes: tuple[Lane, ...]
    notes: tuple[Note, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    undoes: str | None = None

    def problems(self) -> tuple[str, ...]:
        """What makes this plan impossible to execute; empty for a sound one."""
        return (
            *_duplicates("lane", (lane.id for lane in self.lanes)),
            *(text for lane in self.lanes for text in _lane_problems(lane)),
            *_need_problems(self.lanes),
        )

    @property
    def changes(self) -> Changes:
        """What all of its steps write to the database, in order."""
        steps = (step for lane in self.lanes for step in lane.steps)
        return Changes(tuple(row for step in steps if step.changes for row in step.changes.rows))

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return {
            "format": FORMAT,
            "command": self.command,
            "nodes": list(self.nodes),
            "lanes": [lane.to_json() for lane in self.lanes],
            "notes": [_plain(note) for note in self.notes],
            "summary": _plain(self.summary),
            "undoes": self.undoes,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Plan:
        """Read a stored plan of this format or an older one; raises ValueError for another."""
        body = formats.upgraded(body, FORMAT)
        return cls(
            command=body["command"],
            nodes=tuple(body["nodes"]),
            lanes=tuple(Lane.from_json(lane) for lane in body["lanes"]),
            notes=tuple(Note(**note) for note in body["notes"]),
            summary=body["summary"],
            undoes=body["undoes"],
        )

    def text(self) -> str:
        """The canonical stored form: JSON with sorted keys and no blanks."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self) -> str:
        """SHA-256 over :meth:`text`, as hex."""
        return digest(self.text())


def _target(data: Sequence[str] | None) -> Target | None:
    return None if data is None else Target(*data)


def digest(text: str) -> str:
    """SHA-256 of a stored plan's text, as hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _duplicates(what: str, ids: Iterable[str]) -> list[str]:
    return [f"{what} {id_!r} is there {n} times" for id_, n in Counter(ids).items() if n > 1]


def _lane_problems(lane: Lane) -> list[str]:
    ids = [step.id for step in lane.steps]
    problems = _duplicates(f"lane {lane.id!r}: step", ids)
    problems += [f"lane {lane.id!r}: bad step id {i!r}" for i in ids if not _STEP_ID.match(i)]
    if lane.if_unreachable not in ("fail", "skip"):
        problems.append(f"lane {lane.id!r}: bad if_unreachable {lane.if_unreachable!r}")
    return problems


def _need_problems(lanes: tuple[Lane, ...]) -> list[str]:
    known = {lane.id for lane in lanes}
    graph = {lane.id: lane.needs for lane in lanes}
    missing = [
        f"lane {lane!r} needs {need!r}, which is not there"
        for lane, needs in graph.items()
        for need in needs
        if need not in known
    ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as problem:
        return [*missing, f"lanes need each other: {' -> '.join(problem.args[1])}"]
    return missing
