"""The upstream's replies as pieces that can go on: whole documents, byte for byte.

Sans-IO.  Owns: where a document ends, which one is the last, and how much is held back.  Must not: change a
byte.  Facts: docs/facts/wire.md, Reply framing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from xcatd.messages import Contents, NodeReply, Reply
from xcatd.wire import savedplan
from xcatd.wire.stream import ResponseReader
from xcatd.wire.tree import MalformedError, Tree, Value

_OPEN = b"<xcatresponse"
_CLOSE = b"</xcatresponse>"  # text cannot hold it: its < would be escaped
_DONE = b"<serverdone"
#: A document is held until it is complete, so that one that breaks off never reaches the client; a
#: larger one goes on as it comes.
LARGEST_HELD = 8 << 20
_TAIL = 64  # held back of a large one: its closing tag must go out in one piece


class Piece(NamedTuple):
    """Bytes to go on; ``ends``: the reply is complete with them."""

    data: bytes
    ends: bool = False


class ReplyReader:
    """Bytes in, pieces out, in any chunking; raises :class:`MalformedError` for what is no reply."""

    def __init__(self, largest: int = LARGEST_HELD) -> None:
        self._largest = largest
        self._buffer = bytearray()
        self._searched = 0
        self._says_done = False
        self.is_flowing = False
        self.has_ended = False

    def feed(self, data: bytes) -> Iterator[Piece]:
        """What can go on now; what follows the end of the reply is dropped, as clients do."""
        self._buffer += data
        whole = bytearray()
        while not self.has_ended and (document := self._document()) is not None:
            whole += document
        if whole:
            yield Piece(bytes(whole), self.has_ended)
        if not self.has_ended and (part := self._part()):
            yield Piece(part)

    def _document(self) -> bytes | None:
        buffer = self._buffer
        if not self.is_flowing:
            self._check_start()
        at = buffer.find(_CLOSE, max(0, self._searched - len(_CLOSE)))
        if at < 0:
            self._searched = len(buffer)
            return None
        end = at + len(_CLOSE)
        end += buffer[end : end + 1] == b"\n"
        document = bytes(buffer[:end])
        del buffer[:end]
        self._searched = 0
        self.has_ended = self._is_last(document)
        self.is_flowing = self._says_done = False
        return document

    def _check_start(self) -> None:
        start = bytes(self._buffer[:1024]).lstrip()[: len(_OPEN)]
        if not _OPEN.startswith(start):
            raise MalformedError("what it says is no reply of an xcatd")

    def _is_last(self, document: bytes) -> bool:
        """The word may also lie deeper, where clients do not look."""
        if self.is_flowing:
            return self._says_done or _DONE in document
        return _DONE in document and any(
            "serverdone" in tree for tree in ResponseReader().feed(document)
        )

    def _part(self) -> bytes:
        """All but the end of a document that is too large to be held."""
        if len(self._buffer) <= (_TAIL if self.is_flowing else self._largest):
            return b""
        part = bytes(self._buffer[:-_TAIL])
        self._says_done = self._says_done or _DONE in self._buffer
        del self._buffer[:-_TAIL]
        self._searched = 0
        self.is_flowing = True
        return part


_FLAGS = ("NoErrorPrefix", "NoWarnPrefix", "NoSvrPrefix")
_KNOWN = frozenset(
    [
        *("error", "warning", "info", "sinfo", "data", "node", "errorcode", "xcatdsource"),
        *("serverdone", savedplan.ELEMENT, *_FLAGS),
    ]
)


def reply_of(tree: Tree) -> Reply:
    """A document as a plugin's own reply, for the plugin that asked; maps nobody prints are left out."""
    return Reply(
        errors=_texts(tree, "error"),
        warnings=_texts(tree, "warning"),
        info=_texts(tree, "info"),
        sinfo=_texts(tree, "sinfo"),
        nodes=tuple(_node(value) for value in tree.get("node", ()) if isinstance(value, dict)),
        data=tuple(_data(value) for value in tree.get("data", ())),
        errorcode=_code(tree),
        flags=frozenset(name for name in _FLAGS if name in tree),
        source=_first(tree, "xcatdsource"),
        extra={name: _texts(tree, name) for name in tree if name not in _KNOWN},
        saved=savedplan.of_reply(tree),
    )


def _texts(tree: Tree, name: str) -> tuple[str, ...]:
    return tuple(value or "" for value in tree.get(name, ()) if not isinstance(value, dict))


def _first(tree: Tree, name: str) -> str | None:
    return next(iter(_texts(tree, name)), None)


def _code(tree: Tree) -> int | None:
    """All codes of one document, joined as clients join them."""
    codes = [int(text) for text in _texts(tree, "errorcode") if text.isascii() and text.isdigit()]
    joined = 0
    for code in codes:
        joined |= code
    return joined if codes else None


def _data(value: Value) -> str | Contents:
    if isinstance(value, dict):
        return Contents(_first(value, "contents") or "", _first(value, "desc"))
    return value or ""


def _node(tree: Tree) -> NodeReply:
    data = tree.get("data")
    return NodeReply(
        name=_first(tree, "name") or "",
        data=_data(data[0]) if data else None,
        error=_first(tree, "error"),
        warning=_first(tree, "warning"),
        errorcode=_code(tree),
    )
