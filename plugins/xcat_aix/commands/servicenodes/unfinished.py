"""Nodes that a move left unfinished: the database says that they are moved, the nodes do not.

Owns: finding them in the journal, and saying what finishes them.  Must not: change anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from xcat_aix.commands.planned.ending import unfinished
from xcat_aix.plan.fold import fold
from xcat_aix.plan.servicenodes import snbalance
from xcat_aix.plan.servicenodes.snmove import COMMAND
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcat_aix.run.errors import Parked
from xcat_aix.run.journal import Journal, Stored
from xcat_aix.run.states import Outcome, Phase
from xcat_aix.run.stored import PlanSummary

#: Commands whose plans move nodes; so begin the ids of these.
MOVING = (COMMAND, snbalance.COMMAND)
_IDS = tuple(f"{command}-" for command in MOVING)


def moves(journal: Journal) -> Iterator[PlanSummary]:
    """The moves in the journal, newest first."""
    return (found for found in journal.list() if found.id.startswith(_IDS))


def about_nodes(nodes: Collection[str], journal: Journal) -> Iterator[str]:
    """A line for each move that was the last one to work on some of these nodes and did not finish them."""
    if not nodes:
        return
    unseen = set(nodes)
    for summary in moves(journal):
        concerned = unseen.intersection(summary.nodes)
        if not concerned or not _wrote(summary):
            continue
        unseen -= concerned
        if left := _left(summary, journal, lambda _: True):
            yield from _line(summary, [node for node in left if node in concerned])


def about_source(source: str, journal: Journal) -> Iterator[str]:
    """The same for the moves away from a service node that has no nodes any more."""
    seen: set[str] = set()
    for summary in moves(journal):
        if _wrote(summary):
            left = _left(summary, journal, lambda stored: _is_from(source, stored))
            yield from _line(summary, [node for node in left if node not in seen])
            seen.update(summary.nodes)


def _left(
    summary: PlanSummary, journal: Journal, concerns: Callable[[Stored], bool]
) -> tuple[str, ...]:
    if summary.phase is not Phase.OPEN and summary.outcome is not Outcome.PARTIAL:
        return ()
    try:
        stored = journal.load(summary.id, summary)
    except Parked:
        return summary.nodes
    return unfinished(stored.plan, stored.state) if concerns(stored) else ()


def _wrote(summary: PlanSummary) -> bool:
    """Whether it may have moved a node; one that failed wrote nothing."""
    return not (summary.parked or summary.is_saved) and summary.outcome is not Outcome.FAILED


def _is_from(source: str, stored: Stored) -> bool:
    return any(route.old == source for route in MoveSummary.of(stored.plan).routes)


def _line(summary: PlanSummary, nodes: Collection[str]) -> Iterator[str]:
    if not nodes:
        return
    if summary.is_running:
        yield f"{fold(nodes)}: {summary.id} is still at work there"
    elif summary.superseded_by:
        yield (
            f"{fold(nodes)}: {summary.id} did not finish there, and cannot go on since"
            f" {summary.superseded_by} has worked on others of its nodes: move these anew, by"
            f" snmove {fold(nodes)} -d SERVICE_NODE"
        )
    else:
        yield (
            f"{fold(nodes)}: {summary.id} did not finish there; to go on: snmove --resume {summary.id}"
        )
