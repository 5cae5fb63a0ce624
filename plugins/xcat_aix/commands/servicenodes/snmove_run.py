"""Showing and executing plans of moves, for every command that makes such plans.

Owns: putting journal, step kinds and agent connections together for one request.  Must not: plan.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Plan, Target
from xcat_aix.plan.servicenodes import explain
from xcat_aix.plan.servicenodes.summary import MoveSummary
from xcat_aix.plan.undo import Done
from xcat_aix.run.errors import RunError
from xcat_aix.run.executor import FANOUT, TIMEOUT, Executor
from xcat_aix.run.journal import Claimed, Journal
from xcat_aix.run.registry import Registry
from xcat_aix.run.states import LaneResult, StepState
from xcat_aix.run.task import Connection
from xcat_aix.steps import kinds
from xcat_aix.steps.command import Run
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Role
from xcatd.api import Context, DatabaseError, Relay, Reply, Request, data, error, warning

from .snmove_options import How, UsageError
from .snmove_replies import Narrator, has_errors, notes
from .snmove_unfinished import about_nodes
from .snmove_world import agent_port

if TYPE_CHECKING:
    from xcat_aix.run.journal import Stored

_UNSUPPORTED = "Unsupported request"


@dataclass(frozen=True, slots=True)
class AgentLinks:
    """Connects lanes to their agents, by the role of each: straight, or relayed by another agent."""

    context: Context
    addresses: Mapping[str, str]
    port: int

    def __call__(self, target: Target, via: Target | None) -> Connection:
        """A connection to the agent of ``target``; raises :class:`AgentError`."""
        address = self._address(target.node)
        try:
            return self._connect(target, address, None)
        except AgentError as problem:
            if problem.code is not ErrorCode.UNREACHABLE or via is None:
                raise
            return self._relayed(target, address, via, problem)

    def _relayed(self, target: Target, address: str, via: Target, direct: AgentError) -> Connection:
        """The other way; if it fails too, both reasons are told."""
        try:
            relay = Relay(via.node, self._address(via.node), self.port)
            return self._connect(target, address, relay)
        except AgentError as problem:
            text = f"{direct.message}; {problem.message}"
            # A relay that is busy says nothing about the node: that is tried again.
            code = ErrorCode.BUSY if problem.code is ErrorCode.BUSY else ErrorCode.UNREACHABLE
            raise AgentError(code, text, problem.detail) from None

    def _connect(self, target: Target, address: str, via: Relay | None) -> Connection:
        role = Role(target.role)
        return self.context.agents.connect(target.node, role, address, self.port, via=via)

    def _address(self, node: str) -> str:
        address = self.addresses.get(node)
        if address is None:
            raise AgentError(ErrorCode.UNREACHABLE, f"{node} has no address")
        return address


def journal_of(context: Context) -> Journal:
    """The journal in this request's database."""
    return Journal(context.db, context.clock, context.hostname, token=lambda: secrets.token_hex(2))


def registry_of(context: Context) -> Registry:
    """Every step kind, over this request's database and commands."""
    return kinds.registry(context.db, _runner(context))


def executor_of(plan: Plan, how: How, context: Context) -> Executor:
    """The executor of one plan, with the addresses of its agents looked up together."""
    tables = context.db.read(("hosts", "nics", "nodelist", "site"))
    names = {agent.node for lane in plan.lanes for agent in (lane.target, lane.via) if agent}
    addresses = context.resolver(tables).addresses(names) if names else {}
    return Executor(
        journal=journal_of(context),
        registry=registry_of(context),
        clock=context.clock,
        connect=AgentLinks(context, addresses, agent_port(tables.site)),
        fanout=how.fanout or FANOUT,
        timeout=how.timeout or TIMEOUT,
        stop=context.cancelled,
    )


def guarded(told: Iterator[Reply], usage: tuple[str, ...]) -> Iterator[Reply]:
    """The replies; whatever stands against the command is an error reply with code 1."""
    try:
        yield from told
    except UsageError as problem:
        shown = usage if problem.shows_usage else ()
        yield Reply(errors=(problem.message,), data=shown, errorcode=1)
    except PlanError as problem:
        yield error(*problem.messages)
    except (RunError, DatabaseError) as problem:
        yield error(str(problem))


def show_or_do(plan: Plan, how: How, request: Request, context: Context) -> Iterator[Reply]:
    """Carry a plan out, or only show it."""
    title = registry_of(context).title
    if how.is_json:
        yield data(explain.to_json(plan, title))
    elif how.is_dry_run:
        yield data(*explain.to_text(plan, title))
    else:
        yield from _do(plan, how, request, context)
    if (how.is_dry_run or not plan.nodes) and has_errors(plan.notes):
        yield Reply(errorcode=1)
    summary = MoveSummary.of(plan)
    if not (how.is_json or summary.ignore_nodes):
        yield from about_nodes(summary.left, journal_of(context))


def _do(plan: Plan, how: How, request: Request, context: Context) -> Iterator[Reply]:
    if not plan.nodes:
        yield from notes(plan.notes)
        return
    executor = executor_of(plan, how, context)
    command = shlex.join([request.command, *request.words])
    claimed = executor.open(plan, command=command, user=request.user or "")
    yield from notes(plan.notes)
    yield from execute(executor, claimed, how, request)


def execute(executor: Executor, claimed: Claimed, how: How, request: Request) -> Iterator[Reply]:
    """Do what is left of a claimed plan, and tell."""
    narrator = Narrator(
        claimed.plan,
        claimed.hold.plan_id,
        executor.registry.title,
        is_verbose=how.is_verbose,
        shows_progress="XCAT_PROGRESS" in request.environment,
    )
    done = {id_ for id_, result in claimed.state.results().items() if result is LaneResult.MOVED}
    yield from narrator.opening(frozenset(done))
    for progress in executor.run(claimed):
        yield from narrator.tell(progress)


def begun_steps(stored: Stored) -> Done:
    """The steps of a stored plan that were done, or may have been, with what their effects returned."""
    begun = {StepState.DONE, StepState.DOING, StepState.UNKNOWN}
    return {
        lane: {
            step: record.result
            for step, record in steps.items()
            if record.state in begun or record.is_broken
        }
        for lane, steps in stored.state.lanes.items()
    }


def unfinished_lanes(stored: Stored) -> tuple[str, ...]:
    """The lanes of a stored plan of which not everything was done."""
    results = stored.state.results()
    return tuple(id_ for id_, result in results.items() if result is not LaneResult.MOVED)


def _runner(context: Context) -> Run:
    def run(command: str, args: tuple[str, ...], nodes: tuple[str, ...]) -> Iterator[Reply]:
        for reply in context.run(command, args, nodes):
            if _UNSUPPORTED in reply.errors:
                yield warning(
                    f"no plugin offers {command}: run it for {fold(nodes)} by other means"
                )
            else:
                yield reply

    return run
