"""In front of another xcatd: commands that no plugin here takes are passed on to it, over the same protocol.

Owns: the way there, what is sent in whose name, and the stream of replies back.  Must not: decide who may do
what (the session did), or know a command by name.  Facts: docs/facts/wire.md,
Transport and TLS; Request framing; Reply framing; docs/facts/policy.md, Rows of the policy table.
"""

from __future__ import annotations

from .address import Address, AddressError
from .errors import UpstreamError
from .passing import pass_on
from .relay import Interest, RelayLimits, Upstream
from .requests import EMPTY, Sender, judged_tree

__all__ = [
    "EMPTY",
    "Address",
    "AddressError",
    "Interest",
    "RelayLimits",
    "Sender",
    "Upstream",
    "UpstreamError",
    "judged_tree",
    "pass_on",
]
