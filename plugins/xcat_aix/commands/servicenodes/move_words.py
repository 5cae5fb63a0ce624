"""What is said of moves: while they are carried out, and at the end.

Owns: the words and their order (docs/facts/snmove.md, Command line and messages).  Must not: do or read anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from xcat_aix.commands.planned.words import Words
from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Lane, Plan, Step
from xcat_aix.plan.servicenodes.meaning import MoveMeaning, boot_line
from xcat_aix.plan.servicenodes.nodesteps import DATABASE_LANE
from xcat_aix.plan.servicenodes.snmove import CONSERVER_LANE
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcat_aix_proto.operations import RepointClient
from xcatd.api import Reply, data, info

MOVING = "Moving nodes to their backup service nodes."
BALANCING = "Balancing nodes over their service nodes."
NOTHING = "Nothing to change."
FINISH_FIRST = "nothing was changed: finish these moves first, or leave the nodes out of the range"
SETTING = "Setting new values in the xCAT database."
ROUTES = "Checking the default routes on the nodes."
BOOTLIST = "Updating the bootlist."
POSTSCRIPTS = "Running postscripts on the nodes."


class MoveWords(Words):
    """The words for one plan of moves; raises :class:`PlanError` for one of another command."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, "move")
        self._summary = MoveSummary.of(plan)
        self._meaning = MoveMeaning(plan, self._summary)
        self._lanes = {lane.id for lane in plan.lanes}
        self._done: set[str] = set()

    def heading(self) -> Iterator[str]:
        """The routes."""
        return self._meaning.heading()

    def overview(self) -> Iterator[str]:
        """The balance."""
        return self._meaning.overview()

    def without_agents(self) -> Iterator[str]:
        """That it was asked for so."""
        return self._meaning.without_agents()

    def afterwards(self) -> Iterator[str]:
        """What is to be network-booted."""
        return self._meaning.afterwards()

    def opening(self, done: Collection[str]) -> Iterator[Reply]:
        """The database is written first."""
        self._done.update(done)
        if DATABASE_LANE in done:
            yield from self._headings()
        else:
            yield info(SETTING)

    def lane_done(self, lane: Lane) -> Iterator[Reply]:
        """Once the database is written all else begins, side by side."""
        self._done.add(lane.id)
        if lane.id == DATABASE_LANE:
            yield from self._headings()

    def _headings(self) -> Iterator[Reply]:
        if CONSERVER_LANE in self._lanes - self._done:
            yield data(f"Running makeconservercf {','.join(self._summary.conserver)}")
        if not any(lane.target for lane in self.plan.lanes):
            return
        if self._summary.default_routes:
            yield info(ROUTES)
        yield info(BOOTLIST)
        yield info(POSTSCRIPTS)

    def started(self, lane: Lane, step: Step, title: str) -> str:
        """Niminit by its name, as xCAT has it."""
        if step.kind == RepointClient.kind:
            return f"Running niminit on {lane.subject}."
        return super().started(lane, step, title)

    def finished(self, done: Collection[str]) -> Iterator[Reply]:
        """Who went where."""
        moved: dict[str, list[str]] = {}
        there = frozenset(done)
        for route in self._summary.routes:
            nodes = [node for node in route.nodes if node in there]
            if nodes:
                moved.setdefault(route.new or "no service node", []).extend(nodes)
        for new, nodes in moved.items():
            yield info(f"Moved to {new}: {fold(nodes)}")
        if self._summary.kept:
            yield info(f"Changed without a move: {fold(self._summary.kept)}")

    def outlook(self) -> Iterator[Reply]:
        """What is to be network-booted."""
        if self._summary.boot:
            yield info(boot_line(self._summary.boot))

    def while_unfinished(self) -> str:
        """The database speaks of the new service nodes already."""
        return ", while the database has the new values" if DATABASE_LANE in self._done else ""

    def instead(self) -> str:
        """An undo that found other values."""
        return "; an undo overwrites no later change: to move the nodes all the same, run snmove NODERANGE -d SN"

    def waiting(self) -> Collection[str]:
        """Those to be network-booted."""
        return frozenset(self._summary.boot)

    def unbootable(self) -> Collection[str]:
        """Those that their new service node is not ready for."""
        return self._summary.unready
