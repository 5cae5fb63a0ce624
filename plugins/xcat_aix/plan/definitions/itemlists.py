"""Values that are lists: items added to them and taken from them.

Pure text.  Facts: docs/facts/object-commands.md, chdef.
"""

from __future__ import annotations

from collections.abc import Collection


def split(text: str, separator: str = ",") -> list[str]:
    """The items as Perl splits them: empty ones at the end do not count."""
    items = text.split(separator)
    while items and not items[-1]:
        items.pop()
    return items


def added(text: str | None, more: str, separator: str = ",") -> str:
    """``text`` with those items of ``more`` at its end that it does not have yet."""
    if text is None:
        return more
    items = split(text, separator)
    known = set(items)
    for item in split(more, separator):
        if item not in known:
            items.append(item)
            known.add(item)
    return separator.join(items)


def missing(text: str, fewer: str, separator: str = ",") -> list[str]:
    """The items of ``fewer`` that ``text`` does not have."""
    items = set(split(text, separator))
    return [item for item in split(fewer, separator) if item not in items]


def removed(text: str, fewer: str, separator: str = ",") -> str | None:
    """``text`` without the items of ``fewer``; None when nothing is left."""
    left = without(text, set(split(fewer, separator)), separator)
    return left or None


def without(text: str, items: Collection[str], separator: str = ",") -> str:
    """``text`` without these items."""
    return separator.join(item for item in split(text, separator) if item not in items)
