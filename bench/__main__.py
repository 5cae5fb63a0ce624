"""``python -m bench [NAME …]``: run the named benchmarks (default: all) and print a table."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from xcat_aix_lab.directory import Size
from xcat_aix_lab.lab import Lab

from . import clusters


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    value: str
    aim: str


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _peak_mb(pid: int) -> float:
    """Peak resident memory of a process, in MB (Linux's VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmHWM")


def _good(site: clusters.Site, *words: str) -> None:
    done = site.client(*words)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode}: {done.stderr[-2000:]}")


def _refused(site: clusters.Site, *words: str) -> None:
    done = site.client(*words)
    if done.returncode != 1:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode} instead of 1: {done.stderr}")


def bench_noop(scratch: Path) -> Iterator[Figure]:
    """A no-op, alone and from twenty clients at once."""
    site = clusters.make(scratch, 10)
    with clusters.daemon(site) as pid:
        _good(site, "lsxcatd", "-v")
        process = psutil.Process(pid)
        before = process.cpu_times()
        times = [_seconds(lambda: _good(site, "lsxcatd", "-v")) for _ in range(10)]
        after = process.cpu_times()
        used = (after.user + after.system - before.user - before.system) / 10
        yield Figure("lsxcatd -v with its client", f"{statistics.median(times):.3f} s", "")
        yield Figure("lsxcatd -v, CPU inside the daemon", f"{used * 1000:.1f} ms", "20 ms")
        before = process.cpu_times()
        with ThreadPoolExecutor(20) as pool:
            whole = _seconds(
                lambda: list(pool.map(lambda _: _good(site, "lsxcatd", "-v"), range(20)))
            )
        after = process.cpu_times()
        used = after.user + after.system - before.user - before.system
        yield Figure("20 clients at once, CPU inside the daemon", f"{used:.3f} s", "1 s")
        yield Figure("20 clients at once, until the last is done", f"{whole:.2f} s", "")


def bench_lsdef(scratch: Path) -> Iterator[Figure]:
    """All attributes of many nodes."""
    for count, aim in ((1000, "0.4 s"), (5000, "2 s"), (10000, "")):
        site = clusters.make(scratch / str(count), count)
        with clusters.daemon(site) as pid:
            times = [_seconds(lambda s=site: _good(s, "lsdef", "compute")) for _ in range(5)]
            yield Figure(f"lsdef of {count} nodes", f"{statistics.median(times):.2f} s", aim)
            yield Figure(f"  daemon's peak memory at {count}", f"{_peak_mb(pid):.0f} MB", "150 MB")


def bench_snmove(scratch: Path) -> Iterator[Figure]:
    """A move in the database, there and back; the destination's agent is not there."""
    for count, aim in ((1000, "0.35 s"), (10000, "1.8 s")):
        site = clusters.make(scratch / str(count), count)
        with clusters.daemon(site) as pid:
            times = []
            for _ in range(3):
                for old, new in (("sn1", "sn2"), ("sn2", "sn1")):
                    words = ("snmove", "-s", old, "-d", new, "-D", f"{new}b", "-i")
                    times.append(_seconds(lambda s=site, w=words: _good(s, *w)))
            yield Figure(f"snmove -i of {count} nodes", f"{statistics.median(times):.2f} s", aim)
            yield Figure(f"  daemon's peak memory at {count}", f"{_peak_mb(pid):.0f} MB", "150 MB")


def bench_nodes(scratch: Path) -> Iterator[Figure]:
    """All steps on 300 diskful nodes, whose agents live in one process."""
    lab = Lab(scratch / "lab")
    lab.make(Size(compute_nodes=300, service_nodes=2, diskful_percent=100))
    lab.up(in_process=True, memory=True)
    try:
        site = clusters.Site(scratch, environment_of_lab=lab.environment())
        _good(site, "snmove", "-s", "sn1")
        agents, daemon = lab.launcher.pid("agents"), lab.launcher.pid("xcatd")
        times = []
        for old, new in (("sn2", "sn1"), ("sn1", "sn2"), ("sn2", "sn1")):
            words = ("snmove", "-s", old, "-d", new)
            times.append(_seconds(lambda w=words: _good(site, *w)))
        yield Figure("300 diskful nodes, all steps", f"{statistics.median(times):.1f} s", "20 s")
        yield Figure("  peak memory of the daemon", f"{_peak_mb(daemon or 0):.0f} MB", "150 MB")
        yield Figure("  peak memory of the 302 agents", f"{_peak_mb(agents or 0):.0f} MB", "")
    finally:
        lab.down()


def bench_silence(scratch: Path) -> Iterator[Figure]:
    """A new service node that accepts connections and says nothing; a node that does so."""
    lab = Lab(scratch / "lab")
    lab.make(Size(compute_nodes=8, service_nodes=2, diskful_percent=100))
    lab.up()
    try:
        site = clusters.Site(scratch, environment_of_lab=lab.environment())
        lab.fault("sn2", ["freeze"])
        took = _seconds(lambda: _refused(site, "snmove", "-s", "sn1"))
        yield Figure("a new service node that is frozen: refused after", f"{took:.1f} s", "3 s")
        lab.fault("sn2", ["thaw"])
        lab.kill("sn2")
        took = _seconds(lambda: _refused(site, "snmove", "-s", "sn1"))
        yield Figure("a new service node that is dead: refused after", f"{took:.1f} s", "3 s")
        lab.start("sn2")
        lab.fault("n01", ["hang", "niminit"])
        took = _seconds(lambda: _refused(site, "snmove", "-s", "sn1", "--timeout", "10"))
        yield Figure("4 nodes, one hanging, --timeout 10", f"{took:.1f} s", "")
    finally:
        lab.fault("n01", ["clear"])
        lab.down()


BENCHES = {
    "noop": bench_noop,
    "lsdef": bench_lsdef,
    "snmove": bench_snmove,
    "nodes": bench_nodes,
    "silence": bench_silence,
}


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    names = parser.parse_args().names or list(BENCHES)
    for name in names:
        if name not in BENCHES:
            parser.error(f"no benchmark {name!r}; there are {', '.join(BENCHES)}")
    print(f"{'':52}{'median':>12}{'aim':>10}")
    for name in names:
        with tempfile.TemporaryDirectory(prefix="xcat-aix-bench-") as scratch:
            for figure in BENCHES[name](Path(scratch)):
                print(f"{figure.what:52}{figure.value:>12}{figure.aim:>10}", flush=True)


if __name__ == "__main__":
    main()
