"""Several conditions on one object's attributes, as ``-w`` gives them.

Pure; one condition is :mod:`.selection`'s.  Facts: docs/facts/object-commands.md, Arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xcatd.noderange import selection
from xcatd.noderange.selection import Condition

#: Operators in the order they are looked for.
OPERATORS = ("==", "=~", "!=", "!~", "=")


class BadCondition(ValueError):
    """The text has no operator, or says nothing after a single equals sign."""


def parse(texts: Iterable[str]) -> dict[str, Condition]:
    """Conditions by attribute; of several on one attribute the last counts.

    Raises :class:`BadCondition`, and :class:`xcatd.text.perlre.BadPattern` for a bad expression.
    """
    found: dict[str, Condition] = {}
    for text in texts:
        condition = selection.parse(text, OPERATORS)
        if condition is None:
            raise BadCondition(text)
        if condition.operator == "=" and ("=" in condition.right or not condition.right):
            raise BadCondition(text)
        condition.matcher  # noqa: B018 - compiles the pattern, so that a bad one is found here
        found[condition.left] = condition
    return found


def match_all(conditions: Mapping[str, Condition], values: Mapping[str, str]) -> bool:
    """Whether every condition holds; an object that lacks an attribute never matches."""
    return all(
        name in values and condition.matcher(values[name]) for name, condition in conditions.items()
    )
