"""Command-line options with the habits of xCAT's commands.

Owns the parsing of a request's arguments into values: operands and options mixed in any order, short
options bundled (``-al``), their value attached or apart (``-imgt``, ``-i mgt``), long options by any
unique beginning, everything case-sensitive, ``--`` ends the options (docs/facts/object-commands.md, Arguments).
Must not know any command or print anything.
"""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from dataclasses import dataclass, field


class OptionError(ValueError):
    """The arguments do not parse; the text says which option is at fault."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option.  ``names`` are all its spellings without dashes; the first one identifies it.

    One-letter names are short options.  ``takes_value`` is for options that need a value, ``may_lack_it`` for
    long ones that also stand alone (their value is then empty).  ``meta`` names the value and ``help`` says what the
    option is for, in usage texts and manual pages.
    """

    names: tuple[str, ...]
    takes_value: bool = False
    may_lack_it: bool = False
    meta: str = ""
    help: str = ""

    @property
    def spelling(self) -> str:
        """As a user types it: ``-s, --source SN1``."""
        names = [f"-{name}" if len(name) == 1 else f"--{name}" for name in self.names]
        return f"{', '.join(names)} {self.meta}".rstrip()


def flag(*names: str, help: str = "") -> Option:  # noqa: A002 - reads as what it is
    """An option without a value."""
    return Option(names, help=help)


def value(*names: str, meta: str = "", help: str = "") -> Option:  # noqa: A002 - as above
    """An option with a value; it may be given several times."""
    return Option(names, takes_value=True, meta=meta, help=help)


def optional_value(name: str) -> Option:
    """A long option whose value may be left out: the next word is its value unless it is an option."""
    return Option((name,), takes_value=True, may_lack_it=True)


@dataclass(frozen=True, slots=True)
class Arguments:
    """Parsed arguments: operands in order, and every option given by its first name."""

    operands: tuple[str, ...] = ()
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the option was given at all."""
        return name in self.options

    def value(self, name: str, default: str = "") -> str:
        """The option's last value."""
        return self.values(name)[-1] if self.has(name) else default

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of the option, in order."""
        return self.options.get(name, ())


def parse(
    words: Sequence[str], options: Sequence[Option], *, operands_end_options: bool = False
) -> Arguments:
    """Split ``words`` into operands and options.

    ``operands_end_options``: everything after the first operand is an operand (tabdump does so).
    Raises OptionError for an unknown or ambiguous option, a missing or an unwanted value.
    """
    given_words = _with_values(words, options)
    try:
        found, operands = _split(given_words, options, operands_end_options=operands_end_options)
    except getopt.GetoptError as error:
        raise OptionError(error.msg) from None
    first_names = {name: option.names[0] for option in options for name in option.names}
    given: dict[str, tuple[str, ...]] = {}
    for spelling, text in found:
        name = first_names[spelling.lstrip("-")]
        given[name] = (*given.get(name, ()), text)
    return Arguments(tuple(operands), given)


def _split(
    words: Sequence[str], options: Sequence[Option], *, operands_end_options: bool
) -> tuple[list[tuple[str, str]], Sequence[str]]:
    """As ``getopt.gnu_getopt``, which copies all the words for each of them."""
    short, long = _short(options), _long(options)
    found: list[tuple[str, str]] = []
    operands: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        if word == "--":
            return found, [*operands, *words[place + 1 :]]
        if not word.startswith("-") or word == "-":
            if operands_end_options:
                return found, words[place:]
            operands.append(word)
            place += 1
            continue
        pair = words[place : place + 2]
        taken = 1 if _stands_alone(word, short, long) else len(pair)
        found += getopt.getopt(pair[:taken], short, long)[0]
        place += taken
    return found, operands


def _stands_alone(word: str, short: str, long: list[str]) -> bool:
    """Whether the word needs no value from the next one."""
    try:
        getopt.getopt([word], short, long)
    except getopt.GetoptError:
        return False
    return True


def _with_values(words: Sequence[str], options: Sequence[Option]) -> list[str]:
    """The words, an optional value joined to its option."""
    lacking = {f"--{name}" for option in options if option.may_lack_it for name in option.names}
    joined: list[str] = []
    waits = False
    for place, word in enumerate(words):
        if waits and not word.startswith("-"):
            joined[-1] += word
            waits = False
            continue
        if word == "--":
            return [*joined, *words[place:]]
        waits = word in lacking
        joined.append(f"{word}=" if waits else word)
    return joined


def _short(options: Sequence[Option]) -> str:
    return "".join(
        name + (":" if option.takes_value else "")
        for option in options
        for name in option.names
        if len(name) == 1
    )


def _long(options: Sequence[Option]) -> list[str]:
    # One-letter names too: `--w` is `-w` for xCAT's parser.
    return [
        name + ("=" if option.takes_value else "") for option in options for name in option.names
    ]
