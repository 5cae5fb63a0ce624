"""Node lists for people: short lists as they are, long ones with numbered ranges.

Owns: the text form only.  Must not: know nodes from groups; the result is valid noderange text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

#: Up to this many names are written out, so that people can search for them.
PLAIN = 16

_NUMBERED = re.compile(r"^(.*?)(\d+)(\D*)$", re.DOTALL)


def fold(names: Collection[str]) -> str:
    """``n1,n2,n3`` for a few names, ``n[1-300],m7`` for many, in the given order of first sight."""
    if len(names) <= PLAIN:
        return ",".join(names)
    return ",".join(_folded(names))


def _folded(names: Iterable[str]) -> Iterator[str]:
    series: dict[tuple[str, str, int], list[int]] = {}
    for name in dict.fromkeys(names):
        match = _NUMBERED.match(name)
        if match is None:
            series.setdefault((name, "", 0), [])
            continue
        front, digits, tail = match.groups()
        width = len(digits) if digits.startswith("0") else 0
        series.setdefault((front, tail, width), []).append(int(digits))
    for (front, tail, width), numbers in series.items():
        if not numbers:
            yield front
        else:
            yield from _ranges(front, tail, width, numbers)


def _ranges(front: str, tail: str, width: int, numbers: list[int]) -> Iterator[str]:
    """A range needs brackets, and mixed widths of one series are kept apart by the caller's key."""
    numbers.sort()
    start = last = numbers[0]
    for number in [*numbers[1:], None]:
        if number is not None and number == last + 1:
            last = number
            continue
        low, high = (str(value).zfill(width) for value in (start, last))
        yield f"{front}{low}{tail}" if start == last else f"{front}[{low}-{high}]{tail}"
        if number is not None:
            start = last = number
