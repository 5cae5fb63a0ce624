"""Settings for the whole suite: a fixed environment, and Hypothesis without surprises in CI."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


def pytest_configure(config: Any) -> None:
    """Measure which lines of the product the tests of this process run, if asked for; see ``make suite``."""
    if "MEASURE_COVERAGE" in os.environ:
        from coverage import Coverage

        config.measured = Coverage(data_suffix=True)
        config.measured.start()


def pytest_unconfigure(config: Any) -> None:
    """Keep what was measured, to be put together with that of the other processes."""
    if hasattr(config, "measured"):
        config.measured.stop()
        config.measured.save()


#: Places of a database that need no server.
_WITHOUT = frozenset(["sqlite", "memory"])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Iterable[Any]) -> None:
    """What starts a database server has the marker ``servers``; the share of the others has not."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        places = set() if parameters is None else set(map(str, parameters.params.values()))
        if "servers" in getattr(item, "fixturenames", ()) and not places & _WITHOUT:
            item.add_marker(pytest.mark.servers)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the caller's locale, time zone or xCAT settings."""
    for name in [name for name in os.environ if name.startswith(("XCAT", "PYRO"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture(autouse=True)
def _no_throttle_of_others() -> Iterator[None]:
    """What a test had set up to leave out log lines leaves out none of the next one's."""
    yield
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("xcatd") and isinstance(logger, logging.Logger):
            logger.filters.clear()


@pytest.fixture(scope="session")
def servers() -> Iterator[Any]:
    """PostgreSQL and MariaDB, started when first asked for; not for the agent's tests on Python 3.9."""
    from .servers import Servers

    started = Servers()
    yield started
    started.close()
