"""Everything a plugin may import from the daemon, under one roof."""

from __future__ import annotations

from . import secrets
from .agents import AgentConnection
from .agents.dial import Relay
from .context import Agents, Clock, Context, SystemClock
from .db.errors import ChangedMeanwhile, DatabaseError
from .messages import (
    Contents,
    NodeReply,
    Reply,
    Request,
    SavedPlan,
    begun,
    data,
    error,
    info,
    is_unsupported,
    node_data,
    node_error,
    warning,
)
from .notification.paths import BadHookError, check_registered, root_of
from .plugins import Plugin
from .reach.dns import Answer, Dns, Failure, NameServer, Question
from .reach.ssh import Ended, Ssh, SshError, SshTrouble, on_hosts
from .rights import EVERYTHING, NOTHING, SECRET_TABLES, NotPermittedError, Targets
from .text.visible import visible
from .watching.notices import Level, Notice, Notices, NoticeState
from .watching.watching import Watcher

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "SECRET_TABLES",
    "AgentConnection",
    "Agents",
    "Answer",
    "BadHookError",
    "ChangedMeanwhile",
    "Clock",
    "Contents",
    "Context",
    "DatabaseError",
    "Dns",
    "Ended",
    "Failure",
    "Level",
    "NameServer",
    "NodeReply",
    "NotPermittedError",
    "Notice",
    "NoticeState",
    "Notices",
    "Plugin",
    "Question",
    "Relay",
    "Reply",
    "Request",
    "SavedPlan",
    "Ssh",
    "SshError",
    "SshTrouble",
    "SystemClock",
    "Targets",
    "Watcher",
    "begun",
    "check_registered",
    "data",
    "error",
    "info",
    "is_unsupported",
    "node_data",
    "node_error",
    "on_hosts",
    "root_of",
    "secrets",
    "visible",
    "warning",
]
