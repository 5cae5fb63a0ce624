"""Inputs by structure: noderanges, regular expressions, Perl arithmetic, plain data; right, odd and costly ones."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

NODES = (
    "node1",
    "node10",
    "n01",
    "n02",
    "f1n2",
    "login-1",
    "cn-01-a",
    "node001",
    "42",
    "sn1",
    "nosuch",
)
GROUPS = ("all", "compute", "rack1", "storage", "dynx86", "emptygrp", "service", "__all__")
COLUMNS = (
    "nodelist.groups",
    "nodehm.mgt",
    "nodetype.arch",
    "groups",
    "mgt",
    "ipmi.password",
    "no.such",
)

#: Expressions whose matching takes for ever where nobody bounds it, each in its own way.
EVIL = (
    *("(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*)*$", ".*.*.*.*.*.*.*.*.*.*.*.*$", ".*.*.*=.*", "(a?){40}a{40}"),
    *("a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaaaaaaaaaa", r"(.*)\1*\1*\1*\1*$", r"((.)\2*)*$"),
    *("(é|é)*$", "(ä+)+$", r"(\w*\s*)*$", "(?:x*)*y", "(?=(a+)+)a*b", "((a*)*)*$", "[a-z]*[a-z]*[a-z]*[a-z]*Z"),
    *("(a{1,100}){1,100}$", "a{1,65535}{1,65535}", "(((((a*)*)*)*)*)*b", "(?i)(A+)+$", "(?<=a{1,99})b"),
    *("(n|no|nod|node)*(n|no|nod|node)*$", "(\\d+)*x", "(^|a)*$", "(?s)(.|\n)*x", "(?x) ( a + ) +"),
)  # fmt: skip

_ATOMS = (
    *("a", "b", "n", "1", ".", "[ab]", "[^x]", r"\d", r"\w", r"\D+", r"\s", "(a)", "(a|b)", "(?:ab)", "(.*)"),
    *("[[:alpha:]]", "[[:^digit:]]", "[]a]", "[[]", r"\z", r"\Z", r"\A", "^", "$", r"\b", r"\h", r"\N"),
    *("é", "日", r"\x{41}", r"\1", r"(?<x>a)\k<x>", "(?i)", "(?=a)", "(?!b)", "(?<=a)", "(?>a+)", r"\Qa\E"),
    *(r"\K", r"\R", "(?R)", "(?{1})", r"\p{L}", "(?#c)", "(?P<y>b)", r"\g{1}", "[z-a]", "(?1)", r"\cA", "("),
)  # fmt: skip
_COUNTS = ("", "", "", "*", "+", "?", "*?", "++", "{2}", "{1,9}", "{,3}", "{0,65535}", "{99999999}")


def expression(rng: random.Random, deep: int = 3) -> str:
    """A regular expression of Perl's."""
    if rng.random() < 0.15:
        return rng.choice(EVIL)
    pieces = []
    for _ in range(rng.randint(1, 5)):
        atom = rng.choice(_ATOMS)
        if deep and rng.random() < 0.3:
            inner = "|".join(expression(rng, deep - 1) for _ in range(rng.randint(1, 3)))
            atom = rng.choice(("(%s)", "(?:%s)", "(?=%s)", "[%s]")) % inner
        pieces.append(atom + rng.choice(_COUNTS))
    return "".join(pieces)


def subject(rng: random.Random) -> str:
    """A text to match: names, and what expressions above choke on."""
    return rng.choice(
        (
            *NODES,
            *("a" * 40 + "!", "a" * 255, "ab" * 100, "node" * 50 + "x", "é" * 60 + "!", "1" * 60 + "x", "", "a b c"),
            *(" " * 100 + "x", "x" * 4000, "a=" * 500, "\n" * 50, "日本" * 40),
        )
    )  # fmt: skip


def arithmetic(rng: random.Random, deep: int = 4) -> str:
    """The right half of a value with an expression: texts and parenthesised Perl."""
    leaves = (
        "$1",
        "$2",
        "$99",
        "1",
        "0",
        "0x7fffffffffffffff",
        "007",
        "'a'",
        '"$1"',
        "1.5",
        "9" * 40,
        "word",
    )
    if deep == 0 or rng.random() < 0.25:
        return rng.choice(leaves)
    one, two = arithmetic(rng, deep - 1), arithmetic(rng, deep - 1)
    form = rng.choice(
        (
            *("({0}+{1})", "({0}*{1})", "({0}-{1})", "({0}/{1})", "({0}%{1})", "({0}**{1})", "({0}<<{1})"),
            *("({0} x {1})", "({0}.{1})", "({0}?{1}:{0})", "({0}=={1})", "({0} eq {1})", "(-{0})", "(~{0})"),
            *("(sprintf('%0{0}d',{1}))", "(int({0}))", "(substr({0},{1}))", "(abs({0}))", "(lc({0}))"),
            *("x({0})y({1})z", "(({0}))", "({0},{1})", "({0}&&{1}||{0})", "(a({0}))", "({0}", "(join({0},{1}))"),
        )
    )  # fmt: skip
    return form.format(one, two)


