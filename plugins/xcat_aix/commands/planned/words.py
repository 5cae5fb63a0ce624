"""What a command says of its plans in its own words; everything that all planned commands say is in :mod:`.telling`.

Owns: the plain words of a command that has none of its own; a command overrides what it can say better.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from xcat_aix.plan.explain import whom
from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Lane, Plan, Step
from xcat_aix.plan.phrases import count
from xcatd.api import Reply, info


@dataclass(slots=True)
class Words:
    """The words for one plan.  ``noun`` is what such a plan is called: ``This move can be taken back …``."""

    plan: Plan
    noun: str = "plan"

    # For its explanation: see xcat_aix.plan.explain.Meaning.

    def heading(self) -> Iterator[str]:
        """What the plan is for: the first lines."""
        yield f"Plan: {self.plan.command}, {count(len(self.plan.nodes), 'node')}"
        if self.plan.nodes:
            yield f"  {fold(self.plan.nodes)}"

    def overview(self) -> Iterator[str]:
        """Figures that help to judge it."""
        yield from ()

    def without_agents(self) -> Iterator[str]:
        """Why nothing is done on any host."""
        yield from ()

    def afterwards(self) -> Iterator[str]:
        """What stays to be done by the user."""
        yield from ()

    # While it is carried out.

    def opening(self, done: Collection[str]) -> Iterator[Reply]:
        """Before the first step; ``done`` are the lanes that an earlier execution finished."""
        del done
        yield from ()

    def lane_done(self, lane: Lane) -> Iterator[Reply]:
        """A lane was done: what begins now that it is."""
        del lane
        yield from ()

    def started(self, lane: Lane, step: Step, title: str) -> str:
        """A step on some host begins."""
        return f"{lane.subject or lane.id}: {title}{whom(step)}"

    # The end.

    def finished(self, done: Collection[str]) -> Iterator[Reply]:
        """Before any failure is told; ``done`` are the nodes of which everything was done."""
        if done:
            yield info(f"Done: {fold(tuple(done))}")

    def outlook(self) -> Iterator[Reply]:
        """After the failures: what nodes wait for."""
        yield from ()

    def while_unfinished(self) -> str:
        """What holds although the plan is not finished, such as ``, while …``."""
        return ""

    def instead(self) -> str:
        """What else a user can do where a plan that was to take this one back changed nothing."""
        return ""

    def waiting(self) -> Collection[str]:
        """The nodes that wait for their network boot once all is done."""
        return ()

    def unbootable(self) -> Collection[str]:
        """The nodes that cannot boot from where they are served once all is done."""
        return ()
