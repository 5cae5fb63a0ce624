"""``tabprune``: old records of the logs go, or all rows of a table of mere records.

Perl's empties any table so, ``site`` and ``policy`` too, without which no command is served any more.

Facts: docs/facts/table-commands.md, tabgrep and tabprune; docs/facts/database.md, Writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from xcat_aix.commands import asking, options, storing
from xcat_aix.commands.batches import batches
from xcat_aix.commands.options import Arguments, Option, flag, value
from xcatd import tablenames
from xcatd.api import EVERYTHING, Context, DatabaseError, Reply, Request, Targets, data, error
from xcatd.changes import Draft
from xcatd.tablenames import Table
from xcatd.text import tablecsv

from .tabdump import LINES_PER_REPLY, Row

OPTIONS = (
    flag("h", "?", "help"),
    flag("v", "version"),
    flag("V"),
    flag("a"),
    value("n", "number"),
    value("p", "percent"),
    value("i", "recid"),
    value("d", "days"),
)

USAGE = (
    "Usage: tabprune {auditlog | eventlog} [-V] -n NUMBER   the NUMBER oldest records go",
    "       tabprune {auditlog | eventlog} [-V] -p PERCENT  so many percent of the numbers",
    "       tabprune {auditlog | eventlog} [-V] -i RECID    records before RECID",
    "       tabprune {auditlog | eventlog} [-V] -d DAYS     records older than DAYS days",
    "       tabprune table [-V] -a                          all rows, of a table of mere records",
    "       tabprune {-h|--help}",
    "       tabprune {-v|--version}",
)

#: Logs, and when their records were made.
TIMES = {"auditlog": "audittime", "eventlog": "eventtime"}

#: Of these one may be given; ``-d`` goes before nothing.
_ALONE = ("p", "i", "a", "n")

_NUMBER = "recid"
_UNABLE = 4


class Tabprune:
    """The plugin."""

    commands = ("tabprune",)

    def targets(self, _request: Request, _context: Context) -> Targets:
        """Whole tables."""
        return EVERYTHING

    def needs_everything(self, _request: Request) -> bool:
        """What was done is not to be wiped out by whom it was done by."""
        return True

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Delete records."""
        arguments = asking.read(request.words, OPTIONS, USAGE, context.version, parse=_parsed)
        if isinstance(arguments, Reply):
            yield arguments
        elif len(arguments.operands) > 1:
            yield asking.wrong(USAGE)
        else:
            yield from _prune(arguments, context)


def _parsed(words: Sequence[str], known: Sequence[Option]) -> Arguments:
    """As :func:`options.parse`; raises OptionError for what is no number, too."""
    arguments = options.parse(words, known)
    for name in ("n", "p", "d", "i"):
        for text in arguments.values(name):
            if not _is_number(text):
                raise options.OptionError(f"option -{name}: {text!r} is not a number")
    return arguments


def _is_number(text: str) -> bool:
    digits = text[1:] if text[:1] in {"-", "+"} else text
    return digits.isascii() and digits.isdigit()


def _prune(arguments: Arguments, context: Context) -> Iterator[Reply]:
    if not arguments.operands:
        yield _refused("Table name required.")
        return
    name = "".join(arguments.operands[0].split())
    if (wrong := _wrong(name, arguments)) is not None:
        yield _refused(wrong)
        return
    table = tablenames.find(context.db, name)
    status = 0
    if table is None:
        yield error(f"Unable to open{'  ' if arguments.has('a') else ' '}{name}", code=_UNABLE)
        status = 1
    elif not table.prunable:
        yield _refused(
            f"Table {name} cannot be pruned: its rows are no mere records. Tables that can be: "
            f"{', '.join(tablenames.prunable(context.db))}. To delete rows, use tabch -d or noderm."
        )
        return
    else:
        try:
            yield from _delete(table, arguments, context)
        except DatabaseError as failed:
            yield error(str(failed), code=_UNABLE)
            return
    if not arguments.has("V"):
        yield Reply(data=(f"tabprune of {name} complete.",), errorcode=status)


def _refused(text: str) -> Reply:
    return Reply(data=(text,), errorcode=1)


def _wrong(name: str, arguments: Arguments) -> str | None:
    """Why these arguments make no sense."""
    if name not in TIMES and not arguments.has("a"):
        return f"Table {name} not supported, see tabprune -h for supported tables."
    if name not in TIMES and arguments.has("d"):
        return f"Table {name} not supported for the -d option."
    given = [option for option in _ALONE if arguments.has(option)]
    if not given and not arguments.has("d"):
        return "One option -p or -i or -n or -a or -d must be supplied."
    if len(given) > 1:
        return "Only one option -p or -i or -n or -a maybe used at a time."
    return None


def _delete(table: Table, arguments: Arguments, context: Context) -> Iterator[Reply]:
    """Every option that is given does its part."""
    if arguments.has("a"):
        with context.db.transaction(table.name) as transaction:
            rows: Sequence[Row] = transaction.rows(table.name)
            transaction.clear(table.name)
        yield from _shown(table, rows, arguments)
    if (limit := _limit(table, arguments, context)) is not None:
        yield from _delete_before(table, arguments, context, number=limit)
    elif arguments.has("n") or arguments.has("p"):
        yield Reply(data=(f"Nothing to prune from {table.name}.",), errorcode=0)
    if arguments.has("d"):
        ago = timedelta(days=int(arguments.value("d")))
        moment = (context.clock.now() - ago).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        yield from _delete_before(table, arguments, context, moment=moment)


def _limit(table: Table, arguments: Arguments, context: Context) -> int | None:
    """The number of the first record that stays; None when numbers have no part in it."""
    if arguments.has("i"):
        return int(arguments.value("i"))
    if not arguments.has("n") and not arguments.has("p"):
        return None
    numbers = [_number(row) for row in context.db.read((table.name,)).rows(table.name)]
    if not numbers:
        return None
    first, last = min(numbers), max(numbers)
    if arguments.has("n"):
        return first + int(arguments.value("n"))
    return first + int((last - first + 1) * (int(arguments.value("p")) / 100))


def _number(row: Row) -> int:
    return int(row[_NUMBER] or 0)


def _delete_before(
    table: Table,
    arguments: Arguments,
    context: Context,
    *,
    number: int | None = None,
    moment: str = "",
) -> Iterator[Reply]:
    """Live records before a number or a moment; disabled ones stay, as in xCAT."""
    rows: Sequence[Row] = context.db.read((table.name,)).rows(table.name)
    if number is not None:
        rows = [row for row in rows if _number(row) < number]
    else:
        time = TIMES[table.name]
        rows = [row for row in rows if (text := row[time]) is not None and text < moment]
    if rows:
        draft = Draft()
        for row in rows:
            draft.delete((table.name, ((_NUMBER, row[_NUMBER] or ""),)))
        storing.store(context, draft.done())
    yield from _shown(table, rows, arguments)


def _shown(table: Table, rows: Sequence[Row], arguments: Arguments) -> Iterator[Reply]:
    if arguments.has("V"):
        for batch in batches(tablecsv.rows(table.columns, rows), LINES_PER_REPLY):
            yield data(*batch)
