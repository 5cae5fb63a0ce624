"""Every step kind there is, and what an administrator may have run as one."""

from __future__ import annotations

from collections.abc import Iterator

from xcat_aix.run.registry import AnyKind, Registry
from xcat_aix.run.store import Database

from .agent import agent_steps
from .command import CommandRun, Run
from .database import DatabaseWrite

#: Commands that plans run as a step; each brings about a state, whatever was there before.
REPEATABLE = frozenset({"makeconservercf"})


def registry(db: Database, run: Run) -> Registry:
    """The kinds of all plans, over this database and these commands; raises ValueError for one that lacks something."""
    return Registry(list(_kinds(db, run)))


def _kinds(db: Database, run: Run) -> Iterator[AnyKind]:
    yield DatabaseWrite(db)
    yield CommandRun(run, REPEATABLE)
    yield from agent_steps()
