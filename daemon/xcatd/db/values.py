"""Values that are expressions over the node's name (docs/facts/database.md, Values that are expressions).

``/pattern/text/`` and ``|pattern|expression|``; anything else is literal.  Pure and bounded.  An expression that
cannot be worked out gives nothing, as it does in xCAT; one that takes too long raises, for then the value is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from xcatd.text import brackets, perlre

from . import arithmetic, functions

#: Longer names, values and results are not worked on, in characters.
LONGEST_NAME = 255
LONGEST_VALUE = 2 * perlre.LONGEST
LONGEST_RESULT = 4096

#: One value has at most so many parenthesised parts, counting those that results bring in.
MOST_PARTS = 64

#: Finds a pattern in the node's name.
Search: TypeAlias = Callable[[str], perlre.Match | None]

_NUMBERS = re.compile(r"[\D0]*(\d+)", re.ASCII)
_SLASHES = re.compile(r"/([^/]*)/([^/]*)/", re.DOTALL)


def is_expression(text: str) -> bool:
    """Whether ``text`` may have one of the two expression forms; cheap."""
    return text[:1] in ("|", "/") and len(text) > 1 and text[-1] == text[0]


def expand(value: str, node: str) -> str | None:
    """The value for this node; None when there is none, or it cannot be worked out.

    Raises :class:`xcatd.text.perlre.TooCostly`.
    """
    if not is_expression(value):
        return value or None
    budget = perlre.current()

    def search(pattern: str) -> perlre.Match | None:
        """To Perl an empty pattern is the one that matched last: the form of the value, which fits no name."""
        return budget.match(perlre.compile_pattern(pattern), node, value) if pattern else None

    begun = budget.begin(value)
    try:
        return _expand(value, node, search) or None
    except perlre.TooCostly:
        raise
    except (perlre.BadPattern, arithmetic.CannotEvaluate):
        return None
    finally:
        budget.end(value, begun)


def _expand(value: str, node: str, search: Search) -> str:
    if len(node) > LONGEST_NAME or len(value) > LONGEST_VALUE:
        raise arithmetic.CannotEvaluate("the name or the value is too long")
    if value[0] == "/":
        found = _SLASHES.fullmatch(value)
        return _replaced(node, search(found[1]), found[2]) if found else value
    if "\n" in value:
        return value
    pattern, bar, expression = value[1:-1].partition("|")
    if not bar:
        pattern, expression = _pattern_for(node), pattern
    match = search(pattern)
    return node if match is None else _worked_out(node, match, expression)


def _pattern_for(node: str) -> str:
    """The pattern of the easy form: one group per number in the name, leading zeros left out."""
    return r"[\D0]*(\d+)" * len(_NUMBERS.findall(node)) + ".*$"


def _replaced(node: str, match: perlre.Match | None, text: str) -> str:
    return node if match is None else node[: match.start()] + text + node[match.end() :]


def _worked_out(node: str, match: perlre.Match, expression: str) -> str:
    before, after = node[: match.start()], node[match.end() :]
    if not before and not after:
        quick = _all_parts(expression, match.groups())
        if quick is not None:
            return quick
    for _ in range(MOST_PARTS):
        place = brackets.first_parenthesised(expression)
        if place is None:
            return before + expression + after
        start, end = place
        # Text of the name around the match stands around the part, too.
        value = _value_of(before + expression[start:end] + after, match.groups())
        expression = expression[:start] + value + expression[end:]
        if len(expression) > LONGEST_RESULT:
            break
    raise arithmetic.CannotEvaluate("the value has too many parts or gets too long")


def _all_parts(expression: str, captures: arithmetic.Captures) -> str | None:
    """Every part worked out where it stands; None when a result would have to be read again."""
    prepared = _prepared(expression)
    if prepared is None:
        return None
    literals, parts = prepared
    done = [literals[0]]
    size = sum(map(len, literals))
    for literal, part in zip(literals[1:], parts, strict=True):
        try:
            value = functions.text(part(captures))
        except arithmetic.CannotEvaluate:
            value = ""
        if "(" in value or ")" in value:
            return None
        size += len(value)
        if size > LONGEST_RESULT:
            raise arithmetic.CannotEvaluate("the value gets too long")
        done += (value, literal)
    return "".join(done)


@lru_cache(maxsize=1024)
def _prepared(expression: str) -> tuple[list[str], list[arithmetic.Part]] | None:
    """The literal texts and the parenthesised parts between them; None for too many."""
    literals, parts = [], []
    rest = expression
    while (place := brackets.first_parenthesised(rest)) is not None:
        literals.append(rest[: place[0]])
        parts.append(arithmetic.prepare(rest[place[0] : place[1]]))
        rest = rest[place[1] :]
        if len(parts) > MOST_PARTS:
            return None
    return [*literals, rest], parts


def _value_of(text: str, captures: arithmetic.Captures) -> str:
    try:
        return arithmetic.evaluate(text, captures)
    except arithmetic.CannotEvaluate:
        return ""
