"""What expression values compute with: C integers, texts, and xCAT's functions.

Facts: docs/facts/database.md, Values that are expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

#: None is what Perl calls undefined: a capture that took no part.
Operand: TypeAlias = int | str | None

#: No text grows longer than this.
LONGEST_TEXT = 4096


_LEADING_NUMBER = re.compile(r"\s*([-+]?\d{1,18})", re.ASCII)


class CannotEvaluate(ValueError):
    """The expression is wrong or outside of what is supported."""


def text(value: Operand) -> str:
    """The value as Perl would print it."""
    return "" if value is None else str(value)


def number(value: Operand) -> int:
    """The value as an integer: a text counts up to its first character that is no digit."""
    if isinstance(value, int):
        return value
    if value is None:
        return 0
    if len(value) < 19 and value.isdecimal() and value.isascii():
        return int(value)  # nearly always
    match = _LEADING_NUMBER.match(value)
    return int(match[1]) if match else 0


def wrapped(value: int) -> int:
    """As a signed integer of 64 bits."""
    return (value + 2**63) % 2**64 - 2**63


def literal(digits: str) -> Operand:
    """A number as written: decimal, octal (0…), hexadecimal (0x…) or binary (0b…)."""
    plain = digits.replace("_", "").lower()
    if "." in plain:
        return plain.rstrip("0").rstrip(".")
    if plain[:2] in ("0x", "0b"):
        return wrapped(int(plain, 0))
    if len(plain) > 1 and plain[0] == "0":
        if not re.fullmatch("[0-7]+", plain):
            raise CannotEvaluate(f"{digits} is no octal number")
        return wrapped(int(plain, 8))
    if len(plain) > 19:
        raise CannotEvaluate(f"{digits} is too large")
    return wrapped(int(plain))


def negated(value: Operand) -> Operand:
    """Minus; a bare word gets a dash before it, as in Perl."""
    if isinstance(value, str) and re.match(r"[A-Za-z_]", value):
        return "-" + value
    return wrapped(-number(value))


def divided(left: Operand, right: Operand) -> int:
    """Division towards zero."""
    a, b = number(left), number(right)
    if b == 0:
        raise CannotEvaluate("division by zero")
    if a >= 0 and b > 0:
        return a // b
    quotient = abs(a) // abs(b)
    return wrapped(quotient if (a < 0) == (b < 0) else -quotient)


def remainder(left: Operand, right: Operand) -> int:
    """The remainder of :func:`divided`: its sign is the left operand's."""
    return number(left) - number(right) * divided(left, right)


def power(base: Operand, exponent: Operand) -> int:
    """Power of integers; refused where the result would be no integer of 64 bits."""
    a, b = number(base), number(exponent)
    if b < 0 or (abs(a) > 1 and b > 63):
        raise CannotEvaluate("the power is no integer of 64 bits")
    result: int = a ** min(b, 64 + b % 2)
    if result != wrapped(result):
        raise CannotEvaluate("the power is no integer of 64 bits")
    return result


def shift_left(left: Operand, right: Operand) -> int:
    """Shift by fewer than 64 bits; negative to the right."""
    a, b = number(left), number(right)
    if abs(b) > 63:
        return -1 if b < 0 and a < 0 else 0
    return wrapped(a << b if b >= 0 else a >> -b)


def joined(left: Operand, right: Operand) -> str:
    """Both texts, one after the other."""
    return bounded(text(left) + text(right))


def bounded(value: str, times: int = 1) -> str:
    """``value`` repeated; refused when it gets too long."""
    if len(value) * times > LONGEST_TEXT:
        raise CannotEvaluate("the text gets too long")
    return value * times


def is_function(name: str) -> bool:
    """Whether an expression may call this."""
    return name in _FUNCTIONS


def find(name: str) -> Callable[[Sequence[Operand]], Operand]:
    """One of the functions an expression may use."""
    function = _FUNCTIONS.get(name)
    if function is None:
        raise CannotEvaluate(f"unknown function {name}")
    return function


