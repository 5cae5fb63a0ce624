"""What is measured of a command: time on the wall, processor time and memory of the daemon."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    value: str
    aim: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: seconds until the client was done, and of processor time in the daemon."""

    wall: float
    cpu: float


def seconds(work: Callable[[], object]) -> float:
    """How long ``work`` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


class Watch:
    """Looks at one running daemon."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def sample(self, work: Callable[[], object]) -> Sample:
        """Run ``work`` and see what it costs."""
        before = self._cpu()
        wall = seconds(work)
        return Sample(wall, self._cpu() - before)

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def peak_mb(self) -> float:
        """Peak resident memory since the process began, in MB (Linux's VmHWM)."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise LookupError("VmHWM")


def wall_and_cpu(what: str, samples: Sequence[Sample], aim: str = "") -> Figure:
    """The medians of several runs."""
    wall = statistics.median(sample.wall for sample in samples)
    cpu = statistics.median(sample.cpu for sample in samples)
    return Figure(what, f"{wall:.2f} s ({cpu:.2f} CPU)", aim)
