"""``python -m tests.attack``: a campaign, one input, or files that were kept."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.attack import campaign, targets
from tests.attack.campaign import Finding, Report, Work
from tests.attack.child import END
from tests.attack.targets import SHARES


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--count", type=int, default=10_000, help="inputs over all targets together"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument(
        "--target", action="append", choices=list(SHARES), help="default: all of them"
    )
    parser.add_argument("--index", type=int, help="only this input of the one target")
    parser.add_argument("--show", action="store_true", help="write that input to standard output")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="put what found something there")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("file", nargs="*", help="inputs of the one target, in files")
    return parser


def _input(target: str, seed: int, index: int) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        made = targets.make(target, Path(directory))
        data = targets.make_input(made, target, seed, index)
        made.close()
    return data


def _keep(directory: Path, finding: Finding) -> None:
    work = finding.work
    if finding.index == END or work.files:
        return
    place = directory / work.target
    place.mkdir(parents=True, exist_ok=True)
    data = _input(work.target, work.seed, finding.index)
    (place / f"seed{work.seed}-{finding.index}").write_bytes(data)


def _line(name: str, report: Report) -> str:
    cost = report.cost
    return (
        f"{name:12} {report.tried:6} inputs {len(report.findings):4} findings "
        f"{cost.seconds:7.2f} s {cost.memory >> 20:5} MiB at most"
    )


def main() -> int:
    """Run it; 1 when something was found."""
    options = _parser().parse_args()
    names = options.target or list(SHARES)
    if options.index is not None and options.show:
        sys.stdout.buffer.write(_input(names[0], options.seed, options.index))
        return 0
    if options.file:
        pieces = [Work(names[0], files=tuple(options.file))]
    elif options.index is not None:
        pieces = [Work(names[0], options.seed, options.index, options.index + 1)]
    else:
        pieces = campaign.plan(options.seed, options.count, names, options.first)
    begin = time.monotonic()
    reports = campaign.run(pieces, options.workers)
    for name, report in reports.items():
        for finding in report.findings:
            print(finding)
            if options.keep:
                _keep(options.keep, finding)
        print(_line(name, report))
    found = sum(len(report.findings) for report in reports.values())
    tried = sum(report.tried for report in reports.values())
    print(f"{tried} inputs, {found} findings, {time.monotonic() - begin:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
