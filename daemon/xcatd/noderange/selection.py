"""Attribute selections of a noderange and of dynamic groups.

Pure: compares effective values of a snapshot, or texts the caller supplies.
Facts: docs/facts/noderange.md, Attribute selections; Dynamic groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xcatd.db import schema
from xcatd.text import perlre

if TYPE_CHECKING:
    from xcatd.db.snapshot import Snapshot

#: Names that may stand for table.column.
SHORT_NAMES = {
    "groups": ("nodelist", "groups"),
    "tags": ("nodelist", "groups"),
    "mgt": ("nodehm", "mgt"),
}

_NODE_OPERATORS = ("!=", "=~", "==", "=", "!~")
_GROUP_OPERATORS = ("==", "=~", "!=", "!~", "=")

#: Operators that must stand before any other equals sign to be seen.
_BEFORE_EQUALS = {"!=", "=~"}


@dataclass(frozen=True, slots=True)
class Condition:
    """``left operator right``; ``right`` is a pattern for the operators with a tilde."""

    left: str
    operator: str
    right: str

    @property
    def matcher(self) -> Callable[[str], bool]:
        """A test of one value; raises :class:`.perlre.BadPattern`."""
        match self.operator:
            case "=~":
                search = perlre.compile_pattern(self.right).search
                return lambda value: search(value) is not None
            case "!~":
                search = perlre.compile_pattern(self.right).search
                return lambda value: search(value) is None
            case "!=":
                return lambda value: value != self.right
            case _:
                return lambda value: value == self.right


def parse(text: str, operators: Iterable[str] = _NODE_OPERATORS) -> Condition | None:
    """Split a condition at the first of these operators that is there; None without one."""
    for operator in operators:
        left, found, right = text.partition(operator)
        if not found or (operator in _BEFORE_EQUALS and "=" in left):
            continue
        if operator.endswith("~"):
            right = right.removeprefix("/").removesuffix("/")
        return Condition(left, operator, right)
    return None


def left_side(text: str) -> str:
    """What an attribute selection is about; empty for what is none."""
    condition = parse(text)
    return "" if condition is None else condition.left


def table_and_column(left: str) -> tuple[str, str] | None:
    """What the left side names; None for an unknown table, or a column like none of its columns."""
    named = SHORT_NAMES.get(left)
    if named is None:
        table, dot, column = left.partition(".")
        named = (table, column) if dot else None
    if named is None or named[0] not in schema.TABLES:
        return None
    return named if any(named[1] in known for known in schema.TABLES[named[0]].columns) else None


def select(text: str, snapshot: Snapshot) -> list[str]:
    """The nodes an attribute selection chooses; none for what it does not understand.

    Raises :class:`.perlre.BadPattern`, and LookupError when the table was not read.
    """
    condition = parse(text)
    named = None if condition is None else table_and_column(condition.left)
    if condition is None or named is None:
        return []
    matches = condition.matcher
    table, column = named
    facts = schema.TABLES[table]
    if facts.node_column is None or column not in facts.columns:
        return list(snapshot.nodes) if matches("") else []
    rows = snapshot.values_all(table, (column,))
    return [
        node
        for node, found in rows.items()
        if any(matches(row[column].text) for row in found) or (not found and matches(""))
    ]


_LONGEST_TABLE = 64


def tables_in(text: str) -> Iterator[str]:
    """Names of tables that a selection somewhere in ``text`` may need; maybe some more."""
    if "=" not in text and "~" not in text:
        return
    for name, (table, _) in SHORT_NAMES.items():
        if name in text:
            yield table
    for piece in text.split(".")[:-1]:
        word = re.search(r"\w+\Z", piece[-_LONGEST_TABLE:])  # a longer one is no table's name
        if word is not None and word.group() in schema.TABLES:
            yield word.group()


def group_conditions(wherevals: str) -> list[Condition]:
    """The conditions of a dynamic group; a wrong one ends the list, as in xCAT."""
    conditions = []
    for text in wherevals.split("::"):
        condition = parse(text, _GROUP_OPERATORS)
        if condition is None or (condition.operator == "=" and not condition.right):
            break
        conditions.append(condition)
    return list({condition.left: condition for condition in conditions}.values())


def dynamic_members(
    wherevals: str, nodes: Iterable[str], attribute: Callable[[str, str], str | None]
) -> list[str]:
    """The nodes that fulfil every condition; one without the attribute never does.

    ``attribute(node, name)`` gives an object attribute's effective value.  Raises :class:`.perlre.BadPattern`.
    """
    tests = [(condition.left, condition.matcher) for condition in group_conditions(wherevals)]

    def fulfils(node: str) -> bool:
        for name, matches in tests:
            value = node if name == "node" else attribute(node, name)
            if value is None or not matches(value):
                return False
        return True

    return [node for node in nodes if fulfils(node)]
