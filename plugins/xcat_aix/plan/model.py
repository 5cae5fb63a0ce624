"""The plan: what a command will do, as a value that can be printed, stored and compared.

A plan is written whole to the journal before its first effect and resumed as it was written
(ARCHITECTURE.md, Invariants).  Nothing here does anything.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from xcat_aix_proto.identity import Role
from xcatd.changes import ChangedRow, Changes, Place

from . import formats

#: Version of the stored form.  A newer one in a journal parks the plan instead of guessing; how an older one is read
#: says :mod:`.formats`.
FORMAT = 2

# Part of job ids, where a dot separates: see xcat_aix.run.names.
_STEP_ID = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
_LOCK = re.compile(r"[a-z][a-z0-9_-]{0,39}(:[A-Za-z0-9._-]{1,80})?\Z")
_LISTS = ("about", "holds")
_PLAIN_STEP = len(("id", "kind", "args"))
_ROLES = frozenset(role.value for role in Role)


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
    ``changes`` are what a step that writes the database writes there.  What a step is called, its kind makes of these.
    """

    id: str
    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)
    about: tuple[str, ...] = ()
    limit: float | None = None
    holds: tuple[str, ...] = ()
    changes: Changes | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse.  What most steps do not have is left out: there are many."""
        found = {"id": self.id, "kind": self.kind, "args": _plain(self.args)}
        if self.about:
            found["about"] = list(self.about)
        if self.limit is not None:
            found["limit"] = self.limit
        if self.holds:
            found["holds"] = list(self.holds)
        if self.changes is not None:
            found["changes"] = self.changes.to_json()
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        """Read a stored step."""
        if len(data) == _PLAIN_STEP:
            return cls(data["id"], data["kind"], data["args"])
        read: dict[str, Any] = {name: tuple(data[name]) for name in _LISTS if name in data}
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
    ``summary`` is JSON data of the command, which reads and writes it as a value of its own type.  ``undoes`` is the
    id of the plan that this one takes back, and ``rest`` are the lanes that were not finished there, as they were.
    ``undoes_seq`` is the journal's number of the last event of that plan which this one knows of, None: not known.
    """

    command: str
    nodes: tuple[str, ...]
    lanes: tuple[Lane, ...]
    notes: tuple[Note, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    undoes: str | None = None
    rest: tuple[Lane, ...] = ()
    undoes_seq: int | None = None

    def problems(self) -> tuple[str, ...]:
        """What makes this plan impossible to execute; empty for a sound one."""
        return (
            *_duplicates("lane", (lane.id for lane in self.lanes)),
            *(text for lane in self.lanes for text in _lane_problems(lane)),
            *_about_problems(self),
            *_order_problems(self.lanes),
        )

    @property
    def late_changes(self) -> Changes:
        """What is written although hosts may be changed before, but for rows that the plan itself wrote by then."""
        writers = {lane.id for lane in self.lanes if any(step.changes for step in lane.steps)}
        if all(lane.id in writers or writers.intersection(lane.needs) for lane in self.lanes):
            return Changes()
        seen: set[Place] = set()
        found: list[ChangedRow] = []
        for lane in self.lanes:
            for step in lane.steps:
                rows = step.changes.rows if step.changes else ()
                found += [row for row in rows if (row.change.table, row.place) not in seen]
                seen.update((row.change.table, row.place) for row in rows if row.change.writes)
        return Changes(tuple(found))

    @property
    def changes(self) -> Changes:
        """What all of its steps write to the database, in order."""
        steps = (step for lane in self.lanes for step in lane.steps)
        return Changes(tuple(row for step in steps if step.changes for row in step.changes.rows))

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        found = {
            "format": FORMAT,
            "command": self.command,
            "nodes": list(self.nodes),
            "lanes": [lane.to_json() for lane in self.lanes],
            "notes": [_plain(note) for note in self.notes],
            "summary": _plain(self.summary),
            "undoes": self.undoes,
            "rest": [lane.to_json() for lane in self.rest],
        }
        if self.undoes_seq is not None:
            found["undoes_seq"] = self.undoes_seq
        return found

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
            rest=tuple(Lane.from_json(lane) for lane in body["rest"]),
            undoes_seq=body.get("undoes_seq"),
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


def _lane_problems(lane: Lane) -> Iterator[str]:
    where = f"lane {lane.id!r}:"
    ids = [step.id for step in lane.steps]
    yield from _duplicates(f"{where} step", ids)
    yield from (f"{where} bad step id {id_!r}" for id_ in ids if not _STEP_ID.match(id_))
    if lane.if_unreachable not in ("fail", "skip"):
        yield f"{where} bad if_unreachable {lane.if_unreachable!r}"
    for agent in (lane.target, lane.via):
        if agent is not None and agent.role not in _ROLES:
            yield f"{where} {agent.node} cannot be of role {agent.role!r}"
    for step in lane.steps:
        if step.limit is not None and not step.limit > 0:
            yield f"{where} step {step.id!r} cannot be done in {step.limit} seconds"
        for name in step.holds:
            if not _LOCK.match(name):
                yield f"{where} step {step.id!r}: bad name of a lock {name!r}"


def _about_problems(plan: Plan) -> Iterator[str]:
    nodes = frozenset(plan.nodes)
    for lane in plan.lanes:
        for step in lane.steps:
            if not nodes.issuperset(step.about):
                node = next(node for node in step.about if node not in nodes)
                yield f"lane {lane.id!r}: step {step.id!r} is about {node}, not a node of the plan"


def _order_problems(lanes: tuple[Lane, ...]) -> Iterator[str]:
    known = {lane.id for lane in lanes}
    for lane in lanes:
        for verb, others in (("needs", lane.needs), ("comes after", lane.after)):
            for other in others:
                if other not in known:
                    yield f"lane {lane.id!r} {verb} {other!r}, which is not there"
    try:
        TopologicalSorter({lane.id: (*lane.needs, *lane.after) for lane in lanes}).prepare()
    except CycleError as problem:
        yield f"lanes wait for each other: {' -> '.join(problem.args[1])}"
