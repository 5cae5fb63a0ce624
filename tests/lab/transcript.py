"""Golden transcripts: sessions on a simulated cluster, as files one can read.

``node$ command`` is typed; ``! text`` is standard error; ``= N`` an exit code other than 0.
Everything else is standard output.  ``python -m tests.golden --rewrite transcripts`` writes them anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from tests.golden import cases

from xcat_aix_lab.cluster import SampleSettings, sample
from xcat_aix_lab.prepare import prepare
from xcat_aix_lab.sim.execute import NotInstalled, Result, execute
from xcat_aix_lab.sim.store import MemoryStore

GOLDEN = Path(__file__).parent / "golden"
Run = Callable[[str, list[str]], Result]


def fresh(compute_nodes: int = 12) -> MemoryStore:
    """The sample cluster, always with the same addresses."""
    settings = SampleSettings(
        octet=9, xcatdport=3001, confdir="/etc/xcat", compute_nodes=compute_nodes
    )
    return prepare(sample(settings))


def never(seconds: float) -> None:
    raise AssertionError(f"a command waits {seconds} s")


def run(store: MemoryStore, node: str, *argv: str) -> Result:
    """Run a command that does not wait."""
    return execute(argv, node, store, never)


def in_memory(store: MemoryStore) -> Run:
    def runner(node: str, argv: list[str]) -> Result:
        try:
            return run(store, node, *argv)
        except NotInstalled as error:
            return Result(127, "", f"ksh: {error}:  not found.\n")

    return runner


def typed(text: str) -> list[tuple[str, str]]:
    """The (node, command line) pairs of a transcript."""
    pairs = []
    for line in text.splitlines():
        node, mark, command = line.partition("$ ")
        if mark and node.isalnum():
            pairs.append((node, command))
    return pairs


def play(text: str, runner: Run) -> str:
    """The transcript of typing the same commands again; comments stay."""
    lines = [line + "\n" for line in text.splitlines() if line.startswith("# ")]
    for node, command in typed(text):
        result = runner(node, shlex.split(command))
        lines.append(f"{node}$ {command}\n{result.stdout}")
        lines += [f"! {line}\n" for line in result.stderr.splitlines()]
        if result.rc:
            lines.append(f"= {result.rc}\n")
    return "".join(lines)


def sessions() -> list[Path]:
    return cases.find(GOLDEN, "*.txt")


def rewrite() -> list[Path]:
    return cases.rewrite(sessions(), lambda path: play(path.read_text(), in_memory(fresh())))
