"""A planned command: what every one of them does with its plan, and with those in the journal.

A command is a subclass with a page, and three answers: what its arguments are about (:meth:`PlannedCommand.nodes`), the
plan (:meth:`PlannedCommand.plan`), and the words for it (:meth:`PlannedCommand.words`).  Dry run, JSON, keeping and
applying, confirmation, journal, list, show, resume, undo, abandon, forget and the exit status come from here.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from xcat_aix.commands.options import Arguments, OptionError, parse, without
from xcat_aix.plan import explain
from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.kinds import Title
from xcat_aix.plan.model import Plan
from xcat_aix.plan.undo import undo
from xcat_aix.run.journal import Stored
from xcatd.api import (
    EVERYTHING,
    NOTHING,
    Context,
    Reply,
    Request,
    SavedPlan,
    Targets,
    data,
    info,
    visible,
)

from . import ending, lacking, verbs
from .doing import Doing, Remarks, executor_of, guarded, journal_of, registry_of
from .ending import Status, has_errors
from .how import HELP, PLANNING, PREVIEWING, VERBOSE, VERBS, VERSION, How, UsageError, how
from .page import Page
from .words import Words

__all__ = ["HELP", "PLANNING", "VERBOSE", "VERBS", "VERSION", "PlannedCommand"]


class PlannedCommand:
    """See the module."""

    #: The page of the command; its options must hold :data:`PLANNING` and :data:`VERBS`.
    page: ClassVar[Page]
    #: The commands whose plans its list shows, and of whose plans it knows the words; none: its own.
    lists: ClassVar[tuple[str, ...]] = ()
    #: Its list shows the plans of all commands.
    lists_all: ClassVar[bool] = False
    #: What its plans are called.
    noun: ClassVar[str] = "plan"

    @property
    def commands(self) -> tuple[str, ...]:
        """The one command."""
        return (self.page.name,)

    # What a command says.

    def check(self, arguments: Arguments) -> None:
        """Raise :class:`.how.UsageError` for arguments that make no command."""

    def nodes(self, arguments: Arguments, context: Context) -> Targets:
        """What a new plan of these arguments would touch; writes nothing."""
        del arguments, context
        return EVERYTHING

    def opening(self, arguments: Arguments, how: How) -> Iterator[Reply]:
        """Before a new plan is made."""
        del arguments, how
        yield from ()

    def plan(self, arguments: Arguments, context: Context) -> Plan:
        """The plan; raises :class:`PlanError` and :class:`.how.UsageError`."""
        raise NotImplementedError

    def words(self, plan: Plan) -> Words:
        """The words for a plan of this command."""
        return Words(plan)

    def undo(self, stored: Stored, context: Context, *, is_forced: bool) -> Plan:
        """The plan that takes one back; raises :class:`PlanError`.

        ``is_forced``: though a host that should be asked first does not answer.
        """
        del is_forced
        registry = registry_of(context)
        return undo(
            stored.plan,
            verbs.begun_steps(stored, registry),
            stored.summary.id,
            registry,
            unfinished=verbs.unfinished_lanes(stored),
            spared=verbs.spared_nodes(stored, registry),
        )

    def remarks(self, plan: Plan, how: How, context: Context) -> Iterator[Reply]:
        """After a new plan was shown or carried out: what else the journal tells about its nodes."""
        del plan, how, context
        yield from ()

    def objections(self, plan: Plan, context: Context) -> Sequence[str]:
        """What stands against carrying a plan out; nothing is done then."""
        del plan, context
        return ()

    # What all of them do.

    def targets(self, request: Request, context: Context) -> Targets:
        """The nodes of a new plan; of one in the journal its own, judged as its own command."""
        try:
            arguments = self.parsed(request)
            if verbs.is_asked_about(arguments):
                return NOTHING
            if (verb := verbs.verb_of(arguments)) is not None:
                return verbs.targets(verb, context)
        except UsageError:
            return NOTHING
        return self.nodes(arguments, context)

    def acts_for_another(self, request: Request) -> bool:
        """Whether it is about a plan in the journal, which is the work of its own command."""
        try:
            verb = verbs.verb_of(self.parsed(request))
        except UsageError:
            return False
        return verb is not None and verb.name != "list"

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Do the command; whatever stands against it is an error reply with its status."""
        doing = Doing(How(), request, context)
        is_json = "--json" in request.words
        told = guarded(
            lambda: self._act(doing),
            self.page.usage(),
            is_json=is_json,
            has_begun=lambda: doing.has_begun,
        )
        yield from ending.with_one_status(told, lambda: doing.has_changed)

    def parsed(self, request: Request) -> Arguments:
        """Read the command line; raises :class:`.how.UsageError`.

        Under the name of a client that takes a noderange out of the words, that was the first operand.  The policy does
        not judge it as one of the words, so it is never an option.
        """
        noderange = request.noderange or ""
        if noderange.startswith("-"):
            raise UsageError(f"'{visible(noderange)}' is no noderange.", shows_usage=True)
        try:
            arguments = parse(request.words, self.page.options)
        except OptionError as problem:
            raise UsageError(str(problem), shows_usage=True) from None
        if noderange:
            arguments = replace(arguments, operands=(noderange, *arguments.operands))
        if not verbs.is_asked_about(arguments):
            verbs.check(arguments, self.page)
            if verbs.verb_of(arguments) is None:
                self.check(arguments)
        return arguments

    def _act(self, doing: Doing) -> Iterator[Reply]:
        arguments = self.parsed(doing.request)
        if arguments.has("h"):
            yield data(*self.page.usage())
        elif arguments.has("v"):
            yield data(doing.context.version)
        else:
            doing.how = how(arguments, doing.request)
            verb = verbs.verb_of(arguments)
            if verb is None:
                yield from self._new(arguments, doing)
            else:
                yield from verbs.act(verb, self, doing)

    def _new(self, arguments: Arguments, doing: Doing) -> Iterator[Reply]:
        if not doing.how.is_json:
            yield from self.opening(arguments, doing.how)
        plan = self.plan(arguments, doing.context)
        yield from self.show_or_do(
            plan, doing, lambda: self.remarks(plan, doing.how, doing.context)
        )

    def show_or_do(self, plan: Plan, doing: Doing, remarks: Remarks = tuple) -> Iterator[Reply]:
        """A plan that is new: kept, shown, or carried out; ``remarks`` come last."""
        how, context = doing.how, doing.context
        if how.is_dry_run:
            warned = replace(plan, notes=(*plan.notes, *lacking.notes(plan.lanes, context)))
            yield from self._show(plan, warned, doing, remarks)
            return
        if not plan.lanes:
            yield from doing.nothing(plan, self.words(plan), remarks)
            return
        self.check_plan(plan, doing)
        if how.asks_above is not None and len(plan.nodes) > how.asks_above:
            yield self._question(plan, doing)
        else:
            words = self.words(plan)
            executor = executor_of(plan, how, context)
            doing.refuse_cancelled()
            claimed = executor.open(
                plan, command=self._said(doing.request), user=_user(doing.request)
            )
            yield from doing.carry_out(executor, claimed, words, remarks)

    def check_plan(self, plan: Plan, doing: Doing) -> None:
        """Raise :class:`PlanError` for what stands against carrying a plan out.

        A plan that writes the database after it was on hosts is compared with it before: raises ``ChangedMeanwhile``.
        """
        if objections := self.objections(plan, doing.context):
            raise PlanError(*objections)
        lacking.check(plan.lanes, doing.how, doing.context)
        if late := plan.late_changes:
            with doing.context.db.transaction(*late.tables) as transaction:
                transaction.compare(late)

    def _question(self, plan: Plan, doing: Doing) -> Reply:
        """The client asks its user whether this is to be carried out."""
        saved = self._keep(plan, doing)
        text = explain.in_short(plan, self.words(plan))
        keeps = _keeps(doing.how)
        return Reply(saved=saved._replace(text=tuple(text), needs_confirmation=True, keeps=keeps))

    def _show(self, plan: Plan, shown: Plan, doing: Doing, remarks: Remarks) -> Iterator[Reply]:
        """``shown`` has more notes than the plan that is kept."""
        title = registry_of(doing.context).title
        saved = self._keep(plan, doing) if doing.how.is_kept and plan.lanes else None
        text = explain.to_text(shown, title, self.words(plan))
        if doing.how.is_json:
            yield from _shown_as_json(shown, title, saved, remarks)
        else:
            yield data(*text)
        if saved is not None:
            yield Reply(saved=saved._replace(text=tuple(text), keeps=_keeps(doing.how)))
        if doing.how.is_json:
            return
        if saved is not None:
            yield info(
                f"Kept for a week as {saved.id}, SHA-256 {saved.sha256}; to carry it out:"
                f" {plan.command} --apply {saved.id}"
            )
        elif doing.how.is_kept:
            yield info("There is nothing to keep.")
        yield from _status(plan)
        yield from remarks()

    def _said(self, request: Request) -> str:
        """The command line for the journal, as it is carried out: who applies it is judged by it.

        It is shown to others, so what would command a terminal, or end a line, is spelled out.
        """
        words = without(request.words, self.page.options, PREVIEWING)
        line = [request.command, *filter(None, (request.noderange,)), *words]
        return shlex.join(visible(word) for word in line)

    def _keep(self, plan: Plan, doing: Doing) -> SavedPlan:
        doing.refuse_cancelled()
        plan_id, digest = journal_of(doing.context).save(
            plan, command=self._said(doing.request), user=_user(doing.request)
        )
        return SavedPlan(plan_id, digest, len(plan.nodes))


def _user(request: Request) -> str:
    return request.user or ""


def _shown_as_json(
    plan: Plan, title: Title, saved: SavedPlan | None, remarks: Remarks
) -> Iterator[Reply]:
    """One document, with what would stand beside it in words."""
    shown = explain.shown(plan, title)
    if saved is not None:
        shown |= {"id": saved.id, "sha256": saved.sha256}
    found = tuple(remarks())
    if errors := [line for reply in found for line in reply.errors]:
        shown["errors"] = errors
    yield data(json.dumps(shown, ensure_ascii=False))
    yield from _status(plan)
    yield from (Reply(errorcode=reply.errorcode) for reply in found if reply.errorcode)


def _status(plan: Plan) -> Iterator[Reply]:
    """Of what was only shown: some node was refused, or nothing stands against it."""
    if has_errors(plan.notes):
        yield Reply(errorcode=int(Status.REFUSED))


def _keeps(how: How) -> tuple[str, ...]:
    """The options that count when the plan is applied, too."""
    given = [word for word, is_so in (("-V", how.is_verbose), ("--force", how.is_forced)) if is_so]
    return (*given, f"--fanout={how.fanout}", f"--timeout={how.timeout:g}")
