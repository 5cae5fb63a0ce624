"""The notation of the nics table's values: ``eth0!10.0.0.1|10.1.0.1,eth1!…``, one item per adapter.

Pure.  Facts: docs/facts/database.md, Values that are expressions; docs/facts/object-commands.md, lsdef.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcatd.db import values


def is_nic_attribute(attribute: str) -> bool:
    """Whether an attribute's values are shown per adapter."""
    return attribute.startswith("nic")


def items(text: str, node: str | None) -> Iterator[tuple[str, str]]:
    """(adapter, value) in order; adapters without a value are left out.

    Values are worked out for ``node``; None leaves expressions as they are written.
    """
    for item in _inside(text).split(","):
        adapter, _, rest = item.partition("!")
        value = rest.partition("!")[0]
        if node is not None:
            value = values.expand(value, node) or ""
        if adapter not in {"", "0"} and value not in {"", "0"}:
            yield adapter, value


def _inside(text: str) -> str:
    """The expression alone where the whole value is one (``|pattern|expression|``)."""
    if len(text) < 2 or not (text.startswith("|") and text.endswith("|")):
        return text
    text = text[1:-1]
    parts = text.split("|")
    return parts[1] if len(parts) > 1 else text
