"""The request codec: any bytes in any pieces are requests or a refusal, and nothing is kept without bound."""

from __future__ import annotations

import random

from tests.attack import grammars
from tests.attack.meter import Bounds, Complaint
from tests.attack.targets import Target

from xcatd.serving.connection import ANONYMOUS
from xcatd.wire.requests import Incoming, RequestReader
from xcatd.wire.tree import DocumentLimits, MalformedError

_COMMANDS = (
    "nodels",
    "lsdef",
    "tabdump",
    "mkdef",
    "authcheck",
    "getipmicons",
    "x" * 300,
    "a b",
    "&lt;",
    "..",
)
_ELEMENTS = (
    *("command", "arg", "noderange", "node", "stdin", "cwd", "environment", "env", "clienttype", "username"),
    *("becomeuser", "gettoken", "tokens", "remote_client", "transid", "abortcommand", "_xcatver", "_xcatdest"),
    *("_xcat_clienthost", "_modname", "_xcatpreprocessed", "data", "table", "x" * 200),
)  # fmt: skip

#: As a peer without certificate is bounded, and as one is that may send stanza files, in small.
_LIMITS = (ANONYMOUS, DocumentLimits(size=1 << 20, elements=50_000))


def document(rng: random.Random) -> bytes:
    """A request of known and unknown elements."""
    return f"<xcatrequest>{_inside(rng, 2)}</xcatrequest>\n".encode("utf-8", "surrogatepass")


def _inside(rng: random.Random, deep: int) -> str:
    return "".join(_element(rng, deep) for _ in range(rng.randint(0, 6)))


def _element(rng: random.Random, deep: int) -> str:
    name = rng.choice(_ELEMENTS)
    content = rng.choice(
        (
            *(rng.choice(_COMMANDS), grammars.noderange(rng), grammars.text(rng), " ", ""),
            *("&amp;", "&#x41;", "&#0;", "&#x110000;", "&nosuch;", "<![CDATA[x]]>", "<!-- c -->", "<?pi x?>"),
        )
    )  # fmt: skip
    if deep and rng.random() < 0.25:
        content = _inside(rng, deep - 1)
    count = rng.choice((1, 1, 1, 2, 50))
    return f"<{name}>{content}</{name}>" * count


class Requests(Target):
    """``RequestReader`` in pieces whose sizes follow from the bytes themselves."""

    allowed = (MalformedError,)
    longest = 256 << 10
    # A document as plain data takes many times its own size.
    bounds = Bounds(memory=160 << 20)
    tokens = (
        *(b"<xcatrequest>", b"</xcatrequest>", b"<arg>", b"</arg>", b"<a b='c'>", b"<a/>", b"]]>", b"<![CDATA["),
        *(b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"<?xml version='1.0'?>", b"&#", b"<!--", b"xmlns:x='y'"),
    )  # fmt: skip
    seeds = (
        b"<xcatrequest><command>nodels</command><noderange>all</noderange></xcatrequest>\n",
        b"<xcatrequest>\n  <arg>-l</arg>\n  <arg></arg>\n  <command>lsdef</command>\n  <cwd>/root</cwd>\n</xcatrequest>\n",
        b"<xcatrequest><becomeuser><username>u</username><password>p</password></becomeuser><command>x</command></xcatrequest>",
        b"<xcatrequest><tokens><tokenid>1</tokenid></tokens><environment><A>1</A></environment></xcatrequest>",
        b"<xcatrequest><abortcommand>1</abortcommand></xcatrequest>",
    )

    def generate(self, rng: random.Random) -> bytes:
        return b"".join(document(rng) for _ in range(rng.choice((1, 1, 2, 3))))

    def run(self, data: bytes) -> None:
        limits = _LIMITS[len(data) % len(_LIMITS)]
        reader = RequestReader(limits)
        step = max(1, len(data) // (1 + sum(data[:8]) % 40))
        for start in range(0, len(data), step):
            for incoming in reader.feed(data[start : start + step]):
                _check(incoming)


def _check(incoming: Incoming) -> None:
    """No control character beyond blanks can come through XML."""
    for text in (incoming.command, incoming.noderange or "", *filter(None, incoming.args)):
        if any(ord(sign) < 32 and sign not in "\t\n\r" for sign in text):
            raise Complaint(f"a control character came through: {text[:80]!r}")
    if any(name.startswith("_xcat_") for name in incoming.extra):
        raise Complaint("an element that only the server may set came through")


TARGET = Requests
