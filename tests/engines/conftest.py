"""One empty database on each engine; tests that ask for it run three times."""

from __future__ import annotations

import pytest

from xcatd.db.database import Database
from xcatd.db.location import Location

ENGINES = ("sqlite", "postgres", "mariadb")


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture(params=ENGINES[1:])
def server(request, servers):
    """A server that tests may kill; it is up again afterwards."""
    found = servers.get(request.param)
    yield found
    if found.process.poll() is not None:
        found.start()


@pytest.fixture
def location(engine, servers, tmp_path):
    return Location("SQLite", tmp_path) if engine == "sqlite" else servers.get(engine).new()


@pytest.fixture
def database(location):
    opened = Database.open(location, busy_timeout=5)
    yield opened
    opened.close()
