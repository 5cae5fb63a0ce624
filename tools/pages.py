"""Writes the options of planned commands into their manual pages, from the tables that their usage texts come from.

``python tools/pages.py`` renews man/*.1.rst; with ``--check`` it only tells which pages are old.
"""

from __future__ import annotations

import sys
from pathlib import Path

from xcat_aix.commands.planned.page import Page
from xcat_aix.commands.planned.plans import Plans
from xcat_aix.commands.servicenodes.snbalance import Snbalance
from xcat_aix.commands.servicenodes.snmove import Snmove

MAN = Path(__file__).parents[1] / "man"
PAGES = (Snmove.page, Snbalance.page, Plans.page)
_BEGIN = ".. The options come from the command's own table: see tools/pages.py.\n"
_END = ".. End of the options.\n"


def renewed(page: Page) -> tuple[Path, str, str]:
    """The manual page of a command, its text now and as it should be."""
    path = MAN / f"{page.name}.1.rst"
    text = path.read_text("utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{path}: the lines around the options are missing")
    options = "\n".join(page.manual())
    return path, text, f"{before}{begin}\n{options}\n{end}{after}"


def main(words: list[str]) -> int:
    """Renew all pages, or tell which are old."""
    old = [(path, new) for path, now, new in map(renewed, PAGES) if now != new]
    for path, new in old:
        print(path.name)  # noqa: T201 - for whoever runs it
        if "--check" not in words:
            path.write_text(new, "utf-8")
    return 1 if old and "--check" in words else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
