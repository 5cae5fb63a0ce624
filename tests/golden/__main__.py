"""``python -m tests.golden FILE [ID…]`` and ``python -m tests.golden --rewrite SUITE…``; see README.md here."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xcatd.plugins import PluginHost

from . import rules, runs

#: What can be written anew, with the modules that do it: each has ``rewrite() -> list of paths``.
SUITES: Mapping[str, tuple[str, ...]] = {
    "planners": (
        "tests.plugins.servicenodes.snmove.golden",
        "tests.plugins.servicenodes.snbalance.golden",
    ),
    "transcripts": ("tests.lab.transcript",),
}
_SHOWN = 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden", description="Our commands against recorded runs of xCAT's."
    )
    parser.add_argument("file", nargs="?", type=Path, help="recorded runs, .json or .json.gz")
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these runs")
    parser.add_argument("-k", metavar="TEXT", help="only runs whose id or command line has TEXT")
    parser.add_argument(
        "--offered", action="store_true", help="leave out commands that no plugin offers"
    )
    parser.add_argument(
        "--stage",
        action="store_true",
        help="only the recorded NIM commands, on the simulated hosts",
    )
    parser.add_argument("--all", action="store_true", help="show every difference, each in a line")
    parser.add_argument("--rules", action="store_true", help="list the rules of difference")
    parser.add_argument(
        "--recorded", action="store_true", help="only print what is expected, as the rules leave it"
    )
    parser.add_argument(
        "--rewrite", nargs="+", choices=sorted(SUITES), help="write expectations anew"
    )
    return parser


def chosen(found: Sequence[runs.Run], given: argparse.Namespace) -> Iterator[runs.Run]:
    """The runs that are asked for, in the file's order."""
    for run in found:
        is_named = not given.ids or run["id"] in given.ids
        words = f"{run['id']} {' '.join(run['argv'])}"
        if is_named and (not given.k or given.k in words):
            yield run


def play(given: argparse.Namespace) -> int:
    """Run what is chosen; 0 if everything is as recorded."""
    found = runs.load(given.file)
    unknown = set(given.ids) - {run["id"] for run in found}
    if unknown:
        print(f"{given.file} has no run {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    if given.recorded:
        for run in chosen(found, given):
            print("\n    ".join([f"{run['id']}:", *runs.expected(run)]))
        return 0
    plugins = PluginHost.load()
    count: Counter[str] = Counter()
    for run in chosen(found, given):
        is_offered = run["argv"][0] in plugins.commands
        if given.offered and not is_offered and not given.stage:
            continue
        verdict = runs.judge_stage(run) if given.stage else runs.judge(run, plugins)
        count[_word(verdict)] += 1
        _show(verdict, is_long=given.all)
    print(", ".join(f"{number} {word}" for word, number in count.items()) or "no run chosen")
    return 0 if set(count) == {"ok"} else 1


def _word(verdict: runs.Verdict) -> str:
    if not verdict.is_offered:
        return "not offered"
    return "ok" if verdict.is_ok else "differ"


def _show(verdict: runs.Verdict, *, is_long: bool) -> None:
    print(verdict.text(0 if is_long else _SHOWN), flush=True)
    if is_long:
        for text in verdict.differences:
            print(f"    {text}")


def rewrite(names: Sequence[str]) -> int:
    """Write the expectations of suites anew, and tell which became different."""
    for name in names:
        for module in SUITES[name]:
            changed: list[Any] = importlib.import_module(module).rewrite()
            for path in changed:
                print(path)
    return 0


def main(words: Sequence[str]) -> int:
    """The exit status: 0 if all is as recorded, 1 if not, 2 if the words make no sense."""
    parser = _parser()
    given = parser.parse_intermixed_args(words)
    if given.rewrite:
        return rewrite(given.rewrite)
    if given.rules:
        for rule in rules.RULES:
            print(f"{rule.name} ({rule.side}): {rule.reason}")
        return 0
    if given.file is None:
        parser.error("a file with runs is needed")
    return play(given)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
