"""The options of commands that move nodes, as values.

Owns: syntax, usage text and the refusals that need no look at the database (docs/facts/snmove.md, Command line
and messages).  Must not: reply, or read anything.
"""

from __future__ import annotations

from dataclasses import replace

from xcat_aix.commands.options import Arguments, Option, flag, value
from xcat_aix.commands.planned.command import HELP, PLANNING, VERBOSE, VERBS, VERSION
from xcat_aix.commands.planned.how import UsageError, verb_forms
from xcat_aix.commands.planned.page import Page
from xcat_aix.plan.servicenodes.moves import Asked

#: What every command that moves nodes takes.
WAY: tuple[Option, ...] = (
    flag("i", "ignorenodes", help="Change the database only."),
    flag("n", "noretarget", help="Leave the dump devices of the nodes alone."),
    value(
        "P",
        "postscripts",
        meta="LIST",
        help="Run these postscripts too, separated by commas; all: every one that the postscripts table lists for the"
        " node.  Names are those of files, without a slash; arguments hold letters, digits and _.,:=/@%+- only.",
    ),
    VERBOSE,
    HELP,
    VERSION,
)
READINESS: tuple[Option, ...] = (
    flag(
        "strict",
        help="Stop if the new service node lacks a NIM resource, a machine or an initialisation that the nodes need;"
        " without it that is a warning, with the command that mends it.",
    ),
)

MOVE_PAGE = Page(
    "snmove",
    "move compute nodes from their service node to a backup service node",
    (
        "noderange [-V] [-d SN2] [-D SN2N] [-i] [-n] [-P LIST] [-l] [planning options]",
        "-s SN1 [-S SN1N] [-V] [-d SN2] [-D SN2N] [-i] [-n] [-P LIST] [-l] [planning options]",
        "--list [--json]",
        *verb_forms("MOVE"),
        "-h|--help | -v|--version",
    ),
    (
        (
            "Options",
            (
                value(
                    "s",
                    "source",
                    meta="SN1",
                    help="Move the nodes whose first service node is SN1, a name as the management node knows it.",
                ),
                value(
                    "S",
                    "sourcen",
                    meta="SN1N",
                    help="The old service node's name or address as the nodes know it; by default the xcatmaster of each"
                    " node.",
                ),
                value(
                    "d",
                    "dest",
                    meta="SN2",
                    help="The new service node, a node of the cluster; by default the backup of each node.",
                ),
                value(
                    "D",
                    "destn",
                    meta="SN2N",
                    help="The new service node's name or address as the nodes know it; it is written as given.",
                ),
                flag(
                    "l",
                    "liteonly",
                    help="Synchronise statelite directories only.  Not in this version.",
                ),
                *WAY,
            ),
        ),
        (
            "Planning options",
            (
                *PLANNING,
                *READINESS,
                flag(
                    "fix",
                    help="Create what is missing.  Not in this version: use mkdsklsnode -b or nimnodeset -b.",
                ),
            ),
        ),
        ("Earlier moves", VERBS),
    ),
)


def check_move(arguments: Arguments) -> None:
    """Raise :class:`UsageError` for arguments of snmove that make no command."""
    if arguments.has("fix"):
        raise UsageError(
            "--fix is not in this version: create what is missing with mkdsklsnode -b NODE (diskless) or"
            " nimnodeset -b NODE (diskful), then move the nodes"
        )
    refuse_contradiction(arguments)
    if len(arguments.operands) > 1:
        raise UsageError("Too many paramters.", shows_usage=True)
    if not arguments.operands and not arguments.value("s"):
        raise UsageError(
            "A node range or the source service node must be specified.", shows_usage=True
        )


def refuse_contradiction(arguments: Arguments) -> None:
    """Raise :class:`UsageError` for options that exclude each other."""
    if arguments.has("i") and arguments.has("P"):
        raise UsageError("-P and -i flags cannot be specified at the same time.")


def asked(arguments: Arguments) -> Asked:
    """What snmove is to do."""
    return replace(
        way(arguments),
        source=arguments.value("s") or None,
        source_facing=arguments.value("S") or None,
        dest=arguments.value("d") or None,
        dest_facing=arguments.value("D") or None,
        lite_only=arguments.has("l"),
    )


def way(arguments: Arguments) -> Asked:
    """What :data:`WAY` and :data:`READINESS` say about how nodes are moved."""
    return Asked(
        ignore_nodes=arguments.has("i"),
        no_retarget=arguments.has("n"),
        postscripts=_scripts(arguments.value("P")),
        strict=arguments.has("strict"),
        force=arguments.has("force"),
    )


def _scripts(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))
