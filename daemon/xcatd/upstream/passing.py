"""From a client of this daemon to the upstream and back.

Owns: what a client's going away means there.  Must not: know sockets, or who may do what.
"""

from __future__ import annotations

from xcatd.channel import Caller, Channel
from xcatd.site import Settings
from xcatd.wire.tree import Tree

from .relay import Interest, Upstream
from .requests import Sender


def interest_of(caller: Caller) -> Interest:
    """A lost connection of a cancelled command was aborted by its user; of another one, it broke."""
    is_cancelled = caller.cancelled.is_set()
    if caller.is_lost:
        return Interest.ABORTED if is_cancelled else Interest.GONE
    return Interest.STOPPING if is_cancelled else Interest.WANTED


def pass_on(
    upstream: Upstream, tree: Tree, sender: Sender, settings: Settings, channel: Channel
) -> None:
    """Do a judged request at the upstream; raises :class:`.UpstreamError`."""

    def interest() -> Interest:
        return interest_of(channel.connection)

    for piece in upstream.stream(tree, sender, settings, interest):
        (channel.end if piece.ends else channel.send)(piece.data)
