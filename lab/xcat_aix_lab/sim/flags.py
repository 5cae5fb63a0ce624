"""Command lines as NIM's commands read them: bundled flags, ``-a name=value`` attributes."""

from __future__ import annotations

from . import messages

Attributes = list[tuple[str, str]]


def parse(command: str, args: list[str], spec: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Split ``args`` by the getopt string ``spec``; options and operands may be mixed.

    Raises a usage error (standard error, exit code of message 014) for an unknown flag or a flag
    without its value.
    """
    options: list[tuple[str, str]] = []
    operands: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            operands.append(word)
            continue
        _bundle(command, word[1:], rest, spec, options)
    return options, operands


def _bundle(
    command: str, letters: str, rest: list[str], spec: str, options: list[tuple[str, str]]
) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        place = spec.find(letter)
        if place < 0 or letter == ":":
            raise usage(command, f"-{letter} is not a flag of this command")
        if spec[place + 1 : place + 2] != ":":
            options.append((letter, ""))
            continue
        if not letters and not rest:
            raise usage(command, f"-{letter} needs a value")
        options.append((letter, letters or rest.pop(0)))
        return


def usage(command: str, reason: str) -> messages.CommandError:
    """A usage error of ``command``."""
    text = f"0042-{messages.USAGE:03d} {command}: {reason}\nusage: {command} [flags] ...\n"
    return messages.CommandError(messages.exit_code(messages.USAGE), text)


def attributes(method: str, options: list[tuple[str, str]]) -> Attributes:
    """The ``-a name=value`` pairs in order; a word without ``=`` is refused.

    Quotes around the value are taken away, as the existing callers rely on it
    (docs/facts/nim.md, nim operations).
    """
    found = []
    for letter, word in options:
        if letter != "a":
            continue
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise messages.NimError(
                messages.BAD_ATTRIBUTE, method, f'"{word}" is not an attribute assignment'
            )
        found.append((name, value.strip("\"'")))
    return found
