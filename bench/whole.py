"""Figures of the whole: the cost of a no-op, moves with all steps, service nodes that do not answer."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from xcat_aix_lab.directory import Size
from xcat_aix_lab.lab import Lab

from . import clusters
from .crowd import bench_crowd
from .figures import Figure, Watch, seconds


def bench_noop(scratch: Path) -> Iterator[Figure]:
    """A no-op, alone and from twenty clients at once."""
    site = clusters.make(scratch, 10)
    with clusters.daemon(site) as pid:
        site.good("lsxcatd", "-v")
        watch = Watch(pid)
        alone = [watch.sample(lambda: site.good("lsxcatd", "-v")) for _ in range(10)]
        wall = statistics.median(sample.wall for sample in alone)
        yield Figure("lsxcatd -v with its client", f"{wall:.3f} s")
        cpu = statistics.mean(sample.cpu for sample in alone)  # the kernel counts in 10 ms
        yield Figure("lsxcatd -v, CPU inside the daemon", f"{cpu * 1000:.1f} ms", "20 ms")
        with ThreadPoolExecutor(20) as pool:
            together = watch.sample(
                lambda: list(pool.map(lambda _: site.good("lsxcatd", "-v"), range(20)))
            )
        yield Figure("20 clients at once, CPU inside the daemon", f"{together.cpu:.3f} s", "1 s")
        yield Figure("20 clients at once, until the last is done", f"{together.wall:.2f} s")


def bench_nodes(scratch: Path) -> Iterator[Figure]:
    """All steps on 300 diskful nodes, whose agents live in one process."""
    lab = Lab(scratch / "lab")
    lab.make(Size(compute_nodes=300, service_nodes=2, diskful_percent=100))
    lab.up(in_process=True, memory=True)
    try:
        site = clusters.Site(scratch, environment_of_lab=lab.environment())
        site.good("snmove", "-s", "sn1")
        agents, daemon = lab.launcher.pid("agents"), lab.launcher.pid("xcatd")
        watch, samples = Watch(daemon or 0), []
        for old, new in (("sn2", "sn1"), ("sn1", "sn2"), ("sn2", "sn1")):
            words = ("snmove", "-s", old, "-d", new)
            samples.append(watch.sample(partial(site.good, *words)))
        wall = statistics.median(sample.wall for sample in samples)
        cpu = statistics.median(sample.cpu for sample in samples)
        yield Figure("300 diskful nodes, all steps", f"{wall:.1f} s", "5 s")
        yield Figure("  CPU inside the daemon, per node", f"{cpu / 300 * 1000:.1f} ms", "4 ms")
        yield Figure(
            "  peak memory of the daemon", f"{Watch(daemon or 0).peak_mb():.0f} MB", "150 MB"
        )
        yield Figure("  peak memory of the 302 agents", f"{Watch(agents or 0).peak_mb():.0f} MB")
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
        took = seconds(lambda: site.refused("snmove", "-s", "sn1"))
        yield Figure("a new service node that is frozen: refused after", f"{took:.1f} s", "3 s")
        lab.fault("sn2", ["thaw"])
        lab.kill("sn2")
        took = seconds(lambda: site.refused("snmove", "-s", "sn1"))
        yield Figure("a new service node that is dead: refused after", f"{took:.1f} s", "3 s")
        lab.start("sn2")
        lab.fault("n01", ["hang", "niminit"])
        took = seconds(lambda: site.refused("snmove", "-s", "sn1", "--timeout", "10"))
        yield Figure("4 nodes, one hanging, --timeout 10", f"{took:.1f} s")
    finally:
        lab.fault("n01", ["clear"])
        lab.down()


#: By name.
BENCHES: Mapping[str, Callable[[Path], Iterator[Figure]]] = {
    "noop": bench_noop,
    "nodes": bench_nodes,
    "silence": bench_silence,
    "crowd": bench_crowd,
}
