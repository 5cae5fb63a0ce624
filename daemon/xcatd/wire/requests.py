"""Requests off the wire: framing, the sanity check, and what the elements mean.

Owns: where a request ends (the literal ``</xcatrequest>``) and how its tree becomes an
:class:`Incoming`.  Must not: decide who may do what, or touch a socket.
Facts: docs/facts/wire.md, Request framing; Request parsing; Request elements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .tree import DocumentLimits, MalformedError, TooLargeError, Tree, Value, parse

ROOT = "xcatrequest"
_OPEN = b"<xcatrequest>"
_CLOSE = b"</xcatrequest>"
_BLANKS = 1024  # accepted between two requests
#: What commands are named; the name gets into logs, rows and other programs' process lists.
_COMMAND = re.compile(r"[A-Za-z0-9_.+-]{1,64}", re.ASCII)

#: Elements that only servers say to each other; a client's own never count (docs/facts/wire.md, Request elements).
_SERVER_ONLY = ("_xcat", "_modname")


@dataclass(frozen=True, slots=True)
class Login:
    """User name and password of ``becomeuser`` or ``gettoken``."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as the client worded it: nothing is checked, expanded or trusted yet."""

    command: str = ""
    args: tuple[str | None, ...] = ()
    noderange: str | None = None
    nodes: tuple[str, ...] = ()
    stdin: str | None = None
    cwd: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    env: tuple[str, ...] = ()
    clienttype: str | None = None
    username: str | None = None
    becomeuser: Login | None = None
    gettoken: Login | None = None
    token: str | None = field(default=None, repr=False)
    asks_token_login: bool = False
    remote_client: tuple[str, ...] = ()
    transid: str | None = None
    abort: bool = False
    version: str | None = None
    extra: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    #: Everything as it came, for another daemon.
    tree: Tree = field(default_factory=dict, repr=False, compare=False)


class RequestReader:
    """Bytes in, :class:`Incoming` values out; one reader per connection, any chunking.

    ``limits`` may be changed between two calls.

    ``feed`` raises :class:`MalformedError` (or its kind :class:`TooLargeError`) once the stream cannot
    be a sequence of requests; the connection is closed then, without a reply.
    """

    def __init__(self, limits: DocumentLimits) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._searched = 0
        self._blanks = 0
        self._found = 0

    @property
    def held(self) -> int:
        """Bytes of the request that is coming, and of those found since :meth:`forget`."""
        return len(self._buffer) + self._found

    def forget(self) -> None:
        """What was found has been dealt with."""
        self._found = 0

    @property
    def is_between(self) -> bool:
        """No byte of a next request has arrived."""
        return not self._buffer

    def feed(self, data: bytes) -> list[Incoming]:
        """The requests that ``data`` completes, in order."""
        self._buffer += data
        found = []
        while (document := self._document()) is not None:
            found.append(incoming(parse(document, ROOT, self.limits)))
        return found

    def _document(self) -> bytes | None:
        self._drop_blanks()
        self._check_start()
        start = max(0, self._searched - len(_CLOSE))
        at = self._buffer.find(_CLOSE, start)
        end = at + len(_CLOSE)
        if (end if at >= 0 else len(self._buffer)) > self.limits.size:
            raise TooLargeError(f"a request of more than {self.limits.size} bytes")
        if at < 0:
            self._searched = len(self._buffer)
            return None
        document = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._found += end
        self._searched = 0
        self._blanks = 0
        return document

    def _drop_blanks(self) -> None:
        if self._searched or not self._buffer[:1].isspace():
            return
        blanks = len(self._buffer) - len(self._buffer.lstrip())
        del self._buffer[:blanks]
        self._blanks += blanks
        if self._blanks > _BLANKS:
            raise MalformedError("nothing but blanks")

    def _check_start(self) -> None:
        have = bytes(self._buffer[: len(_OPEN)])
        if not _OPEN.startswith(have):
            raise MalformedError("Close an invalid connection.")


def incoming(tree: Tree) -> Incoming:
    """What the elements mean; raises :class:`MalformedError` for a mapping where text belongs."""
    others = {name: value for name, value in tree.items() if name not in _ELEMENTS}
    return Incoming(
        command=_command(tree),
        args=_texts(tree, "arg"),
        noderange=_first(tree, "noderange"),
        nodes=tuple(node for node in _texts(tree, "node") if node),
        stdin=_first(tree, "stdin"),
        cwd=_first(tree, "cwd"),
        environment=_environment(tree.get("environment", [])),
        env=tuple(item for item in _texts(tree, "env") if item),
        clienttype=_first(tree, "clienttype"),
        username=_first(tree, "username"),
        becomeuser=_credentials(tree, "becomeuser"),
        gettoken=_credentials(tree, "gettoken"),
        token=_token(tree),
        asks_token_login="tokens" in tree,
        remote_client=tuple(filter(None, (_first(tree, "remote_client") or "").split(","))),
        transid=_first(tree, "transid"),
        abort=_first(tree, "abortcommand") not in {None, "0"},
        version=_first(tree, "_xcatver"),
        extra=_extra(others),
        tree=tree,
    )


_ELEMENTS = frozenset(
    [
        *("command", "arg", "noderange", "node", "stdin", "cwd", "environment", "env"),
        *("clienttype", "username", "becomeuser", "gettoken", "tokens", "remote_client"),
        *("transid", "abortcommand", "_xcatver"),
    ]
)


def _text(name: str, value: Value) -> str | None:
    if isinstance(value, dict):
        raise MalformedError(f"element {name[:40]!r} holds elements instead of text")
    return value


def _texts(tree: Tree, name: str) -> tuple[str | None, ...]:
    return tuple(_text(name, value) for value in tree.get(name, ()))


def _first(tree: Tree, name: str) -> str | None:
    values = tree.get(name)
    return _text(name, values[0]) if values else None


def _command(tree: Tree) -> str:
    """Nothing where there is no command: a request for a token has none."""
    command = _first(tree, "command") or ""
    if command and _COMMAND.fullmatch(command) is None:
        raise MalformedError(f"a command cannot be named {command[:80]!a}")
    return command


def _environment(values: list[Value]) -> dict[str, str]:
    return {
        name: _first(value, name) or ""
        for value in values
        if isinstance(value, dict)
        for name in value
    }


def _credentials(tree: Tree, name: str) -> Login | None:
    if name not in tree:
        return None
    value = tree[name][0]
    if not isinstance(value, dict):
        return Login("", "")
    return Login(_first(value, "username") or "", _first(value, "password") or "")


def _token(tree: Tree) -> str | None:
    value = tree["tokens"][0] if "tokens" in tree else None
    return _first(value, "tokenid") if isinstance(value, dict) else None


def _extra(tree: Tree) -> dict[str, tuple[str | None, ...]]:
    return {
        name: tuple(value for value in values if not isinstance(value, dict))
        for name, values in tree.items()
        if not name.startswith(_SERVER_ONLY)
    }
