"""The management node's end of the agent protocol.

Pyro5 is loaded with the first connection, not with this package.
"""

from __future__ import annotations

from .connection import AgentConnection
from .pool import AgentPool, Relay

__all__ = ["AgentConnection", "AgentPool", "Relay"]
