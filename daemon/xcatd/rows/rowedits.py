"""Rows changed by their keys, as ``tabch`` and ``chtab`` have it: words to edits, edits to the database.

Owns: what the words mean, and one transaction for all of them.  Must not: print, or know a command.
Facts: docs/facts/table-commands.md, tabch and chtab; docs/facts/database.md, Writing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from xcatd.changes import Draft, Way
from xcatd.tablenames import Table

from . import rowlimits
from .rowlimits import RefusedError

if TYPE_CHECKING:
    from xcatd.db.database import Database
    from xcatd.db.transaction import Transaction

__all__ = [
    "BadKeyError",
    "Edit",
    "RefusedError",
    "delete",
    "is_assignment",
    "key_columns",
    "read_edit",
    "read_key",
    "store",
]

_ASSIGNMENT = re.compile(r"[^.=]+\.[^.=]+=.+", re.DOTALL)


class BadKeyError(ValueError):
    """The word (``args[0]``) is not ``column=text``."""


class Edit(NamedTuple):
    """One value for the rows of a table; ``appends``: its items are added to those that are there.

    ``text`` is None where the word had no value at all.
    """

    table: str
    column: str
    text: str | None
    appends: bool = False


def _split(text: str, separator: str = ",") -> list[str]:
    """The items as Perl splits them: empty ones at the end do not count."""
    items = text.split(separator)
    while items and not items[-1]:
        items.pop()
    return items


def is_assignment(word: str) -> bool:
    """Whether the first word is no key but already ``table.column=text``: a row is added then."""
    return _ASSIGNMENT.search(next(iter(_split(word)), "")) is not None


def read_key(word: str) -> dict[str, str]:
    """``column=text,…``; the last equals sign counts.

    An item without one is passed over where an item with one came before it, as xCAT does: so a
    text cannot have a comma.  Raises BadKeyError.
    """
    key: dict[str, str] = {}
    for pair in _split(word):
        column, found, text = pair.rpartition("=")
        if found:
            key[column] = text
        elif not key:
            raise BadKeyError(pair)
    return key


def key_columns(words: Iterable[str]) -> Iterator[str]:
    """The columns of every word that could be a key."""
    return (
        pair.rpartition("=")[0].strip()
        for word in words
        if not is_assignment(word)
        for pair in word.split(",")
        if "=" in pair
    )


def read_edit(word: str) -> Edit:
    """``table.column=text`` or ``table.column+=text``; whether these exist is not looked at."""
    table, _, rest = word.partition(".")
    appends = "+=" in rest
    column, found, text = rest.partition("+=" if appends else "=")
    return Edit(table, column, text if found else None, appends)


def store(
    database: Database, tables: Collection[Table], key: Mapping[str, str], edits: Sequence[Edit]
) -> None:
    """Make all edits in one transaction: on every row with this key, else on a new one.

    Without a key there is always a new row.  ``tables`` are those of the edits.  Raises
    :class:`RefusedError` for a row no table takes, then nothing is stored, and
    :class:`xcatd.db.errors.DatabaseError`.
    """
    if not tables:
        return
    with database.transaction(*(table.name for table in tables)) as transaction:
        for table in tables:
            wanted = [edit for edit in edits if edit.table == table.name]
            _store(transaction, table, key, wanted)


def _store(
    transaction: Transaction, table: Table, key: Mapping[str, str], edits: Sequence[Edit]
) -> None:
    draft, place = Draft(Way.TYPED), (table.name, tuple(key.items()))
    stored = transaction.select(table.name, key) if key else []
    values = {edit.column: _text(edit, stored) for edit in edits}
    if stored:
        rowlimits.check_updates(transaction, table, stored, values)
        draft.set_row(place, values)
    elif any(values.values()):
        rowlimits.check_insert(transaction, table, {**key, **values})
        draft.insert(place, values)
    else:
        raise RefusedError("")  # xCAT has no words for a row without values
    transaction.apply(draft.done())


def _text(edit: Edit, stored: Sequence[Mapping[str, str | None]]) -> str | None:
    """What a cell will hold; items are only added to those of a live row."""
    if not edit.appends or edit.text is None:
        return edit.text
    live = (row for row in stored if row.get("disable") in rowlimits.LIVE)
    present = _split(next((text for row in live if (text := row.get(edit.column))), ""))
    return ",".join(dict.fromkeys((*present, *_split(edit.text)))) if present else edit.text


def delete(database: Database, key: Mapping[str, str], names: Iterable[str]) -> None:
    """Delete the rows with this key from these tables, in one transaction.

    Raises ValueError without a key, and :class:`xcatd.db.errors.DatabaseError`.
    """
    if not key:
        raise ValueError("a deletion without a key would empty the tables")
    wanted = tuple(dict.fromkeys(names))
    if not wanted:
        return
    draft = Draft()
    for name in wanted:
        draft.delete((name, tuple(key.items())))
    with database.transaction(*wanted) as transaction:
        transaction.apply(draft.done())
