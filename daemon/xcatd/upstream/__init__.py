"""In front of another xcatd: commands that no plugin here takes are passed on to it, over the same protocol.

Owns: the way there, what is sent in whose name, and the stream of replies back.  Must not: decide who may do
what (the session did), or know a command by name.  Facts: specs/wire-protocol.md, sections 1 to 3 and 5.
"""

from __future__ import annotations

from .address import Address, AddressError
from .errors import UpstreamError
from .passing import pass_on
from .relay import Interest, Limits, Upstream
from .requests import EMPTY, Sender, judged_tree

__all__ = [
    "EMPTY",
    "Address",
    "AddressError",
    "Interest",
    "Limits",
    "Sender",
    "Upstream",
    "UpstreamError",
    "judged_tree",
    "pass_on",
]
