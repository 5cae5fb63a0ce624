"""``nodels``: list nodes, and any columns of any tables for them.

Facts: docs/facts/table-commands.md, nodels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xcat_aix.commands import asking
from xcat_aix.commands.batches import batches
from xcat_aix.commands.options import Arguments, flag
from xcatd import tablenames
from xcatd.api import (
    EVERYTHING,
    Contents,
    Context,
    NodeReply,
    Reply,
    Request,
    Targets,
    error,
    secrets,
)
from xcatd.noderange import selection
from xcatd.noderange.selection import Condition
from xcatd.tablenames import Snapshot, Value
from xcatd.text import perlre

OPTIONS = (
    flag("h", "?", "help"),
    flag("H", "with-fieldname"),
    flag("b", "blame"),
    flag("v", "version"),
    flag("S"),
)

#: Operators of a criterion in the order they are looked for.
OPERATORS = ("!=", "=~", "==", "!~")

USAGE = (
    "Usage:",
    "  nodels [noderange] [-b|--blame] [-H|--with-fieldname] [-S] [COLUMN | CRITERION ...]",
    "  column:    table.column, table (all its columns), groups, tags or mgt",
    "  criterion: table.column==value, !=value, =~expression, !~expression",
    "  nodels {-v|--version}",
    "  nodels {-?|-h|--help}",
)

NODES_PER_REPLY = 1000


class Nodels:
    """The plugin."""

    commands = ("nodels",)

    def targets(self, request: Request, _context: Context) -> Targets:
        """The nodes of the request; without a noderange all there are."""
        has_nodes = request.nodes or request.empty_noderange
        return Targets.of(request.nodes) if has_nodes else EVERYTHING

    def needs_everything(self, request: Request) -> bool:
        """Whether it chooses nodes by a secret."""
        conditions = (selection.parse(word, OPERATORS) for word in request.words)
        return secrets.any_selected(found.left for found in conditions if found)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """List nodes."""
        arguments = asking.read(request.words, OPTIONS, USAGE, context.version)
        if isinstance(arguments, Reply):
            yield arguments
        elif request.nodes or request.empty_noderange:
            yield from _columns(request.nodes, arguments, context)
        else:
            yield from _all_nodes(arguments, context)


def _all_nodes(arguments: Arguments, context: Context) -> Iterator[Reply]:
    snapshot = context.db.read(("nodelist",))
    nodes = _visible(snapshot, snapshot.nodes, arguments)
    for node in sorted(nodes):
        yield Reply(nodes=(NodeReply(node),))


def _visible(snapshot: Snapshot, nodes: Sequence[str], arguments: Arguments) -> Sequence[str]:
    if arguments.has("S"):
        return nodes
    hidden = snapshot.values("nodelist", ("hidden",), nodes)
    return [
        node for node in nodes if not (value := hidden[node].get("hidden")) or value.text != "1"
    ]


def _columns(nodes: Sequence[str], arguments: Arguments, context: Context) -> Iterator[Reply]:
    request = _Columns.read(arguments)
    for text in request.errors:
        yield error(text)
    broken: list[str] = []
    snapshot = context.db.read({"nodelist", *request.by_table}).with_gaps(broken)
    shown = sorted(_visible(snapshot, nodes, arguments))
    if not arguments.operands:
        answers: Iterable[NodeReply] = (NodeReply(node) for node in shown)
    else:
        try:
            answers = _Table.answers(request, snapshot, shown)
        except _TwoCriteria as two:
            yield Reply(errors=(str(two),))
            return
        except perlre.BadPattern as bad:
            yield error(f"cannot use the criterion: {bad}")
            return
    for batch in batches(answers, NODES_PER_REPLY):
        yield Reply(nodes=batch)
    yield from map(error, broken)


class _TwoCriteria(ValueError):  # noqa: N818 - reads as what it is
    """Two different criteria on one column."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One column as it was asked for."""

    column: str
    label: str
    condition: Condition | None = None


