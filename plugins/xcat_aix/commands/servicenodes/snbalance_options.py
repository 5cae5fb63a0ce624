"""The arguments of snbalance as a value.

Owns: syntax, usage text and the refusals that need no look at the database.  Must not: reply, or read anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xcat_aix.commands.options import Arguments, Option, OptionError, parse, value
from xcat_aix.plan.servicenodes.snbalance_servers import Balance

from .snmove_options import SHARED, How, UsageError, how, refuse_contradiction, way

USAGE = (
    "snbalance - split compute nodes between service nodes, moving as few of them as possible.",
    "Usage:",
    "\tsnbalance noderange sn1,sn2[,...] [--weights sn1=W,sn2=W...] [--backups N] [-V] [-i|--ignorenodes]",
    "\t\t[-n|--noretarget] [-P|--postscripts script1,script2...|all]",
    "\t\t[--dry-run] [--json] [--strict] [--force] [--fanout N] [--timeout SECONDS]",
    "\tsnbalance -h|--help | -v|--version",
    "Where:",
    "\tsn1, sn2, ... are the service nodes as the management node knows them, two at least;",
    "\tW says how many nodes a service node gets in proportion, 1 by default; 0: it is a backup only;",
    "\tN is the number of backups of each node, 1 by default;",
    "\tthe other options are those of snmove: --dry-run shows every change without making it, -i changes the",
    "\tdatabase only.  snmove --list, --resume and --undo know what snbalance has begun.",
)

OPTIONS: tuple[Option, ...] = (*SHARED, value("weights"), value("backups"))
MOST_WEIGHT = 1000


@dataclass(frozen=True, slots=True)
class Given:
    """The parsed command line; ``is_help`` and ``is_version`` go before all else."""

    is_help: bool = False
    is_version: bool = False
    noderange: str = ""
    balance: Balance = field(default_factory=lambda: Balance(()))
    how: How = field(default_factory=How)


def parse_arguments(words: Sequence[str]) -> Given:
    """Read the command line; raises :class:`UsageError`."""
    try:
        arguments = parse(words, OPTIONS)
    except OptionError as error:
        raise UsageError(str(error), shows_usage=True) from None
    if arguments.has("h"):
        return Given(is_help=True)
    if arguments.has("v"):
        return Given(is_version=True)
    refuse_contradiction(arguments)
    noderange, servers = _operands(arguments)
    return Given(
        noderange=noderange,
        balance=Balance(
            servers, _weights(arguments), _backups(arguments, len(servers)), way(arguments)
        ),
        how=how(arguments),
    )


def _operands(arguments: Arguments) -> tuple[str, tuple[str, ...]]:
    operands = [operand.strip() for operand in arguments.operands]
    if len(operands) > 2:
        raise UsageError(
            "Too many arguments: one noderange and one list of service nodes, without blanks.",
            shows_usage=True,
        )
    if len(operands) < 2 or not all(operands):
        raise UsageError(
            "A node range and the service nodes to balance it over must be specified.",
            shows_usage=True,
        )
    servers = tuple(name for part in operands[1].split(",") if (name := part.strip()))
    if len(servers) < 2:
        raise UsageError(
            f"At least two service nodes must be specified, not only '{operands[1]}'.",
            shows_usage=True,
        )
    return operands[0], servers


def _weights(arguments: Arguments) -> dict[str, int]:
    weights: dict[str, int] = {}
    for text in arguments.values("weights"):
        for part in text.split(","):
            name, _, number = (piece.strip() for piece in part.partition("="))
            if not name or not _is_number(number) or int(number) > MOST_WEIGHT:
                raise UsageError(
                    f"--weights must be like sn1=2,sn2=1 with numbers from 0 to {MOST_WEIGHT}, not"
                    f" '{text}'."
                )
            if weights.setdefault(name, int(number)) != int(number):
                raise UsageError(f"--weights gives {name} two weights.")
    return weights


def _backups(arguments: Arguments, servers: int) -> int:
    if not arguments.has("backups"):
        return 1
    text = arguments.value("backups")
    if _is_number(text) and int(text) < servers:
        return int(text)
    raise UsageError(
        f"--backups must be a number from 0 to {servers - 1}, one less than the service nodes, not"
        f" '{text}'."
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
