"""Expressions wherever users and tables bring them: they match, do not match, or are refused, and soon."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.attack import grammars
from tests.attack.meter import Complaint
from tests.attack.targets import Target
from tests.daemon.noderange import clusters

from xcat_aix.commands.tables import tabdump_where
from xcatd.db import values
from xcatd.noderange import selection
from xcatd.objects import conditions
from xcatd.rights import NOTHING
from xcatd.serving import policy
from xcatd.text import perlre

#: What a value may get longer than it is written.
MOST_GROWTH = 8192

_KINDS = ("value", "pattern", "policy", "selection", "group", "condition", "where")


class Expressions(Target):
    """An input has a kind, an expression and a text to try it on, with NUL between."""

    allowed = (
        *(perlre.BadPattern, conditions.BadCondition, tabdump_where.BadWhere),
        TimeoutError,  # what the engine says when its time is over
    )
    longest = 16 << 10
    tokens = (
        *(b"(a+)+", b".*.*.*.*.*.*", b"a?" * 20, rb"\1*", b"|", b"/", b"(", b")", b"[", b"]", b"{1,9999}", b"(?"),
        *(b"[[:alpha:]]", rb"\Z", rb"\Q", b"(?R)", b"(?{", b"$1", b"($1+1)", b"**", b"<<", b" x 99999", b"sprintf("),
        *(b"=~", b"!~", b"==", b"::", b"%", b"_", "ß".encode(), "ſ".encode()),
    )  # fmt: skip
    seeds = tuple(
        text.encode()
        for text in (
            *(
                "value\0|node(\\d+)|10.0.0.($1+1)|\0node7",
                "value\0/(.)/x$1/\0node7",
                "value\0|($1-1)%8|\0n17",
            ),
            *(
                "pattern\0^n\\d+$\0n01",
                "policy\0^-l( |$)\0-l nodelist.groups",
                "selection\0mgt=~ipmi\0",
            ),
            *(
                "group\0arch=~^x86::os!=aix\0",
                "condition\0os=~/^rh/\0rhels9",
                "where\0node=~%n1\0n1",
            ),
            *(f"pattern\0{pattern}\0{'a' * 60}!" for pattern in grammars.EVIL),
            *(f"value\0|{pattern}|x|\0{'a' * 60}!" for pattern in grammars.EVIL),
            "value\0|" + "<.*" * 900 + "|a|\0" + "<" * 200,
        )
    )

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._world = clusters.world("example")
        self._takers: tuple[Callable[[str, str], None], ...] = (
            *(_value, _pattern, _policy, self._selection, self._group, _condition, _where),
        )

    def generate(self, rng: random.Random) -> bytes:
        kind = rng.choice(_KINDS)
        pattern = grammars.expression(rng)
        match kind:
            case "value":
                text = rng.choice(("|{0}|{1}|", "/{0}/x$1/", "|{1}|", "|{0}|({1})|"))
                pattern = text.format(pattern, grammars.arithmetic(rng))
            case "selection" | "group" | "condition" | "where":
                column = rng.choice((*grammars.COLUMNS, "arch", "node", "os"))
                pattern = (
                    column + rng.choice(("=~", "!~", "=", "!=", "==", "<", ">=", "")) + pattern
                )
                pattern += rng.choice(("", "", "::arch==x86_64"))
        return f"{kind}\0{pattern}\0{grammars.subject(rng)}".encode()

    def run(self, data: bytes) -> None:
        kind, _, rest = data.partition(b"\0")
        text, _, subject = rest.rpartition(b"\0")
        name = kind.decode("ascii", "replace")
        place = _KINDS.index(name) if name in _KINDS else sum(kind) % len(_KINDS)
        self._takers[place](text.decode("utf-8", "replace"), subject.decode("utf-8", "replace"))

    def _selection(self, text: str, _subject: str) -> None:
        selection.select(text, self._world.snapshot)

    def _group(self, text: str, _subject: str) -> None:
        attribute = self._world.attribute
        assert attribute is not None
        selection.dynamic_members(text, self._world.snapshot.nodes, attribute)


def _value(text: str, subject: str) -> None:
    """Raises for no value but one that takes too long; what comes out is bounded."""
    try:
        found = values.expand(text, subject)
    except Expressions.allowed:
        raise
    except Exception as error:
        raise Complaint(f"a value raised {error!r}") from error
    if found is not None and len(found) > len(text) + MOST_GROWTH:
        raise Complaint(f"a value of {len(text)} characters became one of {len(found)}")


def _pattern(text: str, subject: str) -> None:
    perlre.compile_pattern(text).search(subject)


class _NoNodes:
    """A request without nodes and without targets."""

    asked: frozenset[str] = frozenset()
    targets = NOTHING

    def members(self, noderange: str) -> tuple[str, ...]:
        return ()


def _policy(text: str, subject: str) -> None:
    """Never raises; what cannot be judged opens nothing and closes everything."""
    query = policy.Query("user", ("host",), "nodels", tuple(subject.split(" ")))
    allow = {"priority": "1", "parameters": text, "rule": "allow"}
    deny = {**allow, "rule": "deny"}
    try:
        opened, passed = (
            policy.decide(policy.candidates(rows, query), _NoNodes()).is_allowed
            for rows in ([allow], [deny, {"priority": "2", "rule": "allow"}])
        )
    except Exception as error:
        raise Complaint(f"the policy raised {error!r}") from error
    if opened and passed:
        raise Complaint("parameters match where they allow and do not match where they refuse")
    if passed and not _can_be_read(text):
        raise Complaint("parameters that cannot be read do not refuse")
    if opened and text not in {"", "0", "*"} and not _can_be_read(text):
        raise Complaint("parameters that cannot be read allow")


def _can_be_read(pattern: str) -> bool:
    try:
        perlre.compile_pattern(pattern)
    except perlre.BadPattern:
        return False
    return True


def _condition(text: str, subject: str) -> None:
    found = conditions.parse([text])
    conditions.match_all(found, dict.fromkeys(found, subject))


def _where(text: str, subject: str) -> None:
    for where in tabdump_where.parse([text]):
        where.holds({where.column: subject}, where.column)


TARGET = Expressions
