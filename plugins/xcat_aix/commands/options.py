"""Command-line options with the habits of xCAT's commands.

Owns the parsing of a request's arguments into values: operands and options mixed in any order, short
options bundled (``-al``), their value attached or apart (``-imgt``, ``-i mgt``), long options by any
unique beginning, everything case-sensitive, ``--`` ends the options (docs/facts/object-commands.md, Arguments).
Must not know any command or print anything.
"""

from __future__ import annotations

import getopt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field


class OptionError(ValueError):
    """The arguments do not parse; the text says which option is at fault."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option.  ``names`` are all its spellings without dashes; the first one identifies it.

    One-letter names are short options.  ``takes_value`` is for options that need a value, ``may_lack_it`` for
    long ones that also stand alone (their value is then empty).  ``meta`` names the value and ``help`` says what the
    option is for, in usage texts and manual pages.  ``in_full``: no beginning of a long name stands for it, so that a
    pattern of the policy table for the whole name meets every use of it.
    """

    names: tuple[str, ...]
    takes_value: bool = False
    may_lack_it: bool = False
    meta: str = ""
    help: str = ""
    in_full: bool = False

    @property
    def spelling(self) -> str:
        """As a user types it: ``-s, --source SN1``."""
        names = [f"-{name}" if len(name) == 1 else f"--{name}" for name in self.names]
        return f"{', '.join(names)} {self.meta}".rstrip()


def flag(*names: str, help: str = "", in_full: bool = False) -> Option:  # noqa: A002 - reads as what it is
    """An option without a value."""
    return Option(names, help=help, in_full=in_full)


def value(*names: str, meta: str = "", help: str = "", in_full: bool = False) -> Option:  # noqa: A002 - as above
    """An option with a value; it may be given several times."""
    return Option(names, takes_value=True, meta=meta, help=help, in_full=in_full)


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


def without(
    words: Sequence[str], options: Sequence[Option], names: Collection[str]
) -> tuple[str, ...]:
    """The words less the long options of these first names, however they are spelled, and their values.

    Raises OptionError as :func:`parse` does.
    """
    unwanted = {f"--{name}" for each in options if each.names[0] in names for name in each.names}
    try:
        pieces = list(_pieces(words, options))
    except getopt.GetoptError as error:
        raise OptionError(error.msg) from None
    kept = (
        piece for piece, found in pieces if not unwanted.intersection(name for name, _ in found)
    )
    return tuple(word for piece in kept for word in piece)


def _split(
    words: Sequence[str], options: Sequence[Option], *, operands_end_options: bool
) -> tuple[list[tuple[str, str]], Sequence[str]]:
    """As ``getopt.gnu_getopt``, which copies all the words for each of them."""
    found: list[tuple[str, str]] = []
    operands: list[str] = []
    place = 0
    for piece, named in _pieces(words, options):
        if piece[0] == "--" and not named:
            return found, [*operands, *piece[1:]]
        if not named and operands_end_options:
            return found, words[place:]
        found += named
        operands += () if named else piece
        place += len(piece)
    return found, operands


def _pieces(
    words: Sequence[str], options: Sequence[Option]
) -> Iterator[tuple[Sequence[str], list[tuple[str, str]]]]:
    """The words that belong together, with the options that they are: none for an operand, and for ``--`` with the rest."""
    short, long = _short(options), _long(options)
    in_full = {f"--{name}" for option in options if option.in_full for name in option.names}
    place = 0
    while place < len(words):
        word = words[place]
        if word == "--":
            yield words[place:], []
            return
        if not word.startswith("-") or word == "-":
            yield [word], []
            place += 1
            continue
        pair = words[place : place + 2]
        piece = pair[: 1 if _stands_alone(word, short, long) else len(pair)]
        found = getopt.getopt(piece, short, long)[0]
        if found[0][0] in in_full and word.partition("=")[0] != found[0][0]:
            raise OptionError(f"write {found[0][0]} in full, not {word.partition('=')[0]}")
        yield piece, found
        place += len(piece)


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
