"""Two commands as the next developer adds them, at the places that ARCHITECTURE.md names under "Adding a command".

``uptimes NODERANGE`` asks many agents; ``notes NODERANGE TEXT`` has service nodes keep a note for each of their nodes,
and then writes the database for the nodes that have one.  :func:`installed` enters them where the product has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from xcat_aix.commands.options import Arguments, parse
from xcat_aix.commands.planned.agents import AgentCalls
from xcat_aix.commands.planned.command import (
    HELP,
    PLANNING,
    VERBOSE,
    VERBS,
    VERSION,
    PlannedCommand,
)
from xcat_aix.commands.planned.how import UsageError
from xcat_aix.commands.planned.page import Page
from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.model import Lane, Plan, Step, Target
from xcat_aix.plan.reading import Tables
from xcat_aix.plan.steps import operation_step
from xcat_aix.steps import agent as agent_steps
from xcat_aix.steps.words import KindWords, turned
from xcat_aix_agent import files, operations
from xcat_aix_agent.host import Host, Report
from xcat_aix_agent.operations import fornodes
from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.jobs import NodesProbe, Probe, Verdict
from xcat_aix_proto.operations import ForNodes, Operation, Right
from xcatd.api import Context, NodeReply, Reply, Request, Targets
from xcatd.changes import Draft

# 1. The operations: proto, and the agent


@dataclass(frozen=True)
class Up:
    """How long a host has been up."""

    seconds: int


@dataclass(frozen=True)
class Uptime(Operation):
    """Ask how long the host has been up; answered by :class:`Up`."""

    kind: ClassVar[str] = "host.uptime@1"
    right: ClassVar[Right] = Right.READ
    is_query: ClassVar[bool] = True
    answer: ClassVar[type[Any]] = Up


@dataclass(frozen=True)
class KeepNotes(ForNodes):
    """Keep a note for each node in the place of ``before``; without ``text`` it is taken away."""

    kind: ClassVar[str] = "server.notes@1"
    right: ClassVar[Right] = Right.OPERATE

    text: str = ""
    before: str = ""


def uptime(_operation: Uptime, host: Host) -> Up:
    return Up(int(files.read(host.file("/proc/uptime")) or "0"))


class Notes:
    """The agent's module of ``server.notes@1``."""

    @staticmethod
    def run(operation: KeepNotes, host: Host, report: Report) -> Mapping[str, Any]:
        def keep(node: str) -> None:
            path = host.file(f"/etc/notes/{node}")
            with files.disk_errors(f"write the note of {node}"):
                if operation.text:
                    files.replace(path, operation.text, sync=host.sync)
                else:
                    path.unlink(missing_ok=True)
            report(f"{node}: {operation.text or 'no note'}")

        return fornodes.each(operation, report, keep)

    @staticmethod
    def probe(operation: KeepNotes, host: Host) -> NodesProbe:
        def look(node: str) -> Probe:
            path = host.file(f"/etc/notes/{node}")
            found = "" if path.is_dir() else files.read(path) or ""
            is_done = found == operation.text and not path.is_dir()
            return Probe(Verdict.DONE if is_done else Verdict.NOT_DONE, found or "no note")

        return fornodes.seen(operation, look)


# 2. The step's words

NOTES = KindWords(
    title=lambda args: f"keep the note {args['text']!r}" if args["text"] else "take the note away",
    reverse=turned(KeepNotes, lambda done: replace(done, text=done.before, before=done.text)),
)

# 3. The planner


def plan(nodes: Iterable[str], text: str, tables: Tables) -> Plan:
    """One step on each service node for all of its nodes; then the database, for those that were done."""
    served: dict[str, list[str]] = {}
    draft = Draft()
    for node in nodes:
        row = tables.own("noderes", node) or {}
        server = (row.get("servicenode") or "").partition(",")[0]
        if not server:
            raise PlanError(f"cannot keep a note for {node}: it has no service node")
        served.setdefault(server, []).append(node)
        place = ("nodelist", (("node", node),))
        draft.guard(place, "comments", (tables.own("nodelist", node) or {}).get("comments"))
        draft.set(place, "comments", text)
    lanes = [_lane(server, KeepNotes(tuple(some), text)) for server, some in served.items()]
    noted = tuple(node for some in served.values() for node in some)
    write = Step("write", "database.write@2", {"only_done": True}, noted, changes=draft.done())
    after = tuple(lane.id for lane in lanes)
    return Plan("notes", noted, (*lanes, Lane("database", (write,), "database", after=after)))


def _lane(server: str, operation: KeepNotes) -> Lane:
    step = operation_step("note", operation, holds=(f"nim:{server}",))
    return Lane(f"notes:{server}", (step,), server, Target("sn", server))


# 4. The commands


class NotesCommand(PlannedCommand):
    page = Page(
        "notes",
        "keep a note for nodes on their service nodes",
        ("NODERANGE TEXT", "--list | --show PLAN | --resume PLAN | --undo PLAN | --abandon PLAN"),
        (("Options", (VERBOSE, *PLANNING, HELP, VERSION)), ("Earlier notes", VERBS)),
    )

    def check(self, arguments: Arguments) -> None:
        if len(arguments.operands) != 2:
            raise UsageError("It takes a noderange and a text.", shows_usage=True)

    def nodes(self, arguments: Arguments, context: Context) -> Targets:
        return Targets.of(context.expand(arguments.operands[0]).nodes)

    def plan(self, arguments: Arguments, context: Context) -> Plan:
        noderange, text = arguments.operands
        nodes = context.expand(noderange).nodes
        return plan(nodes, text, context.db.read(["nodelist", "noderes"]))


#: Seconds for each answer.
SECONDS = 10.0


class UptimesCommand:
    commands = ("uptimes",)

    def targets(self, request: Request, context: Context) -> Targets:
        return Targets.of(context.expand(parse(request.words, ()).operands[0]).nodes)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        nodes = context.expand(parse(request.words, ()).operands[0]).nodes
        asked = [Target("cn", node) for node in nodes]
        found = AgentCalls.of(nodes, context).ask(
            asked, lambda agent: agent.query(Uptime(), SECONDS)
        )
        for target, answer in found.items():
            if isinstance(answer, AgentError):
                yield Reply(nodes=(NodeReply(target.node, error=answer.message, errorcode=1),))
            else:
                yield Reply(nodes=(NodeReply(target.node, data=f"up {answer.seconds} s"),))


# 5. The entry points

PLUGINS = {"notes": NotesCommand, "uptimes": UptimesCommand}


def installed(enter: Callable[[Any, Any, Any], None]) -> None:
    """Enter the parts in the product's own tables; ``enter(table, key, value)`` takes them out again."""
    for operation in (Uptime, KeepNotes):
        enter(proto.BY_KIND, operation.kind, operation)
    enter(operations.QUERIES, Uptime, uptime)
    enter(operations.JOBS, KeepNotes, Notes)
    enter(agent_steps.WORDS, KeepNotes.kind, NOTES)
