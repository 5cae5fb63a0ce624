"""Values that are expressions over the node's name (specs/database.md, section 5)."""

from __future__ import annotations


def is_expression(text: str) -> bool:
    """Whether ``text`` may have one of the two expression forms; cheap."""
    return text[:1] in ("|", "/") and len(text) > 1 and text[-1] == text[0]


def expand(value: str, node: str) -> str | None:
    """The value for this node; None when it says that there is none."""
    return value if node else None
