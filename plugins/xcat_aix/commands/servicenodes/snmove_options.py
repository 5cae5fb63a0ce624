"""The arguments of snmove as a value.

Owns: syntax, usage text and the refusals that need no look at the database (docs/facts/snmove.md, Command line
and messages).
Must not: reply, or read anything.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from xcat_aix.commands.options import Arguments, Option, OptionError, flag, parse, value
from xcat_aix.plan.servicenodes.moves import Asked

USAGE = (
    "snmove - move compute nodes from their service node to a backup service node.",
    "Usage:",
    "\tsnmove noderange [-V] [-d|--dest sn2] [-D|--destn sn2n] [-i|--ignorenodes] [-n|--noretarget]",
    "\t\t[-P|--postscripts script1,script2...|all] [-l|--liteonly]",
    "\tsnmove -s|--source sn1 [-S|--sourcen sn1n] [-d|--dest sn2] [-D|--destn sn2n] [-V] [-i] [-n] [-P ...] [-l]",
    "\t\t[--dry-run] [--json] [--strict] [--force] [--fanout N] [--timeout SECONDS]",
    "\tsnmove --list [--json] | --resume MOVE | --undo MOVE [--dry-run] [--force]",
    "\tsnmove -h|--help | -v|--version",
    "Where:",
    "\tsn1, sn2 are the old and the new service node as the management node knows them;",
    "\tsn1n, sn2n are their names or addresses as the nodes know them;",
    "\tscripts are postscripts to run on the moved nodes, all: every one listed in the postscripts table;",
    "\t--dry-run shows every change without making it; --json shows it as JSON, likewise without making it;",
    "\t--strict stops if the new service node is not ready; --force goes on if it does not answer;",
    "\tMOVE is the id of an earlier move, see snmove --list.",
)

#: What every command that moves nodes takes.
SHARED: tuple[Option, ...] = (
    flag("h", "help"),
    flag("v", "version"),
    flag("n", "noretarget"),
    value("P", "postscripts"),
    flag("i", "ignorenodes"),
    flag("V", "verbose"),
    flag("dry-run"),
    flag("json"),
    value("fanout"),
    value("timeout"),
    flag("strict"),
    flag("force"),
)
_OPTIONS: tuple[Option, ...] = (
    *SHARED,
    value("s", "source"),
    value("S", "sourcen"),
    value("d", "dest"),
    value("D", "destn"),
    flag("l", "liteonly"),
    flag("list"),
    value("resume"),
    value("undo"),
    flag("fix"),
)
_MOVING = ("s", "S", "d", "D", "l", "n", "P", "i", "strict", "force")
MOST_FANOUT = 1000
MOST_SECONDS = 86400.0


class UsageError(ValueError):
    """The arguments make no command.  ``shows_usage``: the usage text helps."""

    def __init__(self, message: str, *, shows_usage: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.shows_usage = shows_usage


class Action(enum.Enum):
    """What snmove is to do."""

    HELP = "help"
    VERSION = "version"
    MOVE = "move"
    LIST = "list"
    RESUME = "resume"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class How:
    """What is to be done with a plan: shown or carried out, and in which way.

    ``fanout`` and ``timeout`` (seconds) are None when not given.
    """

    is_dry_run: bool = False
    is_json: bool = False
    is_verbose: bool = False
    fanout: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """The parsed command line.

    ``noderange`` is None for the form with a source alone; ``move_id`` is set for RESUME and UNDO.
    """

    action: Action
    asked: Asked = field(default_factory=Asked)
    noderange: str | None = None
    move_id: str = ""
    how: How = field(default_factory=How)


def parse_arguments(words: Sequence[str]) -> Given:
    """Read the command line; raises :class:`UsageError`."""
    try:
        arguments = parse(words, _OPTIONS)
    except OptionError as error:
        raise UsageError(str(error), shows_usage=True) from None
    if arguments.has("h"):
        return Given(Action.HELP)
    if arguments.has("v"):
        return Given(Action.VERSION)
    if arguments.has("fix"):
        raise UsageError(
            "--fix is not in this version: create what is missing with mkdsklsnode -b NODE (diskless) or"
            " nimnodeset -b NODE (diskful), then move the nodes"
        )
    action = _action(arguments)
    _check_operands(arguments, action)
    return Given(
        action=action,
        asked=_asked(arguments),
        noderange=arguments.operands[0] if arguments.operands else None,
        move_id=arguments.value("resume") or arguments.value("undo"),
        how=how(arguments),
    )


def how(arguments: Arguments) -> How:
    """What is to be done with the plan; raises :class:`UsageError`."""
    return How(
        is_dry_run=arguments.has("dry-run") or arguments.has("json"),
        is_json=arguments.has("json"),
        is_verbose=arguments.has("V"),
        fanout=_fanout(arguments),
        timeout=_timeout(arguments),
    )


def _action(arguments: Arguments) -> Action:
    found = [
        action
        for action in (Action.LIST, Action.RESUME, Action.UNDO)
        if arguments.has(action.value)
    ]
    if len(found) > 1:
        raise UsageError("--list, --resume and --undo exclude each other.", shows_usage=True)
    return found[0] if found else Action.MOVE


def refuse_contradiction(arguments: Arguments) -> None:
    """Raise :class:`UsageError` for options that exclude each other."""
    if arguments.has("i") and arguments.has("P"):
        raise UsageError("-P and -i flags cannot be specified at the same time.")


def _check_operands(arguments: Arguments, action: Action) -> None:
    refuse_contradiction(arguments)
    if len(arguments.operands) > 1:
        raise UsageError("Too many paramters.", shows_usage=True)
    if action is Action.MOVE:
        if not arguments.operands and not arguments.value("s"):
            raise UsageError(
                "A node range or the source service node must be specified.", shows_usage=True
            )
        return
    allowed = {"force"} if action is Action.UNDO else set()
    if arguments.operands or any(arguments.has(name) for name in _MOVING if name not in allowed):
        raise UsageError(
            f"--{action.value} takes no nodes and no options of a new move.", shows_usage=True
        )
    if action is Action.RESUME and (arguments.has("dry-run") or arguments.has("json")):
        raise UsageError("--resume cannot be a dry run; snmove --list shows what is left.")


def _asked(arguments: Arguments) -> Asked:
    return replace(
        way(arguments),
        source=arguments.value("s") or None,
        source_facing=arguments.value("S") or None,
        dest=arguments.value("d") or None,
        dest_facing=arguments.value("D") or None,
        lite_only=arguments.has("l"),
    )


def way(arguments: Arguments) -> Asked:
    """What :data:`SHARED` options say about how nodes are moved."""
    return Asked(
        ignore_nodes=arguments.has("i"),
        no_retarget=arguments.has("n"),
        postscripts=_scripts(arguments.value("P")),
        strict=arguments.has("strict"),
        force=arguments.has("force"),
    )


def _scripts(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _fanout(arguments: Arguments) -> int | None:
    if not arguments.has("fanout"):
        return None
    text = arguments.value("fanout")
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_FANOUT:
        return int(text)
    raise UsageError(f"--fanout must be a number from 1 to {MOST_FANOUT}, not '{text}'.")


def _timeout(arguments: Arguments) -> float | None:
    if not arguments.has("timeout"):
        return None
    text = arguments.value("timeout")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if 0.0 < seconds <= MOST_SECONDS:
        return seconds
    raise UsageError(f"--timeout must be a number of seconds up to {MOST_SECONDS:g}, not '{text}'.")
