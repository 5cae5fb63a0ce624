"""``chdef``: change object definitions, rename objects.

Owns the plugin; what is written is planned in :mod:`xcat_aix.plan.definitions.chdef`.
Facts: docs/facts/object-commands.md, chdef.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcat_aix.commands import storing
from xcat_aix.plan.definitions import chdef, mkdef, renaming, rmdef
from xcat_aix.plan.definitions.orders import Order
from xcatd.api import Context, Reply, Request, Targets, error, secrets

from . import definition_command, object_arguments, osimage_world
from .object_arguments import Refused


class Chdef:
    """The plugin."""

    commands = ("chdef",)

    def targets(self, request: Request, context: Context) -> Targets:
        """The nodes it is about; anything else is of the whole cluster."""
        return definition_command.targets(request, context)

    def needs_everything(self, request: Request) -> bool:
        """Whether it chooses members by a secret, or takes one away: that tells whether it was there."""
        words, stanzas = request.words, (request.stdin or "").splitlines()
        if object_arguments.selects_secrets(words):
            return True
        given = (word.partition("=")[0] for word in (*words, *stanzas) if "=" in word)
        return object_arguments.takes_away(words) and secrets.any_selected(given)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Change objects."""
        for item in definition_command.orders(request, context):
            if isinstance(item, Order):
                yield from _change(item, context)
            else:
                yield item


def _change(order: Order, context: Context) -> Iterator[Reply]:
    def expand(text: str) -> tuple[str, ...]:
        return definition_command.expanded(context, text)

    world = osimage_world.world(context.environ) if order.derives else None
    try:
        if order.new_name:
            yield from storing.carry_out(
                context,
                rmdef.tables_needed(order),
                lambda snapshot: renaming.plan(order, snapshot),
            )
        else:
            yield from storing.carry_out(
                context,
                mkdef.tables_needed(order),
                lambda snapshot: chdef.plan(order, snapshot, expand, world),
            )
    except Refused as refused:
        yield error(*refused.lines)
