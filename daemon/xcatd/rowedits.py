"""Rows changed by their keys, as ``tabch`` and ``chtab`` have it: words to edits, edits to the database.

Owns: what the words mean, and one transaction for all of them.  Must not: print, or know a command.
Facts: specs/object-commands.md, section 7; specs/database.md, section 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from . import tables
from .db.snapshot import Snapshot

if TYPE_CHECKING:
    from .db.database import Database
    from .db.transaction import Transaction

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


class _Write(NamedTuple):
    key: tuple[tuple[str, str], ...]
    values: Mapping[str, str | None]


def split(text: str, separator: str = ",") -> list[str]:
    """The items as Perl splits them: empty ones at the end do not count."""
    items = text.split(separator)
    while items and not items[-1]:
        items.pop()
    return items


def is_assignment(word: str) -> bool:
    """Whether the first word is no key but already ``table.column=text``: a row is added then."""
    return _ASSIGNMENT.search(next(iter(split(word)), "")) is not None


def read_key(word: str) -> dict[str, str]:
    """``column=text,…``; the last equals sign counts.  Raises BadKeyError."""
    key = {}
    for pair in split(word):
        column, found, text = pair.rpartition("=")
        if not found:
            raise BadKeyError(pair)
        key[column] = text
    return key


def read_edit(word: str) -> Edit:
    """``table.column=text`` or ``table.column+=text``; whether these exist is not looked at."""
    table, _, rest = word.partition(".")
    appends = "+=" in rest
    column, found, text = rest.partition("+=" if appends else "=")
    return Edit(table, column, text if found else None, appends)


def store(database: Database, key: Mapping[str, str], edits: Sequence[Edit]) -> None:
    """Make all edits in one transaction: on every row with this key, else on a new one.

    Without a key there is always a new row.  Raises :class:`xcatd.db.errors.DatabaseError`.
    """
    names = tuple(dict.fromkeys(edit.table for edit in edits))
    with database.transaction(*names) as transaction:
        for name in names:
            values = _values(transaction, key, [edit for edit in edits if edit.table == name])
            if key:
                transaction.write_rows(name, [_Write(tuple(key.items()), values)])
            elif any(values.values()):
                transaction.insert(name, [values])


def _values(
    transaction: Transaction, key: Mapping[str, str], edits: Iterable[Edit]
) -> dict[str, str | None]:
    return {
        edit.column: _appended(transaction, key, edit) if edit.appends else edit.text
        for edit in edits
    }


def _appended(transaction: Transaction, key: Mapping[str, str], edit: Edit) -> str | None:
    """Only a live row's items are kept; without any the text is stored as it is."""
    stored = transaction.select(edit.table, key) if key else []
    live = Snapshot.from_rows({edit.table: stored}).rows(edit.table)
    present = split(next((text for row in live if (text := row.get(edit.column))), ""))
    if not present or edit.text is None:
        return edit.text
    return ",".join(dict.fromkeys((*present, *split(edit.text))))


def delete(database: Database, key: Mapping[str, str], names: Iterable[str]) -> None:
    """Delete the rows with this key from these tables, in one transaction.

    Raises ValueError without a key, and :class:`xcatd.db.errors.DatabaseError`.
    """
    if not key:
        raise ValueError("a deletion without a key would empty the tables")
    wanted = tuple(dict.fromkeys(names))
    with database.transaction(*wanted) as transaction:
        for name in wanted:
            transaction.delete_rows(name, [tuple(key.items())])


def unknown_tables(names: Iterable[str]) -> list[str]:
    """Those that are not xCAT's tables."""
    return [name for name in names if not tables.is_known(name)]
