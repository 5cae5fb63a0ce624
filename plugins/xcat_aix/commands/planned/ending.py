"""What became of a plan, for the exit status and for programs.  Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

from xcat_aix.plan.model import Lane, Note, Plan
from xcat_aix.run.progress import PlanEnded
from xcat_aix.run.states import LaneResult, Outcome, StepState
from xcat_aix.run.story import NodeState, PlanState
from xcatd.api import Reply

from .words import Words


class Status(enum.IntEnum):
    """The exit status of a planned command; clients OR what they get, so only its last reply carries one."""

    DONE = 0
    #: Nothing was changed.
    REFUSED = 1
    PARTLY = 2
    #: All is done, but nodes cannot boot from where they are served now.
    CANNOT_BOOT = 3


def status(ended: PlanEnded, words: Words) -> Status:
    """That of an execution that ended."""
    if ended.outcome is Outcome.OK and not has_errors(words.plan.notes):
        return Status.CANNOT_BOOT if words.unbootable() else Status.DONE
    return Status.PARTLY if has_changed(ended.lanes.values()) else Status.REFUSED


def has_errors(notes: Iterable[Note]) -> bool:
    """True if a note is an error: some node was refused."""
    return any(note.level == "error" for note in notes)


def with_one_status(
    replies: Iterable[Reply], has_changed_anything: Callable[[], bool]
) -> Iterator[Reply]:
    """The replies, of which only the last one carries a status: clients OR what they get.

    Of several errors one says that something was done, if anything was.
    """
    held: Reply | None = None
    found: set[int] = set()
    for reply in replies:
        if held is not None:
            yield replace(held, errorcode=None)
            held = None
        if reply.errorcode:
            found.add(reply.errorcode)
            held = reply
        else:
            yield reply
    if found:
        code = together(found, has_changed=has_changed_anything())
        yield replace(held or Reply(), errorcode=code)


def together(found: Collection[int], *, has_changed: bool) -> int:
    """What several statuses come to."""
    if len(found) == 1 and not (has_changed and Status.REFUSED in found):
        return next(iter(found))
    return int(Status.PARTLY)


def has_changed(results: Iterable[LaneResult]) -> bool:
    """Whether anything was done, or may have been."""
    return not {LaneResult.DONE, LaneResult.PARTIAL}.isdisjoint(results)


def shared(plan: Plan) -> Iterator[Lane]:
    """The lanes that every node of the plan depends on: those that write the database for all."""
    for lane in plan.lanes:
        if lane.target is None and any(step.changes and not step.about for step in lane.steps):
            yield lane


def node_states(plan: Plan, state: PlanState) -> dict[str, NodeState]:
    """Every node of a plan: over the steps about it, and where there are none, over what is written for all."""
    found = state.nodes()
    for lane in shared(plan):
        result = state.lane_result(lane.id)
        if result is LaneResult.DONE:
            continue
        trouble = state.trouble(lane.id)
        text = trouble.text if trouble else ""
        held = NodeState(StepState.HELD, text)
        found = {
            node: held if found.get(node, _DONE).state is StepState.DONE else found[node]
            for node in plan.nodes
        }
    return {node: found.get(node, _DONE) for node in plan.nodes}


_DONE = NodeState(StepState.DONE)

#: States in which nothing is left to be done: a node that is not up by design takes it later by itself.
_OVER = frozenset({StepState.DONE, StepState.SKIPPED})


def unfinished(plan: Plan, state: PlanState) -> tuple[str, ...]:
    """The nodes of which something is left to be done."""
    states = node_states(plan, state)
    return tuple(node for node in plan.nodes if states[node].state not in _OVER)


def as_json(ended: PlanEnded, state: PlanState, words: Words) -> dict[str, Any]:
    """The outcome for programs."""
    plan, code = words.plan, status(ended, words)
    return {
        "plan": ended.plan_id,
        "command": plan.command,
        "status": int(code),
        "outcome": ended.outcome.value if ended.outcome else "stopped",
        "nodes": {
            node: {"state": _word(node, found, words), "text": found.text}
            for node, found in node_states(plan, state).items()
        },
        "lanes": {
            lane.id: {"subject": lane.subject, "result": ended.lanes[lane.id].value}
            for lane in plan.lanes
        },
        "cannot_boot": [] if code is Status.REFUSED else list(words.unbootable()),
    }


def nothing_as_json(words: Words, code: Status) -> dict[str, Any]:
    """The same for a plan that had nothing to do, and so has no id."""
    return {
        "plan": None,
        "command": words.plan.command,
        "status": int(code),
        "outcome": "nothing to do",
        "nodes": {},
        "lanes": {},
        "cannot_boot": [],
    }


def _word(node: str, found: NodeState, words: Words) -> str:
    is_waiting = found.state in _OVER and node in words.waiting()
    return "waits_for_boot" if is_waiting else found.state.value
