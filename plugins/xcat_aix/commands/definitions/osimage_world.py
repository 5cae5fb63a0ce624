"""What ``-u`` needs to know beyond the database: this machine's system, and which files there are.

Must not: decide which file is used (:mod:`xcat_aix.plan.definitions.osimages` does).
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from functools import cache

from xcat_aix.plan.definitions.osimages import ImageSources, ListFolder

from .shipped_templates import DEFAULT_ROOT

_ID = re.compile(r"^\s*ID=\"?([0-9a-z_.-]+)", re.MULTILINE)
_VERSION = re.compile(r"^\s*VERSION(?:_ID)?=\"?([0-9.]+)", re.MULTILINE)
_SERVER = re.compile(r"^\s*NAME=.*Server", re.MULTILINE | re.IGNORECASE)

_RELEASE_FILE = "/etc/os-release"


def world(environ: Mapping[str, str]) -> ImageSources:
    """The world of one command; every folder is read once."""
    return ImageSources(
        root=environ.get("XCATROOT") or DEFAULT_ROOT,
        osvers=_system(),
        machine=re.sub(r"^i.86$", "x86", platform.machine()),
        list_folder=_lister(),
    )


def _lister() -> ListFolder:
    @cache
    def list_folder(path: str) -> Mapping[str, bool]:
        try:
            with os.scandir(path) as entries:
                return {entry.name: os.access(entry.path, os.X_OK) for entry in entries}
        except OSError:  # none, or none that can be read
            return {}

    return list_folder


def _system() -> str:
    """This machine's system as xCAT calls it, e.g. ``rhels8.4``; ``unknown`` where it does not say."""
    try:
        with open(_RELEASE_FILE, encoding="utf-8", errors="replace") as file:
            return system_of(file.read())
    except OSError:
        return "unknown"


def system_of(release: str) -> str:
    """The system an os-release file is about."""
    name = match.group(1) if (match := _ID.search(release)) else "unknown"
    if "rhel" in name and _SERVER.search(release):
        name = "rhels"
    version = match.group(1).rstrip(".") if (match := _VERSION.search(release)) else ""
    return name + version
