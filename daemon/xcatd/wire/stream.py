"""Responses off the wire, for the client: a stream of documents as trees, in any chunking.

Owns: the coalescing-free reading of ``xcatresponse`` documents.  Must not: print or interpret them.
Facts: docs/facts/wire.md, Reply framing.
"""

from __future__ import annotations

from xml.parsers import expat

from .tree import DocumentLimits, MalformedError, TooLargeError, Tree, TreeBuilder, Value

_ROOT = "responses"
#: XML 1.0 cannot hold ESC, which servers send raw; it travels through the parser as this one.
_ESC_STAND_IN = "\ue01b"
_LIMITS = DocumentLimits(size=512 << 20, depth=16, elements=50_000_000)


def restore_escapes(value: Value) -> Value:
    """The value with the stand-ins turned back into ESC."""
    match value:
        case str():
            return value.replace(_ESC_STAND_IN, "\x1b")
        case dict():
            return {
                name: [restore_escapes(item) for item in items] for name, items in value.items()
            }
        case _:
            return None


class _Stream(TreeBuilder):
    def __init__(self, limits: DocumentLimits) -> None:
        super().__init__(limits)
        self.found: list[Tree] = []
        self.has_escapes = False

    def closed(self, depth: int, name: str, value: Value) -> None:
        if depth != 1:
            return
        if name != "xcatresponse" or isinstance(value, str):
            raise MalformedError(f"the server sent a {name[:40]!r} instead of a response")
        restored = restore_escapes(value) if self.has_escapes else value
        self.found.append(restored if isinstance(restored, dict) else {})
        self.forget()


class ResponseReader:
    """Feed bytes, get complete responses."""

    def __init__(self, limits: DocumentLimits = _LIMITS) -> None:
        self._limits = limits
        self._stream = _Stream(limits)
        self._stream.parser.Parse(f"<{_ROOT}>".encode())
        self._fed = 0

    def feed(self, data: bytes) -> list[Tree]:
        """The responses that ``data`` completes; raises :class:`MalformedError`."""
        stream = self._stream
        if b"\x1b" in data:
            stream.has_escapes = True
            data = data.replace(b"\x1b", _ESC_STAND_IN.encode())
        self._fed += len(data)
        try:
            stream.parser.Parse(data)
        except expat.ExpatError as error:
            raise MalformedError(f"cannot parse the server's reply: {error}") from None
        found, stream.found = stream.found, []
        if found:
            self._fed = 0
        if self._fed > self._limits.size:
            raise TooLargeError(f"a response of more than {self._limits.size} bytes")
        return found
