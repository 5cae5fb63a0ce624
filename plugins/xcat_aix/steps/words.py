"""What the kinds of operations are made with: a title and a reverse for each.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from xcat_aix.plan.kinds import Begun, Reverse, words_problem
from xcat_aix.plan.model import Step
from xcat_aix_proto import codec
from xcat_aix_proto.operations import ForNodes, Operation, from_stored

OperationT = TypeVar("OperationT", bound=Operation)


@dataclass(frozen=True, slots=True)
class KindWords:
    """What people call a step, made of its arguments as they are stored (a large plan has 50 000), and its reverse.

    Raises ValueError where one of them is missing, or there is no reverse and no reason.
    """

    title: Callable[[Mapping[str, Any]], str]
    reverse: Reverse

    def __post_init__(self) -> None:
        if problem := words_problem(self):
            raise ValueError(f"the words of a kind of steps: it {problem}")


def turned(_of: type[OperationT], turn: Callable[[OperationT], Operation]) -> Reverse:
    """Taken back by an operation that is made of the one that was done, for the same nodes and with the same locks."""

    def reverse(begun: Begun) -> Step:
        done = cast("OperationT", _for_its_nodes(begun.step))
        back = turn(done)
        return replace(begun.step, kind=back.kind, args=codec.to_wire(back))

    return reverse


def _for_its_nodes(step: Step) -> Operation:
    """What a step asks for: for those nodes only that it is about."""
    found = from_stored(step.kind, step.args)
    return found.only(step.about) if isinstance(found, ForNodes) else found
