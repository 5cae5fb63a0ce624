"""Recorded runs of the NIM commands, and ours on the same stage: what is the same, and what is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from xcat_aix_lab.sim.store import Topology
from xcatd.plugins import PluginHost

from . import cases, lines, rules
from .stage import Run, Theatre, nim_commands, plan_of

#: A field of a run that names another run of the same file, whose fields count where this one has none.
LIKE = "like"


def load(path: Path) -> list[dict[str, Any]]:
    """The runs of a file."""
    found: list[dict[str, Any]] = cases.load(path)
    by_id = {run["id"]: run for run in found}
    return [_complete(run, by_id) for run in found]


def _complete(run: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if LIKE not in run:
        return dict(run)
    fields = {key: value for key, value in run.items() if key != LIKE}
    return {**_complete(by_id[run[LIKE]], by_id), **fields}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one run; ``is_offered`` False: no plugin has its command."""

    id: str
    command: str
    differences: tuple[str, ...] = ()
    is_offered: bool = True
    used: frozenset[str] = frozenset()

    @property
    def is_ok(self) -> bool:
        return self.is_offered and not self.differences

    def text(self, shown: int) -> str:
        """One line, with the first ``shown`` differences."""
        if not self.is_offered:
            return f"{self.id}: not offered: no plugin offers {self.command}"
        if not self.differences:
            return f"{self.id}: ok"
        more = len(self.differences) - shown
        rest = [f"and {more} more"] if more > 0 else []
        return f"{self.id}: differs: {'; '.join([*self.differences[:shown], *rest])}"


@dataclass(frozen=True, slots=True)
class Played:
    """What ours did, on which hosts."""

    lines: Sequence[str]
    topology: Topology


def play(run: Run, plugins: PluginHost) -> Played:
    """Run our command on the run's stage."""
    with Theatre(run, plugins) as theatre:
        return Played(theatre.play(), theatre.topology)


def judge(run: Run, plugins: PluginHost) -> Verdict:
    """Run our command and compare."""
    command = run["argv"][0]
    if command not in plugins.commands:
        return Verdict(run["id"], command, is_offered=False)
    return verdict_on(run, lines.of_recording(run), play(run, plugins))


def judge_stage(run: Run) -> Verdict:
    """Run the recorded NIM commands themselves on the simulated hosts, and none of ours."""
    states = [line for line in lines.of_recording(run) if line.startswith("state ")]
    wanted = [*(lines.returned(*one) for one in nim_commands(run)), *states]
    with Theatre(run, PluginHost({})) as theatre:
        played = Played(theatre.play_nim(), theatre.topology)
    return verdict_on(run, wanted, played)


def verdict_on(run: Run, wanted: Iterable[str], played: Played) -> Verdict:
    """What differs between what was recorded and what was done, by the rules."""
    command, topology, used = run["argv"][0], played.topology, set[str]()
    recorded = rules.apply(wanted, rules.RECORDED, command, topology, used)
    ours = rules.apply(played.lines, rules.OURS, command, topology, used)
    differing = tuple(compare(recorded, ours, topology))
    return Verdict(run["id"], command, differing, used=frozenset(used))


def expected(run: Run, used: set[str] | None = None) -> list[str]:
    """What our command must do: the recorded lines as the rules leave them."""
    topology = plan_of(run).topology()
    told = lines.of_recording(run)
    found = set() if used is None else used
    return rules.apply(told, rules.RECORDED, run["argv"][0], topology, found)


def compare(wanted: Sequence[str], found: Sequence[str], topology: Topology) -> Iterator[str]:
    """The differences in words, equal ones of several hosts folded."""
    old, new = lines.sections(wanted, topology), lines.sections(found, topology)
    told: list[tuple[str, str]] = []
    for name in sorted({*old, *new}):
        told += _section(old.get(name, []), new.get(name, []))
    yield from _folded(told)


def _section(wanted: list[str], found: list[str]) -> Iterator[tuple[str, str]]:
    """(host, difference) of one section; hosts are cut out of the words so that they can be folded."""
    if wanted == found:
        return
    missing, extra = cases.missing_and_extra(wanted, found)
    if not missing and not extra:
        yield "", f"other order: {_moved(wanted, found)}"
    yield from (_told("only recorded", line) for line in missing)
    yield from (_told("only ours", line) for line in extra)


def _moved(wanted: list[str], found: list[str]) -> str:
    for kind, start, end, first, last in SequenceMatcher(None, wanted, found).get_opcodes():
        if kind != "equal":
            return (
                f"recorded {wanted[start:end] or 'nothing'}, ours {found[first:last] or 'nothing'}"
            )
    return ""


def _told(what: str, line: str) -> tuple[str, str]:
    section, _, rest = line.partition(" ")
    if section not in (*lines.ORDERED, "state", "file", "text"):
        return "", f"{what}: {line}"
    host, _, words = rest.partition(" ")
    return host, f"{what}: {section} {words}"


def _folded(told: Iterable[tuple[str, str]]) -> Iterator[str]:
    hosts: dict[str, list[str]] = {}
    for host, text in told:
        hosts.setdefault(text, []).append(host)
    for text, names in hosts.items():
        yield f"{','.join(names)}: {text}" if any(names) else text
