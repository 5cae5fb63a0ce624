"""Changes written down cell by cell, as tests of them want it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from xcatd.changes import Changes, Draft, Way


class Write(NamedTuple):
    """A cell to write."""

    table: str
    key_column: str
    key: str
    column: str
    after: str | None


class Read(NamedTuple):
    """A cell that must still hold ``value``."""

    table: str
    key_column: str
    key: str
    column: str
    value: str | None


def made(writes: Iterable[Write], reads: Iterable[Read] = (), way: Way = Way.SET) -> Changes:
    """The changes of these cells, if the others are as they were read."""
    draft = Draft(way)
    for table, key_column, key, column, after in writes:
        draft.set((table, ((key_column, key),)), column, after)
    for table, key_column, key, column, value in reads:
        draft.guard((table, ((key_column, key),)), column, value)
    return draft.done()
