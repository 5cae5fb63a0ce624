"""The arguments of snbalance as a value.

Owns: syntax, page and the refusals that need no look at the database.  Must not: reply, or read anything.
"""

from __future__ import annotations

from xcat_aix.commands.options import Arguments, value
from xcat_aix.commands.planned.command import PLANNING, VERBS
from xcat_aix.commands.planned.how import UsageError, verb_forms
from xcat_aix.commands.planned.page import Page
from xcat_aix.plan.servicenodes.snbalance_servers import Balance

from .options import READINESS, WAY, refuse_contradiction, way

BALANCE_PAGE = Page(
    "snbalance",
    "split compute nodes between service nodes, moving as few of them as possible",
    (
        "noderange SN1,SN2[,...] [--weights SN1=W,SN2=W...] [--backups N] [-V] [-i] [-n] [-P LIST] [planning options]",
        "--list [--json]",
        *verb_forms("MOVE"),
        "-h|--help | -v|--version",
    ),
    (
        (
            "Options",
            (
                value(
                    "weights",
                    meta="SN1=W,...",
                    help="How many nodes a service node gets in proportion to others, from 0 to 1000; 1 where nothing is"
                    " said.  0: it is nobody's primary, and the backup of all.",
                ),
                value(
                    "backups", meta="N", help="The number of backups of each node, 1 by default."
                ),
                *WAY,
            ),
        ),
        ("Planning options", (*PLANNING, *READINESS)),
        ("Earlier moves", VERBS),
    ),
)
MOST_WEIGHT = 1000


def balance(arguments: Arguments) -> tuple[str, Balance]:
    """The noderange and what is asked for it; raises :class:`UsageError`."""
    refuse_contradiction(arguments)
    noderange, servers = _operands(arguments)
    backups = _backups(arguments, len(servers))
    return noderange, Balance(servers, _weights(arguments), backups, way(arguments))


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
