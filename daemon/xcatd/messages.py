"""Requests and replies as values (docs/facts/wire.md, Request elements; Reply elements and printing).

Pure data: the wire codec turns bytes into :class:`Request` and :class:`Reply` into bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .text.visible import visible
from .wire.savedplan import ASKS_ABOVE, BEGUN, SavedPlan

__all__ = [
    "Contents",
    "NodeReply",
    "Reply",
    "Request",
    "SavedPlan",
    "begun",
    "data",
    "error",
    "info",
    "is_unsupported",
    "node_data",
    "node_error",
    "unsupported",
    "warning",
]


@dataclass(frozen=True, slots=True)
class Request:
    """One command as it arrived, after policy and noderange expansion.

    ``args`` holds None for an element that was empty or blank (the wire cannot tell them apart).
    ``noderange`` is the text the client sent, ``nodes`` its expansion in plugin order; both are empty
    when the client sent none.  ``id`` is unique per request and appears in every log line.
    """

    command: str
    args: tuple[str | None, ...] = ()
    noderange: str | None = None
    nodes: tuple[str, ...] = ()
    empty_noderange: bool = False
    stdin: str | None = None
    cwd: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    env: tuple[str, ...] = ()
    clienttype: str = ""
    user: str | None = None
    host: str = ""
    id: str = ""
    extra: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments with blank ones as empty strings."""
        return tuple(arg or "" for arg in self.args)

    @property
    def asks_above(self) -> int | None:
        """Above how many nodes the client wants to ask its user before something is done; None: it cannot ask."""
        text = self.environment.get(ASKS_ABOVE)
        if text is None:
            return None
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


@dataclass(frozen=True, slots=True)
class Contents:
    """A ``data`` element with ``desc`` and ``contents``; printed ``desc: contents``."""

    contents: str
    desc: str | None = None


@dataclass(frozen=True, slots=True)
class NodeReply:
    """A ``node`` element: something said about one node."""

    name: str
    data: str | Contents | None = None
    error: str | None = None
    warning: str | None = None
    errorcode: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One ``xcatresponse`` document.

    The client prints its parts in the fixed order error, warning, info, sinfo, node, data, whatever
    their order here, and ORs every error code into its exit status.
    """

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    info: tuple[str, ...] = ()
    sinfo: tuple[str, ...] = ()
    nodes: tuple[NodeReply, ...] = ()
    data: tuple[str | Contents, ...] = ()
    errorcode: int | None = None
    flags: frozenset[str] = frozenset()  # NoErrorPrefix, NoWarnPrefix, NoSvrPrefix
    source: str | None = None  # xcatdsource; None: the daemon adds its own short host name
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    saved: SavedPlan | None = None  # printed by nobody: for clients that write or confirm it


#: How xCAT's xcatd begins what it says of a command that it does not have; scripts depend on it.
_UNSUPPORTED = "Unsupported request"


def unsupported(command: str, *, is_builtin: bool = False) -> str:
    """What is said where no plugin offers this command, and nobody behind us is asked.

    ``is_builtin``: the daemon has it itself, but not without a noderange.
    """
    if is_builtin:
        return f"{_UNSUPPORTED}: {command} needs a noderange"
    name = visible(command[:80]) or "no command at all"
    return (
        f"{_UNSUPPORTED}: no plugin of this xcatd offers {name}; xCAT's own xcatd may: to pass on to it what this one does"
        " not offer, start this one with --upstream HOST:PORT"
    )


def is_unsupported(reply: Reply) -> bool:
    """Whether that is the answer, of this xcatd or of the one behind it."""
    return any(text.startswith(_UNSUPPORTED) for text in reply.errors)


def begun(plan_id: str) -> Reply:
    """A plan is carried out from here on; printed by nobody."""
    return Reply(extra={BEGUN: (plan_id,)})


def info(*lines: str) -> Reply:
    """Lines for standard output."""
    return Reply(info=lines)


def data(*lines: str) -> Reply:
    """Lines for standard output; the client drops an empty line and a lone ``0``."""
    return Reply(data=lines)


def warning(*lines: str) -> Reply:
    """``Warning: [server]: …`` on standard error; the exit status stays."""
    return Reply(warnings=lines)


def error(*lines: str, code: int = 1) -> Reply:
    """``Error: [server]: …`` on standard error, and ``code`` in the exit status."""
    return Reply(errors=lines, errorcode=code)


def node_data(name: str, contents: str, desc: str | None = None) -> Reply:
    """``name: [desc: ]contents`` on standard output."""
    return Reply(nodes=(NodeReply(name, data=Contents(contents, desc)),))


def node_error(name: str, text: str, code: int = 1) -> Reply:
    """``name: [server]: Error: text`` on standard error, and ``code`` in the exit status."""
    return Reply(nodes=(NodeReply(name, error=text, errorcode=code),))
