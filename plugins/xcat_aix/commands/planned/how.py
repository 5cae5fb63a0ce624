"""How a plan is to be treated: shown or carried out, kept, asked about, and in which way.

Owns: the options that all planned commands share, and the value they make.  Must not: do anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from xcat_aix.commands.options import Arguments, Option, flag, value
from xcat_aix.run.executor import FANOUT, TIMEOUT
from xcatd.api import Request

MOST_FANOUT = 1000
MOST_SECONDS = 86400.0

VERBOSE = flag("V", "verbose", help="Tell every step of every node.")
HELP = flag("h", "help", help="Show the usage.")
VERSION = flag("v", "version", help="Show the version.")
DRY_RUN = flag("dry-run", help="Show the whole plan, and change nothing.")
JSON = flag(
    "json",
    help="The same as one line of JSON, and change nothing; with --yes or --apply: carry it out, and tell the outcome"
    " as JSON, errors too.",
)
FAN_OUT = value("fanout", meta="N", help=f"Work on so many nodes at once, {FANOUT} by default.")
TIME_OUT = value("timeout", meta="SECONDS", help=f"Time for each node, {TIMEOUT:g} by default.")

#: The options of a preview: what is carried out later has none of them.
PREVIEWING = frozenset({"dry-run", "json", "out"})

#: What every planned command takes beside its own options.
PLANNING: tuple[Option, ...] = (
    DRY_RUN,
    JSON,
    value(
        "out",
        meta="FILE",
        help="Show the plan and keep it for a week; this project's client writes FILE, to be read, sent round, and given"
        " to --apply.",
    ),
    value(
        "apply",
        meta="FILE|PLAN",
        help="Carry out a plan that was kept, as it was shown, if all it relies on is still so.",
        in_full=True,
    ),
    value("digest", meta="SHA256", help="With --apply: only if the kept plan has this digest."),
    flag("yes", help="Do not ask, however many nodes there are.", in_full=True),
    flag(
        "force",
        help="Go on though an agent that must be asked does not answer, or is too old for a step of the plan.",
        in_full=True,
    ),
    FAN_OUT,
    TIME_OUT,
)

#: What every planned command can do with plans that are in the journal.
VERBS: tuple[Option, ...] = (
    flag(
        "list",
        help="Show the plans in the journal, newest first: when and by whom, nodes finished of all, command, state and"
        " unfinished nodes.",
        in_full=True,
    ),
    value(
        "show",
        meta="PLAN",
        help="Show one plan, what is not finished of it, and why.",
        in_full=True,
    ),
    value(
        "resume",
        meta="PLAN",
        help="Do what is left of a plan, and try again what failed.",
        in_full=True,
    ),
    value(
        "undo",
        meta="PLAN",
        help="Take back what was done of a plan, if the database still holds what it wrote.",
        in_full=True,
    ),
    value(
        "abandon",
        meta="PLAN",
        help="Give up a plan that was interrupted or cannot be read: its nodes are free again.",
        in_full=True,
    ),
    value("forget", meta="PLAN", help="Take a plan that is over out of the journal.", in_full=True),
)


def verb_forms(noun: str) -> tuple[str, ...]:
    """The command lines of :data:`VERBS`; ``noun`` stands for the id of a plan."""
    running = "[--force] [--fanout N] [--timeout SECONDS]"
    return (
        f"--show {noun} [--json]",
        f"--resume {noun} [-V] [--yes --json] {running}",
        f"--undo {noun} [-V] [--dry-run | --out FILE] [--json] [--yes] {running}",
        f"--apply FILE|{noun} [--digest SHA256] [-V] [--json] {running}",
        f"--abandon {noun} [--json] | --forget {noun} [--json]",
    )


class UsageError(ValueError):
    """The arguments make no command.  ``shows_usage``: the usage text helps."""

    def __init__(self, message: str, *, shows_usage: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.shows_usage = shows_usage


@dataclass(frozen=True, slots=True)
class How:
    """What is to be done with a plan.

    ``is_dry_run``: it is only shown.  ``is_kept``: and put into the journal for later.  ``asks_above``: for more nodes
    than this the plan is kept and the client asks; None: nobody asks.  ``is_forced``: although an agent that must be
    asked does not answer, or lacks something.  ``fanout`` is a number of nodes, ``timeout``
    seconds.
    """

    is_dry_run: bool = False
    is_json: bool = False
    is_verbose: bool = False
    is_kept: bool = False
    asks_above: int | None = None
    is_forced: bool = False
    fanout: int = FANOUT
    timeout: float = TIMEOUT


def how(arguments: Arguments, request: Request) -> How:
    """What the shared options and the client say; raises :class:`UsageError`."""
    is_sure = arguments.has("yes") or arguments.has("apply")
    is_kept = arguments.has("out")
    if is_kept and not arguments.value("out"):
        raise UsageError("--out needs the name of a file for the plan.")
    if is_kept and is_sure:
        raise UsageError("--out keeps a plan for later, --yes and --apply carry one out: not both.")
    if arguments.has("dry-run") and is_sure:
        raise UsageError("--dry-run changes nothing, --yes and --apply carry a plan out: not both.")
    return How(
        is_dry_run=arguments.has("dry-run") or is_kept or (arguments.has("json") and not is_sure),
        is_json=arguments.has("json"),
        is_verbose=arguments.has("V"),
        is_kept=is_kept,
        asks_above=None if is_sure else request.asks_above,
        is_forced=arguments.has("force"),
        fanout=_fanout(arguments),
        timeout=_timeout(arguments),
    )


def _fanout(arguments: Arguments) -> int:
    text = arguments.value("fanout", str(FANOUT))
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_FANOUT:
        return int(text)
    raise UsageError(f"--fanout must be a number from 1 to {MOST_FANOUT}, not '{text}'.")


def _timeout(arguments: Arguments) -> float:
    text = arguments.value("timeout", f"{TIMEOUT:g}")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if 0.0 < seconds <= MOST_SECONDS:
        return seconds
    raise UsageError(f"--timeout must be a number of seconds up to {MOST_SECONDS:g}, not '{text}'.")
