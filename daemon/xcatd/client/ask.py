"""Requests that a program makes of the daemon: what would be printed is handed back.

Facts: docs/facts/wire.md, Request framing; Request elements; Reply framing; Reply elements and printing.
"""

from __future__ import annotations

import io
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from typing import BinaryIO, NamedTuple

from xcatd.wire.tree import DocumentLimits, Tree, layout

from . import commands, main
from .printer import Printer

#: What one request may hold, in bytes, with room for what is around it.
MOST_BYTES = DocumentLimits().size - (1 << 20)


#: How old the last use of a connection may be, in seconds; the daemon waits for fifteen.
_FRESH = 5.0


class DaemonAnswer(NamedTuple):
    """The exit status, what belongs on standard output and standard error, and the element asked for beside it."""

    status: int
    out: str
    err: str
    kept: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What was printed, line by line, errors last."""
        return [*self.out.splitlines(), *self.err.splitlines()]


class DaemonLine:
    """One connection for several requests: what a request changes of the daemon's settings is for new ones.

    The daemon ends a connection that says nothing for a while, so an old one is not used again.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._sock: ssl.SSLSocket | None = None
        self._used = 0.0

    def take(self) -> ssl.SSLSocket:
        """The connection; raises what :func:`.main.open_connection` raises."""
        if self._sock is not None and time.monotonic() - self._used > _FRESH:
            self.close()
        if self._sock is None:
            self._sock = main.open_connection(self._environ)
        return self._sock

    def give_back(self) -> None:
        """A request is over."""
        self._used = time.monotonic()

    def close(self) -> None:
        """Hang up."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


class Keeper(Printer):
    """Prints as ever, and keeps the texts of one element that nobody is to see."""

    def __init__(self, out: BinaryIO, err: BinaryIO, element: str) -> None:
        super().__init__(out, err)
        self._element = element
        self.kept: list[str] = []

    def show(self, response: Tree) -> None:
        """As :meth:`.printer.Printer.show`."""
        self.kept += [text for text in response.get(self._element, ()) if isinstance(text, str)]
        super().show(response)


class TooLongError(ValueError):
    """More than one request can hold."""


def ask(
    command: str,
    args: Sequence[str],
    environ: Mapping[str, str],
    more: Mapping[str, Sequence[str]] | None = None,
    line: DaemonLine | None = None,
    *,
    keep: str = "",
) -> DaemonAnswer:
    """Send a command and wait for its end.  ``more`` are further elements of the request.

    ``line`` is a connection for several requests, ``keep`` an element of replies to hand back.  Raises :class:`TooLongError`, and what :func:`.main.open_connection` raises.
    """
    tree: Tree = commands.build(command, args, cwd=os.getcwd(), stdin=(), environ=environ)  # noqa: PTH109 - as main
    tree |= {name: [*texts] for name, texts in (more or {}).items()}
    # A parser would make a line end of a carriage return.
    document = layout("xcatrequest", tree).replace("\r", "&#13;").encode("utf-8", "surrogateescape")
    if len(document) > MOST_BYTES:
        raise TooLongError(f"{len(document) >> 20} MB; a request can hold {MOST_BYTES >> 20} MB")
    out, err = io.BytesIO(), io.BytesIO()
    with (
        closing(main.open_connection(environ)) if line is None else nullcontext(line.take()) as sock
    ):
        printer = Keeper(out, err, keep)
        conversation = main.Conversation(sock, printer, environ)
        status = conversation.hold(document, can_abort=False)
    if line is not None:
        line.give_back()
    return DaemonAnswer(status, _text(out), _text(err), tuple(printer.kept))


def _text(stream: io.BytesIO) -> str:
    return stream.getvalue().decode("utf-8", "surrogateescape")
