"""Who may do what: a pure decision over the rows of the policy table.

Must not: read tables, log, or know connections.
Facts: specs/wire-protocol.md, section 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from xcatd.text import perlre

Row = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Query:
    """One request as the policy sees it; ``user`` is None for a peer without certificate."""

    user: str | None
    hosts: tuple[str, ...]
    command: str
    args: tuple[str, ...] = ()
    nodes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; ``priority`` names the deciding row, None when no row matched.

    ``is_trusted``: some row trusts this user, so a ``username`` element counts for the audit record.
    ``open_nodes`` are the nodes no row decided about when none matched.
    """

    is_allowed: bool
    priority: str | None
    is_trusted: bool = False
    open_nodes: frozenset[str] = frozenset()


def perl_number(text: str | None) -> float:
    """The number Perl reads at the start of a text, 0 if there is none."""
    match = re.match(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", text or "")
    return float(match.group(1)) if match else 0.0


def decide(rows: Iterable[Row], query: Query, expand: Callable[[str], Iterable[str]]) -> Decision:
    """The first row, by numeric priority, whose every column matches; without one: refused.

    ``rows`` are the live rows, ``expand`` turns a row's noderange into node names.
    """
    ordered = sorted(rows, key=lambda row: perl_number(row.get("priority")))
    is_trusted = _trusts(ordered, query.user)
    left = query.nodes
    for row in ordered:
        if not _matches(row, query):
            continue
        permits = _permits(row)
        if wanted := _value(row, "noderange"):
            covered = left.intersection(expand(wanted))
            if not covered:
                continue
            if permits and covered != left:
                left -= covered
                continue
        return Decision(permits, row.get("priority"), is_trusted)
    return Decision(is_allowed=False, priority=None, is_trusted=is_trusted, open_nodes=left)


def _value(row: Row, column: str) -> str | None:
    """The column's condition; None when it lets everything through."""
    value = row.get(column)
    return None if value in {None, "", "0", "*"} else value


def _permits(row: Row) -> bool:
    rule = (row.get("rule") or "").lower()
    return any(word in rule for word in ("allow", "accept", "trusted"))


def _trusts(rows: Sequence[Row], user: str | None) -> bool:
    if not user:
        return False
    return any(
        row.get("name") == user and "trusted" in (row.get("rule") or "").lower() for row in rows
    )


def _matches(row: Row, query: Query) -> bool:
    return (
        _matches_name(row.get("name"), query.user)
        and _matches_host(_value(row, "host"), query.hosts)
        and _matches_command(_value(row, "commands"), query.command)
        and _matches_parameters(_value(row, "parameters"), row, query.args)
    )


def _matches_name(name: str | None, user: str | None) -> bool:
    if name in {None, "", "0"}:
        return True
    return bool(user) and name in {user, "*"}


def _matches_host(host: str | None, hosts: Sequence[str]) -> bool:
    return host is None or host in hosts


def _matches_command(commands: str | None, command: str) -> bool:
    return commands is None or command in commands.split(",")


def _matches_parameters(pattern: str | None, row: Row, args: Sequence[str]) -> bool:
    """An expression that cannot be judged must not open anything: it matches where the row refuses."""
    if pattern is None:
        return True
    try:
        return perlre.compile_pattern(pattern).search(" ".join(args)) is not None
    except perlre.BadPattern:
        return not _permits(row)
