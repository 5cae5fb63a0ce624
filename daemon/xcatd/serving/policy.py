"""Who may do what: a pure decision over the rows of the policy table.

Must not: read tables, log, or know connections.
Facts: docs/facts/policy.md, Rows of the policy table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from xcatd.rights import NOTHING, Targets
from xcatd.text import perlre

Row = Mapping[str, str | None]

#: Columns that restrict what a row allows; its name says who, which is no restriction.
_RESTRICTING = ("host", "commands", "noderange", "parameters", "time")


@dataclass(frozen=True, slots=True)
class Query:
    """One request as the policy sees it; ``user`` is None for a peer without certificate.

    ``hosts`` are the names that count for the host column.  An empty ``command``: it cannot be told which.
    ``brings_nodes``: it has a noderange or node elements.  ``needs_everything``: what it asks for is as good as
    being root, so that only a row restricted in nothing can allow it.
    """

    user: str | None
    hosts: tuple[str, ...]
    command: str
    args: tuple[str, ...] = ()
    brings_nodes: bool = False
    needs_everything: bool = False


class NodeView(Protocol):
    """What costs work to know, and is looked at only where a row for some nodes could decide."""

    @property
    def asked(self) -> frozenset[str]:
        """The nodes of the request's noderange or node elements."""

    @property
    def targets(self) -> Targets:
        """What the command says it will touch."""

    def members(self, noderange: str) -> Iterable[str]:
        """The nodes of a row's noderange."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; ``priority`` names the deciding row, None when no row matched.

    ``nodes``: an allowed command may touch only these; None: everything.  ``open_nodes`` are the nodes no row
    decided about when none matched.
    """

    is_allowed: bool
    priority: str | None
    nodes: frozenset[str] | None = None
    open_nodes: frozenset[str] = frozenset()


def perl_number(text: str | None) -> float:
    """The number Perl reads at the start of a text, 0 if there is none."""
    match = re.match(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", text or "")
    return float(match.group(1)) if match else 0.0


def candidates(rows: Iterable[Row], query: Query) -> tuple[Row, ...]:
    """The rows that could decide, by numeric priority, judged by user, host, command and parameters alone.

    Empty when the request is refused whatever its nodes are.  ``rows`` are the live rows.
    """
    found = []
    can_permit = False
    for row in sorted(rows, key=lambda row: perl_number(row.get("priority"))):
        if not _matches(row, query):
            continue
        permits = _permits(row)
        if permits and query.needs_everything and _is_restricted(row):
            continue
        if permits and is_for_some(row) and not query.brings_nodes:
            continue
        found.append(row)
        can_permit = can_permit or permits
        if not is_for_some(row):
            break
    return tuple(found) if can_permit else ()


def decide(candidates: Iterable[Row], view: NodeView) -> Decision:
    """What the candidates say of the nodes: the first that matches; without one: refused.

    A row for some nodes allows only what both the request's nodes and the command's targets lie in, alone or
    together with other such rows; it refuses whatever has any node of it.
    """
    targets = NOTHING
    touched = frozenset[str]()
    left: frozenset[str] | None = None
    for row in candidates:
        permits, wanted = _permits(row), _value(row, "noderange")
        if wanted is None:
            return Decision(permits, row.get("priority"))
        if left is None:
            targets = view.targets
            touched = left = view.asked | targets.nodes
        if permits and (targets.is_everything or not view.asked):
            continue
        members = frozenset(view.members(wanted))
        covered = left & members
        if not permits and (covered or (members and targets.is_everything)):
            return Decision(is_allowed=False, priority=row.get("priority"))
        if permits and covered and covered == left:
            return Decision(is_allowed=True, priority=row.get("priority"), nodes=touched)
        if permits:
            left -= covered
    return Decision(is_allowed=False, priority=None, open_nodes=left or frozenset())


def is_for_some(row: Row) -> bool:
    """Whether a row is about some nodes only."""
    return _value(row, "noderange") is not None


def allows_everything(rows: Iterable[Row], query: Query) -> bool:
    """Whether a row restricted in nothing is reached: only then the root-equivalent is allowed."""
    found = candidates(rows, replace(query, needs_everything=True))
    return bool(found) and not is_for_some(found[0])


def trusts(rows: Iterable[Row], query: Query) -> bool:
    """Whether a row that covers this peer, host and command trusts the user to speak for others."""
    return any(
        row.get("name") == query.user
        and "trusted" in (row.get("rule") or "").lower()
        and _matches(row, query)
        for row in rows
        if query.user
    )


def _is_restricted(row: Row) -> bool:
    return any(_value(row, column) is not None for column in _RESTRICTING)


def _value(row: Row, column: str) -> str | None:
    """The column's condition; None when it lets everything through."""
    value = row.get(column)
    return None if value in {None, "", "0", "*"} else value


def _permits(row: Row) -> bool:
    rule = (row.get("rule") or "").lower()
    return any(word in rule for word in ("allow", "accept", "trusted"))


def _matches(row: Row, query: Query) -> bool:
    return (
        _matches_name(row.get("name"), query.user)
        and _matches_host(_value(row, "host"), query.hosts)
        and (_refuses_unknown(row, query) or _matches_words(row, query))
    )


def _refuses_unknown(row: Row, query: Query) -> bool:
    """Of a command that nobody can tell any more, a row that refuses any command refuses it."""
    return not query.command and not _permits(row)


def _matches_words(row: Row, query: Query) -> bool:
    return _matches_command(_value(row, "commands"), query.command) and _matches_parameters(
        _value(row, "parameters"), row, query.args
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
