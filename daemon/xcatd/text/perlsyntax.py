r"""Perl's notation of regular expressions in that of the library ``regex``: pure text, one pass, bounded.

Every construct is known by name and written anew, so that what the library has beyond Perl (fuzzy matching, set
operations, named lists, reverse search) never gets to it: a sign that means nothing special in Perl is escaped.
Not supported are recursion, branch reset, embedded code, backtracking verbs, ``\Q…\E`` and the other case escapes, and
conditions other than on a group: they raise :class:`BadPattern`.
Source of the facts: perlre(1), perlrecharclass(1), and what Perl 5.36 answers (tests/text/perl.json).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import NamedTuple

#: Longer patterns, in characters, are refused.
LONGEST = 4096

#: Groups in one another never go deeper than this.
DEEPEST = 100

#: What a pattern is made of once repetitions are written out: the library does that with the least number of times.
MOST_ITEMS = 8192

#: Perl's own limit of a number in braces.
_MOST_TIMES = 65534


class BadPattern(ValueError):
    """The text is no regular expression, or one that cannot be used here."""


class Translated(NamedTuple):
    """The pattern in the library's notation, and how much it is made of."""

    text: str
    items: int


def translate(pattern: str) -> Translated:
    """The same in the library's notation (its version 0, ASCII); raises BadPattern."""
    if len(pattern) > LONGEST:
        raise BadPattern(f"it is longer than {LONGEST} characters")
    return _Translator(pattern).whole()


_POSIX = {
    "alpha": "a-zA-Z",
    "ascii": r"\x00-\x7f",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "graph": r"\x21-\x7e",
    "print": r"\x20-\x7e",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r"\x20\t",
    "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "word": r"\w",
    "xdigit": "0-9a-fA-F",
}

#: What is in none of those.
_NOT_POSIX = {
    "alpha": r"\x00-@\x5b-\x60\x7b-\U0010ffff",
    "ascii": r"\x80-\U0010ffff",
    "cntrl": r"\x20-\x7e\x80-\U0010ffff",
    "digit": r"\D",
    "alnum": r"\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\U0010ffff",
    "graph": r"\x00-\x20\x7f-\U0010ffff",
    "print": r"\x00-\x1f\x7f-\U0010ffff",
    "upper": r"\x00-\x40\x5b-\U0010ffff",
    "lower": r"\x00-\x60\x7b-\U0010ffff",
    "space": r"\S",
    "blank": r"\x00-\x08\x0a-\x1f\x21-\U0010ffff",
    "punct": r"\x00-\x200-9A-Za-z\x7f-\U0010ffff",
    "word": r"\W",
    "xdigit": r"\x00-\x2f\x3a-\x40G-\x60g-\U0010ffff",
}

_LINE_ENDS = r"\n\x0b\f\r\x85\u2028\u2029"
_NO_LINE_ENDS = r"\x00-\x09\x0e-\x84\x86-\u2027\u202a-\U0010ffff"

#: Escapes for sets of characters, as they stand in a class.
_SETS = {
    **{letter: "\\" + letter for letter in "dDwWsS"},
    "h": r"\x20\t",
    "H": _NOT_POSIX["blank"],
    "v": _LINE_ENDS,
    "V": _NO_LINE_ENDS,
    "N": r"\x00-\x09\x0b-\U0010ffff",
}

_PLACES = {
    "A": "(?:^)",
    "B": r"(?:\B)",
    "G": "(?:^)",  # a search begins where the text does
    "K": r"(?:\K)",
    "R": rf"(?>\r\n|[{_LINE_ENDS}])",
    "X": r"(?:\X)",
    "Z": "(?:$)",
    "b": r"(?:\b)",
    "z": r"(?:\Z)",
}

_CHARACTERS = {"a": 7, "e": 27, "f": 12, "n": 10, "r": 13, "t": 9}

