"""Everything a plugin may import from the daemon, under one roof."""

from __future__ import annotations

from . import secrets
from .agents.dial import Relay
from .context import Agents, Clock, Context, SystemClock
from .db.errors import ChangedMeanwhile, DatabaseError
from .messages import (
    Contents,
    NodeReply,
    Reply,
    Request,
    SavedPlan,
    data,
    error,
    info,
    node_data,
    node_error,
    warning,
)
from .notification.paths import BadHookError, check_registered, root_of
from .plugins import Plugin
from .rights import EVERYTHING, NOTHING, SECRET_TABLES, NotPermittedError, Targets

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "SECRET_TABLES",
    "Agents",
    "BadHookError",
    "ChangedMeanwhile",
    "Clock",
    "Contents",
    "Context",
    "DatabaseError",
    "NodeReply",
    "NotPermittedError",
    "Plugin",
    "Relay",
    "Reply",
    "Request",
    "SavedPlan",
    "SystemClock",
    "Targets",
    "check_registered",
    "data",
    "error",
    "info",
    "node_data",
    "node_error",
    "root_of",
    "secrets",
    "warning",
]
