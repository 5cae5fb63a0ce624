"""``rmdef``: remove object definitions.

Owns the plugin and the cleaning up before (``-C``); what is removed is planned in :mod:`xcat_aix.plan.definitions.rmdef`.
Facts: docs/facts/object-commands.md, rmdef.
"""

from __future__ import annotations

from collections.abc import Iterator

from xcat_aix.commands import storing
from xcat_aix.plan.definitions import rmdef
from xcat_aix.plan.definitions.orders import Order
from xcat_aix.plan.writing import Planned
from xcatd.api import Context, Reply, Request, Targets, error, info
from xcatd.tablenames import Snapshot

from . import definition_command, object_arguments

#: From so many nodes on, users are told that cleaning up takes its time.
MANY_NODES = 100


class Rmdef:
    """The plugin."""

    commands = ("rmdef",)

    def targets(self, request: Request, context: Context) -> Targets:
        """The nodes it is about; anything else is of the whole cluster."""
        return definition_command.targets(request, context)

    def needs_everything(self, request: Request) -> bool:
        """Whether it chooses members by a secret."""
        return object_arguments.selects_secrets(request.words)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Remove objects."""
        for item in definition_command.orders(request, context):
            if isinstance(item, Order):
                yield from _remove(item, context)
            else:
                yield item


def _remove(order: Order, context: Context) -> Iterator[Reply]:
    tables = rmdef.tables_needed(order)
    if order.with_cleanup:
        yield from _clean_up(order, context)

    def plan(snapshot: Snapshot) -> Planned:
        return rmdef.plan(order, snapshot)

    yield from storing.carry_out(context, tables, plan)


def _clean_up(order: Order, context: Context) -> Iterator[Reply]:
    """Boot and console configuration; what these commands say does not keep nodes from being removed."""
    nodes = rmdef.nodes_of(order, context.db.read(("nodelist",)))
    if not nodes:
        return
    if len(nodes) > MANY_NODES:
        yield info("Performing configuration cleanup. This might take a some time.")
    for command, word in (("nodeset", "offline"), ("makeconservercf", "-d")):
        try:
            for _ in context.run(command, (word,), nodes):
                if context.cancelled.is_set():
                    return
        except LookupError as missing:  # no plugin host: nothing that could be cleaned up
            yield error(str(missing))
            return
