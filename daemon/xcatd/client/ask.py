"""Requests that a program makes of the daemon: what would be printed is handed back.

Facts: specs/wire-protocol.md, sections 2 and 3.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from xcatd.wire.tree import Limits, Tree, layout

from . import commands, main
from .printer import Printer

#: What one request may hold, in bytes, with room for what is around it.
MOST_BYTES = Limits().size - (1 << 20)


class Answer(NamedTuple):
    """The exit status, and what belongs on standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What was printed, line by line, errors last."""
        return [*self.out.splitlines(), *self.err.splitlines()]


class TooLongError(ValueError):
    """More than one request can hold."""


def ask(
    command: str,
    args: Sequence[str],
    environ: Mapping[str, str],
    more: Mapping[str, Sequence[str]] | None = None,
) -> Answer:
    """Send a command and wait for its end.  ``more`` are further elements of the request.

    Raises :class:`TooLongError`, and what :func:`.main.open_connection` raises.
    """
    tree: Tree = commands.build(command, args, cwd=os.getcwd(), stdin=(), environ=environ)  # noqa: PTH109 - as main
    tree |= {name: [*texts] for name, texts in (more or {}).items()}
    # A parser would make a line end of a carriage return.
    document = layout("xcatrequest", tree).replace("\r", "&#13;").encode("utf-8", "surrogateescape")
    if len(document) > MOST_BYTES:
        raise TooLongError(f"{len(document) >> 20} MB; a request can hold {MOST_BYTES >> 20} MB")
    out, err = io.BytesIO(), io.BytesIO()
    conversation = main.Conversation(main.open_connection(environ), Printer(out, err), environ)
    status = conversation.hold(document, can_abort=False)
    return Answer(status, _text(out), _text(err))


def _text(stream: io.BytesIO) -> str:
    return stream.getvalue().decode("utf-8", "surrogateescape")
