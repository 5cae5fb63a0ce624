"""What lsdef, mkdef, chdef and rmdef tell about object types.

Facts: docs/facts/object-commands.md, Help.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcatd.api import Reply, info, warning
from xcatd.objects import descriptions

from .lsdef_arguments import HelpQuestion


def replies(question: HelpQuestion) -> Iterator[Reply]:
    """The attributes of the types asked for."""
    names = None if question.wanted is None else set(question.wanted.names)
    for kind in question.types:
        if kind == "site" and names is not None:
            yield warning(
                "It is not supported to list the description of some specific site attributes, "
                "displaying the description for all site attributes instead."
            )
        yield info(*descriptions.type_help(kind, names))
