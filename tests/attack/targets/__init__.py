"""What takes the inputs: parts of the product by themselves, and the daemon and the agent as programs.

A target says what its inputs look like, which errors it declares, and what else must hold.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Sequence
from pathlib import Path

from tests.attack.meter import Bounds
from tests.attack.mutators import Mutator

#: Targets by name, and how many of 10 000 inputs each gets.
SHARES = {
    "requests": 1500,
    "noderanges": 1700,
    "expressions": 2400,
    "csv": 1200,
    "stanzas": 700,
    "jobs": 700,
    "operations": 1200,
    "daemon": 300,
    "agent": 300,
}

#: Those that are programs of their own.
PROGRAMS = ("daemon", "agent")


class Target:
    """Base of all; ``directory`` is theirs alone."""

    #: Errors that are an answer.
    allowed: tuple[type[BaseException], ...] = ()
    #: Words of the grammar, for mutations.
    tokens: Sequence[bytes] = ()
    #: Right inputs.
    seeds: Sequence[bytes] = ()
    longest = 64 << 10
    #: How many of the inputs are also changed byte by byte.
    spoilt = 0.7
    bounds = Bounds()

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def process(self) -> int | str:
        """Whose memory counts."""
        return "self"

    def generate(self, rng: random.Random) -> bytes:
        """An input by structure."""
        return rng.choice(self.seeds)

    def run(self, data: bytes) -> None:
        """Take one input.  Raises :class:`Complaint` and whatever the product raises."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of everything."""


def make(name: str, directory: Path) -> Target:
    """The target of this name; its module is loaded only now."""
    module = importlib.import_module(f"{__name__}.{name}")
    made: Target = module.TARGET(directory)
    return made


def make_input(target: Target, name: str, seed: int, index: int) -> bytes:
    """The input that these three name."""
    rng = random.Random(f"{seed}:{name}:{index}")
    data = target.generate(rng) if rng.random() < 0.7 else rng.choice(target.seeds)
    if rng.random() >= target.spoilt:
        return data[: target.longest]
    return Mutator(rng, target.tokens, target.longest).mutate(data, target.seeds)
