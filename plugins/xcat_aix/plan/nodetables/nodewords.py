"""What the words of nodech, nodeadd and nodegrpch mean: new values, criteria, tables.

Pure.  Facts: docs/facts/table-commands.md, nodech, nodeadd and noderm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from xcat_aix.plan.writing import Remark, error
from xcatd.noderange.selection import SHORT_NAMES, Condition
from xcatd.tablenames import Table

#: Stored for an empty value: the node has none, whatever its groups have.
NOTHING = "|^.*$||"

#: Operators of a criterion in the order they are looked for; no equals sign stands before them.
_CRITERIA = ("==", "!=", "=~", "!~")

#: What an assignment's left side ends with.
_ADDS, _REMOVES = ",", "^"

Find = Callable[[str], Table | None]


class WrongWordError(ValueError):
    """A word that ends the command; the text is for the user."""


class ColumnEdit(NamedTuple):
    """``sign`` is empty for a new value, ``,`` to put items before those that are there, ``^`` to remove some."""

    sign: str
    text: str


@dataclass(slots=True)
class CommandWords:
    """Everything the words ask for.

    ``changes`` by table and column, in order; ``criteria`` by table and column, the last one counts; ``remarks``
    tell of words that are passed over.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    changes: dict[str, dict[str, list[ColumnEdit]]] = field(default_factory=dict)
    criteria: dict[str, dict[str, Condition]] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)


def parse(words: Iterable[str], find: Find) -> CommandWords:
    """Read criteria and assignments; raises WrongWordError for a column that is not there."""
    found = CommandWords()
    for word in words:
        if "=" not in word and "!~" not in word:
            found.remarks.append(error(f"Malformed argument {word} ignored."))
        elif (condition := _criterion(word)) is not None:
            table, column = _place(condition.left, find)
            found.criteria.setdefault(table.name, {})[column] = condition
        else:
            _assign(word, found, find)
    return found


def criteria_of(words: Iterable[str]) -> Iterator[str]:
    """The left sides of the criteria among the words."""
    return (found.left for word in words if (found := _criterion(word)) is not None)


def _criterion(word: str) -> Condition | None:
    for operator in _CRITERIA:
        left, there, right = word.partition(operator)
        if not there or "=" in left:
            continue
        if operator.endswith("~"):
            right = right.removeprefix("/").removesuffix("/")
        return Condition(left, operator, right)
    return None


def _place(name: str, find: Find) -> tuple[Table, str]:
    place = SHORT_NAMES.get(name)
    table_name, _, column = name.partition(".")
    if place is not None:
        table_name, column = place
    table = find(table_name)
    if table is None or column not in table.columns:
        raise WrongWordError(f"{table_name}.{column} not a valid table.column description")
    return table, column


def _assign(word: str, found: CommandWords, find: Find) -> None:
    left, _, text = word.partition("=")
    sign = left[-1:] if left.endswith((_ADDS, _REMOVES)) else ""
    table, column = _place(left.removesuffix(sign), find)
    # An @ lets a value start with what would be an operator.
    change = ColumnEdit(sign, text.removeprefix("@") or NOTHING)
    found.tables[table.name] = table
    found.changes.setdefault(table.name, {}).setdefault(column, []).append(change)


def check_no_renaming(words: CommandWords) -> None:
    """Raises WrongWordError for a new text where a table has the node's name: that would rename a row."""
    for name, columns in words.changes.items():
        column = words.tables[name].node_column
        if column in columns:
            raise WrongWordError(
                f"cannot set {name}.{column}: it is the name of the node; chdef -n renames nodes"
            )


def parse_tables(words: Iterable[str], find: Find) -> CommandWords:
    """Read the names of tables whose rows are to be deleted."""
    found = CommandWords()
    for word in words:
        table = find(word)
        if "=" in word or "." in word:
            found.remarks.append(error(". and = not valid in delete mode."))
        elif table is None:
            text = f"ERROR: Unable to open table {word} in configuration"
            found.remarks.append(error(text))
        else:
            found.tables[word] = table
    return found
