"""Replies onto the wire: a :class:`Reply` as one ``xcatresponse`` document of bytes.

Owns: the characters a client can take, the element names, the fields the server adds.  Must not:
decide when or in which pieces bytes are sent (that is :mod:`xcatd.serving.connection`).
Facts: docs/facts/wire.md, Reply framing; Reply elements and printing; What the daemon adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from xcatd.messages import Contents, NodeReply, Reply

from . import savedplan
from .savedplan import SavedPlan
from .tree import Value, escape

#: Control characters kill the client's parser, or would command the user's terminal (existing clients print
#: ESC as it comes); other characters would be printed as Latin-1.
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)

#: Stands between texts while they are escaped; no client may get it.
_GAP = "\0"

DONE_NAME = "serverdone"


def clean(text: str) -> str:
    """The text with every character that a client cannot take as ``?``."""
    return text if text.isascii() and text.isprintable() else _UNPRINTABLE.sub("?", text)


def _leaf(name: str, text: str) -> str:
    return f"<{name}>{escape(clean(text))}</{name}>"


def _leaves(name: str, texts: Sequence[str]) -> str:
    """One element per text; thousands of lines are the usual case, so all are escaped at once."""
    joined = _GAP.join(texts)
    if joined.count(_GAP) >= len(texts):  # a text has this character itself
        return "".join(_leaf(name, text) for text in texts)
    if not (joined.isascii() and "".join(texts).isprintable()):
        joined = _GAP.join(map(clean, texts))
    return f"<{name}>" + escape(joined).replace(_GAP, f"</{name}><{name}>") + f"</{name}>"


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot be an element of a reply")
    return name


def _contents(value: str | Contents) -> str:
    if isinstance(value, str):
        return _leaf("data", value)
    desc = "" if value.desc is None else _leaf("desc", value.desc)
    return f"<data>{desc}{_leaf('contents', value.contents)}</data>"


def _node(node: NodeReply) -> Iterator[str]:
    yield "<node>" + _leaf("name", node.name)
    if node.data is not None:
        yield _contents(node.data)
    if node.error is not None:
        yield _leaf("error", node.error)
    if node.warning is not None:
        yield _leaf("warning", node.warning)
    if node.errorcode is not None:
        yield f"<errorcode>{node.errorcode}</errorcode>"
    yield "</node>"


def _saved(plan: SavedPlan) -> str:
    """Nested, so that clients that do not know it print nothing of it."""
    inside: dict[str, list[Value]] = savedplan.to_tree(plan)
    leaves = (_leaves(name, [str(value) for value in values]) for name, values in inside.items())
    return f"<{savedplan.ELEMENT}>{''.join(leaves)}</{savedplan.ELEMENT}>"


def _elements(reply: Reply) -> Iterator[str]:
    named: tuple[tuple[str, Sequence[str]], ...] = (
        ("error", reply.errors),
        ("warning", reply.warnings),
        ("info", reply.info),
        ("sinfo", reply.sinfo),
        *((_checked(name), texts) for name, texts in reply.extra.items()),
    )
    for name, texts in named:
        if texts:
            yield _leaves(name, texts)
    for node in reply.nodes:
        yield from _node(node)
    for item in reply.data:
        yield _contents(item)
    if reply.saved is not None:
        yield _saved(reply.saved)
    if reply.errorcode is not None:
        yield f"<errorcode>{reply.errorcode}</errorcode>"
    for flag in sorted(reply.flags):
        yield f"<{_checked(flag)}>1</{flag}>"


def encode(reply: Reply, source: str | None = None) -> bytes:
    """One document; ``source`` is named as its ``xcatdsource`` unless the reply names its own."""
    parts = list(_elements(reply))
    if name := reply.source or source:
        parts.append(_leaf("xcatdsource", name))
    return _document(parts)


def encode_last(reply: Reply | None = None, transid: str | None = None) -> bytes:
    """The document that ends a request: ``serverdone``, and never an ``xcatdsource`` of ours."""
    parts = [] if reply is None else list(_elements(reply))
    if transid is not None:
        parts.append(_leaf("transid", transid))
    parts.append(f"<{DONE_NAME}></{DONE_NAME}>")
    return _document(parts)


def _document(parts: Iterable[str]) -> bytes:
    return ("<xcatresponse>" + "".join(parts) + "</xcatresponse>\n").encode("ascii")


def encode_token(token: str, expire: str) -> bytes:
    """The answer to ``gettoken``: the only nested ``data`` of the protocol.

    Facts: docs/facts/policy.md, Users, passwords and tokens.
    """
    inner = _leaf("id", token) + _leaf("expire", expire)
    return _document((f"<data><token>{inner}</token></data><{DONE_NAME}></{DONE_NAME}>",))


def encode_node_names(names: Iterable[str], reply: Reply, transid: str | None = None) -> bytes:
    """The answer of the built-in ``noderange``: bare ``<node>name</node>`` elements.

    Facts: docs/facts/wire.md, Built-in commands.
    """
    parts = [_leaf("node", name) for name in names]
    parts += _elements(reply)
    if transid is not None:
        parts.append(_leaf("transid", transid))
    return _document([*parts, f"<{DONE_NAME}></{DONE_NAME}>"])
