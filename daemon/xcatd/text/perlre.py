r"""Perl's regular expressions in Python's: what table values and noderanges are written in.

The two agree on nearly everything administrators write.  Translated are ``\z``, ``\Z``, ``\h``,
``(?<name>``, POSIX classes and a literal ``[`` inside a class; not supported are ``\K``, ``\R``, ``\Q…\E``,
recursion and embedded code, which raise :class:`BadPattern`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .costly import is_costly

#: Longer patterns are refused.
LONGEST = 4096

_POSIX = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "word": r"\w",
    "xdigit": "0-9a-fA-F",
}

_OUTSIDE = {
    "^": "(?:^)",  # as a group, Python takes a quantifier after it, too
    "$": r"(?=\n?\Z)",
    "(?<": "(?P<",
    r"\H": r"[^ \t]",
    r"\N": r"[^\n]",
    r"\Z": r"(?=\n?\Z)",
    r"\h": r"[ \t]",
    r"\z": r"\Z",
}

_TOKEN = re.compile(r"\\.|\(\?<(?![=!])|\[:\^?[a-z]+:\]|.", re.DOTALL)


class BadPattern(ValueError):  # noqa: N818 - reads as what it is
    """The text is no regular expression, or one Python cannot do."""


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern with Perl's meaning for plain ASCII names; raises BadPattern."""
    if len(pattern) > LONGEST:
        raise BadPattern(f"the pattern is longer than {LONGEST} characters")
    translated = _translate(pattern)
    try:
        compiled = re.compile(translated, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadPattern(f"{pattern!r} is not a usable regular expression: {error}") from error
    if is_costly(translated):
        raise BadPattern(
            f"{pattern!r} repeats something that can be read in several ways, and might never end"
        )
    return compiled


def _translate(pattern: str) -> str:
    parts: list[str] = []
    opened = -1  # where the current class begins, -1 outside of classes
    for match in _TOKEN.finditer(pattern):
        piece = match.group()
        if opened >= 0 and piece == "]" and "".join(parts[opened:]) not in ("[", "[^"):
            opened = -1
            parts.append(piece)
        elif opened >= 0:
            parts.append(_in_class(piece))
        elif piece.startswith("["):  # "[:alpha:]" outside a class is a plain one
            opened = len(parts)
            parts += ["[", piece[1:]] if len(piece) > 1 else ["["]
            opened = -1 if len(piece) > 1 else opened
        else:
            parts.append(_OUTSIDE.get(piece, piece))
    return "".join(parts)


def _in_class(piece: str) -> str:
    if piece.startswith("[:"):
        name = piece[2:-2]
        if name not in _POSIX:
            raise BadPattern(f"{piece} is not supported in a class")
        return _POSIX[name]
    if piece == r"\h":
        return r" \t"
    return "\\" + piece if piece in ("[", "&", "~", "|") else piece
