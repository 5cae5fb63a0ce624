"""The ``-w`` of table commands: conditions on a row's columns, compared as SQL compares.

Pure.  Facts: docs/facts/database.md, Where-strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from xcatd.text import perlre

#: Operators in the order they are looked for.  The first five must stand before any other equals sign.
_OPERATORS = ("==", "=~", "!=", "!~", "<=", "<", ">=", ">")

#: Which outcomes of a comparison (-1 less, 0 equal, 1 greater) each operator accepts.
_ACCEPTED = {"==": (0,), "!=": (-1, 1), "<=": (-1, 0), "<": (-1,), ">=": (0, 1), ">": (1,)}


class BadWhere(ValueError):
    """The text has no operator."""


@dataclass(frozen=True, slots=True)
class Where:
    """One condition.  For ``=~`` and ``!~`` there is a LIKE pattern: ``%`` any text, ``_`` one character."""

    column: str
    operator: str
    text: str
    like: perlre.Expression | None = None

    def holds(self, row: Mapping[str, str | None], numbers: str | None = None) -> bool:
        """Whether a row passes; NULL never does.  ``numbers`` is the column that holds numbers.

        Raises :class:`xcatd.text.perlre.TooCostly`.
        """
        value = row.get(self.column)
        if value is None:
            return False
        if self.like is not None:
            return (self.like.search(value) is not None) is (self.operator == "=~")
        return self._compared(value, is_number=self.column == numbers) in _ACCEPTED[self.operator]

    def _compared(self, value: str, *, is_number: bool) -> int:
        if is_number and _is_number(value) and _is_number(self.text):
            return _sign(int(value) - int(self.text))
        ours, theirs = value.encode(), self.text.encode()
        return (ours > theirs) - (ours < theirs)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _sign(difference: int) -> int:
    return (difference > 0) - (difference < 0)


def parse(texts: Iterable[str]) -> tuple[Where, ...]:
    """Read conditions; raises BadWhere with the text at fault, and :class:`xcatd.text.perlre.BadPattern`."""
    return tuple(_parse(text) for text in texts)


def columns(texts: Iterable[str]) -> Iterator[str]:
    """The columns of the conditions, as far as they can be read; no expression is looked at."""
    return (parts[0] for text in texts if (parts := _split(text)) is not None)


def _split(text: str) -> tuple[str, str, str] | None:
    for sign in _OPERATORS:
        column, found, value = text.partition(sign)
        if found and not (sign != "!~" and "=" in column):
            return column, sign, value
    return None


def _parse(text: str) -> Where:
    parts = _split(text)
    if parts is None:
        raise BadWhere(text)
    column, sign, value = parts
    if not sign.endswith("~"):
        return Where(column, sign, value)
    value = value.removeprefix("/").removesuffix("/")
    return Where(column, sign, value, perlre.like(value))
