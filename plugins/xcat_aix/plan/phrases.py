"""Small turns of phrase that all commands share.  Pure."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
