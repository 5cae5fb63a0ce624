"""The textual ranges of a noderange: ``n1-n4``, ``n[1-4,7]s``, ``n1+3`` (docs/facts/noderange.md, Ranges).

Names in, names out; whether a name is a node or a group is the caller's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NUMBERS = re.compile(r"(\d+)", re.ASCII)
_PLUS = re.compile(r"(.*?)(\d+)(\..+)?", re.ASCII)
_INCREMENT = re.compile(r"[-+]?\d{1,18}", re.ASCII)

#: Longer names, in bytes, are nobody's: neither DNS nor xCAT's tables take them.
LONGEST_NAME = 255


def is_too_long(name: str) -> bool:
    """Whether nothing can be called so."""
    size = len(name) if name.isascii() else len(name.encode("utf-8", "surrogateescape"))
    return size > LONGEST_NAME


def counted(left: str, right: str) -> Iterator[str]:
    """Numbers as texts from left to right; a left one with leading zeros keeps its width."""
    if left == "0" or left[0] != "0":
        yield from map(str, range(int(left), int(right) + 1))
        return
    number, text = int(left), left
    while len(text) <= len(right):
        yield text
        if text == right:
            return
        number += 1
        text = str(number).zfill(len(left))


def split_sides(atom: str) -> tuple[str, str] | None:
    """Both sides of ``left-right`` or ``left:right``; None when a dash cannot be the middle one."""
    if ":" in atom:
        left, right = atom.split(":")[:2]
        return left, right
    dashes = atom.count("-")
    if dashes % 2 == 0:
        return None
    parts = atom.lstrip("-").split("-")
    middle = dashes // 2 + 1
    if len(parts) <= middle:
        return None
    return "-".join(parts[:middle]), "-".join(parts[middle:])


def names_between(left: str, right: str) -> Iterator[str] | None:
    """The names of a range; None when the sides differ in more than one number, or are no names."""
    if is_too_long(left) or is_too_long(right):
        return None
    starts, ends = _pieces(left), _pieces(right)
    differing = [
        place for place, (start, end) in enumerate(zip(starts, ends, strict=False)) if start != end
    ]
    if len(starts) != len(ends) or len(differing) != 1:
        return None
    place = differing[0]
    start, end = starts[place], ends[place]
    if not (start.isdecimal() and end.isdecimal()):
        return None
    prefix, suffix = "".join(starts[:place]), "".join(starts[place + 1 :])
    return (prefix + number + suffix for number in counted(start, end))


def _pieces(text: str) -> list[str]:
    """Text and numbers in turn; no empty piece at the end."""
    pieces = _NUMBERS.split(text)
    return pieces[:-1] if not pieces[-1] else pieces


def plus_names(atom: str, prefix: str, suffix: str) -> Iterator[str] | None:
    """``front+count``: the names counted up from ``front``; None when it has no number to count.

    ``prefix`` and ``suffix`` go around a ``front`` that is only a number.
    """
    front, _, increment = atom.partition("+")
    if is_too_long(front):
        return None
    match = _PLUS.fullmatch(front)
    if match is None:
        return None
    before, start, after = match[1], match[2], match[3] or ""
    if not before and not after:
        before, after = prefix, suffix
    steps = _INCREMENT.match(increment)
    end = str(int(start) + (int(steps[0]) if steps else 0)).zfill(len(start))
    return (before + number + after for number in counted(start, end))


def first_bracket(atom: str) -> tuple[Iterator[str], str] | None:
    """The first ``[…]`` written out: names and ranges, and the text after it with more brackets.

    The text after the last brackets is part of the names already, and then empty here.  None when there is
    nothing before the bracket, no bracket, or what stands around it is too long for a name.
    """
    opened = atom.find("[", 1)
    closed = atom.find("]", opened + 2)
    if opened < 0 or closed < 0:
        return None
    start, inside, ending = atom[:opened], atom[opened + 1 : closed], atom[closed + 1 :]
    more = _has_brackets(ending)
    after = "" if more else ending
    if is_too_long(start + after):
        return None
    return _written_out(start, inside, after), ending if more else ""


def _has_brackets(text: str) -> bool:
    """Whether a ``[`` and a ``]`` stand in ``text`` with something between them."""
    opened = text.find("[")
    return opened >= 0 and text.find("]", opened + 2) >= 0


def _written_out(start: str, inside: str, ending: str) -> Iterator[str]:
    """The names and ranges that a bracket stands for, one by one: all together may be far longer than the text."""
    *items, last = inside.split(",")
    for item in items:
        yield _around(start, _sides(item), ending)
    pieces = _sides(last)
    if not pieces[-1]:
        pieces.pop()
    if pieces:
        yield _around(start, pieces, ending)


def _sides(item: str) -> list[str]:
    """An item's texts with the signs between them; one too long for a range is left whole."""
    return [item] if len(item) > 2 * LONGEST_NAME + 1 else re.split("([:-])", item)


def _around(start: str, pieces: list[str], ending: str) -> str:
    return "".join(
        piece if place % 2 else start + piece + ending for place, piece in enumerate(pieces)
    )
