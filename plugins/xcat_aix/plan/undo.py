"""The way back: from a plan and what was done of it to the plan that takes it back, for every command.

Owns: which lanes and steps are taken back and in which order, what an undo carries of what was not finished, and the
notes about what has no way back.  Must not: know a kind or a command (a kind says what takes a step of it back, a command
what it knows of a lane's way back), or look at the world.
Facts: docs/facts/snmove.md, Undo.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from .errors import PlanError
from .fold import fold
from .kinds import Begun, Kinds, NoReverse
from .model import Lane, Note, Plan, Step, Target
from .ordering import LaneOrder

#: The steps begun of each lane, and what their effects returned: by lane id and step id.
Done: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Any]]]

#: By lane id and step id: the nodes for which nothing of a step was begun, of those that it is about.
Spared: TypeAlias = Mapping[str, Mapping[str, Collection[str]]]

_NOBODY: Spared = {}


@dataclass(frozen=True, slots=True)
class LaneWay:
    """A lane's way back: the agent that relays there, and what the command knows for the kinds of its steps."""

    via: Target | None = None
    known: object = None


#: What a command knows of the way back of a lane.
Ways: TypeAlias = Callable[[Lane], LaneWay | NoReverse]


def by_the_same_way(lane: Lane) -> LaneWay:
    """For commands that know nothing more."""
    return LaneWay(lane.via)


def undo(
    plan: Plan,
    done: Done,
    plan_id: str,
    kinds: Kinds,
    *,
    unfinished: Collection[str] = (),
    spared: Spared = _NOBODY,
    ways: Ways = by_the_same_way,
    is_forward: bool = False,
) -> Plan:
    """The reverse of what was done of ``plan``; raises :class:`PlanError` if there is nothing to undo.

    ``done`` names the steps that were done, or may have been: a step that was begun counts, for all nodes that it is
    about but those ``spared``.  ``unfinished`` are the
    lanes of which not everything was done: they go along, so that an undo of this undo does all of them.
    What was done last is taken back first; ``is_forward``: in the order in which it was done.
    """
    kept = {lane.id: lane for lane in plan.rest}
    found = _Found(kinds)
    taken = {
        lane.id: back
        for lane in plan.lanes
        if lane.id not in kept and lane.id in done
        if (back := found.lane(_without(lane, spared), done[lane.id], ways, is_forward=is_forward))
        is not None
    }
    if not (taken or kept):
        raise PlanError(f"cannot undo {plan_id}: {found.reason()}")
    return Plan(
        command=plan.command,
        nodes=plan.nodes,
        lanes=tuple(_ordered(plan, kept, taken, found.again, is_forward=is_forward)),
        notes=tuple(found.notes()),
        summary=plan.summary,
        undoes=plan_id,
        rest=tuple(_rest(plan.lanes, unfinished)),
    )


def _without(lane: Lane, spared: Spared) -> Lane:
    """The lane, its steps about those nodes only for which something was begun."""
    if lane.id not in spared:
        return lane
    left = spared[lane.id]
    steps = tuple(
        replace(step, about=tuple(node for node in step.about if node not in left[step.id]))
        if step.id in left
        else step
        for step in lane.steps
    )
    return replace(lane, steps=steps)


@dataclass(slots=True)
class _Found:
    """What takes back the steps that were begun, and whatever there is nothing for."""

    kinds: Kinds
    #: Lanes that do once more what they did.
    again: set[str] = field(default_factory=set)
    _left: dict[NoReverse, list[str]] = field(default_factory=dict)
    _stuck: dict[tuple[str, NoReverse], list[str]] = field(default_factory=dict)

    def lane(
        self, lane: Lane, begun: Mapping[str, Mapping[str, Any]], ways: Ways, *, is_forward: bool
    ) -> Lane | None:
        """The lane that takes one back, None if nothing of it is to be."""
        if not begun:
            return None
        way = ways(lane)
        if isinstance(way, NoReverse):
            self._left.setdefault(way, []).append(lane.subject or lane.id)
            return None
        pairs = [
            (step, back)
            for step in lane.steps
            if step.id in begun and (back := self._step(step, lane, way, begun[step.id]))
        ]
        repeated = [back for step, back in pairs if back == step]
        other = [back for step, back in pairs if back != step]
        if repeated and not other:
            self.again.add(lane.id)
        if is_forward:
            steps = [back for _, back in pairs]
        else:
            steps = [*reversed(other), *repeated]
        return replace(lane, steps=tuple(steps), via=way.via) if steps else None

    def _step(self, step: Step, lane: Lane, way: LaneWay, result: Mapping[str, Any]) -> Step | None:
        back = self.kinds.reverse(Begun(step, lane, way.known, result))
        if isinstance(back, NoReverse):
            names = lane.about(step) or (lane.subject or lane.id,)
            self._stuck.setdefault((self.kinds.title(step), back), []).extend(names)
            return None
        return back

    def notes(self) -> Iterator[Note]:
        """What is left as it is, and why."""
        for none, subjects in self._left.items():
            yield Note("warning", f"left as it is, because {none.because}", fold(subjects))
        for (title, none), subjects in self._stuck.items():
            yield Note(
                "warning", f"not taken back: {title}, because {none.because}", fold(subjects)
            )

    def reason(self) -> str:
        """Why nothing is taken back."""
        told = [f"{note.subject}: {note.text}" for note in self.notes()]
        return "; ".join(told) or "nothing was done that could be taken back"


def _rest(lanes: Iterable[Lane], unfinished: Collection[str]) -> Iterator[Lane]:
    """The unfinished lanes, and those that wait for them: what came too early comes again."""
    carried = set(unfinished)
    lanes = tuple(lanes)
    followers: dict[str, list[str]] = {}
    for lane in lanes:
        for other in (*lane.needs, *lane.after):
            followers.setdefault(other, []).append(lane.id)
    waiting = list(unfinished)
    while waiting:
        for follower in followers.get(waiting.pop(), ()):
            if follower not in carried:
                carried.add(follower)
                waiting.append(follower)
    return (lane for lane in lanes if lane.id in carried)


def _ordered(
    plan: Plan,
    kept: Mapping[str, Lane],
    taken: Mapping[str, Lane],
    again: Collection[str],
    *,
    is_forward: bool,
) -> Iterator[Lane]:
    """The lanes of the undo, in its order; those from before wait for what they waited for then.

    What is taken back after the database needs that: where others wrote since, the hosts stay as the database says.
    """
    order = LaneOrder(plan.lanes, again=again, is_forward=is_forward)
    here = {**kept, **taken}
    empty = order.leave_out(lane.id for lane in plan.lanes if lane.id not in here)
    here |= {lane.id: lane for lane in empty}
    for id_, lane in taken.items():
        if any(step.changes for step in lane.steps):
            order.require(id_, taken)
    order.wait_as(kept.values())
    ids = [lane.id for lane in plan.lanes if lane.id in here]
    for id_ in ids if is_forward else reversed(ids):
        yield order.placed(here[id_])
    for id_, lane in kept.items():
        if id_ not in ids:
            yield order.placed(lane)
