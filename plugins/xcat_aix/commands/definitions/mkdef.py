"""``mkdef``: create object definitions.

Owns the plugin; what is written is planned in :mod:`xcat_aix.plan.definitions.mkdef`.
Facts: docs/facts/object-commands.md, mkdef.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcat_aix.commands import storing
from xcat_aix.plan.definitions import mkdef
from xcat_aix.plan.definitions.orders import Order
from xcatd.api import Context, Reply, Request, Targets, error

from . import definition_command, object_arguments, osimage_world
from .object_arguments import Refused


class Mkdef:
    """The plugin."""

    commands = ("mkdef",)

    def targets(self, request: Request, context: Context) -> Targets:
        """The nodes it is about; anything else is of the whole cluster."""
        return definition_command.targets(request, context)

    def needs_everything(self, request: Request) -> bool:
        """Whether it chooses members by a secret."""
        return object_arguments.selects_secrets(request.words)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Create objects."""
        for item in definition_command.orders(request, context):
            if isinstance(item, Order):
                yield from _make(item, context)
            else:
                yield item


def _make(order: Order, context: Context) -> Iterator[Reply]:
    def expand(text: str) -> tuple[str, ...]:
        return definition_command.expanded(context, text)

    world = osimage_world.world(context.environ) if order.derives else None
    try:
        yield from storing.carry_out(
            context,
            mkdef.tables_needed(order),
            lambda snapshot: mkdef.plan(order, snapshot, expand, world),
        )
    except Refused as refused:
        yield error(*refused.lines)
