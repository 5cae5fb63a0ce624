r"""Finds regular expressions whose matching can take exponential time, before they are used.

Python's matcher tries every way in which a text can be split among repetitions, and nothing else in the process runs
meanwhile.  What is repeated must therefore be readable in one way only: where a part of it may be longer or shorter,
the character that follows must show where it ends.  ``(\.\d+)*`` and ``([a-z]+\d+)+`` pass, ``(a+)+`` and
``(\w+\s*)*`` do not.  Pure; works on Python's notation, on patterns that
can be compiled; one that cannot be read here does not pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

_TOKEN = re.compile(
    r"""(?P<nothing> \(\?(?:[a-zA-Z]+|\#[^)]*)\) )
    | (?P<earlier> \(\?P=\w+\) )
    | (?P<around> \(\?<?[=!] )
    | (?P<opening> \( (?:\?(?:P<\w+>|[a-zA-Z]*(?:-[a-zA-Z]+)?:|>|\(\w+\)))? )
    | (?P<closing> \) )
    | (?P<bar> \| )
    | (?P<times> (?: [*+?] | \{(?P<least>\d*)(?P<comma>,?)(?P<most>\d*)\} ) [+?]? )
    | (?P<atom> \\. | \[\^?\]?(?:\\.|[^\]\\])*\] | . )
    """,
    re.VERBOSE | re.DOTALL,
)

_ANY_CASE = re.compile(r"\(\?[a-zA-Z]*i")
_EARLIER = re.compile(r"\\[1-9]")

Characters: TypeAlias = frozenset[str]

_ALL: Characters = frozenset(map(chr, range(128)))
_NOWHERE = frozenset(("^", "$", r"\b", r"\B", r"\A", r"\Z"))


@dataclass(frozen=True, slots=True)
class _Part:
    """Something to match: one character out of a set, or a group; ``most`` None: any number of times."""

    characters: Characters
    branches: tuple[tuple[_Part, ...], ...] = ()
    least: int = 1
    most: int | None = 1

    @property
    def varies(self) -> bool:
        return self.least != self.most

    @property
    def repeats(self) -> bool:
        return self.most is None or self.most > 1


def is_costly(pattern: str) -> bool:
    """Whether some repetition can be read in several ways."""
    try:
        reader = _Reader(pattern)
        return any(map(_is_costly, reader.branches())) or not reader.is_done
    except (re.error, RecursionError):
        return True


def _is_costly(sequence: Sequence[_Part]) -> bool:
    return any(
        any(map(_is_costly, part.branches)) or (part.repeats and not _is_plain(part))
        for part in sequence
    )


def _is_plain(group: _Part) -> bool:
    """Whether repetitions of this group can be told from each other."""
    if len(group.branches) > 1:
        return _are_distinct(group.branches)
    return all(_ends_clearly(list(_inlined(branch))) for branch in group.branches)


def _inlined(sequence: Sequence[_Part]) -> Iterator[_Part]:
    """Groups that stand once and have one branch are as good as what is in them."""
    for part in sequence:
        if len(part.branches) == 1 and part.least == part.most == 1:
            yield from _inlined(part.branches[0])
        else:
            yield part


def _ends_clearly(sequence: Sequence[_Part]) -> bool:
    """Whether no part of varying length can take a character that what follows could take, too."""
    for place, part in enumerate(sequence):
        if not part.varies:
            continue
        for following in (*sequence[place + 1 :], *sequence[: place + 1]):
            if part.characters & following.characters:
                return False
            if following.least:
                break
    return True


def _are_distinct(branches: Sequence[Sequence[_Part]]) -> bool:
    """Whether alternatives of fixed length differ in some character, each from each."""
    flat = [list(_inlined(branch)) for branch in branches]
    if any(part.varies or part.branches for branch in flat for part in branch):
        return False
    return all(
        any(not a.characters & b.characters for a, b in zip(one, other, strict=False))
        for place, one in enumerate(flat)
        for other in flat[:place]
    )


class _Reader:
    """Reads a pattern; sets of characters are taken from what Python's matcher says of each atom."""

    def __init__(self, pattern: str) -> None:
        self._tokens = list(_TOKEN.finditer(pattern))
        self._place = 0
        self._flags = re.ASCII | (re.IGNORECASE if _ANY_CASE.search(pattern) else re.NOFLAG)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left; there is after a parenthesis too many."""
        return self._place == len(self._tokens)

    def branches(self) -> tuple[tuple[_Part, ...], ...]:
        """The alternatives up to the end of the group, or of the pattern."""
        found: list[tuple[_Part, ...]] = []
        sequence: list[_Part] = []
        while (token := self._next()) is not None and token.lastgroup != "closing":
            match token.lastgroup:
                case "bar":
                    found.append(tuple(sequence))
                    sequence = []
                case "opening":
                    branches = self.branches()
                    sequence.append(self._counted(_Part(_characters(branches), branches)))
                case "around":  # takes no room, but what is in it is matched
                    sequence.append(self._counted(_Part(frozenset(), self.branches(), 0, 0)))
                case "atom" | "times" | "earlier" if token.group() not in _NOWHERE:
                    sequence.append(self._counted(_Part(self._matched(token))))
                case _:
                    pass
        return (*found, tuple(sequence))

    def _matched(self, token: re.Match[str]) -> Characters:
        """The ASCII characters an atom stands for; what refers to a group may be any."""
        atom = token.group()
        if token.lastgroup == "earlier" or _EARLIER.fullmatch(atom):
            return _ALL
        return frozenset(filter(re.compile(atom, self._flags).fullmatch, _ALL))

    def _next(self) -> re.Match[str] | None:
        if self.is_done:
            return None
        self._place += 1
        return self._tokens[self._place - 1]

    def _counted(self, part: _Part) -> _Part:
        """The part with the quantifier that follows."""
        if self.is_done or part.most == 0:
            return part
        token = self._tokens[self._place]
        if token.lastgroup != "times":
            return part
        self._place += 1
        least, most = _bounds(token)
        return _Part(part.characters, part.branches, least, most)


def _bounds(token: re.Match[str]) -> tuple[int, int | None]:
    match token.group()[0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
        case _:
            pass
    least = int(token["least"] or 0)
    if not token["comma"]:
        return least, least
    return least, int(token["most"]) if token["most"] else None


def _characters(branches: Sequence[Sequence[_Part]]) -> Characters:
    return frozenset().union(*(part.characters for branch in branches for part in branch))
