"""Node lists for people: short lists as they are, long ones with numbered ranges.

Owns: the text form only.  Must not: know nodes from groups; the result is valid noderange text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

#: Up to this many names are written out, so that people can search for them.
PLAIN = 16

_NUMBERED = re.compile(r"^(.*?)(\d+)(\D*)$", re.DOTALL)
_RANGE = re.compile(r"^(.*)\[(\d+)-(\d+)\](.*)$", re.DOTALL)


def fold(names: Collection[str]) -> str:
    """``n1,n2,n3`` for a few names, ``n[1-300],m7`` for many, in the given order of first sight."""
    if len(names) <= PLAIN:
        return ",".join(names)
    return ",".join(_folded(names))


def unfold(text: str, most: int | None = None) -> Iterator[str]:
    """The names of a folded text, one at a time: how many there are is told by the text alone.

    Raises ValueError for a range of more than ``most`` names, before it counts them.
    """
    for part in text.split(",") if text else ():
        match = _RANGE.match(part)
        if match is None:
            yield part
            continue
        front, low, high, tail = match.groups()
        if most is not None and int(high) - int(low) >= most:
            raise ValueError(f"a range of more than {most} names")
        width = len(low) if low.startswith("0") else 0
        for number in range(int(low), int(high) + 1):
            yield f"{front}{str(number).zfill(width)}{tail}"


def _folded(names: Iterable[str]) -> Iterator[str]:
    parts = {name: _NUMBERED.match(name) for name in dict.fromkeys(names)}
    padded = {_series(match) for match in parts.values() if match and match[2].startswith("0")}
    found: dict[tuple[str, str, int], list[int]] = {}
    for name, match in parts.items():
        if match is None:
            found.setdefault((name, "", -1), [])  # a name without number is no series' beginning
        else:
            # 10 belongs to 09 where numbers are written with two digits, else to 9.
            width = len(match[2]) if _series(match) in padded else 0
            found.setdefault((match[1], match[3], width), []).append(int(match[2]))
    for (front, tail, width), numbers in found.items():
        if numbers:
            yield from _ranges(front, tail, width, numbers)
        else:
            yield front


def _series(match: re.Match[str]) -> tuple[str, str, int]:
    return match[1], match[3], len(match[2])


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
