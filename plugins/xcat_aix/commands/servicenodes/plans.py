"""plans: whatever is in the journal, listed, shown, resumed, taken back, given up or forgotten.

Owns: the command's arguments and what it tells of a plan beside its execution.  ``snmove --list``, ``--resume`` and
``--undo`` are the same things by another name.  Must not: plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xcat_aix.commands.options import Arguments, Option, OptionError, flag, parse, value
from xcat_aix.plan.kinds import Title
from xcat_aix.plan.servicenodes import explain
from xcat_aix.run.journal import Stored
from xcat_aix.run.rows import Summary
from xcat_aix.run.states import LaneResult
from xcatd.api import EVERYTHING, NOTHING, Context, Reply, Request, Targets, data, info

from . import snmove_replies as replies
from . import snmove_unfinished
from .snmove_options import How, UsageError, how
from .snmove_run import guarded, journal_of, registry_of
from .stored_plans import listed, resume, take_back

USAGE = (
    "plans - list, show, resume, undo, give up and forget what is in the journal.",
    "Usage:",
    "\tplans [--list] [--json]",
    "\tplans --show PLAN [--json]",
    "\tplans --resume PLAN [-V] [--fanout N] [--timeout SECONDS]",
    "\tplans --undo PLAN [-V] [--dry-run] [--json] [--force] [--fanout N] [--timeout SECONDS]",
    "\tplans --abandon PLAN | --forget PLAN",
    "\tplans -h|--help | -v|--version",
    "Where:",
    "\tPLAN is the id of a plan, see plans --list;",
    "\t--resume does what is left of an interrupted or partly done plan; --undo takes back what was done of it;",
    "\t--abandon gives an interrupted plan up, also one that this version cannot read: its nodes are free again;",
    "\t--forget takes a plan that is over out of the journal.",
)

_VERBS = ("show", "resume", "undo", "abandon", "forget")
_OPTIONS: tuple[Option, ...] = (
    flag("h", "help"),
    flag("v", "version"),
    flag("V", "verbose"),
    flag("list"),
    flag("json"),
    flag("dry-run"),
    flag("force"),
    value("fanout"),
    value("timeout"),
    *(value(verb) for verb in _VERBS),
)
#: Options that only some verbs have.
_ALLOWED = {
    "list": {"json"},
    "show": {"json"},
    "resume": {"V", "fanout", "timeout"},
    "undo": {"V", "dry-run", "json", "force", "fanout", "timeout"},
    "abandon": set[str](),
    "forget": set[str](),
}


@dataclass(frozen=True, slots=True)
class Given:
    """The parsed command line: one verb, or ``help`` or ``version``."""

    verb: str
    plan_id: str = ""
    is_forced: bool = False
    how: How = field(default_factory=How)


def parse_arguments(words: Sequence[str]) -> Given:
    """Read the command line; raises :class:`UsageError`."""
    try:
        arguments = parse(words, _OPTIONS)
    except OptionError as error:
        raise UsageError(str(error), shows_usage=True) from None
    if arguments.has("h"):
        return Given("help")
    if arguments.has("v"):
        return Given("version")
    verb = _verb(arguments)
    given = {name for name in arguments.options if name not in {verb, "list", *_VERBS}}
    if wrong := sorted(given - _ALLOWED[verb]):
        raise UsageError(f"--{verb} has no option {wrong[0]}.", shows_usage=True)
    return Given(verb, arguments.value(verb), arguments.has("force"), how(arguments))


def _verb(arguments: Arguments) -> str:
    if arguments.operands:
        raise UsageError(f"'{arguments.operands[0]}' is no option.", shows_usage=True)
    found = [verb for verb in ("list", *_VERBS) if arguments.has(verb)]
    if len(found) > 1:
        raise UsageError(f"--{found[0]} and --{found[1]} exclude each other.", shows_usage=True)
    verb = found[0] if found else "list"
    if verb != "list" and not arguments.value(verb):
        raise UsageError(f"--{verb} needs the id of a plan.", shows_usage=True)
    return verb


class Plans:
    """The plugin."""

    commands = ("plans",)

    def targets(self, request: Request, _context: Context) -> Targets:
        """Plans are of the whole cluster."""
        try:
            verb = parse_arguments(request.words).verb
        except UsageError:
            return NOTHING
        return NOTHING if verb in {"help", "version"} else EVERYTHING

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Do the command; whatever stands against it is an error reply with code 1."""
        yield from guarded(_act(request, context), USAGE)


def _act(request: Request, context: Context) -> Iterator[Reply]:
    given = parse_arguments(request.words)
    match given.verb:
        case "help":
            yield data(*USAGE)
        case "version":
            yield data(context.version)
        case "show":
            yield from _show(given, context)
        case "resume":
            yield from resume(given.plan_id, given.how, request, context)
        case "undo":
            yield from take_back(
                given.plan_id, given.how, request, context, is_forced=given.is_forced
            )
        case "abandon":
            journal_of(context).abandon(given.plan_id)
            yield info(f"Gave up {given.plan_id}: its nodes are free for other plans.")
        case "forget":
            journal_of(context).forget(given.plan_id)
            yield info(f"Forgot {given.plan_id}.")
        case _:
            journal = journal_of(context)
            yield from listed(journal.list(), journal, is_json=given.how.is_json)


def _show(given: Given, context: Context) -> Iterator[Reply]:
    stored = journal_of(context).load(given.plan_id)
    title = registry_of(context).title
    if given.how.is_json:
        yield data(json.dumps(_as_json(stored, title)))
    else:
        yield data(*_lines(stored, title))


def _as_json(stored: Stored, title: Title) -> dict[str, object]:
    left = replies.unfinished(stored.plan, stored.state)
    return {
        **snmove_unfinished.as_json(stored.summary, left),
        "lanes": {
            lane.id: {
                "subject": lane.subject,
                "result": stored.state.lane_result(lane.id).value,
                "steps": {
                    step: {"state": record.state.value, "text": record.text}
                    for step, record in stored.state.lanes[lane.id].items()
                },
            }
            for lane in stored.plan.lanes
        },
        "plan": explain.shown(stored.plan, title),
    }


def _lines(stored: Stored, title: Title) -> Iterator[str]:
    summary = stored.summary
    yield f"{summary.id}: {summary.sentence}"
    yield f"  {summary.command}"
    yield f"  by {summary.user or 'nobody known'} on {summary.host}, opened {_time(summary.opened)} UTC"
    if summary.closed:
        yield f"  closed {_time(summary.closed)} UTC"
    told = explain.to_text(stored.plan, title)
    yield from (line for line in told if line != explain.PLAN_ONLY)
    yield from _left(stored, summary)


def _time(text: str) -> str:
    return text[:19].replace("T", " ")


def _left(stored: Stored, summary: Summary) -> Iterator[str]:
    """What is not done, and why."""
    unfinished = [
        lane
        for lane in stored.plan.lanes
        if stored.state.lane_result(lane.id) not in {LaneResult.MOVED, LaneResult.SKIPPED}
    ]
    if not unfinished:
        yield "All of it was done."
        return
    yield "Not finished:"
    for lane in unfinished:
        trouble = stored.state.trouble(lane.id)
        result = stored.state.lane_result(lane.id).sentence
        yield f"  {lane.subject or lane.id}: {trouble.text if trouble else result}"
    if not summary.superseded_by and not summary.is_running:
        yield f"To go on: plans --resume {summary.id}"
