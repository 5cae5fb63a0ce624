"""What planners of commands that only write the database end with: changes, and what to tell the user.

Owns the values.  Must not: know a command, or how a client is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from xcatd.changes import Draft, Way


class Remark(NamedTuple):
    """Lines that are told together; ``level`` is error, warning, info or data."""

    level: str
    lines: tuple[str, ...]


def error(*lines: str) -> Remark:
    """Something that fails the command."""
    return Remark("error", lines)


def warning(*lines: str) -> Remark:
    """Something to mind."""
    return Remark("warning", lines)


def info(*lines: str) -> Remark:
    """What was done."""
    return Remark("info", lines)


def data(*lines: str) -> Remark:
    """What was asked for."""
    return Remark("data", lines)


@dataclass(slots=True)
class Planned:
    """What to write, what to say in any case, and what to say once it is written."""

    draft: Draft = field(default_factory=lambda: Draft(Way.TYPED))
    remarks: list[Remark] = field(default_factory=list)
    results: list[Remark] = field(default_factory=list)