def _at(arguments: Sequence[Operand], place: int) -> Operand:
    return arguments[place] if place < len(arguments) else ""


def _first(function: Callable[[Operand], Operand]) -> Callable[[Sequence[Operand]], Operand]:
    return lambda arguments: function(_at(arguments, 0))


def _mknum(value: Operand) -> int:
    return sum(text(value).encode())


def _letter(value: Operand, first: str, index: int) -> int:
    """The place of a letter in the alphabet, when ``first`` counts as ``index``."""
    letter = text(value).lower()[:1]
    return (ord(letter) if letter else 0) - ord(first) + index


def _dim2idx(arguments: Sequence[Operand]) -> int:
    """Coordinates ``v1, n2, v2, n3, v3, …`` of a grid, all counted from 1, as one number from 1."""
    index = 0
    for place, argument in enumerate(arguments):
        if argument is None:
            break
        index = wrapped(index * number(argument) if place % 2 else index + number(argument) - 1)
    return wrapped(index + 1)


def _skip(arguments: Sequence[Operand]) -> Operand:
    """An index less the skipped ones before it, ``start[:count],…``; -1 when it is itself skipped."""
    index = number(_at(arguments, 0))
    skipped = 0
    for item in filter(None, text(_at(arguments, 1)).split(",")):
        start, _, count = item.partition(":")
        length = number(count) if count else 1
        if index < number(start):
            break
        if index < number(start) + length:
            return -1
        skipped += length
    return index - skipped if skipped else _at(arguments, 0)


def _ipadd(arguments: Sequence[Operand]) -> str:
    """An address so many places after ``b1, b2, b3, b4``, leaving out the ends of each last byte."""
    b3, b4, add, low, high = (number(_at(arguments, place)) for place in range(2, 7))
    usable = 256 - low - high
    places = max(b4 - low, 0) + add
    last = remainder(places, usable) + low
    head = f"{text(_at(arguments, 0))}.{text(_at(arguments, 1))}"
    return bounded(f"{head}.{wrapped(b3 + divided(places, usable))}.{last}")


def _substr(arguments: Sequence[Operand]) -> str:
    value, start = text(_at(arguments, 0)), number(_at(arguments, 1))
    rest = value[start:]
    if len(arguments) < 3:
        return rest
    return rest[: number(arguments[2])]


def _sprintf(arguments: Sequence[Operand]) -> str:
    rest = iter(arguments[1:])
    pattern = text(_at(arguments, 0))
    if sum(len(text(argument)) for argument in arguments) > LONGEST_TEXT:
        raise CannotEvaluate("the text gets too long")

    def put(match: re.Match[str]) -> str:
        if match["kind"] == "%":
            return "%"
        value = next(rest, "")
        flags = match["flags"]
        kind = match["kind"]
        return f"%{flags}{kind}" % (text(value) if kind == "s" else number(value))

    return bounded(re.sub(r"%(?P<flags>-?0?\d{0,2})(?P<kind>[dsxXo%])", put, pattern))


_FUNCTIONS: dict[str, Callable[[Sequence[Operand]], Operand]] = {
    "mknum": _first(_mknum),
    "a2idx": _first(lambda value: _letter(value, "a", 1)),
    "a2zidx": _first(lambda value: _letter(value, "a", 0)),
    "dim2idx": _dim2idx,
    "skip": _skip,
    "ipadd": _ipadd,
    "int": _first(number),
    "abs": _first(lambda value: wrapped(abs(number(value)))),
    "lc": _first(lambda value: text(value).lower()),
    "uc": _first(lambda value: text(value).upper()),
    "length": _first(lambda value: len(text(value))),
    "ord": _first(lambda value: ord(text(value)[:1] or "\0")),
    "substr": _substr,
    "sprintf": _sprintf,
}
