"""XML documents as plain trees, in both directions: hardened parsing and the clients' own layout.

Owns: what a document may contain (no DTD, no entity, no attribute, bounded size, depth and number of
elements) and how text is escaped.  Must not: know requests, replies or sockets.
Facts: docs/facts/wire.md, Request framing; Request parsing; Reply framing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias
from xml.parsers import expat

Value: TypeAlias = "str | Tree | None"
Tree: TypeAlias = "dict[str, list[Value]]"


#: What the peers of this protocol name elements, and environment variables, which become some.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}", re.ASCII)


class MalformedError(ValueError):
    """The peer's bytes are not a document of this protocol; the connection cannot go on."""


class TooLargeError(MalformedError):
    """The document exceeds one of the :class:`DocumentLimits`."""


class DocumentLimits(
    NamedTuple
):  # no dataclass: the client imports this module, and must start fast
    """Bounds of one document: ``size`` in bytes, ``depth`` and ``elements`` in element counts."""

    size: int = 64 << 20
    depth: int = 8
    elements: int = 1_000_000


class TreeBuilder:
    """Expat handlers that build a :data:`Tree` per document and refuse everything else.

    A leaf without text, or with blanks only, is None; an element with children drops its own text.
    """

    def __init__(self, limits: DocumentLimits) -> None:
        self._limits = limits
        self._trees: list[Tree | None] = []
        self._text: list[str] = []
        self._elements = 0
        self._names: set[str] = set()
        self.parser = expat.ParserCreate("utf-8")
        self._connect(self.parser)

    def _connect(self, parser: expat.XMLParserType) -> None:
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_entity
        parser.ProcessingInstructionHandler = self._refuse_instruction

    def _refuse_doctype(self, *_: object) -> None:
        raise MalformedError("a document type declaration is not allowed")

    def _refuse_entity(self, *_: object) -> None:
        raise MalformedError("an entity declaration is not allowed")

    def _refuse_instruction(self, *_: object) -> None:
        raise MalformedError("a processing instruction is not allowed")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name not in self._names:
            self._learn(name)
        if attributes:
            raise MalformedError(f"element {name[:40]!r} has attributes")
        self._elements += 1
        trees = self._trees
        if len(trees) >= self._limits.depth:
            raise TooLargeError(f"more than {self._limits.depth} elements inside each other")
        if self._elements > self._limits.elements:
            raise TooLargeError(f"more than {self._limits.elements} elements")
        trees.append(None)
        self._text.clear()

    def _learn(self, name: str) -> None:
        """Most documents have a handful of names, each of them a thousand times."""
        if _NAME.fullmatch(name) is None:
            raise MalformedError(f"an element cannot be named {name[:40]!a}")
        self._names.add(name)

    def _end(self, name: str) -> None:
        trees = self._trees
        value: Value = trees.pop() or self._leaf()
        self._text.clear()
        if trees:
            parent = trees[-1]
            if parent is None:
                trees[-1] = {name: [value]}
            elif name in parent:
                parent[name].append(value)
            else:
                parent[name] = [value]
        if len(trees) <= 1:
            self.closed(len(trees), name, value)

    def _leaf(self) -> str | None:
        pieces = self._text
        text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        return None if not text or text.isspace() else text

    def forget(self) -> None:
        """One document of a stream is over: count anew and keep nothing of it."""
        self._elements = 0
        self._trees[-1] = None

    def closed(self, depth: int, name: str, value: Value) -> None:
        """Hook: an outermost (``depth`` 0) element or a child of one (1) is complete."""


class _Document(TreeBuilder):
    root: tuple[str, Value] | None = None

    def closed(self, depth: int, name: str, value: Value) -> None:
        if depth == 0:
            self.root = (name, value)


def parse(document: bytes, root: str, limits: DocumentLimits) -> Tree:
    """The tree below ``root``; raises :class:`MalformedError` for anything else."""
    if len(document) > limits.size:
        raise TooLargeError(f"a document of {len(document)} bytes; {limits.size} are allowed")
    builder = _Document(limits)
    try:
        builder.parser.Parse(document, True)
    except expat.ExpatError as error:
        raise MalformedError(f"cannot parse the XML: {error}") from None
    if builder.root is None or builder.root[0] != root:
        raise MalformedError(f"the document is not a {root}")
    value = builder.root[1]
    if isinstance(value, str):
        raise MalformedError(f"{root} holds text instead of elements")
    return value or {}


_MARKUP = re.compile(r'[&<>"]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape(text: str) -> str:
    """Text as element content, escaped as the existing clients do."""
    if _MARKUP.search(text) is None:
        return text
    return _MARKUP.sub(lambda match: _ESCAPES[match.group()], text)


def layout(root: str, tree: Mapping[str, Sequence[Value]]) -> str:
    """The document as existing clients write it: names sorted, two blanks of indent per level."""
    return "\n".join(_lines(root, dict(tree), "")) + "\n"


def _lines(name: str, value: Value | Mapping[str, Sequence[Value]], indent: str) -> Iterator[str]:
    match value:
        case None:
            yield f"{indent}<{name}></{name}>"
        case str():
            yield f"{indent}<{name}>{escape(value)}</{name}>"
        case _:
            yield f"{indent}<{name}>"
            for child in sorted(value):
                for item in value[child]:
                    yield from _lines(child, item, indent + "  ")
            yield f"{indent}</{name}>"
