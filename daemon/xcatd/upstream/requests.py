"""What the other xcatd is told: the request as it was judged here, in the right name.

Pure.  Owns: which elements are the server's to write, and the trace that shows a loop.  Must not: connect.
Facts: docs/facts/wire.md, Request parsing; Request elements; docs/facts/policy.md, Users, passwords and tokens;
Rows of the policy table.  How the upstream learns who asks:

``becomeuser``, ``tokens``
    go along as they are: the upstream checks the same passwd and token tables and acts for that user.
a certificate's user
    is named by ``username``, which the upstream believes because its policy trusts the certificate of this
    management node, as service nodes do.
nobody
    cannot be passed on: such peers are known by their address, and the upstream sees ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xcatd.messages import Request
from xcatd.wire.requests import ROOT, Incoming
from xcatd.wire.tree import Tree, Value, layout

#: Daemons a request went through, newest last.
VIA = "_xcatvia"
#: Says that the noderange of a request has no nodes.
EMPTY = "emptynoderange"
#: More daemons than anyone puts in front of each other.
MOST_HOPS = 4
_OWN_PROOF = ("becomeuser", "tokens")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks, as this daemon found out; ``hosts`` as the policy saw them."""

    user: str | None
    hosts: tuple[str, ...] = ()


def proves_itself(tree: Mapping[str, Sequence[Value]]) -> bool:
    """The request carries what the upstream needs to know its user by itself."""
    return any(name in tree for name in _OWN_PROOF)


def path(tree: Mapping[str, Sequence[Value]]) -> tuple[str, ...]:
    """The daemons that passed the request on."""
    return tuple(value for value in tree.get(VIA, ()) if isinstance(value, str))


def document(tree: Mapping[str, Sequence[Value]], sender: Sender, daemon: str) -> bytes:
    """The request as it goes on, with the sender's names put to it."""
    passed: dict[str, Sequence[Value]] = {**tree, VIA: [*path(tree), daemon]}
    if hosts := ",".join(filter(None, sender.hosts)):
        passed["remote_client"] = [hosts]
    if not proves_itself(tree):
        passed["username"] = [sender.user]
    return layout(ROOT, passed).encode()


def tree_of(request: Request) -> Tree:
    """A request anew, from what the policy judged: one command, the nodes one by one, and known elements.

    That there are none in its noderange is said as the Perl daemon says it to its plugins.
    """
    tree: Tree = {
        "command": [request.command],
        "arg": list(request.args),
        "node": list(request.nodes),
        "env": list(request.env),
        "clienttype": [request.clienttype or "other"],
    }
    if request.empty_noderange:
        tree[EMPTY] = ["1"]
    if request.environment:
        tree["environment"] = [{name: [text] for name, text in request.environment.items()}]
    if request.stdin is not None:
        tree["stdin"] = [request.stdin]
    if request.cwd is not None:
        tree["cwd"] = [request.cwd]
    return {name: values for name, values in tree.items() if values}


def judged_tree(incoming: Incoming, request: Request) -> Tree:
    """A client's request as it was judged, with its user's own proof and the way it came."""
    tree = tree_of(request)
    if (given := incoming.becomeuser) is not None:
        tree["becomeuser"] = [{"username": [given.username], "password": [given.password]}]
    if incoming.asks_token_login:
        tree["tokens"] = [{"tokenid": [incoming.token]}]
    if incoming.transid is not None:
        tree["transid"] = [incoming.transid]
    if incoming.version is not None:
        tree["_xcatver"] = [incoming.version]
    if way := path(incoming.tree):
        tree[VIA] = list(way)
    return tree


ABORT = layout(ROOT, {"abortcommand": ["1"]}).encode()
