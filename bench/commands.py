"""Commands over all nodes of a cluster, on every engine: what runs, and how its cost is taken.

Each goes there and back, so that it can run again: the median is over both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

from . import clusters
from .engines import Engines
from .figures import Figure, Sample, Watch, wall_and_cpu

#: What issue 3 asks for, in seconds, by command and number of nodes; of any engine.
AIMS: Mapping[tuple[str, int], str] = {
    ("lsdef", 1000): "0.4 s",
    ("lsdef", 10000): "5 s",
    ("mkdef", 1000): "1 s",
    ("mkdef -z", 1000): "1 s",
    ("chdef", 10000): "3 s",
    ("snmove -i", 1000): "0.35 s",
    ("snmove -i", 10000): "1.8 s",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One command line of a round; ``label`` is what its figures stand under."""

    label: str
    words: tuple[str, ...]
    stdin: str = ""


def _step(line: str, *, label: str = "", stdin: str = "") -> Step:
    words = tuple(line.split())
    return Step(label or words[0], words, stdin)


Rounds = Callable[[clusters.Site, int], list[Step]]


def _lsdef(_site: clusters.Site, _count: int) -> list[Step]:
    return [
        _step("lsdef compute"),
        _step("lsdef compute -i ip,mac,servicenode", label="lsdef -i"),
        _step("lsdef n00001", label="lsdef of one node"),
        _step("lsdef -w servicenode=~sn1 compute -s", label="lsdef -w -s"),
    ]


def _mkdef(site: clusters.Site, count: int) -> list[Step]:
    nodes = f"n00001-n{count:05d}"
    attributes = (
        "groups=compute,aix,all os=AIX arch=ppc64 provmethod=aix73 profile=aix73 servicenode=sn1,sn2 "
        r"xcatmaster=sn1b nfsserver=sn1b tftpserver=sn1b monserver=sn1,sn1b conserver=sn1 mgt=hmc "
        r"cons=hmc power=hmc netboot=nimol primarynic=en0 installnic=en0 mtm=9009-42A pprofile=normal "
        r"hcp=hmc1 id=|\D+(\d+)|($1)| ip=|\D+(\d+)|127.91.($1/250).($1%250)| rack=r1 unit=7 "
        "nodetype=ppc,osi"
    )
    return [
        _step(f"rmdef -t node -o {nodes}"),
        _step(f"mkdef -t node -o {nodes} {attributes}"),
        _step(f"rmdef -t node -o {nodes}"),
        _step("mkdef -z", label="mkdef -z", stdin=site.good("lsdef", "-z", "compute")),
    ]


def _chdef(_site: clusters.Site, _count: int) -> list[Step]:
    return [
        _step("chdef -t node compute servicenode=sn2,sn1 xcatmaster=sn2b nfsserver=sn2b"),
        _step("chdef -t node compute servicenode=sn1,sn2 xcatmaster=sn1b nfsserver=sn1b"),
        _step("chdef -t node -p compute groups=extra", label="chdef -p"),
        _step("chdef -t node -m compute groups=extra", label="chdef -m"),
    ]


def _nodels(_site: clusters.Site, _count: int) -> list[Step]:
    return [
        _step("nodels compute"),
        _step("nodels compute noderes.servicenode hosts.ip ppc.hcp", label="nodels with columns"),
    ]


def _tabdump(_site: clusters.Site, _count: int) -> list[Step]:
    return [_step("tabdump noderes"), _step("tabdump -w node==n00001 hosts", label="tabdump -w")]


def _nodech(_site: clusters.Site, _count: int) -> list[Step]:
    return [
        _step("nodech compute noderes.xcatmaster=sn2b nodehm.conserver=sn2"),
        _step("nodech compute noderes.xcatmaster=sn1b nodehm.conserver=sn1"),
        _step("nodech compute groups,=extra", label="nodech groups,="),
        _step("nodech compute groups^=extra", label="nodech groups^="),
    ]


def _tabch(_site: clusters.Site, _count: int) -> list[Step]:
    return [_step(f"tabch node=n00001 noderes.xcatmaster=sn{sn}b") for sn in (2, 1)]


def _snmove(_site: clusters.Site, _count: int) -> list[Step]:
    return [
        _step("snmove -s sn1 -d sn2 -D sn2b -i", label="snmove -i"),
        _step("snmove -s sn2 -d sn1 -D sn1b -i", label="snmove -i"),
    ]


#: By the name on the command line of ``python -m bench``.
ROUNDS: Mapping[str, Rounds] = {
    "lsdef": _lsdef,
    "mkdef": _mkdef,
    "chdef": _chdef,
    "nodels": _nodels,
    "tabdump": _tabdump,
    "nodech": _nodech,
    "tabch": _tabch,
    "snmove": _snmove,
}


def is_offered(name: str) -> bool:
    """Whether the daemon has the command."""
    return name in entry_points(group="xcatd.plugins").names


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    engines: tuple[str, ...]
    sizes: tuple[int, ...]
    runs: int


def measure(name: str, scratch: Path, engines: Engines, scale: Scale) -> Iterator[Figure]:
    """The figures of one command on each engine and size; every one with a daemon of its own."""
    if not is_offered(name):
        return
    for engine in scale.engines:
        for count in scale.sizes:
            top = scratch / f"{name}-{engine}-{count}"
            site = clusters.make(top, count, engines.setting(engine, top))
            with clusters.daemon(site) as pid:
                yield from _figures(name, site, count, Watch(pid), scale.runs, engine)


def _figures(  # noqa: PLR0917 - called once
    name: str, site: clusters.Site, count: int, watch: Watch, runs: int, engine: str
) -> Iterator[Figure]:
    samples: dict[str, list[Sample]] = {}
    steps = ROUNDS[name](site, count)
    for _ in range(runs):
        for step in steps:
            taken = watch.sample(partial(site.good, *step.words, stdin=step.stdin))
            samples.setdefault(step.label, []).append(taken)
    for label, some in samples.items():
        what = f"{engine}, {count} nodes: {label}"
        yield wall_and_cpu(what, some, AIMS.get((label, count), ""))
    yield Figure(
        f"{engine}, {count} nodes: {name}, peak memory", f"{watch.peak_mb():.0f} MB", "200 MB"
    )