@dataclass(slots=True)
class _Columns:
    """The columns asked for by table, whether their names are shown, and what was wrong."""

    by_table: dict[str, list[_Asked]] = field(default_factory=dict)
    columns_named: int = 0
    has_labels: bool = False
    with_groups: bool = False
    errors: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, arguments: Arguments) -> _Columns:
        columns = cls(has_labels=arguments.has("H"), with_groups=arguments.has("b"))
        for word in arguments.operands:
            columns._add(word)
        columns.has_labels = columns.has_labels or columns.columns_named > 1
        return columns

    def _add(self, word: str) -> None:
        condition = selection.parse(word, OPERATORS)
        name = condition.left if condition else word
        place = selection.SHORT_NAMES.get(name)
        if place is None and "." not in name:
            self._add_table(name)
            return
        self.columns_named += 1
        table, column = place or (name.partition(".")[0], name.partition(".")[2])
        if not tablenames.has_column(table, column):
            self.errors.append(f"{table}.{column} not a valid table.column description")
            return
        self.by_table.setdefault(table, []).append(_Asked(column, name, condition))

    def _add_table(self, name: str) -> None:
        if not tablenames.is_known(name):
            self.errors.append(f"{name} not a valid table.column description")
            return
        self.has_labels = True
        self.by_table.setdefault(name, []).extend(
            _Asked(column, f"{name}.{column}") for column in tablenames.columns(name)
        )


@dataclass(slots=True)
class _Answer:
    """What is known about one node so far."""

    cells: list[tuple[str, str]] = field(default_factory=list)
    is_filtered: bool = False
    is_shown: bool = False


class _Table:
    """One table's part of the answers."""

    def __init__(self, asked: Iterable[_Asked]) -> None:
        self.labels: dict[str, str] = {}
        self._conditions: dict[str, Condition | None] = {}
        self._printed: set[str] = set()
        for column in asked:
            self._ask(column)

    def _ask(self, asked: _Asked) -> None:
        self.labels[asked.column] = asked.label
        if self._conditions.get(asked.column) is None:
            self._conditions[asked.column] = asked.condition
        elif asked.condition is None:
            self._printed.add(asked.column)
        else:
            raise _TwoCriteria(f"Multiple selection critera for {asked.label}")

    @classmethod
    def answers(
        cls, request: _Columns, snapshot: Snapshot, nodes: Sequence[str]
    ) -> list[NodeReply]:
        """The node elements in order."""
        answers = {node: _Answer() for node in nodes}
        for name, asked in request.by_table.items():
            table = cls(asked)
            rows = tablenames.values_all(snapshot, name, tuple(table.labels), nodes)
            for node, answer in answers.items():
                table.add(answer, rows[node], with_groups=request.with_groups)
        return [
            reply
            for node, answer in answers.items()
            if not answer.is_filtered
            for reply in _replies(node, answer, has_labels=request.has_labels)
        ]

    def add(
        self, answer: _Answer, rows: Sequence[Mapping[str, Value]], *, with_groups: bool
    ) -> None:
        """Add one node's cells, and judge it by the criteria."""
        found: set[str] = set()
        for row in rows:
            for column in sorted(row):
                found.add(column)
                value = row[column]
                origin = (
                    f" (inherited from group {','.join(value.groups)})"
                    if with_groups and value.groups
                    else ""
                )
                self._judge(answer, column, value.text, origin)
        for column in self.labels:
            if column not in found:
                self._judge(answer, column, "", "")

    def _judge(self, answer: _Answer, column: str, text: str, origin: str) -> None:
        condition = self._conditions[column]
        if condition is not None:
            if not condition.matcher(text):
                answer.is_filtered = True
                return
            answer.is_shown = True
            if column not in self._printed:
                return
        answer.cells.append((self.labels[column], text + origin))


def _replies(node: str, answer: _Answer, *, has_labels: bool) -> Iterator[NodeReply]:
    for label, text in answer.cells:
        yield NodeReply(node, data=Contents(text, label if has_labels else None))
    if not answer.cells and answer.is_shown:
        yield NodeReply(node)
