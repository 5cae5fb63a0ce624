"""``python -m bench [NAME …]``: run the named benchmarks (default: all) and print a table."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import commands, whole
from .engines import ENGINES, Engines
from .figures import Figure

NAMES = (*whole.BENCHES, *commands.ROUNDS)


def _figures(name: str, scratch: Path, engines: Engines, scale: commands.Scale) -> Iterator[Figure]:
    if name in whole.BENCHES:
        return whole.BENCHES[name](scratch)
    return commands.measure(name, scratch, engines, scale)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: all")
    parser.add_argument("--nodes", action="append", type=int, help="default: 1000 and 10000")
    parser.add_argument("--runs", type=int, default=3, help="rounds of each command")
    given = parser.parse_args()
    for name in given.names:
        if name not in NAMES:
            parser.error(f"no benchmark {name!r}; there are {', '.join(NAMES)}")
    return given


def main() -> None:
    """Run what the command line names."""
    given = _arguments()
    scale = commands.Scale(
        tuple(given.engine or ENGINES), tuple(given.nodes or (1000, 10000)), given.runs
    )
    engines = Engines()
    print(f"{'':58}{'median':>20}{'aim':>10}{'load':>7}")
    try:
        for name in given.names or NAMES:
            with tempfile.TemporaryDirectory(prefix="xcat-aix-bench-") as scratch:
                for figure in _figures(name, Path(scratch), engines, scale):
                    line = f"{figure.what:58}{figure.value:>20}{figure.aim:>10}"
                    print(f"{line}{os.getloadavg()[0]:>7.1f}", flush=True)
    finally:
        engines.close()


if __name__ == "__main__":
    main()
