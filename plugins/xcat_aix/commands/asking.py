"""What commands do before their work: read the arguments, or answer with usage, help or version.

Owns that answer.  Must not: know a command.  Facts: docs/facts/object-commands.md, Arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

from xcat_aix.commands import options
from xcat_aix.commands.options import Arguments, Option
from xcatd.api import Reply, data


def wrong(usage: Sequence[str]) -> Reply:
    """The usage, as an error."""
    return Reply(data=tuple(usage), errorcode=1)


def read(
    words: Sequence[str],
    known: Sequence[Option],
    usage: Sequence[str],
    version: str = "",
    *,
    at_least: int = 0,
) -> Arguments | Reply:
    """The arguments to work on; the whole answer where they ask for nothing else, do not parse or are too few.

    ``at_least`` is how many operands there must be.
    """
    try:
        arguments = options.parse(words, known)
    except options.OptionError:
        return wrong(usage)
    if arguments.has("h"):
        return data(*usage)
    if arguments.has("v"):
        return data(version)
    return wrong(usage) if len(arguments.operands) < at_least else arguments
