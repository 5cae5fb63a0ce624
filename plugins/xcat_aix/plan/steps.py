"""Steps made of the operations of agents.  Pure."""

from __future__ import annotations

from xcat_aix_proto import codec
from xcat_aix_proto.operations import ForNodes, Operation

from .model import Step


def operation_step(
    word: str, operation: Operation, *, holds: tuple[str, ...] = (), limit: float | None = None
) -> Step:
    """A step that the lane's agent carries out; of an operation for several nodes it is about these."""
    about = operation.nodes if isinstance(operation, ForNodes) else ()
    return Step(word, operation.kind, codec.to_wire(operation), about, limit, holds)
