"""What commands do before their work: read the arguments, or answer with usage, help or version.

Owns that answer.  Must not: know a command.  Facts: docs/facts/object-commands.md, Arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xcat_aix.commands import options
from xcat_aix.commands.options import Arguments, Option
from xcatd.api import Reply, data

Parse = Callable[[Sequence[str], Sequence[Option]], Arguments]


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
    parse: Parse = options.parse,
) -> Arguments | Reply:
    """The arguments to work on; the whole answer where they ask for nothing else, do not parse or are too few.

    Of ``h`` and ``v`` the one counts that comes first in ``known``.  ``at_least`` is how many operands there must be.
    """
    try:
        arguments = parse(words, known)
    except options.OptionError:
        return wrong(usage)
    answers = {"h": usage, "v": (version,)}
    for option in known:
        if option.names[0] in answers and arguments.has(option.names[0]):
            return data(*answers[option.names[0]])
    return wrong(usage) if len(arguments.operands) < at_least else arguments
