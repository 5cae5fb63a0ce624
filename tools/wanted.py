"""What the environments need, as the setup.cfg and pyproject.toml files say; for tools/lock and its test.

Usage: python tools/wanted.py all|agent: one requirement a line.
"""

from __future__ import annotations

import configparser
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]

#: Installs everything else.
INSTALLER = "pip >= 25, < 27"

#: Directories with a setup.cfg by what is wanted, and the lock that holds it.
DISTRIBUTIONS = {"all": (".", "agent", "proto"), "agent": ("agent", "proto")}
LOCKS = {"all": "requirements.lock", "agent": "requirements39.lock"}


def requirements(distributions: Sequence[str]) -> list[str]:
    """Everything from a registry that these need to be built, run and tested, each once."""
    found = {line for name in distributions for line in _lines(TOP / name)}
    return sorted({INSTALLER, *found}, key=str.lower)


def _lines(directory: Path) -> Iterator[str]:
    setup = configparser.ConfigParser()
    setup.read(directory / "setup.cfg")
    texts = [setup.get("options", "install_requires", fallback="")]
    if setup.has_section("options.extras_require"):
        texts += setup["options.extras_require"].values()
    for line in "\n".join(texts).splitlines():
        if line and not line.startswith("xcat-aix"):
            yield line
    yield from tomllib.loads((directory / "pyproject.toml").read_text())["build-system"]["requires"]


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(DISTRIBUTIONS[sys.argv[1]])) + "\n")
