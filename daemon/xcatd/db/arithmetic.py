"""The arithmetic of expression values: Perl's, without Perl (specs/database.md, section 5).

A small evaluator over integers and texts: no names, no assignment, no access to anything.  Integers are C
integers of 64 bits, division truncates towards zero.  What it does not know raises
:class:`CannotEvaluate`; sizes and depth are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from . import functions
from .functions import CannotEvaluate, Operand, number

__all__ = ["CannotEvaluate", "evaluate"]

#: Longer expressions and deeper nesting are refused.
LONGEST = 1024
DEEPEST = 40

#: What stands for ``$1``, ``$2``… ; None for a group that took no part.
Captures: TypeAlias = Sequence[str | None]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number> 0[xX][0-9a-fA-F_]+ | 0[bB][01_]+ | \d[\d_]* (?:\.(?!\.)\d+)? )
    | (?P<variable> \$\d+ | \$\{\d+\} )
    | (?P<double> "(?:[^"\\]|\\.)*" )
    | (?P<single> '(?:[^'\\]|\\.)*' )
    | (?P<word> &?[A-Za-z_]\w* )
    | (?P<sign> \*\*|<=>|<<|>>|<=|>=|==|!=|&&|\|\||//|\+\+|--|[-+*/%<>!~&|^?:.,()] )
    )""",
    re.VERBOSE,
)

_ESCAPES = {"n": "\n", "t": "\t"}


def evaluate(text: str, captures: Captures) -> str:
    """The value of a Perl integer expression as text; raises CannotEvaluate."""
    if len(text) > LONGEST:
        raise CannotEvaluate("the expression is too long")
    return functions.text(_Parser(_tokens(text), captures).whole())


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
    return value not in (0, "", "0")


def _repeat(left: Operand, right: Operand) -> Operand:
    return functions.bounded(functions.text(left), max(number(right), 0))


def _sign(left: Operand, right: Operand) -> Operand:
    difference = number(left) - number(right)
    return (difference > 0) - (difference < 0)


#: Binary operators from loose to tight, each with what it does.  ``||``, ``&&``, ``//``, ``?:`` and ``**`` are apart.
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


class _Parser:
    """One expression, evaluated while it is read; there is nothing with a side effect in it."""

    def __init__(self, tokens: list[tuple[str, str]], captures: Captures) -> None:
        self._tokens = tokens
        self._captures = captures
        self._place = 0
        self._depth = 0

    def whole(self) -> Operand:
        """The value of everything."""
        value: Operand = ""
        if self._tokens:
            value = self._list()[-1]
        if self._place < len(self._tokens):
            raise CannotEvaluate(f"unexpected {self._tokens[self._place][1]!r}")
        return value

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

    def _list(self) -> list[Operand]:
        items = [self._choice()]
        while self._take(","):
            items.append(self._choice())
        return items

    def _choice(self) -> Operand:
        self._depth += 1
        if self._depth > DEEPEST:
            raise CannotEvaluate("the expression is nested too deeply")
        value = self._either()
        if self._take("?"):
            yes = self._choice()
            self._expect(":")
            no = self._choice()
            value = yes if _is_true(value) else no
        self._depth -= 1
        return value

    def _either(self) -> Operand:
        value = self._both()
        while (sign := self._peek()) in ("||", "//"):
            self._place += 1
            other = self._both()
            if sign == "||" and not _is_true(value):
                value = other
        return value

    def _both(self) -> Operand:
        value = self._binary(0)
        while self._take("&&"):
            other = self._binary(0)
            value = other if _is_true(value) else value
        return value

    def _binary(self, level: int) -> Operand:
        if level == len(_LEVELS):
            return self._unary()
        value = self._binary(level + 1)
        while (sign := self._peek()) in _LEVELS[level]:
            self._place += 1
            value = _LEVELS[level][sign](value, self._binary(level + 1))
        return value

    def _unary(self) -> Operand:
        sign = self._peek()
        if sign not in ("-", "+", "!", "~"):
            return self._power()
        self._place += 1
        self._depth += 1
        if self._depth > DEEPEST:
            raise CannotEvaluate("the expression is nested too deeply")
        value = self._unary()
        self._depth -= 1
        match sign:
            case "-":
                return functions.negated(value)
            case "+":
                return value
            case "!":
                return _truth(not _is_true(value))
            case _:
                return ~number(value)

    def _power(self) -> Operand:
        base = self._operand()
        if not self._take("**"):
            return base
        return functions.power(base, self._unary())

    def _operand(self) -> Operand:
        if self._place >= len(self._tokens):
            raise CannotEvaluate("the expression ends too early")
        kind, text = self._tokens[self._place]
        self._place += 1
        match kind:
            case "number":
                return functions.literal(text)
            case "variable":
                return self._capture(text)
            case "single":
                return re.sub(r"\\([\\'])", r"\1", text[1:-1])
            case "double":
                return self._interpolated(text[1:-1])
            case "word":
                return self._word(text)
            case _ if text == "(":
                value = self._list()[-1] if self._peek() != ")" else ""
                self._expect(")")
                return value
            case _:
                raise CannotEvaluate(f"unexpected {text!r}")

    def _capture(self, text: str) -> str:
        place = int(text.strip("${}")) - 1
        if 0 <= place < len(self._captures):
            return self._captures[place] or ""
        return ""

    def _interpolated(self, text: str) -> str:
        def put(match: re.Match[str]) -> str:
            if match["variable"]:
                return self._capture(match["variable"])
            return _ESCAPES.get(match["escaped"], match["escaped"])

        return re.sub(r"\\(?P<escaped>.)|(?P<variable>\$\d+|\$\{\d+\})", put, text)

    def _word(self, word: str) -> Operand:
        if not self._take("("):
            if word.startswith("&") or functions.is_function(word):
                raise CannotEvaluate(f"{word} needs parentheses")
            return word  # Perl takes an unknown bare word for a text
        arguments = self._list() if self._peek() != ")" else []
        self._expect(")")
        return functions.call(word.removeprefix("&"), arguments)
