"""Effective values of one node: its own row, then its groups' (docs/facts/database.md, Effective values).

Pure functions over stored texts.  Nothing here knows of tables, files or regular-expression values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

#: A stored text ending so is continued by the next group that has a value.
NEXT_RECORD = "+=NEXTRECORD"

#: Rows that one node's own and its groups' may be multiplied to; no table means so many.
MOST_ROWS = 1000


class TooManyRows(Exception):
    """Groups with several rows each multiply a node's rows beyond :data:`MOST_ROWS`."""


class Found(NamedTuple):
    """A stored text and where it came from.

    ``groups`` is empty for the node's own row.  For a text put together from several rows it lists
    them all, the node's own name first where its row contributed.
    """

    text: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """How columns are put together: ``joined`` maps hierarchical columns to their delimiter."""

    joined: Mapping[str, str]

    @classmethod
    def from_site(cls, setting: str) -> Rules:
        """Read ``site.hierarchicalattrs``: ``column[:delimiter]`` separated by commas."""
        joined = {}
        for item in setting.split(","):
            column, _, delimiter = (part.strip() for part in item.partition(":"))
            if column:
                joined[column] = delimiter or ","
        return cls(joined)

    def open_text(self, column: str, text: str) -> str:
        """A stored text, marked as unfinished where the column is hierarchical."""
        delimiter = self.joined.get(column)
        return text if delimiter is None else text + delimiter + NEXT_RECORD

    def close_text(self, column: str, text: str) -> str:
        """The finished text: marks gone, a hierarchical column's duplicates dropped."""
        if NEXT_RECORD in text:
            text = text.replace(NEXT_RECORD, "")
        delimiter = self.joined.get(column)
        if delimiter is None:
            return text
        return delimiter.join(dict.fromkeys(_split(text, delimiter)))


NO_RULES = Rules({})

#: One row as a look-up sees it: its non-empty texts by column.
Fields = Mapping[str, str]


def _split(text: str, delimiter: str) -> list[str]:
    parts = text.split(delimiter)
    while parts and not parts[-1]:
        parts.pop()
    return parts


def column_value(
    node: str, column: str, own: str | None, chain: Iterable[tuple[str, str]], rules: Rules
) -> Found | None:
    """One column where the node and each group have at most one row.

    ``own`` is the node's stored text, None or empty for none; ``chain`` yields (group, stored text) in the order of
    the node's groups, groups without a text left out.
    """
    found = Found(rules.open_text(column, own)) if own else None
    if found is None or found.text.endswith(NEXT_RECORD):
        for group, text in chain:
            found = _extend(found, node, group, rules.open_text(column, text))
            if not found.text.endswith(NEXT_RECORD):
                break
    return _closed(found, column, rules)


def _extend(found: Found | None, node: str, group: str, text: str) -> Found:
    if found is None:
        return Found(text, (group,))
    return Found(found.text.removesuffix(NEXT_RECORD) + text, (*(found.groups or (node,)), group))


def _closed(found: Found | None, column: str, rules: Rules) -> Found | None:
    if found is None:
        return None
    text = rules.close_text(column, found.text)
    return Found(text, found.groups) if text else None


def all_rows(
    node: str,
    columns: Sequence[str],
    own: Sequence[Fields],
    groups: Iterable[tuple[str, Sequence[Fields]]],
    rules: Rules,
) -> list[dict[str, Found]]:
    """Every row of a node where it, or a group of it, has several.

    A column that any of the node's own rows has is not looked for in groups.  A group with several
    rows multiplies the results: each row of it completes a copy of every result so far.
    """
    results = [
        {c: Found(rules.open_text(c, row[c])) for c in columns if row.get(c)}
        for row in own
        if any(row.get(c) for c in columns)
    ]
    missing = [c for c in columns if not _finished(c, results)]
    for group, stored in groups:
        rows = [_opened(row, missing, rules) for row in stored if any(map(row.get, missing))]
        if rows:
            if len(rows) * len(results or [{}]) > MOST_ROWS:
                raise TooManyRows(group)
            results = [
                _completed(result, row, node, group) for row in rows for result in results or [{}]
            ]
            missing = [c for c in missing if not _satisfied(c, rows)]
    return [_closed_row(result, rules) for result in results]


def _opened(row: Fields, columns: Sequence[str], rules: Rules) -> dict[str, str]:
    return {c: rules.open_text(c, text) for c in columns if (text := row.get(c))}


def _finished(column: str, results: Sequence[Mapping[str, Found]]) -> bool:
    return any(
        column in result and not result[column].text.endswith(NEXT_RECORD) for result in results
    )


def _satisfied(column: str, rows: Sequence[Fields]) -> bool:
    texts = [row[column] for row in rows if column in row]
    return bool(texts) and not texts[-1].endswith(NEXT_RECORD)


def _completed(result: Mapping[str, Found], row: Fields, node: str, group: str) -> dict[str, Found]:
    completed = dict(result)
    for column, text in row.items():
        so_far = completed.get(column)
        if so_far is None or so_far.text.endswith(NEXT_RECORD):
            completed[column] = _extend(so_far, node, group, text)
    return completed


def _closed_row(result: Mapping[str, Found], rules: Rules) -> dict[str, Found]:
    closed = {column: _closed(found, column, rules) for column, found in result.items()}
    return {column: found for column, found in closed.items() if found is not None}
