"""The arithmetic of expression values: Perl's, without Perl (docs/facts/database.md, Values that are expressions).

A small evaluator over integers and texts: no names, no assignment, no access to anything.  Integers are C
integers of 64 bits, division truncates towards zero.  What it does not know raises
:class:`CannotEvaluate`; sizes and depth are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

from . import functions
from .functions import CannotEvaluate, Operand, number

__all__ = ["CannotEvaluate", "evaluate"]

#: Longer expressions and deeper nesting are refused.
LONGEST = 1024
DEEPEST = 40

#: What stands for ``$1``, ``$2``… ; None for a group that took no part.
Captures: TypeAlias = Sequence[str | None]

#: A part of an expression, ready to be worked out for any captures.
Part: TypeAlias = Callable[[Captures], Operand]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number> 0[xX][0-9a-fA-F_]+ | 0[bB][01_]+ | 0\d[\d_]* | \d[\d_]* (?:\.(?!\.)\d*)? )
    | (?P<variable> \$\d+ | \$\{\d+\} )
    | (?P<double> "(?:[^"\\]|\\.)*" )
    | (?P<single> '(?:[^'\\]|\\.)*' )
    | (?P<word> &?[A-Za-z_]\w* )
    | (?P<sign> \*\*|<=>|<<|>>|<=|>=|==|!=|&&|\|\||//|\+\+|--|[-+*/%<>!~&|^?:.,()] )
    )""",
    re.VERBOSE,
)

_IN_DOUBLE = re.compile(
    r"(?P<variable>\$\d+|\$\{\d+\})|\\(?P<escaped>.)|(?P<plain>[^$\\]+|\$)", re.DOTALL
)
_ESCAPES = {"n": "\n", "t": "\t"}


def evaluate(text: str, captures: Captures) -> str:
    """The value of a Perl integer expression as text; raises CannotEvaluate."""
    return functions.text(_parsed(text)(captures))


def prepare(text: str) -> Part:
    """An expression to be worked out for many captures; a wrong one is empty for all of them."""
    try:
        return _parsed(text)
    except CannotEvaluate:
        return _constant("")


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Part:
    if len(text) > LONGEST:
        raise CannotEvaluate("the expression is too long")
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    place = 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise CannotEvaluate(f"cannot read {text[place:]!r}")
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        place = match.end()
    return tokens


def _compare(test: Callable[[int], bool]) -> Callable[[Operand, Operand], Operand]:
    return lambda left, right: _truth(test(number(left) - number(right)))


def _compare_text(test: Callable[[str, str], bool]) -> Callable[[Operand, Operand], Operand]:
    return lambda left, right: _truth(test(functions.text(left), functions.text(right)))


def _truth(value: bool) -> Operand:
    return 1 if value else ""


def _is_true(value: Operand) -> bool:
    return value not in (0, "", "0", None)


def _repeat(left: Operand, right: Operand) -> Operand:
    return functions.bounded(functions.text(left), max(number(right), 0))


def _sign(left: Operand, right: Operand) -> Operand:
    difference = number(left) - number(right)
    return (difference > 0) - (difference < 0)


#: Binary operators from loose to tight, each with what it does.  ``||``, ``&&``, ``?:`` and ``**`` are apart.
_LEVELS: tuple[dict[str, Callable[[Operand, Operand], Operand]], ...] = (
    {
        "|": lambda a, b: functions.wrapped(number(a) | number(b)),
        "^": lambda a, b: functions.wrapped(number(a) ^ number(b)),
    },
    {"&": lambda a, b: functions.wrapped(number(a) & number(b))},
    {
        "==": _compare(lambda d: d == 0),
        "!=": _compare(lambda d: d != 0),
        "<=>": _sign,
        "eq": _compare_text(lambda a, b: a == b),
        "ne": _compare_text(lambda a, b: a != b),
    },
    {
        "<": _compare(lambda d: d < 0),
        ">": _compare(lambda d: d > 0),
        "<=": _compare(lambda d: d <= 0),
        ">=": _compare(lambda d: d >= 0),
        "lt": _compare_text(lambda a, b: a < b),
        "gt": _compare_text(lambda a, b: a > b),
        "le": _compare_text(lambda a, b: a <= b),
        "ge": _compare_text(lambda a, b: a >= b),
    },
    {"<<": functions.shift_left, ">>": lambda a, b: functions.shift_left(a, -number(b))},
    {
        "+": lambda a, b: functions.wrapped(number(a) + number(b)),
        "-": lambda a, b: functions.wrapped(number(a) - number(b)),
        ".": functions.joined,
    },
    {
        "*": lambda a, b: functions.wrapped(number(a) * number(b)),
        "/": functions.divided,
        "%": functions.remainder,
        "x": _repeat,
    },
)


def _both_sides(operator: Callable[[Operand, Operand], Operand], left: Part, right: Part) -> Part:
    return lambda captures: operator(left(captures), right(captures))


