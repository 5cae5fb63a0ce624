"""A command's page: what it is for, how it is called, its options.  The usage text and the manual page come from it.

Owns: the layout of both.  Must not: know any command.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xcat_aix.commands.options import Option

_WIDTH = 110
_INDENT = 24


@dataclass(frozen=True, slots=True)
class Page:
    """``forms`` are command lines without the command's name; ``groups`` are options under their headings."""

    name: str
    summary: str
    forms: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Option, ...]], ...]
    remarks: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[Option, ...]:
        """All options, to be parsed."""
        return tuple(option for _, options in self.groups for option in options)

    def usage(self) -> tuple[str, ...]:
        """The usage text, one line each, none of them empty."""
        return tuple(self._usage())

    def _usage(self) -> Iterator[str]:
        yield f"{self.name} - {self.summary}."
        yield "Usage:"
        yield from (f"\t{self.name} {form}".rstrip() for form in self.forms)
        for heading, options in self.groups:
            yield f"{heading}:"
            for option in options:
                yield from (f"\t{line}" for line in _described(option))
        yield from self.remarks

    def manual(self) -> list[str]:
        """The options as a part of the manual page, in reStructuredText."""
        found: list[str] = []
        for number, (heading, options) in enumerate(self.groups):
            if number:
                found += [heading, "-" * len(heading), ""]
            for option in options:
                found += [
                    option.spelling,
                    *textwrap.wrap(
                        option.help, 140, initial_indent="    ", subsequent_indent="    "
                    ),
                    "",
                ]
        return found


def _described(option: Option) -> Sequence[str]:
    """``-s, --source SN1     Move the nodes whose …``, as many lines as it takes."""
    spelling = option.spelling
    first = spelling.ljust(_INDENT - 1) + " "
    return textwrap.wrap(
        option.help,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
