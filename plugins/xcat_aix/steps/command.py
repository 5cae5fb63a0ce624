"""The step that runs another command of the same daemon, such as one that rewrites a configuration file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

from xcat_aix.plan.fold import fold
from xcat_aix.plan.kinds import Begun
from xcat_aix.plan.model import Step
from xcat_aix.run.errors import StepFailed
from xcat_aix.run.task import Task
from xcat_aix_proto.jobs import Probe, Verdict
from xcatd.api import Contents, Reply

#: ``context.run``: command, arguments, nodes -> replies; raises LookupError for an unknown command.
Run: TypeAlias = Callable[[str, tuple[str, ...], tuple[str, ...]], Iterator[Reply]]


class CommandRun:
    """``command.run@1``: arguments ``command``, ``args`` and ``nodes``.

    Nobody can be asked whether a command has run, and none of its traces is known here.  So only commands named
    in ``repeatable`` are accepted, those that bring about a state whatever was there before; after a crash they
    run once more, and the probe says just that.
    """

    kind = "command.run@1"

    def __init__(self, run: Run, repeatable: Collection[str]) -> None:
        self._run = run
        self._repeatable = frozenset(repeatable)

    def title(self, step: Step) -> str:
        """Its command line."""
        args = step.args
        words = (args.get("command", ""), *args.get("args", ()), fold(args.get("nodes", ())))
        return " ".join(word for word in words if word)

    def reverse(self, begun: Begun) -> Step:
        """Itself: it brings about a state of what is there, which is then what was there before."""
        return begun.step

    def probe(self, task: Task) -> Probe:
        """Never DONE: the journal alone knows, and it asks because it does not."""
        command = self._command(task)
        return Probe(Verdict.NOT_DONE, f"{command} leaves no trace to ask for; it can be repeated")

    def effect(self, task: Task) -> Mapping[str, Any]:
        """Run it; what it says is reported, an error of it fails the step."""
        command = self._command(task)
        args, nodes = (tuple(task.step.args.get(name, ())) for name in ("args", "nodes"))
        errors: list[str] = []
        try:
            for reply in self._run(command, args, nodes):
                for line in _lines(reply):
                    task.report(line)
                errors += _errors(reply)
        except LookupError as problem:
            raise StepFailed(f"cannot run {command}: {problem}") from problem
        if errors:
            raise StepFailed(f"{command} failed: {errors[0]}", "\n".join(errors[1:]))
        return {}

    def _command(self, task: Task) -> str:
        command = str(task.step.args.get("command", ""))
        if command not in self._repeatable:
            raise StepFailed(f"cannot run {command!r} as a step: it is not known to be repeatable")
        return command


def _lines(reply: Reply) -> Iterator[str]:
    yield from reply.info
    for item in reply.data:
        yield _text(item)
    for warning in reply.warnings:
        yield f"warning: {warning}"
    for node in reply.nodes:
        if node.data is not None:
            yield f"{node.name}: {_text(node.data)}"
        if node.warning is not None:
            yield f"{node.name}: warning: {node.warning}"


def _text(item: str | Contents) -> str:
    if isinstance(item, str):
        return item
    return f"{item.desc}: {item.contents}" if item.desc else item.contents


def _errors(reply: Reply) -> list[str]:
    errors = list(reply.errors)
    errors += [f"{node.name}: {node.error}" for node in reply.nodes if node.error is not None]
    codes = [reply.errorcode, *(node.errorcode for node in reply.nodes)]
    worst = max((code for code in codes if code), default=0)
    if worst and not errors:
        errors.append(f"it ended with code {worst}")
    return errors