_TIMES = re.compile(r"\{[ \t]*(\d*)[ \t]*(,?)[ \t]*(\d*)[ \t]*\}([+?]?)", re.ASCII)
_FLAGS = re.compile(r"\?(\^?)([a-z]*)(?:-([a-z]*))?([:)])")
_NAMED = re.compile(r"\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')", re.ASCII)
_GROUP_TEST = re.compile(r"\?\((?:(\d{1,4})|<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')\)", re.ASCII)
_AGAIN = re.compile(r"\?P=([A-Za-z_]\w*)\)", re.ASCII)
_BY_NAME = re.compile(r"[kg](?:<([A-Za-z_]\w*)>|\{([A-Za-z_]\w*)\}|'([A-Za-z_]\w*)')", re.ASCII)
_BY_NUMBER = re.compile(r"g(?:\{(-?\d{1,4})\}|(-?\d{1,4}))", re.ASCII)
_CODE = re.compile(r"x\{([0-9A-Fa-f]{0,8})\}|x([0-9A-Fa-f]{0,2})|N\{U\+([0-9A-Fa-f]{1,8})\}")
_OCTAL_DIGITS = re.compile("[0-7]{1,3}")
_OCTAL = re.compile(r"o\{([0-7]{1,7})\}|(0[0-7]{0,2})")
_DIGITS = re.compile(r"\d{1,4}", re.ASCII)
_PROPERTY = re.compile(r"[pP](?:[A-Za-z]|\{\^?[A-Za-z][\w =:-]*\})", re.ASCII)
_POSIX_CLASS = re.compile(r"\[:(\^?)([a-z]+):\]")

#: How the groups begin that are written as they are.
_OPENINGS = ("?:", "?=", "?!", "?<=", "?<!", "?>")


@dataclass(frozen=True, slots=True)
class _Flags:
    """Perl's modifiers as far as they are ours to follow."""

    i: bool = False
    m: bool = False
    s: bool = False
    x: bool = False

    def changed(self, resets: str, on: str, off: str) -> _Flags:
        if any(letter not in "imsxadlpu" for letter in on) or "xx" in on:
            raise BadPattern(f"the modifiers {on} are not supported")
        if any(letter not in "imsx" for letter in off) or (resets and off):
            raise BadPattern(f"the modifiers -{off} are not supported")
        base = _Flags() if resets else self
        given = {letter: True for letter in on if letter in "imsx"}
        return replace(base, **given, **dict.fromkeys(set(off) - set(on), False))


@dataclass(slots=True)
class _Group:
    """What is open: its modifiers, what it is made of so far, and scopes opened within it."""

    flags: _Flags
    start: int = 0
    items: int = 1
    last: int = 0
    scopes: list[str] = field(default_factory=list)


