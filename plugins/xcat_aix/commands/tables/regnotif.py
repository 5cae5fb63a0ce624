"""``regnotif`` and ``unregnotif``: have a command or a Perl module called when tables change.

Owns the rows of the ``notification`` table these commands write; the daemon calls what is registered there.
As in xCAT, wrong arguments are answered with the usage and exit status 0, and a row that was disabled stays so.
Facts: docs/facts/database.md, Notification hooks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from xcat_aix.commands import asking, options
from xcat_aix.commands.options import Arguments
from xcat_aix.commands.storing import store
from xcatd.api import (
    EVERYTHING,
    BadHookError,
    Context,
    DatabaseError,
    Reply,
    Request,
    Targets,
    check_registered,
    data,
    error,
    root_of,
)
from xcatd.changes import Draft, Place, Way

_OPTIONS = (options.flag("h", "help"), options.flag("v", "version"))
_OPERATION = options.value("o", "operation")

_OPERATIONS = re.compile(r"[adu](,[adu]){0,2}")
_ALL_OPERATIONS = "a,d,u"

_USAGE = (
    "Usage:",
    "  regnotif FILENAME TABLE[,TABLE]... [-o|--operation OPERATION[,OPERATION]...]",
    "       where an operation is a (rows added), d (deleted) or u (updated); all of them by default",
    "  regnotif [-h|--help|-v|--version]",
)
_UNREGISTER_USAGE = (
    "Usage:",
    "  unregnotif FILENAME",
    "  unregnotif [-h|--help|-v|--version]",
)


class Regnotif:
    """The plugin of both commands."""

    commands = ("regnotif", "unregnotif")

    def targets(self, _request: Request, _context: Context) -> Targets:
        """Whole tables."""
        return EVERYTHING

    def needs_everything(self, _request: Request) -> bool:
        """What is registered is run as root."""
        return True

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Write or delete the row of one file name."""
        is_new = request.command == "regnotif"
        usage = _USAGE if is_new else _UNREGISTER_USAGE
        arguments = asking.read(
            request.words,
            (*_OPTIONS, _OPERATION) if is_new else _OPTIONS,
            usage,
            f"{request.command} version 1.0",
            at_least=2 if is_new else 1,
        )
        if isinstance(arguments, Reply):
            yield replace(arguments, errorcode=None)
        else:
            yield from _write(arguments, context, is_new=is_new)


def _write(arguments: Arguments, context: Context, *, is_new: bool) -> Iterator[Reply]:
    place: Place = ("notification", (("filename", arguments.operands[0]),))
    draft = Draft(Way.TYPED)
    if is_new:
        operations = _operations(arguments)
        if not _OPERATIONS.fullmatch(operations):
            yield data(f"Invalid table operations: {operations}")
            return
        try:
            check_registered(arguments.operands[0], root_of(context.environ))
        except BadHookError as bad:
            yield error(str(bad))
            return
        draft.set(place, "tables", arguments.operands[1])
        draft.set(place, "tableops", operations)
    else:
        draft.delete(place)
    try:
        store(context, draft.done())
    except DatabaseError as failed:
        yield error(str(failed))


def _operations(arguments: Arguments) -> str:
    text = arguments.value("o")
    return _ALL_OPERATIONS if text in {"", "0"} else text
