"""Plans and events as rows of the journal's tables, and back.  Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xcat_aix.plan.formats import FORMER
from xcat_aix.plan.model import FORMAT, Plan, digest

from . import outcomes
from .errors import Parked
from .states import CorruptJournal, Event, Outcome, Phase, Word
from .store import Row
from .story import Shape

_READABLE = frozenset(map(str, (*FORMER, FORMAT)))

#: All that reading what somebody else may have written can raise.
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)

#: Columns of ``aixplan`` that tell about a plan without its body.
SUMMARY_COLUMNS = (
    "id",
    "command",
    "username",
    "host",
    "opened",
    "format",
    "digest",
    "nodes",
    "state",
    "outcome",
    "closed",
    "owner",
    "lease",
)

#: Longest text (:data:`.outcomes.TEXT_LIMIT`, too), detail and (as JSON) result that an event keeps, in characters; the
#: agent keeps all of it.
TEXT_LIMIT = outcomes.TEXT_LIMIT
DETAIL_LIMIT = 4000
RESULT_LIMIT = 16000


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """One line of the list of plans.

    ``is_running``: somebody works on it now.  ``parked`` says why this program cannot execute it; its nodes are
    guarded until it is given up.  ``superseded_by`` is the later plan that worked on some of its nodes, so that it
    cannot be resumed any more.  ``is_expired``: it was kept for later, and too long.  ``opened`` and ``closed`` are UTC
    ISO 8601, for people: the order is the journal's.
    """

    id: str
    command: str
    user: str
    host: str
    opened: str
    closed: str
    phase: Phase
    outcome: Outcome | None
    nodes: tuple[str, ...]
    owner: str
    is_running: bool
    parked: str = ""
    superseded_by: str = ""
    is_expired: bool = False

    @property
    def is_saved(self) -> bool:
        """Kept to be applied, and not begun."""
        return self.phase is Phase.SAVED

    @property
    def is_interrupted(self) -> bool:
        """Open, and nobody works on it: it waits to be resumed, undone or given up."""
        return self.phase is Phase.OPEN and not self.is_running

    @property
    def can_go_on(self) -> bool:
        """Whether it may be resumed."""
        if self.parked or self.superseded_by:
            return False
        is_left = self.outcome is not None and self.outcome.can_be_resumed
        return self.is_interrupted or (self.phase is Phase.CLOSED and is_left)

    @property
    def sentence(self) -> str:
        """Where it stands, in words for people."""
        if self.parked:
            return f"parked: {self.parked}"
        if self.is_running:
            return "running"
        if self.is_interrupted:
            return "interrupted"
        if self.superseded_by:
            return f"superseded by {self.superseded_by}"
        if self.is_expired:
            return "kept too long, cannot be applied any more"
        if self.outcome is not None and self.phase is Phase.CLOSED:
            return f"{self.outcome.value}: {self.outcome.sentence}"
        return self.phase.sentence


def stamp(moment: datetime) -> str:
    """UTC ISO 8601 with microseconds: sorts as text."""
    return moment.isoformat(timespec="microseconds")


def moment(text: str | None) -> datetime | None:
    """The inverse of :func:`stamp`; None for what is no such text."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return None if found.tzinfo is None else found


def number(text: str | None) -> int:
    """One of the journal's own numbers; 0 for what is none."""
    try:
        return int(text or 0)
    except ValueError:
        return 0


def nodes_to_text(nodes: Iterable[str]) -> str:
    """Node names in one column."""
    return ",".join(nodes)


def nodes_from_text(text: str | None) -> tuple[str, ...]:
    """The inverse of :func:`nodes_to_text`."""
    return tuple(text.split(",")) if text else ()


def nodes_of_body(body: str | None) -> tuple[str, ...]:
    """The nodes that a stored plan names; none if it cannot be read."""
    try:
        return Plan.from_json(json.loads(body or "")).nodes
    except _UNREADABLE:
        return ()


def shape(plan: Plan) -> Shape:
    """The lanes and steps of a plan and the nodes they are about, as :class:`.story.PlanState` wants them."""
    return {lane.id: {step.id: lane.about(step) for step in lane.steps} for lane in plan.lanes}


