"""Carrying plans out: journal, step kinds and agents put together for one request.

Owns: the parts of an execution, and what ends a command.  Must not: plan, or say what a plan is about.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Plan
from xcat_aix.run.errors import RunError
from xcat_aix.run.executor import Executor
from xcat_aix.run.journal import Journal, OpenPlan
from xcat_aix.run.progress import PlanEnded
from xcat_aix.run.registry import Registry
from xcat_aix.steps import kinds
from xcat_aix.steps.command import Run
from xcatd.api import Context, DatabaseError, Reply, Request, begun, is_unsupported, warning

from . import ending
from .agents import AgentCalls
from .ending import Status, has_errors
from .how import How, UsageError
from .telling import Narrator, notes
from .words import Words

#: What is told at the end beside the outcome.
Remarks: TypeAlias = Callable[[], Iterable[Reply]]


def _none() -> Iterable[Reply]:
    return ()


def journal_of(context: Context) -> Journal:
    """The journal in this request's database."""
    return Journal(context.db, context.clock, context.hostname, token=lambda: secrets.token_hex(2))


def registry_of(context: Context) -> Registry:
    """Every step kind, over this request's database and commands."""
    return kinds.registry(context.db, _runner(context))


def executor_of(plan: Plan, how: How, context: Context) -> Executor:
    """The executor of one plan, with the addresses of its agents looked up together."""
    return Executor(
        journal=journal_of(context),
        registry=registry_of(context),
        clock=context.clock,
        connect=AgentCalls.of_plan(plan, context).connect,
        fanout=how.fanout,
        timeout=how.timeout,
        stop=context.cancelled,
    )


def _runner(context: Context) -> Run:
    def run(command: str, args: tuple[str, ...], nodes: tuple[str, ...]) -> Iterator[Reply]:
        for reply in context.run(command, args, nodes):
            if is_unsupported(reply):
                yield warning(
                    f"no plugin offers {command}: run it for {fold(nodes)} by other means"
                )
            else:
                yield reply

    return run


@dataclass(slots=True)
class Doing:
    """One request's way from a plan to its last reply.

    ``has_begun``: from here on an error does not mean that nothing was changed.  ``has_changed``: something was.
    """

    how: How
    request: Request
    context: Context
    has_begun: bool = False
    has_changed: bool = False

    def refuse_cancelled(self) -> None:
        """Raise :class:`PlanError` where the user gave the command up: nothing is kept or begun for nobody."""
        if self.context.cancelled.is_set():
            raise PlanError("nothing was changed: the request was given up")

    def carry_out(
        self, executor: Executor, claimed: OpenPlan, words: Words, remarks: Remarks = _none
    ) -> Iterator[Reply]:
        """Do what is left of a claimed plan, and tell: in words, or at the end as JSON; then ``remarks``."""
        self.has_begun = True
        yield begun(claimed.hold.plan_id)
        narrator = Narrator(
            claimed.plan,
            claimed.hold.plan_id,
            claimed.state,
            executor.registry.title,
            words,
            is_verbose=self.how.is_verbose and not self.how.is_json,
            shows_progress="XCAT_PROGRESS" in self.request.environment,
        )
        told = _Kept(is_kept=self.how.is_json)
        yield from told.through(notes(claimed.plan.notes))
        yield from told.through(narrator.opening())
        for progress in executor.run(claimed):
            yield from told.through(narrator.tell(progress))
            if isinstance(progress, PlanEnded):
                self.has_changed = ending.has_changed(progress.lanes.values())
                yield from told.through(remarks())
                if self.how.is_json:
                    found = ending.as_json(progress, claimed.state, words)
                    yield told.ended(found, has_changed=self.has_changed)

    def nothing(self, plan: Plan, words: Words, remarks: Remarks) -> Iterator[Reply]:
        """The same for a plan that has nothing to do."""
        told = _Kept(is_kept=self.how.is_json)
        yield from told.through(notes(plan.notes))
        status = Status.REFUSED if has_errors(plan.notes) else Status.DONE
        if status:
            yield from told.through((Reply(errorcode=int(status)),))
        yield from told.through(remarks())
        if self.how.is_json:
            yield told.ended(ending.nothing_as_json(words, status), has_changed=False)


@dataclass(slots=True)
class _Kept:
    """Replies on their way to the user; for a program only progress goes on, and errors and warnings are kept."""

    is_kept: bool
    _errors: list[str] = field(default_factory=list)
    _warnings: list[str] = field(default_factory=list)
    _statuses: set[int] = field(default_factory=set)

    def through(self, replies: Iterable[Reply]) -> Iterator[Reply]:
        for reply in replies:
            if not self.is_kept:
                yield reply
                continue
            if reply.errorcode:
                self._statuses.add(reply.errorcode)
            self._errors += reply.errors
            self._errors += [f"{node.name}: {node.error}" for node in reply.nodes if node.error]
            self._warnings += reply.warnings
            if reply.sinfo:
                yield Reply(sinfo=reply.sinfo)

    def ended(self, body: dict[str, Any], *, has_changed: bool) -> Reply:
        """The one reply for a program: with the status that all of it comes to."""
        found = self._statuses | ({body["status"]} if body["status"] else set())
        status = ending.together(found, has_changed=has_changed) if found else 0
        whole = body | {"status": status, "errors": self._errors, "warnings": self._warnings}
        return Reply(data=(json.dumps(whole),), errorcode=status or None)


def guarded(
    told: Callable[[], Iterator[Reply]],
    usage: Sequence[str],
    *,
    is_json: bool = False,
    has_begun: Callable[[], bool] = lambda: False,
) -> Iterator[Reply]:
    """The replies; whatever stands against the command is an error with its status, and as JSON where that is asked for."""
    try:
        yield from told()
    except UsageError as problem:
        shown = tuple(usage) if problem.shows_usage and not is_json else ()
        yield _refused((problem.message,), Status.REFUSED, shown, is_json=is_json)
    except PlanError as problem:
        yield _refused(problem.messages, Status.REFUSED, is_json=is_json)
    except (RunError, DatabaseError) as problem:
        status = Status.PARTLY if has_begun() else Status.REFUSED
        yield _refused((str(problem),), status, is_json=is_json)


def _refused(
    messages: Sequence[str], status: Status, shown: tuple[str, ...] = (), *, is_json: bool
) -> Reply:
    if is_json:
        body = {"status": int(status), "errors": list(messages)}
        return Reply(data=(json.dumps(body),), errorcode=int(status))
    return Reply(errors=tuple(messages), data=shown, errorcode=int(status))