def noderange(rng: random.Random, deep: int = 3) -> str:
    """A noderange, its pieces right or nearly right."""
    terms = [_term(rng, deep) for _ in range(rng.randint(1, 5))]
    text = terms[0]
    for term in terms[1:]:
        text += rng.choice((",", ",", ",-", "@", ",@", "-", ",,")) + term
    return text


def _term(rng: random.Random, deep: int) -> str:
    if deep and rng.random() < 0.2:
        return "(" * (count := rng.choice((1, 1, 2, 40))) + noderange(rng, deep - 1) + ")" * count
    name = rng.choice(NODES + GROUPS)
    low, high = (
        rng.choice(("1", "01", "0", "9", "001")),
        rng.choice(("3", "10", "99", "199999", "9" * 12)),
    )
    form = rng.choice(
        (
            *("{0}", "{0}", "{0}", "n{1}-n{2}", "n[{1}-{2}]", "n[{1},{2}]s", "n{1}:n{2}", "n{1}+{2}", "{0}+{2}"),
            *("f[{1}-{2}]n[{1}-{2}]", "[{1}-{2}]", "n[{1}-{2}][{1}-{2}][{1}-{2}]", "{1}-{2}", "/{3}", "^/{0}"),
            *("{4}={0}", "{4}=~{3}", "{4}!~/{3}/", "{4}!={0}", "{4}=={0}", "~{0}", "{5}[{1}-{2}]", "'{0}'", "-{0}"),
        )
    )  # fmt: skip
    return form.format(
        name, low, high, expression(rng), rng.choice(COLUMNS), "x" * rng.choice((1, 250, 5000))
    )


def value(rng: random.Random, deep: int = 4) -> Any:
    """Plain JSON data."""
    kinds = rng.randrange(9 if deep else 7)
    match kinds:
        case 0:
            return rng.choice((None, True, False))
        case 1:
            return rng.choice((0, -1, 1, 2**31, 2**63, 10**400, 502))
        case 2:
            return rng.choice((0.5, -0.0, 1e308, float("inf"), float("nan")))
        case 3 | 4 | 5 | 6:
            return text(rng)
        case 7:
            return [value(rng, deep - 1) for _ in range(rng.randint(0, 4))]
        case _:
            return {text(rng): value(rng, deep - 1) for _ in range(rng.randint(0, 4))}


def text(rng: random.Random) -> str:
    """A text of a message: names, addresses, and what must not be one."""
    return rng.choice(
        (
            *("", "sn1", "10.0.0.1", "::1", "fe80::1%eth0", "selective", "../../etc/passwd", "/etc/passwd", "-o"),
            *("a" * 40, "a" * 300, "x\0y", "x\ny", "$(id)", "a;b", "\u202e", "\ud800", "xcat-aix:mn:mn1", "0", "%s"),
            *("BASH_ENV", "PERL5OPT", "PATH", "iqn.2001:x", "0x1000000000000", "otherpkgs --flag $(id)", "é"),
        )
    )  # fmt: skip


def mutated(rng: random.Random, data: Any) -> Any:
    """Plain data with one place in it changed, removed, added or nested; the rest stays what it is."""
    if isinstance(data, str) and rng.random() < 0.6:
        return rng.choice(("{0}{1}", "{0} {1}", "{1}{0}", "{0}\n{1}", "{1}")).format(
            data, text(rng)
        )
    if rng.random() < 0.2 or not isinstance(data, (dict, list)) or not data:
        return value(rng)
    if isinstance(data, list):
        place = rng.randrange(len(data))
        return [mutated(rng, item) if at == place else item for at, item in enumerate(data)]
    chosen = rng.choice(sorted(data))
    changed = dict(data)
    match rng.randrange(8):
        case 0:
            del changed[chosen]
        case 1:
            changed[text(rng)] = value(rng)
        case _:
            changed[chosen] = mutated(rng, data[chosen])
    return changed


def dumped(data: Any) -> bytes:
    """JSON as a hostile peer writes it: lone surrogates and NaN come out as they can."""
    return json.dumps(data).encode()


def lines(rng: random.Random, choices: Sequence[str], most: int = 12) -> str:
    """Some of these lines."""
    return "".join(rng.choice(choices) + "\n" for _ in range(rng.randint(0, most)))
