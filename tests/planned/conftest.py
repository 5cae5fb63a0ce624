"""The cluster of the snmove tests, for what every planned command does."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.snmove.doubles import Names, World, open_world
from tests.snmove.test_command import ADDRESSES, agents, rows


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path, rows(), Names(ADDRESSES), agents())
