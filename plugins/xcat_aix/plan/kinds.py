"""What plans need to know of the kinds of their steps, as values: what a step is called, and what takes it back.

Owns: the words that planners, explanations and kinds share.  Must not: know a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from .model import Lane, Step


@dataclass(frozen=True, slots=True)
class Begun:
    """A step that was done, or may have been, and is to be taken back: for the nodes that ``step`` is about here.

    ``known`` is what its command knows of the way back of its lane, of a type that command and kind agree on;
    ``result`` is what the effect returned, as the journal has it: nothing where a probe found the step done.
    """

    step: Step
    lane: Lane
    known: object = None
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoReverse:
    """There is no way back, ``because``: declared by a kind in place of a reverse, or found for one step or lane."""

    because: str

    def __call__(self, _begun: Begun) -> NoReverse:
        """The same for every step."""
        return self


#: What takes a step back: another step, nothing at all, or nothing that there is.  A step that is its own reverse is
#: done once more, after what its lane had waited for was taken back.
Reverse: TypeAlias = Callable[[Begun], Step | NoReverse | None]

#: What people call a step.
Title: TypeAlias = Callable[[Step], str]


def words_problem(words: object) -> str:
    """What is wrong with the ``title`` and ``reverse`` of a kind, as the end of a sentence; empty if nothing."""
    for name in ("title", "reverse"):
        if not callable(getattr(words, name, None)):
            return f"has no {name}"
    reverse = getattr(words, "reverse", None)
    if isinstance(reverse, NoReverse) and not reverse.because.strip():
        return "does not say why it has no reverse"
    return ""


class Kinds(Protocol):
    """The words of every kind there is."""

    def title(self, step: Step) -> str:
        """What people call the step; of an unknown kind its name."""

    def reverse(self, begun: Begun) -> Step | NoReverse | None:
        """What takes the step back; raises KeyError for an unknown kind."""
