"""What every planned command says: while it works, at the end, and in the list of plans.

Owns: the order of what is told, failures with the words of the host, and the last line with the exit status.  Must not:
do anything, or know a command: that hands in its :class:`.words.Words`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xcat_aix.plan.explain import note_line, whom
from xcat_aix.plan.fold import fold
from xcat_aix.plan.kinds import Title
from xcat_aix.plan.model import Lane, Note, Plan, Step
from xcat_aix.plan.phrases import columns, count
from xcat_aix.run.progress import (
    LaneEnded,
    PlanEnded,
    Progress,
    StepEnded,
    StepSaid,
    StepStarted,
    StepWaits,
)
from xcat_aix.run.states import LaneResult, StepState
from xcat_aix.run.stored import PlanSummary
from xcat_aix.run.story import PlanState
from xcatd.api import NodeReply, Reply, data, error, info, visible, warning

from . import ending
from .words import Words

# How a command that ran as a step marks its warnings among its lines.
_WARNING = "warning: "

# How the database ends what it refuses; an undo would be refused again.
_AGAIN = "; run the command again"

#: Most lines shown of what a failed command printed.
DETAIL_LINES = 8

_GONE_ON = frozenset({StepState.DONE, StepState.SKIPPED})


def notes(found: Iterable[Note]) -> Iterator[Reply]:
    """The notes of a plan that is about to be carried out; none carries a status."""
    for note in found:
        line = note_line(note)
        match note.level:
            case "error":
                yield Reply(errors=(line,))
            case "warning":
                yield warning(line)
            case _:
                yield info(line)


@dataclass(slots=True)
class Narrator:
    """Tells one execution.  ``title`` gives the name of a step; ``state`` is moved on by the execution.

    ``shows_progress``: the client draws a counter from ``sinfo`` lines.  ``again`` is the name of the command that
    knows what to do with a plan by its id.
    """

    plan: Plan
    plan_id: str
    state: PlanState
    title: Title
    words: Words
    is_verbose: bool = False
    shows_progress: bool = False
    _done: int = 0
    _troubles: dict[str, StepEnded] = field(default_factory=dict)
    _reasons: dict[str, str] = field(default_factory=dict)
    #: Nodes of which was told what went wrong first: what only waited for that goes without saying.
    _told: set[str] = field(default_factory=set)

    def opening(self) -> Iterator[Reply]:
        """Before the first step."""
        if self.is_verbose:
            yield info(f"This {self.words.noun} is {self.plan_id}.")
        results = self.state.results()
        yield from self.words.opening(
            {lane for lane, result in results.items() if result is LaneResult.DONE}
        )

    def tell(self, progress: Progress) -> Iterator[Reply]:
        """The replies to one thing that happened."""
        match progress:
            case StepWaits():
                where = progress.lane.subject or progress.lane.id
                locks = ", ".join(progress.locks)
                yield info(f"{where}: waits for {locks}, which {progress.holder} holds")
            case StepStarted():
                yield from self._started(progress.lane, progress.step)
            case StepSaid():
                yield from self._said(progress)
            case StepEnded() if progress.state is not StepState.DONE:
                self._troubles.setdefault(progress.lane.id, progress)
            case StepEnded():
                self._troubles.pop(progress.lane.id, None)
            case LaneEnded():
                yield from self._lane_ended(progress)
            case PlanEnded():
                yield from self._plan_ended(progress)

    def _started(self, lane: Lane, step: Step) -> Iterator[Reply]:
        if self.is_verbose and lane.target:
            yield info(self.words.started(lane, step, self.title(step)))

    def _said(self, said: StepSaid) -> Iterator[Reply]:
        if said.lane.target:
            if self.is_verbose:
                yield info(f"{said.lane.subject}: {said.text}")
        elif said.text.startswith(_WARNING):
            yield warning(said.text.removeprefix(_WARNING))
        else:
            yield data(said.text)

    def _lane_ended(self, ended: LaneEnded) -> Iterator[Reply]:
        self._reasons[ended.lane.id] = self._heard(ended.text)
        if ended.result is LaneResult.DONE:
            yield from self.words.lane_done(ended.lane)
        if not ended.lane.target:
            return
        self._done += 1
        if self.shows_progress:
            lanes = [lane for lane in self.plan.lanes if lane.target]
            noun = (
                "node" if all(lane.target[0] == "cn" for lane in lanes if lane.target) else "host"
            )
            done = f"{self._done} of {count(len(lanes), noun)} done"
            yield Reply(sinfo=(f"{self.plan.command}: {done}",))

    # The end

    def _plan_ended(self, ended: PlanEnded) -> Iterator[Reply]:
        if not ending.has_changed(ended.lanes.values()):
            yield from self._nothing(ended)
            return
        states = ending.node_states(self.plan, self.state)
        done = [node for node in self.plan.nodes if states[node].state in _GONE_ON]
        yield from self.words.finished(done)
        yield from self._skipped(ended.lanes)
        failed = [lane for lane in self.plan.lanes if not ended.lanes[lane.id].lets_others_go_on]
        for lane in failed:
            yield from self._failures(lane)
        yield from self.words.outlook()
        yield self._last_line(ended, failed)

    def _nothing(self, ended: PlanEnded) -> Iterator[Reply]:
        """Nothing was done, and everybody may know why."""
        if ended.outcome is None:
            yield error(
                "stopped before anything was known to be changed; to go on:"
                f" {self._command('resume')}"
            )
            return
        causes = [lane for lane in self.plan.lanes if lane.id in self._troubles]
        if len(causes) == 1 and causes[0].target is None:
            cause = causes[0]
            reason = self._reasons.get(cause.id) or self._text(cause, self._troubles[cause.id])
        else:
            for lane in causes:
                yield from self._failures(lane)
            reason = "see above" if causes else "nothing could be done"
        yield error(f"nothing was changed: {reason}{self._then(reason)}")

    def _heard(self, text: str) -> str:
        """What was said of a step, without the advice to do again what would be refused again."""
        return text.removesuffix(_AGAIN) if self.plan.undoes else text

    def _then(self, reason: str) -> str:
        if self.plan.undoes:
            return self.words.instead()
        return "" if reason.endswith("again") else f"; run {self.plan.command} again"

    def _skipped(self, results: Mapping[str, LaneResult]) -> Iterator[Reply]:
        skipped: dict[str, list[str]] = {}
        for lane in self.plan.lanes:
            if lane.target and results[lane.id] is LaneResult.SKIPPED:
                skipped.setdefault(self._reasons.get(lane.id, ""), []).append(lane.subject)
        for reason, nodes in skipped.items():
            yield info(f"Skipped on the node itself: {fold(nodes)}: {reason}")

    def _failures(self, lane: Lane) -> Iterator[Reply]:
        """What went wrong in a lane: for each node where it is known for each; none of it carries a status."""
        trouble = self._troubles.get(lane.id)
        if trouble is not None and trouble.nodes:
            name = self.title(trouble.step)
            failed = {
                node: found
                for node, found in trouble.nodes.items()
                if found.state not in _GONE_ON and node not in self._told
            }
            self._told.update(failed)
            if failed:
                yield Reply(
                    nodes=tuple(
                        NodeReply(
                            node,
                            error=f"{name}: {self._heard(found.text) or found.state.sentence}",
                        )
                        for node, found in failed.items()
                    )
                )
            return
        text = self._text(lane, trouble)
        if lane.target is None:
            yield Reply(errors=(f"{lane.subject or lane.id}: {text}",))
        else:
            yield Reply(nodes=(NodeReply(lane.subject or lane.target.node, error=text),))

    def _text(self, lane: Lane, trouble: StepEnded | None) -> str:
        """Where it went wrong and what was said there, the host's own words last."""
        if trouble is None:
            return self._reasons.get(lane.id) or "not finished"
        name = f"{self.title(trouble.step)}{whom(trouble.step)}"
        text = f"{name}: {self._heard(trouble.text) or trouble.state.sentence}"
        lines = [line.strip() for line in trouble.detail.splitlines() if line.strip()]
        shown = lines[:DETAIL_LINES]
        if len(lines) > DETAIL_LINES:
            shown.append(f"... and {len(lines) - DETAIL_LINES} more lines")
        return "\n    ".join([text, *shown])

    def _last_line(self, ended: PlanEnded, failed: Sequence[Lane]) -> Reply:
        code = int(ending.status(ended, self.words))
        if ended.outcome is None:
            text = f"stopped before everything was done; to go on: {self._command('resume')}"
            return error(text, code=code)
        if failed:
            nodes = len(ending.unfinished(self.plan, self.state))
            total = count(len(self.plan.nodes), "node")
            what = f"{nodes} of {total}" if nodes else "a part"
            return error(
                f"{what} not finished{self.words.while_unfinished()}; to try again:"
                f" {self._command('resume')}",
                code=code,
            )
        back = f"This {self.words.noun} can be taken back: {self._command('undo')}"
        unbootable = self.words.unbootable()
        if unbootable:
            return Reply(
                errors=(f"{fold(tuple(unbootable))}: moved, but cannot boot from there yet",),
                info=(back,),
                errorcode=code,
            )
        return Reply(info=(back,), errorcode=code or None)

    def _command(self, verb: str) -> str:
        return f"{self.plan.command} --{verb} {self.plan_id}"


def listing(
    plans: Iterable[tuple[PlanSummary, Sequence[str]]], noun: str = "PLAN"
) -> Iterator[str]:
    """The list of plans, newest first, with the nodes that are not finished."""
    rows: list[tuple[str, ...]] = [(noun, "OPENED (UTC)", "USER", "NODES", "COMMAND", "STATE")]
    for summary, left in plans:
        total = len(summary.nodes)
        nodes = f"{total - len(left)}/{total}"
        user = summary.user or "-"
        rest = f"; not finished: {fold(left)}" if 0 < len(left) < total else ""
        state = summary.sentence + rest
        row = (summary.id, moment(summary.opened), user, nodes, summary.command, state)
        rows.append(row)
    yield from map(visible, columns(rows))  # others gave the words


def moment(text: str) -> str:
    """A time of the journal, to the second."""
    return text[:19].replace("T", " ")
