"""What can be done with plans that are in the journal, by every planned command and by ``plans``.

Owns: list, show, resume, undo, abandon, forget, apply, and whose nodes and command each of them concerns.  A plan of another
command is handed to that one, whose words and way back it needs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xcat_aix.commands.options import Arguments
from xcat_aix.plan import explain
from xcat_aix.plan.fold import fold
from xcat_aix.plan.kinds import Title
from xcat_aix.plan.model import Lane
from xcat_aix.plan.undo import Done, Spared
from xcat_aix.run.errors import Parked, StillRunning, UnknownPlan
from xcat_aix.run.journal import Journal, Stored
from xcat_aix.run.registry import Registry
from xcat_aix.run.states import LaneResult, Outcome, Phase, StepState
from xcat_aix.run.stored import PlanSummary
from xcat_aix.run.story import StepRecord
from xcatd.api import NOTHING, Context, Reply, Targets, data, info, is_unsupported, visible

from . import ending, lacking, telling
from .doing import Doing, executor_of, journal_of, registry_of
from .how import PREVIEWING, UsageError
from .page import Page

if TYPE_CHECKING:
    from .command import PlannedCommand

_RUNNING = {"V", "fanout", "timeout", "json", "yes", "force"}

#: The verbs, and the options that each has.
_ALLOWED: dict[str, set[str]] = {
    "list": {"json"},
    "show": {"json"},
    "resume": _RUNNING,
    "undo": {*_RUNNING, "dry-run", "out"},
    "abandon": {"json"},
    "forget": {"json"},
    "apply": {*_RUNNING, "digest"},
}

_NOT_BEGUN = "not begun"


@dataclass(frozen=True, slots=True)
class Verb:
    """``plan_id`` is empty for ``list``."""

    name: str
    plan_id: str
    arguments: Arguments


def is_asked_about(arguments: Arguments) -> bool:
    """Whether the command itself is asked about: its usage or version."""
    return arguments.has("h") or arguments.has("v")


def verb_of(arguments: Arguments) -> Verb | None:
    """What is to be done with which plan; None: a new plan is to be made."""
    for name in _ALLOWED:
        if arguments.has(name):
            return Verb(name, arguments.value(name), arguments)
    return None


def check(arguments: Arguments, page: Page) -> None:
    """Raise :class:`.how.UsageError` where verbs and options do not go together."""
    found = [name for name in _ALLOWED if arguments.has(name)]
    if len(found) > 1:
        raise UsageError(f"--{found[0]} and --{found[1]} exclude each other.", shows_usage=True)
    if not found:
        if arguments.has("digest"):
            raise UsageError("--digest is for --apply only.", shows_usage=True)
        return
    name = found[0]
    # No id begins with a dash: what is there is the next option.
    if name != "list" and (not (given := arguments.value(name)) or given.startswith("-")):
        raise UsageError(f"--{name} needs the id of a plan, see {page.name} --list.")
    if arguments.operands:
        raise UsageError(f"--{name} takes no '{arguments.operands[0]}'.", shows_usage=True)
    wrong = [option for option in arguments.options if option not in {name, *_ALLOWED[name]}]
    if wrong:
        dashes = "-" if len(wrong[0]) == 1 else "--"
        raise UsageError(f"--{name} has no option {dashes}{wrong[0]}.", shows_usage=True)
    if arguments.has("digest") and not arguments.value("digest"):
        raise UsageError("--digest needs the SHA-256 of the plan.")
    if name == "resume" and arguments.has("json") and not arguments.has("yes"):
        raise UsageError(
            f"--resume carries out what is left: add --yes for its outcome as JSON; {page.name} --show"
            f" {arguments.value(name)} --json shows what is left."
        )


def targets(verb: Verb, context: Context) -> Targets:
    """The plan's nodes, judged as the plan's own command as well; a list shows what the user may see."""
    if verb.name == "list":
        return NOTHING
    summary = next(
        (each for each in journal_of(context).list() if each.id == verb.plan_id),
        None,
    )
    # Of a plan that is not there the command says just that.
    return NOTHING if summary is None else _targets_of(summary)


def _targets_of(summary: PlanSummary) -> Targets:
    """Without a readable command line nobody can tell whose work it is.

    Lines of former versions still have the words of the preview that kept them, which must allow nothing: judged with
    and without them.
    """
    command, *words = _split(summary.command) or [""]
    carried = tuple(_carried_out(words))
    return Targets.of(summary.nodes, command, words) | Targets.of(summary.nodes, command, carried)


def _carried_out(words: Iterable[str]) -> Iterator[str]:
    """The words without those of a preview, or of anything that may be their beginning."""
    left = iter(words)
    for word in left:
        name, has_value, _ = word.partition("=")
        if len(name) > 2 and "--out".startswith(name):
            if not has_value:
                next(left, None)
        elif not (len(name) > 2 and any(f"--{each}".startswith(name) for each in PREVIEWING)):
            yield word


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def act(verb: Verb, command: PlannedCommand, doing: Doing) -> Iterator[Reply]:
    """Do it; raises what :func:`.doing.guarded` takes."""
    journal = journal_of(doing.context)
    match verb.name:
        case "list":
            yield from _list(command, journal, doing)
        case "abandon":
            journal.abandon(verb.plan_id)
            text = f"Gave up {verb.plan_id}: its nodes are free for other plans."
            yield from _over(verb.plan_id, text, doing)
        case "forget":
            journal.forget(verb.plan_id)
            yield from _over(verb.plan_id, f"Forgot {verb.plan_id}.", doing)
        case _:
            yield from _with_plan(verb, journal.load(verb.plan_id), command, doing)


def _over(plan_id: str, text: str, doing: Doing) -> Iterator[Reply]:
    body = {"plan": plan_id, "status": int(ending.Status.DONE)}
    yield data(json.dumps(body)) if doing.how.is_json else info(text)


def _with_plan(
    verb: Verb, stored: Stored, command: PlannedCommand, doing: Doing
) -> Iterator[Reply]:
    other = stored.plan.command
    if other not in {command.page.name, *command.lists}:
        yield from _by_its_own_command(
            verb, other, doing, is_over=stored.summary.phase is not Phase.OPEN
        )
        return
    match verb.name:
        case "show":
            yield from _show(stored, command, doing)
        case "resume":
            yield from _resume(verb, stored, command, doing)
        case "apply":
            yield from _apply(verb, stored, command, doing)
        case _:
            yield from _undo(verb, stored, command, doing)


def _by_its_own_command(verb: Verb, other: str, doing: Doing, *, is_over: bool) -> Iterator[Reply]:
    """As that command with the same words: it was judged so already."""
    words = doing.request.words
    for reply in doing.context.run(other, words, ()):
        if is_unsupported(reply):
            raise Parked(verb.plan_id, f"no plugin offers its command {other}", is_over=is_over)
        yield reply


# The list


def _list(command: PlannedCommand, journal: Journal, doing: Doing) -> Iterator[Reply]:
    may = doing.context.may
    shown = [
        summary
        for summary in journal.list()
        if _is_listed(summary, command) and may(_targets_of(summary))
    ]
    plans = [(summary, _left(summary, journal)) for summary in shown]
    noun = command.noun
    if doing.how.is_json:
        yield data(json.dumps([_entry(summary, left) for summary, left in plans]))
    elif not plans:
        yield info(f"There are no {noun}s in the journal.")
    else:
        rows = [(summary, tuple(left)) for summary, left in plans]
        yield data(*telling.listing(rows, noun.upper()))


def _is_listed(summary: PlanSummary, command: PlannedCommand) -> bool:
    if command.lists_all:
        return True
    names = command.lists or (command.page.name,)
    return summary.id.startswith(tuple(f"{name}-" for name in names))


def _left(summary: PlanSummary, journal: Journal) -> dict[str, str]:
    """The unfinished nodes of a plan, each with the reason; taken from its story only where the outcome does not tell."""
    if summary.parked:
        return dict.fromkeys(summary.nodes, summary.parked)
    if summary.outcome is Outcome.OK:
        return {}
    try:
        stored = journal.load(summary.id, summary)
    except Parked as problem:  # nobody can tell which of them are
        return dict.fromkeys(summary.nodes, problem.reason)
    except UnknownPlan:  # forgotten since it was listed
        return {}
    return _reasons(stored)


def _reasons(stored: Stored) -> dict[str, str]:
    """The unfinished nodes, each with the reason."""
    summary = stored.summary
    if summary.phase is Phase.UNDONE:
        return {}
    if summary.is_saved:
        return dict.fromkeys(summary.nodes, _NOT_BEGUN)
    states = ending.node_states(stored.plan, stored.state)
    return {
        node: states[node].text or states[node].state.sentence
        for node in ending.unfinished(stored.plan, stored.state)
    }


def _entry(summary: PlanSummary, left: dict[str, str]) -> dict[str, Any]:
    """A plan of the list for programs."""
    return {
        "id": summary.id,
        "opened": summary.opened,
        "closed": summary.closed,
        "user": summary.user,
        "command": summary.command,
        "state": summary.sentence,
        "nodes": len(summary.nodes),
        "done": len(summary.nodes) - len(left),
        "unfinished": list(left),
        "reasons": left,
    }


# One plan


def _show(stored: Stored, command: PlannedCommand, doing: Doing) -> Iterator[Reply]:
    title = registry_of(doing.context).title
    if doing.how.is_json:
        states = ending.node_states(stored.plan, stored.state)
        body = _entry(stored.summary, _reasons(stored)) | {
            "lanes": _lanes_as_json(stored),
            "node_states": {
                node: {"state": found.state.value, "text": found.text}
                for node, found in states.items()
            },
            "plan": explain.shown(stored.plan, title),
        }
        yield data(json.dumps(body))
        return
    summary = stored.summary
    opened = telling.moment(summary.opened)
    lines = [
        f"{summary.id}: {summary.sentence}",
        f"  {summary.command}",
        f"  by {summary.user or 'nobody known'} on {summary.host}, opened {opened} UTC",
    ]
    if summary.closed:
        lines.append(f"  closed {telling.moment(summary.closed)} UTC")
    text = explain.to_text(stored.plan, title, command.words(stored.plan))
    lines += [line for line in text if line != explain.PLAN_ONLY]
    # Others gave the words of it.
    yield data(*map(visible, (*lines, *_what_is_left(stored, title))))


def _lanes_as_json(stored: Stored) -> dict[str, Any]:
    return {
        lane.id: {
            "subject": lane.subject,
            "result": stored.state.lane_result(lane.id).value,
            "steps": {
                step: {"state": record.state.value, "text": record.text}
                for step, record in stored.state.lanes[lane.id].items()
            },
        }
        for lane in stored.plan.lanes
    }


def _what_is_left(stored: Stored, title: Title) -> Iterator[str]:
    """What is not done, and why, and what can be done about it."""
    summary, verbs = stored.summary, f"{stored.plan.command} --"
    if summary.is_saved:
        apply = f"Not begun; to carry it out: {verbs}apply {summary.id}"
        yield "Not begun, and kept too long: make it anew." if summary.is_expired else apply
        return
    if summary.phase is Phase.UNDONE:
        yield f"It was taken back by {stored.state.undone_by}."
        return
    unfinished = tuple(_unfinished(stored, title))
    if not unfinished:
        yield "All of it was done."
        return
    yield "Being worked on:" if summary.is_running else "Not finished:"
    yield from (f"  {line}" for line in unfinished)
    if summary.can_go_on:
        yield f"To go on: {verbs}resume {summary.id}"


def _unfinished(stored: Stored, title: Title) -> Iterator[str]:
    """A line for each reason, with all lanes that have it."""
    subjects: dict[str, list[str]] = {}
    for lane in stored.plan.lanes:
        result = stored.state.lane_result(lane.id)
        if result.lets_others_go_on:
            continue
        trouble = stored.state.trouble(lane.id)
        text = trouble.text if trouble else result.sentence
        if stored.summary.is_running and not trouble:
            text = _at_work(lane, stored, title)
        subjects.setdefault(text, []).append(lane.subject or lane.id)
    for text, names in subjects.items():
        yield f"{fold(names)}: {text}"


def _at_work(lane: Lane, stored: Stored, title: Title) -> str:
    """The step that is being done, or would be next."""
    steps = stored.state.lanes[lane.id]
    for step in lane.steps:
        if (state := steps[step.id].state) is not StepState.DONE:
            return f"{'now' if state is StepState.DOING else 'next'}: {title(step)}"
    return "ending"


def _resume(verb: Verb, stored: Stored, command: PlannedCommand, doing: Doing) -> Iterator[Reply]:
    words = command.words(stored.plan)  # what cannot be told of is not claimed
    left = [
        lane
        for lane in stored.plan.lanes
        if not stored.state.lane_result(lane.id).lets_others_go_on
    ]
    lacking.check(left, doing.how, doing.context)
    executor = executor_of(stored.plan, doing.how, doing.context)
    doing.refuse_cancelled()
    claimed = executor.claim(verb.plan_id)
    if not doing.how.is_json:
        yield info(f"Going on with {verb.plan_id}.")
    yield from doing.carry_out(executor, claimed, words)


def _apply(verb: Verb, stored: Stored, command: PlannedCommand, doing: Doing) -> Iterator[Reply]:
    command.check_plan(stored.plan, doing)
    words = command.words(stored.plan)
    executor = executor_of(stored.plan, doing.how, doing.context)
    digest = verb.arguments.value("digest")
    doing.refuse_cancelled()
    claimed = executor.apply(verb.plan_id, digest, user=doing.request.user or "")
    plan = stored.plan
    if plan.undoes:
        yield from doing.carry_out(executor, claimed, words)
        return
    yield from doing.carry_out(
        executor, claimed, words, lambda: command.remarks(plan, doing.how, doing.context)
    )


def _undo(verb: Verb, stored: Stored, command: PlannedCommand, doing: Doing) -> Iterator[Reply]:
    if stored.summary.is_running:  # what it did is not known yet
        raise StillRunning(verb.plan_id, stored.summary.owner)
    journal_of(doing.context).refuse_undo(verb.plan_id)
    made = command.undo(stored, doing.context, is_forced=doing.how.is_forced)
    plan = replace(made, undoes_seq=stored.events[-1].seq if stored.events else 0)
    if not doing.how.is_json:
        yield info(f"Taking back {verb.plan_id}.")
    yield from command.show_or_do(plan, doing)


def begun_steps(stored: Stored, registry: Registry) -> Done:
    """The steps of a stored plan that were done, or something of which may have been, with what they returned."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {lane.id: {} for lane in stored.plan.lanes}
    for lane, step, record, nodes in _begun(stored, registry):
        if nodes:
            found[lane][step] = record.result
    return found


def spared_nodes(stored: Stored, registry: Registry) -> Spared:
    """The nodes for which nothing of such a step was begun, although it was for others."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for lane, step, record, begun in _begun(stored, registry):
        left = frozenset(record.about) - begun
        if begun and left:
            found.setdefault(lane, {})[step] = left
    return found


def _begun(
    stored: Stored, registry: Registry
) -> Iterator[tuple[str, str, StepRecord, frozenset[str]]]:
    """Lane, step and record of all, with the nodes for which something was begun."""
    for lane in stored.plan.lanes:
        for step in lane.steps:
            record = stored.state.record(lane.id, step.id)
            begun = record.begun(is_whole=registry.is_whole(step.kind))
            yield lane.id, step.id, record, begun


def unfinished_lanes(stored: Stored) -> tuple[str, ...]:
    """The lanes of a stored plan of which not everything was done."""
    results = stored.state.results()
    return tuple(id_ for id_, result in results.items() if result is not LaneResult.DONE)
