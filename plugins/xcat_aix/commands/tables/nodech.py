"""``nodech`` and ``nodeadd``: columns of nodes, in any tables.

Facts: docs/facts/table-commands.md, nodech, nodeadd and noderm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xcat_aix.commands import asking, options
from xcat_aix.commands.options import flag
from xcat_aix.commands.storing import carry_out
from xcat_aix.plan.definitions.mkdef import invalid_name
from xcat_aix.plan.nodetables import nodeedits, nodewords
from xcat_aix.plan.nodetables.nodewords import CommandWords, WrongWordError
from xcat_aix.plan.writing import Planned
from xcatd import tablenames
from xcatd.api import EVERYTHING, Context, Reply, Request, Targets, error, secrets, warning
from xcatd.tablenames import Snapshot, Table
from xcatd.text import perlre

HELP = (flag("h", "?", "help"), flag("v", "version"))
OPTIONS = (*HELP, flag("d", "delete"))

USAGE = (
    "Usage: nodech noderange [criterion...] {table.column | groups | tags | mgt}=value...",
    "         set a value; ,= puts items before those that are there, ^= removes items",
    "       nodech {-d|--delete} noderange table...",
    "         delete the nodes' rows",
    "       nodech {-v|--version}",
    "       nodech {-?|-h|--help}",
)
USAGE_ADD = (
    "Usage: nodeadd noderange groups=group,... [table.column=value...]",
    "       nodeadd {-v|--version}",
    "       nodeadd {-?|-h|--help}",
)


class Nodech:
    """The plugin."""

    commands = ("nodech",)

    def targets(self, request: Request, _context: Context) -> Targets:
        """The nodes of the request."""
        return Targets.of(request.nodes)

    def needs_everything(self, request: Request) -> bool:
        """Whether it chooses nodes by a secret."""
        return secrets.any_selected(nodewords.criteria_of(request.words))

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Change columns of the nodes, or delete their rows."""
        arguments = asking.read(request.words, OPTIONS, USAGE, context.version, at_least=1)
        if isinstance(arguments, Reply):
            yield arguments
        elif arguments.has("d"):
            yield from delete(request.nodes, arguments.operands, context)
        else:
            yield from change(request.nodes, arguments.operands, context)


class Nodeadd:
    """The plugin; the daemon does not expand its noderange, for the nodes are not there yet."""

    commands = ("nodeadd",)

    def targets(self, request: Request, context: Context) -> Targets:
        """The nodes of the first operand, whether they are there or not."""
        try:
            operands = options.parse(request.words, HELP).operands
            found = context.expand(operands[0], verify=False).nodes if operands else ()
        except ValueError:
            return EVERYTHING
        return Targets.of((*found, *request.nodes))

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Add nodes, or change those that are there."""
        arguments = asking.read(request.words, HELP, USAGE_ADD, context.version, at_least=2)
        if isinstance(arguments, Reply):
            yield arguments
        else:
            yield from _add(arguments.operands[0], arguments.operands[1:], context)


def _add(noderange: str, words: Sequence[str], context: Context) -> Iterator[Reply]:
    try:
        expansion = context.expand(noderange, verify=False)
    except ValueError as bad:
        yield error(str(bad))
        return
    if expansion.missed:
        names = ",".join(expansion.missed)
        yield error(f"cannot add {names}: no node can be called so; nothing was changed")
        return
    nodes = expansion.nodes
    if wrong := _misnamed(nodes, context):
        yield error(invalid_name(wrong))
        return
    capitals = [node for node in nodes if any("A" <= letter <= "Z" for letter in node)]
    if capitals:
        yield warning(
            f"The node name '{','.join(capitals)}' contains capital letters which may not be "
            "resolved correctly by the dns server."
        )
    yield from change(nodes, words, context)


def _misnamed(nodes: Sequence[str], context: Context) -> list[str]:
    """New nodes that no table takes; those that are there are changed, whatever they are called.

    Unlike mkdef, and as in xCAT, this takes a domain in the name.
    """
    wrong = [node for node in nodes if not tablenames.is_key(node)]
    snapshot = context.db.read(("nodelist",)) if wrong else None
    return [node for node in wrong if snapshot is not None and not snapshot.has_node(node)]


def change(nodes: Sequence[str], words: Sequence[str], context: Context) -> Iterator[Reply]:
    """Set what the words say."""
    try:
        parsed = nodewords.parse(words, finder(context))
        nodewords.check_no_renaming(parsed)
    except WrongWordError as wrong:
        yield error(str(wrong))
        return

    def plan(snapshot: Snapshot) -> Planned:
        return nodeedits.plan(parsed, nodes, snapshot)

    try:
        yield from carry_out(context, nodeedits.tables_needed(parsed), plan)
    except perlre.BadPattern as bad:
        yield error(f"cannot use the criterion: {bad}")


def delete(names: Sequence[str], words: Sequence[str], context: Context) -> Iterator[Reply]:
    """Delete the rows of nodes or groups from the tables the words name."""
    yield from delete_rows(names, nodewords.parse_tables(words, finder(context)), context)


def delete_rows(names: Sequence[str], words: CommandWords, context: Context) -> Iterator[Reply]:
    """Delete the rows of nodes or groups from these tables."""

    def plan(snapshot: Snapshot) -> Planned:
        return nodeedits.plan_deletion(words, names, snapshot)

    yield from carry_out(context, words.tables, plan)


def finder(context: Context) -> nodewords.Find:
    """Tables by name; each is looked up once."""
    known: dict[str, Table | None] = {}

    def find(name: str) -> Table | None:
        if name not in known:
            known[name] = tablenames.find(context.db, name)
        return known[name]

    return find
