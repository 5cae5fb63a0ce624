"""Balanced parentheses and separators in noderanges and table values: pure text, linear time."""

from __future__ import annotations

from collections.abc import Iterator


def first_parenthesised(text: str) -> tuple[int, int] | None:
    """Start and end of the first balanced ``(…)``; None when there is none or a ``)`` comes first.

    Inside the parentheses a backslash hides the character after it.
    """
    start = next((place for place, sign in enumerate(text) if sign in "()"), None)
    if start is None or text[start] == ")":
        return None
    depth = 0
    place = start
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == "(":
            depth += 1
        elif text[place] == ")":
            depth -= 1
            if depth == 0:
                return start, place + 1
        place += 1
    return None


def separated(text: str, separator: str, brackets: tuple[str, ...]) -> list[str]:
    """Terms and separators in turn, beginning and ending with a (maybe empty) term.

    A separator does not count where the next of any of these ``brackets`` pairs after it is a closing one.
    """
    pieces = []
    last = 0
    for place in _separators(text, separator, brackets):
        pieces += [text[last:place], separator]
        last = place + 1
    return [*pieces, text[last:]]


def _separators(text: str, separator: str, brackets: tuple[str, ...]) -> Iterator[int]:
    """Places of the separators that count, found from the right where the next bracket is known."""
    inside = dict.fromkeys(brackets, False)
    found = []
    for place in range(len(text) - 1, -1, -1):
        sign = text[place]
        for pair in brackets:
            if sign in pair:
                inside[pair] = sign == pair[1]
        if sign == separator and not any(inside.values()):
            found.append(place)
    return reversed(found)
