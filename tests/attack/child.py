"""Tries inputs one after the other and tells of each before and after: ``python -m tests.attack.child``.

Reads what to do as JSON from standard input: ``target``, ``seed``, and ``indices`` or ``files``.  Whoever started it
sees from the last line which input it is at, should it end or never end.  SIGUSR1 writes to standard error where
it is.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.attack import targets
from tests.attack.meter import Complaint, Cost, measured
from tests.attack.targets import Target

#: Bytes of addresses for this process: what runs away ends as a MemoryError, not as a dead machine.
_MOST = 2 << 30

#: Seconds of processor time for a child, should nobody be left to end it.
_LONGEST = 900

#: The number of the end itself, as an input: programs must obey.
END = -1


def attempt(target: Target, data: bytes) -> tuple[Cost, str | None]:
    """One input: what it cost, and what is wrong."""
    cost = Cost()
    try:
        with measured(target.bounds, target.process) as cost:
            _run(target, data)
    except Complaint as complaint:
        return cost, str(complaint)
    except Exception as error:  # noqa: BLE001 - that is what we look for
        return cost, _told(error)
    return cost, None


def _run(target: Target, data: bytes) -> None:
    try:
        target.run(data)
    except target.allowed:
        return


def _told(error: BaseException) -> str:
    """The error and where in the product it came from."""
    places = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return f"raised {type(error).__name__}: {str(error)[:300]} ({' < '.join(places[:-5:-1])})"


def _inputs(work: dict[str, Any], target: Target) -> Iterator[tuple[int, bytes]]:
    if "files" in work:
        for place, name in enumerate(work["files"]):
            if place >= work["first"]:
                yield place, Path(name).read_bytes()
        return
    for index in range(work["first"], work["last"]):
        yield index, targets.make_input(target, work["target"], work["seed"], index)


def _closed(target: Target) -> str | None:
    try:
        target.close()
    except Complaint as complaint:
        return str(complaint)
    return None


def main() -> None:
    """Work until nothing is left."""
    faulthandler.register(signal.SIGUSR1)
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    work = json.load(sys.stdin)

    def tell(**words: Any) -> None:
        report.write(json.dumps(words) + "\n")

    with tempfile.TemporaryDirectory(prefix="attack-") as directory:
        target = targets.make(work["target"], Path(directory))
        if target.process == "self":
            resource.setrlimit(resource.RLIMIT_AS, (_MOST, _MOST))
            resource.setrlimit(resource.RLIMIT_CPU, (_LONGEST, _LONGEST))
        _work(work, target, tell)
        tell(begun=END)
        tell(done=END, seconds=0.0, memory=0, wrong=_closed(target))


def _work(work: dict[str, Any], target: Target, tell: Callable[..., None]) -> None:
    for index, data in _inputs(work, target):
        tell(begun=index)
        cost, wrong = attempt(target, data)
        tell(done=index, seconds=cost.seconds, memory=cost.memory, wrong=wrong)


if __name__ == "__main__":
    main()
