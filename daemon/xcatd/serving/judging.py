"""One request before the policy: as it came, and as the other commands whose work it does.

Owns: how several answers become one.  Must not: read tables itself, log, or know connections or plugins.
Facts: docs/facts/policy.md, Rows of the policy table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from xcatd.rights import AsCommand, Rights, Targets

from . import policy

#: What a request stands for that can touch everything, and cannot say in whose name.
_ANYTHING = (AsCommand(""),)


@dataclass(frozen=True, slots=True)
class _Known:
    """A view of what is known already: the nodes of a command, which are asked for and touched."""

    asked: frozenset[str]
    targets: Targets
    members: Callable[[str], Iterable[str]]


class Judge:
    """The policy's live rows, about one request.

    ``members`` are the nodes of a row's noderange, asked for once each.  ``is_powerful``: whether a command with
    these arguments is as good as being root.
    """

    def __init__(
        self,
        rows: Sequence[policy.Row],
        query: policy.Query,
        members: Callable[[str], Iterable[str]],
        is_powerful: Callable[[str, tuple[str, ...]], bool],
    ) -> None:
        self._rows = rows
        self._is_powerful = is_powerful
        self.members = functools.cache(members)
        self.query = query

    def candidates(self) -> tuple[policy.Row, ...]:
        """The rows that could let the request through as it came; none: it is refused whatever its nodes are."""
        return self._candidates(self.query)

    def _candidates(self, query: policy.Query) -> tuple[policy.Row, ...]:
        found = policy.candidates(self._rows, query)
        if found and self._is_powerful(query.command, query.args):
            found = policy.candidates(self._rows, replace(query, needs_everything=True))
        return found

    def rights(self, candidates: Iterable[policy.Row]) -> Rights:
        """What the request may do beside touching nodes, which :func:`.policy.decide` tells."""
        return self._rights(self.query, candidates)

    def _rights(self, query: policy.Query, candidates: Iterable[policy.Row]) -> Rights:
        return Rights(
            is_unrestricted=policy.allows_everything(self._rows, query),
            is_known=query.user is not None,
            selects=not any(map(policy.is_for_some, candidates)),
        )

    def rights_as(self, targets: Targets) -> Rights | None:
        """What all the commands of ``targets`` together leave, None where the policy refuses one of them."""
        commands = targets.commands or (_ANYTHING if targets.is_everything else ())
        found = [(other, self._rights_as(other)) for other in commands]
        allowed = [(other, rights) for other, rights in found if rights is not None]
        if len(allowed) < len(found):
            return None
        together = functools.reduce(Rights.__and__, (rights for _, rights in allowed), Rights())
        if together.nodes is None:
            return together
        nodes = [other.nodes if rights.nodes is None else rights.nodes for other, rights in allowed]
        return replace(together, nodes=frozenset[str]().union(*nodes))

    def _rights_as(self, other: AsCommand) -> Rights | None:
        is_unknown = not other.command
        query = replace(
            self.query,
            command=other.command,
            args=other.words,
            brings_nodes=bool(other.nodes),
            needs_everything=is_unknown,
        )
        candidates = self._candidates(query)
        targets = Targets(other.nodes, is_everything=is_unknown)
        decision = policy.decide(candidates, _Known(other.nodes, targets, self.members))
        if not decision.is_allowed:
            return None
        return replace(self._rights(query, candidates), nodes=decision.nodes)

    def may(self, targets: Targets, rights: Rights) -> bool:
        """Whether a request with these rights may touch the targets, in all the names they say."""
        if targets.is_everything and rights.nodes is not None:
            return False
        return rights.refusal(targets.nodes) is None and self.rights_as(targets) is not None
