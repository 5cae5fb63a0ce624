"""What agents lack for a plan, asked of them before it is begun: an agent may be one version older than we are.

Owns: whom to ask, and what is said of it.  Nobody is asked where agents of the last version know every operation; who
gives no answer is left to its lane.  Must not: know an operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.explain import note_line
from xcat_aix.plan.model import Lane, Note, Target
from xcat_aix_proto import operations
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcatd.api import AgentConnection, Context

from .agents import AgentCalls
from .how import How


def check(lanes: Iterable[Lane], how: How, context: Context) -> None:
    """Raise :class:`PlanError` with a line for each node whose agent lacks something, unless that is to be gone on with."""
    if not how.is_forced and (found := notes(lanes, context)):
        raise PlanError(*map(note_line, found))


def notes(lanes: Iterable[Lane], context: Context) -> tuple[Note, ...]:
    """The same as warnings."""
    needed = _needed(lanes)
    if not needed:
        return ()
    ways = {target: via for target, (via, _) in needed.items()}
    agents = AgentCalls.of((each.node for pair in ways.items() for each in pair if each), context)
    questions = {target: partial(_require, kinds) for target, (_, kinds) in needed.items()}
    return tuple(_told(agents.ask_each(questions, ways)))


def _needed(lanes: Iterable[Lane]) -> dict[Target, tuple[Target | None, dict[str, None]]]:
    """By agent: who relays to it, and the kinds of operations that are newer than the last version."""
    found: dict[Target, tuple[Target | None, dict[str, None]]] = {}
    for lane in lanes:
        newer = dict.fromkeys(step.kind for step in lane.steps if operations.is_newer(step.kind))
        if lane.target is not None and newer:
            found.setdefault(lane.target, (lane.via, {}))[1].update(newer)
    return found


def _require(kinds: Iterable[str], connection: AgentConnection) -> None:
    connection.require_kinds(kinds)


def _told(answers: dict[Target, AgentError | None]) -> Iterator[Note]:
    for target, problem in answers.items():
        if problem is not None and problem.code is ErrorCode.BAD_OPERATION:
            text = f"{problem.message}, or leave it behind by --force"
            yield Note("warning", text, target.node)
