"""``lsxcatd``: the daemon's version, kind of machine, and database.

Facts: docs/facts/table-commands.md, lsxcatd.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcatd.api import NOTHING, Context, Reply, Request, Targets, data

from . import options
from .options import flag

OPTIONS = (
    flag("h", "?", "help"),
    flag("v", "version"),
    flag("a", "all"),
    flag("t", "type", "nodetype"),
    flag("d", "database"),
)

USAGE = (
    "       lsxcatd [-v|--version]",
    "       lsxcatd [-t|--nodetype]",
    "       lsxcatd [-d|--database]",
    "       lsxcatd [-a|--all]",
    "       lsxcatd [-h|--help]",
)


class Lsxcatd:
    """The plugin."""

    commands = ("lsxcatd",)

    def targets(self, _request: Request, _context: Context) -> Targets:
        """It tells of the daemon alone."""
        return NOTHING

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Answer the first of -v, -t, -d that was given, or all of them."""
        try:
            arguments = options.parse(request.words, OPTIONS)
        except options.OptionError:
            arguments = None
        if arguments is None or not request.args:
            yield Reply(data=USAGE, errorcode=1)
        elif arguments.has("h"):
            yield data(*USAGE)
        elif arguments.has("a"):
            yield data(context.version)
            yield data(_machine(context))
            yield data(*_database(request, context))
        elif arguments.has("v"):
            yield data(context.version)
        elif arguments.has("t"):
            yield data(_machine(context))
        elif arguments.has("d"):
            yield data(*_database(request, context))


def _machine(context: Context) -> str:
    return f"This is a {'Management' if context.is_mn else 'Service'} Node"


def _database(request: Request, context: Context) -> tuple[str, ...]:
    """The database's place; never the password, and its host and user only to who has said who it is."""
    location = context.db.location
    if location.directory is not None or request.user is None:
        return (f"dbengine={location.engine}",)
    pairs, _, host = location.dsn.partition("host=")
    name = pairs.rstrip(";").partition("=")[2]
    return (
        f"cfgloc={location.engine}:{location.dsn}|{location.user}",
        f"dbengine={location.engine}",
        f"dbname={name}",
        f"dbhost={host}",
        f"dbadmin={location.user}",
    )
