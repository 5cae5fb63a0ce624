"""Commands the daemon answers without a plugin.

Owns: their replies, as documents.  Must not: decide who may ask, or send.
Facts: docs/facts/wire.md, Built-in commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xcatd import messages
from xcatd.messages import Reply
from xcatd.nodes import Expansion
from xcatd.wire import replies
from xcatd.wire.requests import Incoming

if TYPE_CHECKING:
    from xcatd.db.database import Database

#: All of them; ``rescanplugins`` is the session's.
NAMES = frozenset({"authcheck", "rescanplugins", "noderange", "extnoderange"})


def authcheck(user: str | None) -> bytes:
    """Who the peer is, as far as the daemon believes it."""
    if user is None:
        return replies.encode_last(messages.data("Unauthenticated"))
    return replies.encode_last(Reply(data=("Authenticated",), extra={"username": (user,)}))


def noderange(incoming: Incoming, expansion: Expansion) -> bytes:
    """The nodes of a range, and what in it is unknown."""
    missed = ",".join(expansion.missed)
    reply = messages.warning(f"Invalid nodes in noderange:{missed}") if missed else Reply()
    return replies.encode_node_names(expansion.nodes, reply, incoming.transid)


def extnoderange(incoming: Incoming, expansion: Expansion, database: Database) -> bytes:
    """The nodes of a range and, asked for ``subgroups``, all their groups."""
    reply = Reply()
    if any("subgroups" in (arg or "") for arg in incoming.args):
        snapshot = database.read(["nodelist"])
        groups = {group for node in expansion.nodes for group in snapshot.groups(node)}
        reply = Reply(extra={"intersectinggroups": tuple(sorted(groups))})
    return replies.encode_node_names(expansion.nodes, reply)
