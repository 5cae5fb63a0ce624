"""Puts the changes a plan ends with into the database.

Owns: which tables share a transaction.  Must not: work out what is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xcat_aix.plan.definitions.changes import Changes
from xcatd.api import Context

#: How many tables one transaction of the SQLite layout can join: each is a file of its own.
MOST_FILES = 10


def store(context: Context, changes: Changes) -> None:
    """Write everything, or raise :class:`xcatd.api.DatabaseError`.

    One transaction, unless an SQLite directory needs more files than it can join.  Then the parts follow each
    other, nodelist in the last one: what stops in between leaves rows that no listed node looks at
    (new nodes), or nodes that are listed still (removed ones), and running the command again finishes it.
    Raises :class:`xcatd.api.ChangedMeanwhile` when a value the plan was made from is another now, and
    :class:`xcatd.api.NotPermittedError`, before the first part, for what the policy does not allow.
    """
    work = changes.by_table()
    for table, (deleted, written) in work.items():
        context.db.check_writing(table, (*deleted, *(row.key for row in written)))
    for tables in _parts(tuple(work), has_files=context.db.location.engine == "SQLite"):
        with context.db.transaction(*tables) as transaction:
            transaction.write_cells((), tuple(changes.guards_of(tables)))
            for table in tables:
                deleted, written = work[table]
                transaction.delete_rows(table, deleted)
                transaction.write_rows(table, written)


def _parts(tables: Sequence[str], *, has_files: bool) -> Iterator[Sequence[str]]:
    """Full parts from the end, so that nodelist has as many others with it as can be."""
    first = len(tables) % MOST_FILES if has_files else len(tables)
    if first:
        yield tables[:first]
    for start in range(first, len(tables), MOST_FILES):
        yield tables[start : start + MOST_FILES]
