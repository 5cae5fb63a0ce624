"""What a command says of its plans in its own words; everything that all planned commands say is in :mod:`.telling`.

Owns: the protocol, and the plain words of a command that has none of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Lane, Plan, Step
from xcat_aix.plan.phrases import count
from xcatd.api import Reply, info


@dataclass(slots=True)
class Words:
    """The words for one plan.  Plain ones; a command overrides what it can say better.

    ``noun`` is what such a plan is called: ``This move can be taken back …``.
    """

    plan: Plan
    noun: str = "plan"

    def heading(self) -> Iterator[str]:
        """What the plan is for: the first lines of its explanation."""
        yield f"Plan: {self.plan.command}, {count(len(self.plan.nodes), 'node')}"
        if self.plan.nodes:
            yield f"  {fold(self.plan.nodes)}"

    def afterwards(self) -> Iterator[str]:
        """What stays to be done by the user: the last lines of its explanation."""
        yield from ()

    def opening(self, done: Collection[str]) -> Iterator[Reply]:
        """Before the first step; ``done`` are the lanes that an earlier execution finished."""
        del done
        yield from ()

    def lane_done(self, lane: Lane) -> Iterator[Reply]:
        """A lane was done; what begins now that it is."""
        del lane
        yield from ()

    def started(self, lane: Lane, step: Step, title: str) -> str:
        """A step begins, for users who want to know all."""
        del step
        return f"{lane.subject or lane.id}: {title}"

    def finished(self, done: Collection[str]) -> Iterator[Reply]:
        """The end, before any failure is told; ``done`` are the nodes of which everything was done."""
        if done:
            yield info(f"Done: {fold(tuple(done))}")

    def outlook(self, done: Collection[str]) -> Iterator[Reply]:
        """After the failures: what these nodes wait for."""
        del done
        yield from ()

    def lasting(self) -> str:
        """Of a plan that is not finished: what holds all the same, such as ``, while …``."""
        return ""

    def unbootable(self) -> Collection[str]:
        """The nodes that cannot boot from where they are served once all is done."""
        return ()
