"""The way of every command that only writes the database: read, plan, one transaction, the result.

Owns: reading the tables once, which tables share a transaction, and planning again when somebody else wrote in between.
Must not: know what a command plans.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from xcat_aix.plan.writing import Planned, Remark
from xcatd.api import ChangedMeanwhile, Context, DatabaseError, Reply, data, error, info, warning
from xcatd.changes import Changes
from xcatd.tablenames import Snapshot

#: How many tables one transaction of the SQLite layout can join: each is a file of its own.
MOST_FILES = 10

#: How often a plan is made anew because a value it was made from has changed.
MOST_ATTEMPTS = 30
#: Second and later attempts take turns, or commands of the same daemon would keep each other from ever storing.
_TURNS = threading.RLock()

_REPLIES = {"error": error, "warning": warning, "info": info, "data": data}


def reply(remark: Remark) -> Reply:
    """What the client is told."""
    return _REPLIES[remark.level](*remark.lines)


def carry_out(
    context: Context, tables: Iterable[str], plan: Callable[[Snapshot], Planned]
) -> Iterator[Reply]:
    """Read, plan and store; the replies of the plan that was stored.

    Every plan is made from one read.  Where a value it depends on was changed by somebody else before it could be
    stored, it is made again.
    """
    wanted = frozenset(tables)
    planned, failure = _attempt(context, wanted, plan)
    if isinstance(failure, ChangedMeanwhile):
        planned, failure = _insist(context, wanted, plan)
    if isinstance(failure, ChangedMeanwhile):
        yield error(f"cannot write the definitions, others keep changing them: {failure}")
        return
    yield from map(reply, planned.remarks)
    if failure is None:
        yield from map(reply, planned.results)
    else:
        yield error(str(failure))


def _attempt(
    context: Context, tables: frozenset[str], plan: Callable[[Snapshot], Planned]
) -> tuple[Planned, DatabaseError | None]:
    planned = plan(context.db.read(tables))
    try:
        store(context, planned.draft.done())
    except DatabaseError as failure:
        return planned, failure
    return planned, None


def _insist(
    context: Context, tables: frozenset[str], plan: Callable[[Snapshot], Planned]
) -> tuple[Planned, DatabaseError | None]:
    """Again, until it is stored or everybody's patience ends; others have their turns between two attempts."""
    for _ in range(MOST_ATTEMPTS - 2):
        with _TURNS:
            planned, failure = _attempt(context, tables, plan)
        if not isinstance(failure, ChangedMeanwhile):
            return planned, failure
    with _TURNS:
        return _attempt(context, tables, plan)


def store(context: Context, changes: Changes) -> None:
    """Write everything, or raise :class:`xcatd.api.DatabaseError`.

    One transaction, unless an SQLite directory needs more files than it can join.  Then the parts follow each
    other, nodelist in the last one: what stops in between leaves rows that no listed node looks at
    (new nodes), or nodes that are listed still (removed ones), and running the command again finishes it.
    Raises :class:`xcatd.api.ChangedMeanwhile` when a value the plan was made from is another now, and
    :class:`xcatd.api.NotPermittedError`, before the first part, for what the policy does not allow.
    """
    context.db.check_writing(changes)
    for part in _parts(changes, has_files=context.db.location.engine == "SQLite"):
        with context.db.transaction(*part.tables) as transaction:
            transaction.apply(part)


def _parts(changes: Changes, *, has_files: bool) -> Iterator[Changes]:
    """Tables by name, nodelist last: a node is listed only when all else about it is there.

    Full parts from the end, so that nodelist has as many others with it as can be.
    """
    tables = sorted(changes.tables, key=lambda name: (name == "nodelist", name))
    first = len(tables) % MOST_FILES if has_files else len(tables)
    if first:
        yield changes.of_tables(tables[:first])
    for start in range(first, len(tables), MOST_FILES):
        yield changes.of_tables(tables[start : start + MOST_FILES])