def summary(
    row: Row, *, is_running: bool, superseded_by: str = "", is_expired: bool = False
) -> PlanSummary:
    """A row of ``aixplan`` for people; one that cannot be read is open and parked."""
    text = {name: value or "" for name, value in row.items()}
    phase, outcome, damage = _standing(text["state"], text["outcome"])
    return PlanSummary(
        id=text["id"],
        command=text["command"],
        user=text["username"],
        host=text["host"],
        opened=text["opened"],
        closed=text["closed"],
        phase=phase,
        outcome=outcome,
        nodes=nodes_from_text(text["nodes"]),
        owner=text["owner"],
        is_running=is_running,
        parked=_foreign_format(text["format"]) or damage or _lost_nodes(row),
        superseded_by=superseded_by,
        is_expired=is_expired,
    )


def _standing(state: str, outcome: str) -> tuple[Phase, Outcome | None, str]:
    """Phase and outcome as stored, and what is wrong with them."""
    try:
        phase, found = Phase(state), Outcome(outcome) if outcome else None
    except ValueError as problem:
        return Phase.OPEN, None, f"its stored state is not known to this version: {problem}"
    if phase is Phase.CLOSED and found is None:
        return phase, None, "it is closed, and how it ended is not stored"
    return phase, found, ""


def _lost_nodes(row: Row) -> str:
    return "" if row["nodes"] is not None else "it is not stored which nodes it works on"


def guards_nodes(row: Row) -> bool:
    """Whether no other plan may work on its nodes: it is open, or nobody here can tell."""
    return _standing(row["state"] or "", "")[0] is Phase.OPEN


def read_plan(row: Row) -> Plan:
    """The stored plan; raises :class:`Parked` if this program cannot or must not execute it."""
    plan_id, body = row["id"] or "", row["body"] or ""
    damage = _standing(row["state"] or "", row["outcome"] or "")[2]
    is_over = not guards_nodes(row)
    if reason := _foreign_format(row["format"] or "") or damage or _lost_nodes(row):
        raise Parked(plan_id, reason, is_over=is_over)
    if digest(body) != row["digest"]:
        raise Parked(plan_id, "its stored plan was altered", is_over=is_over)
    try:
        plan = Plan.from_json(json.loads(body))
    except _UNREADABLE as problem:
        raise Parked(plan_id, "its stored plan is not readable", is_over=is_over) from problem
    if plan.nodes != nodes_from_text(row["nodes"]):
        raise Parked(plan_id, "its stored list of nodes was altered", is_over=is_over)
    return plan


def _foreign_format(text: str) -> str:
    if text in _READABLE:
        return ""
    return f"its format {text} is not known to this version; use the version that made it"


def event_row(plan_id: str, event: Event) -> dict[str, Any]:
    """The row of ``aixevent`` for a new event; the database numbers it."""
    return {
        "plan": plan_id,
        "lane": event.lane,
        "step": event.step,
        "event": event.word.value,
        "attempt": event.attempt,
        "job": event.job,
        "at": event.at,
        "detail": _json(event.detail) if event.detail else "",
    }


def read_event(row: Row) -> Event:
    """An event of a stored row; raises :class:`CorruptJournal`."""
    try:
        return Event(
            word=Word(row["event"]),
            lane=row["lane"] or "",
            step=row["step"] or "",
            attempt=int(row["attempt"] or 0),
            job=row["job"] or "",
            detail=_mapping(row["detail"]),
            at=row["at"] or "",
            seq=int(row["seq"] or 0),
        )
    except _UNREADABLE as problem:
        raise CorruptJournal(
            f"journal of {row['plan']}: event {row['seq']} is not readable"
        ) from problem


def _mapping(text: str | None) -> Mapping[str, Any]:
    found = json.loads(text) if text else {}
    if not isinstance(found, dict) or not isinstance(found.get("result", {}), dict):
        raise TypeError("its detail or result is no mapping")
    if not isinstance(found.get("code"), int | None):
        raise TypeError("its code is no number")
    return found


def capped(event: Event, at: str) -> Event:
    """``event`` as it may be stored: dated, and without more text than a journal should hold."""
    detail = event.detail
    if detail:
        detail = {name: _capped(name, value) for name, value in detail.items()}
        if event.word is Word.BY_NODE:
            detail["nodes"] = outcomes.fitted(detail["nodes"])
    return Event(event.word, event.lane, event.step, event.attempt, event.job, detail, at)


def _capped(name: str, value: Any) -> Any:
    if name == "text":
        return outcomes.shortened(str(value), TEXT_LIMIT)
    if name == "detail":
        return outcomes.shortened(str(value), DETAIL_LIMIT)
    if name == "result" and len(_json(value)) > RESULT_LIMIT:
        return {"omitted": "the result was too large for the journal"}
    return value


def _json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
