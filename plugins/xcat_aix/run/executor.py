"""The executor: opens and claims plans, and runs what is left of them.

Knows no step kind, no NIM and no xCAT.  How it runs: :mod:`.execution` settles everything in one thread, the
caller's; :mod:`.lane_runner` does the work in others.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xcat_aix.plan.model import Plan

from . import stored
from .execution import Execution
from .journal import Journal, OpenPlan
from .lane_runner import Crash
from .progress import Progress
from .registry import Registry
from .states import Event, Phase, Word
from .story import fold
from .task import Connect

if TYPE_CHECKING:
    from xcatd.api import Clock

#: Nodes worked on at once, unless the user says otherwise.
FANOUT = 64

#: Seconds a lane may take, unless the user says otherwise.
TIMEOUT = 600.0

#: Seconds after its time limit at which a lane's worker is no longer waited for.
GRACE = 15.0


def _no_crash(_point: str, _lane: str, _step: str) -> None:
    """Product code never ends at a boundary."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Executes plans from a journal.

    ``connect`` reaches a lane's agent; ``fanout`` lanes run at once, each for at most ``timeout`` seconds.  When
    ``stop`` is set, steps under way are brought to a safe end, and the plan stays open to be resumed.
    ``crash`` is for tests: it is called at every boundary.
    """

    journal: Journal
    registry: Registry
    clock: Clock
    connect: Connect
    fanout: int = FANOUT
    timeout: float = TIMEOUT
    grace: float = GRACE
    stop: threading.Event = field(default_factory=threading.Event)
    crash: Crash = _no_crash

    def open(self, plan: Plan, *, command: str = "", user: str = "") -> OpenPlan:
        """Store a new plan; raises :class:`.errors.Overlap`, :class:`.errors.Parked`, ValueError."""
        self.registry.check(plan)
        hold = self.journal.open_plan(plan, command=command, user=user)
        return OpenPlan(hold, plan, fold(stored.shape(plan), [Event(Word.OPENED)], hold.plan_id))

    def apply(self, plan_id: str, sha256: str = "", *, user: str = "") -> OpenPlan:
        """Open a plan that was kept; raises as :meth:`.journal.Journal.open_saved` does."""
        self._check(plan_id)
        return self.journal.open_saved(plan_id, sha256, user=user)

    def claim(self, plan_id: str) -> OpenPlan:
        """Take over an unfinished plan; raises as :meth:`.journal.Journal.claim` does."""
        self._check(plan_id)
        return self.journal.claim(plan_id)

    def _check(self, plan_id: str) -> None:
        found = self.journal.load(plan_id)
        self.registry.check(found.plan, plan_id, is_over=found.summary.phase is not Phase.OPEN)

    def run(self, claimed: OpenPlan, *, retry: bool = True) -> Iterator[Progress]:
        """Do what is left of a plan; the last thing told is :class:`.progress.PlanEnded`.

        ``retry``: what failed, was held or skipped before is tried again, once; an interrupted step that
        is found half done is done anew.  Raises :class:`.errors.LeaseLost` and the database's errors; then
        and when the caller stops iterating, the plan can be resumed.
        """
        execution = Execution(self, claimed, retry=retry)
        try:
            yield from execution.go()
        except GeneratorExit:
            execution.wind_down()
            raise
        except Exception:
            execution.abandon()
            execution.let_go()
            raise
        finally:
            execution.abandon()
