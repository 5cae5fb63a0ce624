"""What became of a plan, for people, programs and the exit status.  Pure.

Facts: ARCHITECTURE.md, Exit status of planned commands.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xcat_aix.plan.model import Lane, Plan
from xcat_aix.run.states import LaneResult, PlanState
from xcatd.api import Reply, data


class Status(enum.IntEnum):
    """The exit status of a planned command; a client ORs them, so that only the last reply carries one."""

    DONE = 0
    #: Nothing was changed.
    REFUSED = 1
    PARTLY = 2
    #: All is done, but nodes cannot boot from where they are served now.
    CANNOT_BOOT = 3


@dataclass(frozen=True, slots=True)
class NodeEnd:
    """What became of one node: ``state`` is a word for programs, ``text`` the reason where it is not done."""

    state: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """What became of a plan.  ``state``: done, partly, nothing or stopped."""

    plan_id: str
    state: str
    nodes: Mapping[str, NodeEnd] = field(default_factory=dict)
    troubles: Sequence[str] = ()
    waiting: Collection[str] = ()
    unbootable: Collection[str] = ()

    @property
    def status(self) -> Status:
        """The exit status."""
        if self.state == "done":
            return Status.CANNOT_BOOT if self.unbootable else Status.DONE
        return Status.REFUSED if self.state == "nothing" else Status.PARTLY
