"""What one input may cost, and how that is measured: seconds of processor time, bytes by the system's own count.

Whoever waits instead of working is found by the clock of :mod:`.campaign`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


class Complaint(Exception):
    """An input did what none may; the text says what."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """``seconds`` and ``memory`` (bytes above what was used before) for one input.

    Seconds are of processor time in this process, and by the clock for a program.  Generous: a machine that does
    other work meanwhile must not matter, an exponent must.
    """

    seconds: float = 5.0
    memory: int = 96 * MIB


@dataclass(slots=True)
class Cost:
    """What inputs took at most."""

    seconds: float = 0.0
    memory: int = 0

    def note(self, other: Cost) -> None:
        """Keep the larger ones."""
        self.seconds = max(self.seconds, other.seconds)
        self.memory = max(self.memory, other.memory)


def peak(process: int | str = "self") -> int:
    """The most bytes a process had in memory since :func:`forget_peak`."""
    return _status(process, "VmHWM:")


def resident(process: int | str = "self") -> int:
    """The bytes a process has in memory."""
    return _status(process, "VmRSS:")


def forget_peak(process: int | str = "self") -> None:
    """Let the system count the peak from now on."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def _status(process: int | str, name: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise LookupError(f"there is no {name} for process {process}")


@contextmanager
def measured(bounds: Bounds, process: int | str = "self") -> Iterator[Cost]:
    """Measure what happens inside; raises :class:`Complaint` beyond the bounds."""
    cost = Cost()
    forget_peak(process)
    before = resident(process)
    clock = time.process_time if process == "self" else time.perf_counter
    begin = clock()
    yield cost
    cost.seconds = clock() - begin
    cost.memory = max(0, peak(process) - before)
    if cost.seconds > bounds.seconds:
        raise Complaint(f"took {cost.seconds:.1f} s; {bounds.seconds} are allowed")
    if cost.memory > bounds.memory:
        used, most = cost.memory // MIB, bounds.memory // MIB
        raise Complaint(f"took {used} MiB of memory; {most} are allowed")
