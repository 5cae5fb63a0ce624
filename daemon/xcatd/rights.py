"""What a command will touch, and what a request may touch: the two values policy decides between.

Pure.  Owns the tables whose writing is as good as being root.  Must not: know the policy table, a connection or
any command.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .db.errors import DatabaseError

#: Who writes these can have anything done as root: settings with paths, who may do what, commands that are run,
#: tokens and passwords that make somebody else of a peer.  The logs tell who did it.
ROOT_TABLES = frozenset(
    [
        *("site", "policy", "notification", "token", "passwd", "postscripts", "prescripts"),
        *("auditlog", "eventlog"),
    ]
)

#: Who reads these can be somebody else.
SECRET_TABLES = frozenset(["token", "passwd"])


class NotPermittedError(DatabaseError):
    """The request's rights do not reach so far; nothing was written."""


@dataclass(frozen=True, slots=True)
class AsCommand:
    """Another command whose work a request does: the policy must allow that one, too, with these arguments and nodes.

    An empty ``command``: which one it was cannot be told any more; that takes a row restricted in nothing.
    """

    command: str
    words: tuple[str, ...] = ()
    nodes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Targets:
    """What a command will touch: these nodes, or ``is_everything`` (other objects, whole tables, any node).

    ``commands``: the request must be allowed as each of these as well as in its own name.  Of one that acts for
    another command, everything without ``commands`` means that nobody can tell for which.
    """

    nodes: frozenset[str] = frozenset()
    is_everything: bool = False
    commands: tuple[AsCommand, ...] = ()

    @classmethod
    def of(
        cls, nodes: Iterable[str], command: str | None = None, words: Iterable[str] = ()
    ) -> Targets:
        """These nodes alone; with a ``command``, judged as that one with the arguments ``words`` on them as well."""
        names = frozenset(nodes)
        other = () if command is None else (AsCommand(command, tuple(words), names),)
        return cls(names, commands=other)

    def __or__(self, other: Targets) -> Targets:
        return Targets(
            self.nodes | other.nodes,
            self.is_everything or other.is_everything,
            tuple(dict.fromkeys((*self.commands, *other.commands))),
        )


NOTHING = Targets()
EVERYTHING = Targets(is_everything=True)


@dataclass(frozen=True, slots=True)
class Rights:
    """What the policy leaves to one request.

    ``nodes``: only these, None for all and everything that is no node.  ``is_unrestricted``: the row that
    allows it says nothing but who: only then the root-equivalent is allowed.  ``is_known``: it comes
    from a known user, whose noderanges may name files and cost something.  ``selects``: they may choose nodes by what
    tables say of them; where only some nodes are allowed, being refused or not would tell what is said of the others.
    """

    nodes: frozenset[str] | None = None
    is_unrestricted: bool = True
    is_known: bool = True
    selects: bool = True

    def __and__(self, other: Rights) -> Rights:
        """What both leave."""
        both = [each.nodes for each in (self, other) if each.nodes is not None]
        return Rights(
            nodes=frozenset.intersection(*both) if both else None,
            is_unrestricted=self.is_unrestricted and other.is_unrestricted,
            is_known=self.is_known and other.is_known,
            selects=self.selects and other.selects,
        )

    def refusal(self, names: Iterable[str]) -> str | None:
        """Why these nodes are not to be touched; None if they may be."""
        if self.nodes is None:
            return None
        others = [name for name in names if name not in self.nodes]
        if not others:
            return None
        return f"Permission denied for {_some(others)}: the policy allows this request for some nodes only"

    def check_rows(self, table: str, nodes: Iterable[str | None] | None) -> None:
        """Raise :class:`NotPermittedError` unless rows of these nodes may be written; None: of anything."""
        if table in ROOT_TABLES and not self.is_unrestricted:
            raise NotPermittedError(
                f"Permission denied for the table {table}: writing it is as good as being root, and needs a"
                " policy row without host, commands, noderange, parameters and time"
            )
        if self.nodes is not None and nodes is None:
            raise NotPermittedError(
                f"Permission denied for the table {table}: the policy allows this request for some nodes only"
            )
        if (refusal := self.refusal(name or "" for name in nodes or ())) is not None:
            raise NotPermittedError(refusal)


#: Of whoever may do everything, and of the daemon itself.
ALL = Rights()

_MOST_NAMED = 6


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
