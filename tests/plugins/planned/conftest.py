"""The toy commands, installed for each test, and the cluster of the snmove tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.daemon.agents.conftest import Cluster
from tests.plugins.run.rig import Bomb
from tests.plugins.servicenodes.snmove.doubles import Names, World, open_world
from tests.plugins.servicenodes.snmove.test_command import ADDRESSES, agents, rows

from xcat_aix.commands.planned import doing
from xcat_aix.run.executor import Executor
from xcat_aix.run.journal import Journal
from xcat_aix.steps import agent, kinds

from . import toy
from .stage import Dying, Fuse, Site


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    toy.installed(monkeypatch.setitem)
    # Lost lines are asked again at once.
    monkeypatch.setattr(kinds, "agent_steps", partial(agent.agent_steps, (0.0, 0.0), late=0.0))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site.new(tmp_path / "db")
    yield made
    made.db.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path, rows(), Names(ADDRESSES), agents())


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Dying:
    monkeypatch.setattr(doing, "Journal", partial(Journal, alive=lambda _: False))

    def die(at: int | None = None, *, point: str = "") -> Bomb:
        fuse = Fuse(at)
        fuse.point = point
        monkeypatch.setattr(doing, "Executor", partial(Executor, crash=fuse))
        return fuse

    return die


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.stop()