class _Translator:
    """Reads one pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._place = 0
        self._opened = 0
        self._out: list[str] = []
        self._groups = [_Group(_Flags())]
        self._names: set[str] = set()
        self._captures = 0

    def whole(self) -> Translated:
        while self._place < len(self._text):
            self._piece()
        group = self._groups[-1]
        if len(self._groups) > 1:
            raise BadPattern(f"missing ), unterminated subpattern at position {group.start}")
        self._out.append(")" * len(group.scopes))
        return Translated("".join(self._out), group.items)

    @property
    def _flags(self) -> _Flags:
        return self._groups[-1].flags

    def _put(self, text: str, items: int = 1) -> None:
        """One thing to match, which a quantifier may follow."""
        group = self._groups[-1]
        self._out.append(text)
        group.last = items
        group.items += items
        if group.items > MOST_ITEMS:
            raise BadPattern(
                f"with its repetitions written out it has more than {MOST_ITEMS} parts"
            )

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What stands here, if it is this; it is passed."""
        found = pattern.match(self._text, self._place)
        if found is not None:
            self._place = found.end()
        return found

    def _piece(self) -> None:
        sign = self._text[self._place]
        self._place += 1
        match sign:
            case "\\":
                self._escape()
            case "[":
                self._class()
            case "(":
                self._open()
            case ")":
                self._close()
            case "|":
                self._bar()
            case "*" | "+" | "?":
                self._repeat(sign + self._manner(), 1)
            case "{":
                self._brace()
            case "^":
                self._put(r"(?:^|(?<=\n)(?!\Z))" if self._flags.m else "(?:^)")
            case "$":
                self._put(r"(?=\n|\Z)" if self._flags.m else "(?:$)")
            case ".":
                self._put("(?s:.)" if self._flags.s else ".")
            case "#" if self._flags.x:
                end = self._text.find("\n", self._place)
                self._place = end + 1 if end >= 0 else len(self._text)
            case _ if not (self._flags.x and sign in " \t\n\r\f\v"):
                self._put(_literal(sign))
            case _:
                pass

    # -- repetition ------------------------------------------------------------------------------

    def _manner(self) -> str:
        """The sign for lazy or possessive, if there is one."""
        sign = self._text[self._place : self._place + 1]
        if sign not in ("+", "?"):
            return ""
        self._place += 1
        return sign

    def _repeat(self, text: str, least: int) -> None:
        group = self._groups[-1]
        if not group.last:
            raise BadPattern("there is nothing to repeat")
        more = group.last * (max(least, 1) - 1)
        self._put(text, more)
        group.last += more

    def _brace(self) -> None:
        self._place -= 1
        times = self._match(_TIMES)
        if times is None or not (times[1] or times[3]):
            self._place += 1
            self._put(r"\{")
            return
        least, most = int(times[1] or 0), int(times[3] or times[1])
        if max(least, most) > _MOST_TIMES:
            raise BadPattern(f"a repetition of more than {_MOST_TIMES} times")
        until = f",{times[3]}" if times[2] else ""
        self._repeat(f"{{{least}{until}}}{times[4]}", least)

    # -- groups ----------------------------------------------------------------------------------

    def _open(self) -> None:
        self._opened = self._place - 1
        rest = self._text[self._place : self._place + 3]
        if rest.startswith("?#"):
            self._comment()
        elif rest.startswith("*"):
            raise BadPattern("(* is not supported")
        elif not rest.startswith("?"):
            self._captures += 1
            self._enter("(", self._flags)
        elif opening := next((one for one in _OPENINGS if rest.startswith(one)), ""):
            self._place += len(opening)
            self._enter("(" + opening, self._flags)
        elif named := self._match(_NAMED):
            self._named(named[1] or named[2])
        elif again := self._match(_AGAIN):
            self._put(f"(?P={again[1]})")
        elif test := self._match(_GROUP_TEST):
            self._enter(f"(?({test[1] or test[2] or test[3]})", self._flags)
        elif flags := self._match(_FLAGS):
            self._modify(flags)
        else:
            raise BadPattern(f"({rest} is not supported")

    def _comment(self) -> None:
        end = self._text.find(")", self._place)
        if end < 0:
            raise BadPattern("a comment is not closed")
        self._place = end + 1

    def _enter(self, opening: str, flags: _Flags) -> None:
        if len(self._groups) > DEEPEST:
            raise BadPattern(f"its groups are nested more than {DEEPEST} deep")
        self._out.append(opening)
        self._groups.append(_Group(flags, self._opened))

    def _named(self, name: str) -> None:
        if name in self._names:  # the library would give both one number
            raise BadPattern(f"two groups are called {name}")
        self._names.add(name)
        self._captures += 1
        self._enter(f"(?P<{name}>", self._flags)

    def _modify(self, found: re.Match[str]) -> None:
        """Modifiers: for a group of their own, or up to the end of this one."""
        before = self._flags
        flags = before.changed(found[1], found[2], found[3] or "")
        scope = "(?:" if flags.i == before.i else "(?i:" if flags.i else "(?-i:"
        if found[4] == ":":
            self._enter(scope, flags)
            return
        group = self._groups[-1]
        group.flags = flags
        group.last = 0
        if flags.i != before.i:
            group.scopes.append(scope)
            self._out.append(scope)

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise BadPattern(f"unbalanced parenthesis at position {self._place - 1}")
        group = self._groups.pop()
        self._put(")" * (len(group.scopes) + 1), group.items)

    def _bar(self) -> None:
        """The next alternative, still with the modifiers given in this group."""
        group = self._groups[-1]
        self._put("".join([")" * len(group.scopes), "|", *group.scopes]))
        group.last = 0

    # -- escapes ---------------------------------------------------------------------------------

    def _escape(self) -> None:
        sign = self._text[self._place : self._place + 1]
        if not sign:
            raise BadPattern("a backslash ends it")
        if (code := self._code(in_class=False)) is not None:
            self._put(_character(code))
        elif text := self._property():
            self._put(text)
        elif sign in "gk":
            self._put(self._reference())
        elif "1" <= sign <= "9":
            self._number()
        elif sign in _PLACES or sign in _SETS:
            self._place += 1
            if sign in "bBN" and self._text[self._place : self._place + 1] == "{":
                self._unknown_brace(sign)
            self._put(_PLACES.get(sign) or f"[{_SETS[sign]}]")
        elif sign.isascii() and sign.isalnum():
            raise BadPattern(f"\\{sign} is not supported")
        else:
            self._place += 1
            self._put(_literal(sign))

    def _unknown_brace(self, sign: str) -> None:
        if sign != "N" or _TIMES.match(self._text, self._place) is None:  # it is repeated
            raise BadPattern(f"\\{sign}{{ is not supported")

    def _code(self, *, in_class: bool) -> int | None:
        """The character that an escape names by number or letter."""
        sign = self._text[self._place]
        if found := self._match(_CODE):
            code = int(found[1] or found[2] or found[3] or "0", 16)
        elif found := self._match(_OCTAL):
            code = int(found[1] or found[2], 8)
        elif sign == "c" and (letter := self._text[self._place + 1 : self._place + 2]).isascii():
            if not letter:
                raise BadPattern(r"\c ends it")
            self._place += 2
            code = ord(letter.upper()) ^ 64
        elif sign in _CHARACTERS or (in_class and sign == "b"):
            self._place += 1
            code = _CHARACTERS.get(sign, 8)
        else:
            return None
        if code > 0x10FFFF:
            raise BadPattern(f"there is no character {code:#x}")
        return code

    def _property(self) -> str:
        found = self._match(_PROPERTY)
        return "\\" + found.group() if found else ""

    def _reference(self) -> str:
        """What an earlier group matched, by its name or number; negative numbers count back from here."""
        if found := self._match(_BY_NAME):
            return f"(?P={found[1] or found[2] or found[3]})"
        found = self._match(_BY_NUMBER)
        if found is None:
            raise BadPattern(f"\\{self._text[self._place]} without a group")
        number = int(found[1] or found[2])
        return self._group(self._captures + 1 + number if number < 0 else number)

    def _number(self) -> None:
        """A group, or with more digits than there are groups a character in octal."""
        digits = _DIGITS.match(self._text, self._place)
        number = int(digits.group()) if digits else 0
        if number > max(9, self._captures) and (octal := self._octal()) is not None:
            self._put(_character(octal))
            return
        self._place = digits.end() if digits else self._place
        self._put(self._group(number))

    def _octal(self) -> int | None:
        found = self._match(_OCTAL_DIGITS)
        return None if found is None else int(found.group(), 8)

    def _group(self, number: int) -> str:
        if not 0 < number <= self._captures:
            raise BadPattern(f"there is no group {number} before its use")
        return f"(?:\\{number})"

    # -- classes ---------------------------------------------------------------------------------

    def _class(self) -> None:
        parts = ["["]
        if self._text.startswith("^", self._place):
            self._place += 1
            parts.append("^")
        start = self._place
        while (sign := self._text[self._place : self._place + 1]) != "]" or self._place == start:
            if not sign:
                raise BadPattern("a bracket is not closed")
            parts.append(self._in_class())
        self._place += 1
        parts.append("]")
        self._put("".join(parts), len(parts))

    def _in_class(self) -> str:
        """A character, a range, or the name of a set."""
        first = self._class_item()
        if isinstance(first, str) or not self._is_range():
            return first if isinstance(first, str) else _character(first)
        self._place += 1
        last = self._class_item()
        if isinstance(last, str):  # to Perl the dash is one then
            return _character(first) + r"\-" + last
        if last < first:
            raise BadPattern(f"the range {chr(first)}-{chr(last)} is empty")
        return f"{_character(first)}-{_character(last)}"

    def _is_range(self) -> bool:
        text, place = self._text, self._place
        return text.startswith("-", place) and text[place + 1 : place + 2] not in ("", "]")

    def _class_item(self) -> int | str:
        """A character's number, or a set as the library writes it."""
        sign = self._text[self._place]
        if sign == "[":
            return self._class_bracket()
        self._place += 1
        if sign != "\\":
            return ord(sign)
        if self._place == len(self._text):
            raise BadPattern("a backslash ends it")
        if (code := self._code(in_class=True)) is not None:
            return code
        if text := self._property():
            return text
        sign = self._text[self._place]
        if "1" <= sign <= "7" and (octal := self._octal()) is not None:
            return octal
        self._place += 1
        if sign in _SETS and sign != "N":
            return _SETS[sign]
        if sign.isascii() and sign.isalnum():
            raise BadPattern(f"\\{sign} is not supported in a class")
        return ord(sign)

    def _class_bracket(self) -> int | str:
        if found := self._match(_POSIX_CLASS):
            if found[2] not in _POSIX:
                raise BadPattern(f"{found.group()} is not supported in a class")
            return (_NOT_POSIX if found[1] else _POSIX)[found[2]]
        self._place += 1
        if self._text[self._place : self._place + 1] in ("=", "."):
            raise BadPattern("[= and [. are not supported in a class")
        return ord("[")


def _literal(sign: str) -> str:
    return sign if sign.isalnum() and sign.isascii() else _character(ord(sign))


def _character(code: int) -> str:
    """The character with this number, in a class or outside."""
    if code < 0x80 and chr(code).isalnum():
        return chr(code)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