def _chosen(condition: Part, yes: Part, no: Part) -> Part:
    return lambda captures: (yes if _is_true(condition(captures)) else no)(captures)


def _one_or_other(left: Part, right: Part, wanted: bool) -> Part:
    """The left value where its truth is ``wanted``, else the right one."""

    def part(captures: Captures) -> Operand:
        value = left(captures)
        return value if _is_true(value) == wanted else right(captures)

    return part


_UNARY: dict[str, Callable[[Operand], Operand]] = {
    "-": functions.negated,
    "+": lambda value: value,
    "!": lambda value: _truth(not _is_true(value)),
    "~": lambda value: ~number(value),
}


class _Parser:
    """Reads one expression; nothing in it has a side effect."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    def whole(self) -> Part:
        """Everything; an expression of nothing is empty."""
        part: Part = self._list()[-1] if self._tokens else _constant("")
        if self._place < len(self._tokens):
            raise CannotEvaluate(f"unexpected {self._tokens[self._place][1]!r}")
        return part

    def _peek(self) -> str:
        """The next operator or word; empty at the end and before an operand."""
        if self._place < len(self._tokens):
            kind, text = self._tokens[self._place]
            if kind in ("sign", "word"):
                return text
        return ""

    def _take(self, wanted: str) -> bool:
        if self._peek() != wanted:
            return False
        self._place += 1
        return True

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise CannotEvaluate(f"missing {wanted!r}")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise CannotEvaluate("the expression is nested too deeply")

    def _list(self) -> list[Part]:
        items = [self._choice()]
        while self._take(","):
            items.append(self._choice())
        return items

    def _choice(self) -> Part:
        self._deeper()
        part = self._either()
        if self._take("?"):
            yes = self._choice()
            self._expect(":")
            part = _chosen(part, yes, self._choice())
        self._depth -= 1
        return part

    def _either(self) -> Part:
        part = self._both()
        while self._take("||"):
            part = _one_or_other(part, self._both(), wanted=True)
        return part

    def _both(self) -> Part:
        part = self._binary(0)
        while self._take("&&"):
            part = _one_or_other(part, self._binary(0), wanted=False)
        return part

    def _binary(self, level: int) -> Part:
        if level == len(_LEVELS):
            return self._unary()
        part = self._binary(level + 1)
        while (sign := self._peek()) in _LEVELS[level]:
            self._place += 1
            part = _both_sides(_LEVELS[level][sign], part, self._binary(level + 1))
            if "<" in _LEVELS[level] or "==" in _LEVELS[level]:
                break  # comparisons in a row mean different things in different Perls
        return part

    def _unary(self) -> Part:
        operator = _UNARY.get(self._peek())
        if operator is None:
            return self._power()
        self._place += 1
        self._deeper()
        part = self._unary()
        self._depth -= 1
        return lambda captures: operator(part(captures))

    def _power(self) -> Part:
        base = self._operand()
        return _both_sides(functions.power, base, self._unary()) if self._take("**") else base

    def _operand(self) -> Part:
        if self._place >= len(self._tokens):
            raise CannotEvaluate("the expression ends too early")
        kind, text = self._tokens[self._place]
        self._place += 1
        match kind:
            case "number":
                return _constant(functions.literal(text))
            case "variable":
                return _variable(text)
            case "single":
                return _constant(re.sub(r"\\([\\'])", r"\1", text[1:-1]))
            case "double":
                return _interpolated(text[1:-1])
            case "word":
                return self._word(text)
            case _ if text == "(":
                part = self._list()[-1] if self._peek() != ")" else _constant("")
                self._expect(")")
                return part
            case _:
                raise CannotEvaluate(f"unexpected {text!r}")

    def _word(self, word: str) -> Part:
        name = word.removeprefix("&")
        if not self._take("("):
            if name != word or functions.is_function(name):
                raise CannotEvaluate(f"{word} needs parentheses")
            return _constant(word)  # Perl takes an unknown bare word for a text
        arguments = self._list() if self._peek() != ")" else []
        self._expect(")")
        function = functions.find(name)
        return lambda captures: function([argument(captures) for argument in arguments])


def _constant(value: Operand) -> Part:
    return lambda _captures: value


def _variable(text: str) -> Part:
    place = int(text.strip("${}")) - 1

    def part(captures: Captures) -> Operand:
        return captures[place] if 0 <= place < len(captures) else None

    return part


def _interpolated(text: str) -> Part:
    pieces: list[Part] = []
    for match in _IN_DOUBLE.finditer(text):
        if match["variable"]:
            pieces.append(_variable(match["variable"]))
        else:
            escaped = match["escaped"]
            pieces.append(_constant(match["plain"] or _ESCAPES.get(escaped, escaped)))
    return lambda captures: functions.bounded(
        "".join(functions.text(piece(captures)) for piece in pieces)
    )
