"""The locks hold what the setup.cfg files ask for, nothing else, and this environment comes from them."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).parents[2]
TOOLS = TOP / "tools"
RENEW = "run tools/lock and commit what it writes"
#: The Python that each lock is for, as environment markers have it.
PYTHONS = {"all": ("3.11", "3.12", "3.13"), "agent": ("3.9",)}


def _wanted() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wanted", TOOLS / "wanted.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WANTED = _wanted()


class Pin(NamedTuple):
    """One release in a lock."""

    name: str
    version: Version
    marker: Marker | None
    hashes: tuple[str, ...]


def pins(what: str) -> list[Pin]:
    return list(_pins((TOOLS / WANTED.LOCKS[what]).read_text()))


def _pins(text: str) -> Iterator[Pin]:
    for line in text.replace("\\\n", " ").splitlines():
        if not line.startswith("#"):
            words, *hashes = line.split("--hash=")
            requirement = Requirement(words)
            (pinned,) = requirement.specifier
            assert pinned.operator == "=="
            name = canonicalize_name(requirement.name)
            found = tuple(text.strip() for text in hashes)
            yield Pin(name, Version(pinned.version), requirement.marker, found)


def requirements(what: str) -> list[Requirement]:
    return [Requirement(line) for line in WANTED.requirements(WANTED.DISTRIBUTIONS[what])]


@pytest.mark.parametrize("what", WANTED.LOCKS)
def test_every_release_has_hashes_and_no_host(what):
    text = (TOOLS / WANTED.LOCKS[what]).read_text()
    assert "://" not in text
    assert "--index" not in text
    for pin in pins(what):
        assert pin.hashes, pin.name
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", text) for text in pin.hashes), pin.name


@pytest.mark.parametrize("what", WANTED.LOCKS)
def test_each_is_locked_within_its_bounds(what):
    locked = {pin.name: pin.version for pin in pins(what)}
    assert len(locked) == len(pins(what)), "one release of each"
    for requirement in requirements(what):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is in no lock: {RENEW}"
        assert version in requirement.specifier, f"{requirement} is locked at {version}: {RENEW}"


@pytest.mark.parametrize("what", WANTED.LOCKS)
def test_each_has_a_lower_and_an_upper_bound(what):
    for requirement in requirements(what):
        signs = {specifier.operator for specifier in requirement.specifier}
        assert signs in ({">=", "<"}, {"=="}), f"{requirement}: say from which release to which"


def _needed() -> set[str]:
    """Names of everything that the wanted ones bring in here, by their own metadata."""
    found: set[tuple[str, str]] = set()
    open_ = [
        (canonicalize_name(requirement.name), extra)
        for requirement in requirements("all")
        for extra in ("", *requirement.extras)
    ]
    while open_:
        name, extra = open_.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for text in metadata.requires(name) or ():
            more = Requirement(text)
            if more.marker is None or more.marker.evaluate({"extra": extra}):
                open_ += [(canonicalize_name(more.name), e) for e in ("", *more.extras)]
    return {name for name, _ in found}


def test_nothing_is_locked_that_nothing_needs():
    here = {pin.name for pin in pins("all") if pin.marker is None or pin.marker.evaluate()}
    assert here == _needed(), RENEW


def test_this_environment_is_the_locked_one():
    """Where it is not, ``make`` was left out after a change of the lock: it makes the environment anew."""
    here = [pin for pin in pins("all") if pin.marker is None or pin.marker.evaluate()]
    assert {pin.name: str(pin.version) for pin in here} == {
        pin.name: metadata.version(pin.name) for pin in here
    }


@pytest.mark.parametrize(("what", "python"), [(w, p) for w in PYTHONS for p in PYTHONS[w]])
def test_no_release_is_left_out_by_a_python_we_promise(what, python):
    """What a lock leaves out on Linux must not depend on the Python we run with."""
    values = {
        "python_version": python,
        "python_full_version": f"{python}.2",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    left_out = {pin.name for pin in pins(what) if pin.marker and not pin.marker.evaluate(values)}
    assert left_out <= {"colorama", "tzdata"}  # Windows alone has use for them
