"""Plans on the user's side: the file of ``--out``, the file or id of ``--apply``, and the question before a real run.

No command is known by name here: a reply that has a saved plan is of one that plans.  Must not: connect, or be slow
to import.  Facts: docs/facts/wire.md, Saved plans.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from xcatd.text.visible import visible
from xcatd.wire.savedplan import SavedPlan

from . import commands

#: How many nodes a plan may have before one is asked, unless the user's variable says otherwise.
MOST_UNASKED = 50
VARIABLE = "XCAT_CONFIRM_NODES"
_NEVER = 999_999_999

_MAGIC = "# A plan that xcatd keeps; apply it with --apply and the name of this file."
_HEAD = 4096  # bytes within which id and digest stand
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class PlanFileError(Exception):
    """The command cannot be sent, or its plan not be written; one line for people."""


class SentCommand(NamedTuple):
    """What is sent: the arguments, the file for a plan, and above how many nodes the user is to be asked."""

    args: tuple[str, ...]
    out: str | None = None
    asks_above: int | None = None


def read(
    command: str, args: Sequence[str], environ: Mapping[str, str], *, can_ask: bool
) -> SentCommand:
    """A command line, ready to be sent; raises :class:`PlanFileError`.

    ``can_ask``: there is somebody at a terminal.  Words are sent as they were typed, but for a plan's file, and for
    options that stand before a noderange, whose values would be taken for it.
    """
    sent, out = list(args), None
    is_ranged = commands.kind_of(command) is commands.ClientProgram.NODERANGE
    if found := _option(sent, "--out"):
        out = (
            found.value
        )  # of a command that plans, which only its reply tells: nothing is refused before
        sent = found.replaced(f"--out={out}") if is_ranged else sent
    if found := _option(sent, "--apply"):
        plan = _read_file(found.value)
        if plan is not None:
            sent = found.replaced(*plan.words)
        elif is_ranged:
            sent = found.replaced(f"--apply={found.value}")
    asks = can_ask and "--yes" not in _before_end(sent)
    return SentCommand(tuple(sent), out, _limit(environ) if asks else None)


class _Option(NamedTuple):
    """A long option with its value, where it stands, and how many words it takes."""

    args: Sequence[str]
    at: int
    size: int
    value: str

    def replaced(self, *words: str) -> list[str]:
        return [*self.args[: self.at], *words, *self.args[self.at + self.size :]]


def _before_end(args: Sequence[str]) -> Sequence[str]:
    return args[: args.index("--")] if "--" in args else args


def _option(args: Sequence[str], name: str) -> _Option | None:
    words = _before_end(args)
    for at, word in enumerate(words):
        if word == name and at + 1 < len(words):
            return _Option(args, at, 2, words[at + 1])
        if word.startswith(f"{name}=") and len(word) > len(name) + 1:
            return _Option(args, at, 1, word[len(name) + 1 :])
    return None


def _limit(environ: Mapping[str, str]) -> int:
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return MOST_UNASKED
    if not (text.isascii() and text.isdigit()):
        return 0  # ask always, and end no command that does not plan
    # A daemon takes what has too many digits for a mistake, and asks always.
    return _NEVER if len(text.lstrip("0")) > len(str(_NEVER)) else int(text)


# -- files -----------------------------------------------------------------------------------------


def _head(file: str) -> str | None:
    """The beginning of a regular file, None where there is none; raises OSError."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        return os.read(fd, _HEAD).decode("utf-8", "replace") if is_file else ""
    finally:
        os.close(fd)


def _refuse_place(file: str) -> None:
    head = _head(file)
    if head is not None and not head.startswith(_MAGIC):
        raise FileExistsError(errno.EEXIST, "there is something that is no saved plan")


def _read_file(name: str) -> SavedPlan | None:
    """The plan of a file; None where the name is no such file, but may be an id."""
    try:
        head = _head(name)
    except (OSError, ValueError):
        return None
    if head is None or not head.startswith(_MAGIC):
        return None
    found = dict(line.partition(": ")[::2] for line in head.splitlines()[1:3])
    plan = SavedPlan(found.get("plan", ""), found.get("sha256", ""))
    if not is_named(plan):
        raise PlanFileError(f"cannot apply {name}: the lines that name its plan were altered")
    return plan


def is_id(text: str) -> bool:
    """Whether a plan can be called so."""
    return _ID.fullmatch(text) is not None


def is_named(plan: SavedPlan) -> bool:
    """Whether a daemon can have given these names, and options that can be sent back to it."""
    words = all(map(str.isprintable, plan.keeps))
    return is_id(plan.id) and _DIGEST.fullmatch(plan.sha256) is not None and words


def write(file: str, plan: SavedPlan, command: str) -> None:
    """Make the file of a plan, for its owner alone and never through a link; raises :class:`PlanFileError`.

    ``command`` is what applies it.
    """
    from pathlib import Path  # noqa: PLC0415 - start-up time

    from xcatd import files  # noqa: PLC0415 - start-up time

    lines = [_MAGIC, f"plan: {plan.id}", f"sha256: {plan.sha256}", f"nodes: {plan.nodes}", ""]
    text = "".join(f"{line}\n" for line in (*lines, *map(visible, plan.text)))
    try:
        _refuse_place(file)
        files.write(Path(file), [text.encode("utf-8", "replace")])
    except (OSError, ValueError) as error:
        raise PlanFileError(
            f"cannot write {visible(file)}: {_why(error)}; the plan is kept as {plan.id}; to carry it out:"
            f" {command} --apply {plan.id}"
        ) from None


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


# -- the question ----------------------------------------------------------------------------------


def is_confirmed(plan: SavedPlan) -> bool:
    """Ask whether a plan is to be applied; raises KeyboardInterrupt as the user does."""
    nodes = f"{plan.nodes} node" + "s" * (plan.nodes != 1)
    sys.stdout.write(f"Apply this plan to {nodes}? [y/N] ")
    sys.stdout.flush()
    _wait_for_answer()
    try:
        answer = sys.stdin.readline()
    except UnicodeDecodeError:
        return False
    if not answer:  # the end of the input, where nobody ended the line
        sys.stdout.write("\n")
    return answer.strip().lower() in {"y", "yes"}


def _wait_for_answer() -> None:
    """Until a line is there; an interrupt is heard at once, even one that comes just before the reading begins."""
    import select  # noqa: PLC0415 - start-up time
    import signal  # noqa: PLC0415 - start-up time

    heard, tell = os.pipe()
    os.set_blocking(tell, False)
    before = signal.set_wakeup_fd(tell)
    try:
        select.select([sys.stdin, heard], [], [])
    finally:
        signal.set_wakeup_fd(before)
        os.close(heard)
        os.close(tell)
