"""What snmove says: while it works, at the end, and in the list of moves.

Owns: the words and their order (docs/facts/snmove.md, Command line and messages).  Must not: do anything, or
read anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from xcat_aix.plan.fold import fold
from xcat_aix.plan.kinds import Title
from xcat_aix.plan.model import Lane, Note, Plan, Step
from xcat_aix.plan.servicenodes.explain import boot_line, count, note_line
from xcat_aix.plan.servicenodes.nodesteps import DATABASE_LANE
from xcat_aix.plan.servicenodes.snmove import CONSERVER_LANE
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcat_aix.run.progress import (
    LaneEnded,
    PlanEnded,
    Progress,
    StepEnded,
    StepSaid,
    StepStarted,
    StepWaits,
)
from xcat_aix.run.rows import Summary
from xcat_aix.run.states import LaneResult, StepState
from xcat_aix.run.story import PlanState
from xcat_aix_proto.operations import RepointClient
from xcatd.api import NodeReply, Reply, data, error, info, warning

MOVING = "Moving nodes to their backup service nodes."
BALANCING = "Balancing nodes over their service nodes."
NOTHING = "Nothing to change."
FINISH_FIRST = "nothing was changed: finish these moves first, or leave the nodes out of the range"
SETTING = "Setting new values in the xCAT database."
ROUTES = "Checking the default routes on the nodes."
BOOTLIST = "Updating the bootlist."
POSTSCRIPTS = "Running postscripts on the nodes."

# How a command that ran as a step marks its warnings among its lines.
_WARNING = "warning: "

#: Most lines shown of what a failed command printed.
DETAIL_LINES = 8


def notes(found: Iterable[Note]) -> Iterator[Reply]:
    """The notes of a plan that is about to be executed."""
    for note in found:
        line = note_line(note)
        match note.level:
            case "error":
                yield error(line)
            case "warning":
                yield warning(line)
            case _:
                yield info(line)


def has_errors(found: Iterable[Note]) -> bool:
    """True if a note is an error: some node was refused."""
    return any(note.level == "error" for note in found)


class Narrator:
    """Tells one execution.

    ``title`` gives the name of a step; ``shows_progress``: the client draws a counter from ``sinfo`` lines.
    """

    def __init__(
        self, plan: Plan, plan_id: str, title: Title, *, is_verbose: bool, shows_progress: bool
    ) -> None:
        self._plan = plan
        self._summary = MoveSummary.of(plan)
        self._title = title
        self._id = plan_id
        self._is_verbose = is_verbose
        self._shows_progress = shows_progress
        self._lanes = {lane.id: lane for lane in plan.lanes}
        self._total = sum(1 for lane in plan.lanes if lane.target)
        self._done = 0
        self._troubles: dict[str, StepEnded] = {}
        self._reasons: dict[str, str] = {}

    def tell(self, progress: Progress) -> Iterator[Reply]:
        """The replies to one thing that happened."""
        match progress:
            case StepWaits():
                locks, subject = ", ".join(progress.locks), progress.lane.subject
                yield info(f"{subject}: waits for {locks}, which {progress.holder} holds")
            case StepStarted():
                yield from self._started(progress.lane, progress.step)
            case StepSaid():
                yield from self._said(progress)
            case StepEnded() if progress.state is not StepState.DONE:
                self._troubles[progress.lane.id] = progress
            case StepEnded():
                pass
            case LaneEnded():
                yield from self._lane_ended(progress)
            case PlanEnded():
                yield from self._plan_ended(progress)

    def opening(self, done: frozenset[str]) -> Iterator[Reply]:
        """Before the first step; ``done`` are the lanes that an earlier execution finished."""
        if self._is_verbose:
            yield info(f"This move is {self._id}.")
        if DATABASE_LANE in done:
            yield from self._headings(done)
        else:
            yield info(SETTING)

    def _headings(self, done: frozenset[str] = frozenset()) -> Iterator[Reply]:
        """What begins once the database is written; the lanes run side by side."""
        if CONSERVER_LANE in self._lanes and CONSERVER_LANE not in done:
            yield data(f"Running makeconservercf {','.join(self._summary.conserver)}")
        if not self._total:
            return
        if self._summary.default_routes:
            yield info(ROUTES)
        yield info(BOOTLIST)
        yield info(POSTSCRIPTS)

    def _started(self, lane: Lane, step: Step) -> Iterator[Reply]:
        if not self._is_verbose or not lane.target:
            return
        if step.kind == RepointClient.kind:
            yield info(f"Running niminit on {lane.subject}.")
        else:
            yield info(f"{lane.subject}: {self._title(step)}")

    def _said(self, said: StepSaid) -> Iterator[Reply]:
        if said.lane.target:
            if self._is_verbose:
                yield info(f"{said.lane.subject}: {said.text}")
        elif said.text.startswith(_WARNING):
            yield warning(said.text.removeprefix(_WARNING))
        else:
            yield data(said.text)

    def _lane_ended(self, ended: LaneEnded) -> Iterator[Reply]:
        self._reasons[ended.lane.id] = ended.text
        if ended.lane.id == DATABASE_LANE and ended.result is LaneResult.MOVED:
            yield from self._headings()
        if not ended.lane.target:
            return
        self._done += 1
        if self._shows_progress:
            done = f"{self._done} of {count(self._total, 'node')} done"
            yield Reply(sinfo=(f"{self._plan.command}: {done}",))

    # The end

    def _plan_ended(self, ended: PlanEnded) -> Iterator[Reply]:
        if ended.lanes[DATABASE_LANE] is not LaneResult.MOVED:
            yield self._unmoved(ended)
            return
        yield from self._moved(ended.lanes)
        yield from self._skipped(ended.lanes)
        failed = [lane for lane in self._plan.lanes if self._is_failed(lane, ended.lanes)]
        for lane in failed:
            yield self._failure(lane)
        if self._summary.boot:
            yield info(boot_line(self._summary.boot))
        yield self._last_line(ended, failed)

    def _unmoved(self, ended: PlanEnded) -> Reply:
        if ended.outcome is None:
            return error(
                "stopped before anything was known to be changed; to go on:"
                f" snmove --resume {ended.plan_id}"
            )
        reason = self._reasons.get(DATABASE_LANE) or "the database was not written"
        if self._plan.undoes:
            then = "; an undo overwrites no later change: move the nodes by snmove NODERANGE -d SN"
        else:
            then = "" if reason.endswith("again") else f"; run {self._plan.command} again"
        return error(f"nothing was changed: {reason}{then}")

    def _is_failed(self, lane: Lane, results: Mapping[str, LaneResult]) -> bool:
        return not results[lane.id].lets_others_go_on

    def _moved(self, results: Mapping[str, LaneResult]) -> Iterator[Reply]:
        undone = {
            lane.subject
            for lane in self._plan.lanes
            if lane.target and not results[lane.id].lets_others_go_on
        }
        moved: dict[str, list[str]] = {}
        for route in self._summary.routes:
            nodes = [node for node in route.nodes if node not in undone]
            if nodes:
                moved.setdefault(route.new or "no service node", []).extend(nodes)
        for new, nodes in moved.items():
            yield info(f"Moved to {new}: {fold(nodes)}")
        if self._summary.kept:
            yield info(f"Changed without a move: {fold(self._summary.kept)}")

    def _skipped(self, results: Mapping[str, LaneResult]) -> Iterator[Reply]:
        skipped: dict[str, list[str]] = {}
        for lane in self._plan.lanes:
            if lane.target and results[lane.id] is LaneResult.SKIPPED:
                skipped.setdefault(self._reasons.get(lane.id, ""), []).append(lane.subject)
        for reason, nodes in skipped.items():
            yield info(f"Skipped on the node itself: {fold(nodes)}: {reason}")

    def _failure(self, lane: Lane) -> Reply:
        trouble = self._troubles.get(lane.id)
        text = (
            self._trouble_text(trouble) if trouble else self._reasons.get(lane.id) or "not finished"
        )
        if not lane.target:
            return error(f"{lane.subject}: {text}")
        return Reply(nodes=(NodeReply(lane.subject, error=text, errorcode=1),))

    def _trouble_text(self, trouble: StepEnded) -> str:
        """Where it went wrong and what was said there, NIM's own words last."""
        text = f"{self._title(trouble.step)}: {trouble.text or trouble.state.sentence}"
        lines = [line.strip() for line in trouble.detail.splitlines() if line.strip()]
        shown = lines[:DETAIL_LINES]
        if len(lines) > DETAIL_LINES:
            shown.append(f"... and {len(lines) - DETAIL_LINES} more lines")
        return "\n    ".join([text, *shown])

    def _last_line(self, ended: PlanEnded, failed: list[Lane]) -> Reply:
        if ended.outcome is None:
            return error(
                f"stopped before everything was done; to go on: snmove --resume {ended.plan_id}"
            )
        if failed:
            nodes = sum(1 for lane in failed if lane.target)
            total = count(len(self._plan.nodes), "node")
            what = f"{nodes} of {total}" if nodes else "a part"
            return error(
                f"{what} not finished, while the database has the new values; to try again:"
                f" snmove --resume {ended.plan_id}"
            )
        return info(f"This move can be taken back: snmove --undo {ended.plan_id}")


def unfinished(plan: Plan, state: PlanState) -> tuple[str, ...]:
    """The nodes of a plan that are not finished; one that is not up by design is."""
    if state.lane_result(DATABASE_LANE) is not LaneResult.MOVED:
        return plan.nodes
    return tuple(
        lane.subject
        for lane in plan.lanes
        if lane.target and not state.lane_result(lane.id).lets_others_go_on
    )


def listing(moves: Iterable[tuple[Summary, Sequence[str]]]) -> Iterator[str]:
    """The list of moves, newest first, with the nodes that are not finished."""
    rows = [("MOVE", "OPENED (UTC)", "USER", "NODES", "COMMAND", "STATE")]
    for summary, left in moves:
        total = len(summary.nodes)
        nodes = f"{total - len(left)}/{total}"
        opened = summary.opened[:19].replace("T", " ")
        user = summary.user or "-"
        rest = f"; not finished: {fold(left)}" if 0 < len(left) < total else ""
        state = summary.sentence + rest
        rows.append((summary.id, opened, user, nodes, summary.command, state))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[5]]).rstrip()
