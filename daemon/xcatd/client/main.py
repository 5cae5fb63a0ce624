"""``xcatclient COMMAND ARGS…``, or any command name linked to it.

Starts often and must start fast: nothing heavy is imported here, rare things only when needed.
Facts: docs/facts/wire.md, Transport and TLS; Request framing; Reply framing.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import stat
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from xcatd.text.visible import visible
from xcatd.wire import savedplan
from xcatd.wire.savedplan import SavedPlan
from xcatd.wire.stream import ResponseReader
from xcatd.wire.tree import MalformedError, Tree, layout

from . import commands, connect, nodefiles, planning
from .printer import Printer, encode, harmless, write

if TYPE_CHECKING:
    import ssl

_ABORT_PATIENCE = 2.0  # seconds for the server to hear of it
_PREMATURE = (
    "ERROR/WARNING: communication with the xCAT server seems to have been ended prematurely\n"
)
_PROGRAM = "xcatclient"
_DUMPS = "tabdump"
_INTERRUPTED, _PARTLY = 130, 2  # exit statuses


class _Aborted(BaseException):
    """The user wants the command to end; not an error, so not to be caught as one."""


def _abort(_signal: int, _frame: FrameType | None) -> None:
    raise _Aborted


def main(program: str | None = None) -> int:
    """Run one command; returns its exit status.  ``program`` stands for the name this was called by."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    name = program or os.path.basename(sys.argv[0])  # noqa: PTH119 - start-up time
    args = [os.fsencode(arg).decode("utf-8", "surrogateescape") for arg in sys.argv[1:]]
    if _PROGRAM in name or name == commands.ClientProgram.OBJECTS.value:
        if not args:
            print(f"Usage: {_PROGRAM} COMMAND [ARGUMENT...]", file=sys.stderr)  # noqa: T201
            return 1
        name, *args = args
    return run(name, args, os.environ)


def run(command: str, args: Sequence[str], environ: Mapping[str, str]) -> int:
    """Send the command, print what comes, and return the exit status."""
    if environ.get("XCATBYPASS"):
        print("XCATBYPASS is not possible with this client; unset it", file=sys.stderr)  # noqa: T201
        return 1
    if command == _DUMPS and (status := _into_file(args, environ)) is not None:
        return status
    try:
        line = planning.read(command, args, environ, can_ask=_has_terminal())
        status, plan = _converse(command, line, environ)
        return status if plan is None else _deal_with(plan, status, command, line, environ)
    except (nodefiles.FileError, planning.PlanFileError) as error:
        print(f"{_PROGRAM}: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _converse(
    command: str, line: planning.SentCommand, environ: Mapping[str, str]
) -> tuple[int, SavedPlan | None]:
    """Send one request and print the replies; the exit status, and the plan they told of."""
    is_terminal = sys.stdout.isatty()
    request = _request(command, line, environ, is_terminal=is_terminal)
    document = layout("xcatrequest", request).encode("utf-8", "surrogateescape")
    try:
        sock = open_connection(environ)
    except connect.ScopeError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1, None
    except connect.ConnectError as error:
        return say_no_connection(error, environ), None
    printer = Printer(
        sys.stdout.buffer,
        sys.stderr.buffer,
        shows_server=bool(environ.get("XCATSHOWSVR")) or commands.shows_server(command, line.args),
        is_terminal=is_terminal,
        errors_on_terminal=sys.stderr.isatty(),
    )
    conversation = Conversation(sock, printer, environ)
    status = conversation.hold(document)
    return status, conversation.saved


def _deal_with(
    plan: SavedPlan,
    status: int,
    command: str,
    line: planning.SentCommand,
    environ: Mapping[str, str],
) -> int:
    """Write a plan to the file that was named for it, or ask whether it is to be applied."""
    if not planning.is_named(plan):
        raise planning.PlanFileError("the reply has no saved plan: it gives names that no plan has")
    if line.out is not None:
        planning.write(line.out, plan, command)
        # Behind JSON nothing else is to come.
        where = sys.stderr if "--json" in line.args else sys.stdout
        print(f"Wrote {line.out}.", file=where)
        return status
    if not plan.needs_confirmation or status:
        return status
    write(sys.stdout, "".join(f"{visible(text)}\n" for text in plan.text))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        is_confirmed = line.asks_above is not None and planning.is_confirmed(plan)
    except KeyboardInterrupt:
        print("\nNothing was changed.")  # noqa: T201
        return _INTERRUPTED
    if not is_confirmed:
        print(f"The plan is kept for a week; to carry it out: {command} --apply {plan.id}")  # noqa: T201
        print("Nothing was changed.")  # noqa: T201
        return 1
    words = (*plan.keeps, *plan.words, "--yes")
    return _converse(command, planning.SentCommand(words), environ)[0]


def _has_terminal() -> bool:
    """Whether somebody can be asked: both what is read and what is written are a terminal's."""
    try:
        return os.isatty(0) and os.isatty(1)
    except OSError:
        return False


def _into_file(args: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """``tabdump -f`` writes its file here; None where the daemon is to see the command line as it is."""
    if not any(arg.startswith("-") and "f" in arg for arg in args):
        return None
    from . import tablefile  # noqa: PLC0415 - start-up time

    return tablefile.run(args, environ)


def _request(
    command: str, line: planning.SentCommand, environ: Mapping[str, str], *, is_terminal: bool
) -> Tree:
    variables = dict(environ)
    if is_terminal:
        variables["XCAT_PROGRESS"] = "1"
    try:
        cwd: str | None = os.getcwd()  # noqa: PTH109 - start-up time
    except OSError:
        cwd = None
    stdin = _standard_input(commands.kind_of(command), environ)
    return commands.build(
        command,
        line.args,
        cwd=cwd,
        stdin=stdin,
        environ=variables,
        asks_above=line.asks_above,
    )


def _standard_input(kind: commands.ClientProgram, environ: Mapping[str, str]) -> list[str | None]:
    """What the command is to read; empty when nothing is to be sent at all."""
    try:
        if environ.get("SHELL", "").endswith("/ksh") or "TERM" not in environ:
            wanted = bool(select.select([0], [], [], 1.0)[0])
        elif kind is commands.ClientProgram.OBJECTS:
            wanted = not os.isatty(0)
        else:
            wanted = stat.S_ISFIFO(os.fstat(0).st_mode)
        if not wanted:
            return []
        with open(0, "rb", closefd=False) as file:
            text = file.read().decode("utf-8", "surrogateescape")
    except (OSError, ValueError):  # it is closed
        return [None] if kind is commands.ClientProgram.OBJECTS else []
    return [text or None]


def open_connection(environ: Mapping[str, str]) -> ssl.SSLSocket:
    """The way to the daemon; raises :class:`.connect.ConnectError` and :class:`.connect.ScopeError`."""
    sock = connect.connect(_host(environ))
    directory = connect.certificate_directory(environ)
    if not connect.has_certificates(directory):
        print(_no_certificates(directory, environ), flush=True)  # noqa: T201
    return connect.secure(sock, directory, environ)


def _host(environ: Mapping[str, str]) -> str:
    return environ.get("XCATHOST") or connect.DEFAULT_HOST


def _no_certificates(directory: object, environ: Mapping[str, str]) -> str:
    return (
        f"warning: the client certificates under {directory}/ are not setup correctly, please run"
        " '/opt/xcat/share/xcat/scripts/setup-local-client.sh"
        f" {environ.get('USER', '')}' as 'root' to generate the client certificates; otherwise, the"
        " SSL connection between xcat client and xcatd will be setup without certificate"
        " verification and open to Man-In-The-Middle attacks."
    )


def say_no_connection(error: connect.ConnectError, environ: Mapping[str, str]) -> int:
    """Tell that there is no connection; returns the exit status."""
    host = re.sub(r"%[^\]|:]*", "", _host(environ), count=1)
    sys.stdout.write(
        f"Unable to open socket connection to xcatd daemon on {host}.\n"
        "Verify that the xcatd daemon is running and that your SSL setup is correct.\n"
    )
    sys.stdout.flush()
    sys.stderr.write(f"Connection failure: {error}\n")
    return error.status


def _write(text: str) -> None:
    """What the server said, for people who want to see it raw; a terminal still is not commanded by it."""
    sys.stdout.buffer.write(encode(harmless(text) if sys.stdout.isatty() else text))


class Conversation:
    """One request and its responses over a connection; ``saved`` is the plan they told of last.

    ``begun`` is the id of the plan that is being carried out, if any is.
    """

    saved: SavedPlan | None = None
    begun: str = ""

    def __init__(self, sock: ssl.SSLSocket, printer: Printer, environ: Mapping[str, str]) -> None:
        self._sock = sock
        self._printer = printer
        self._reader = ResponseReader()
        self._shows_xml = bool(environ.get("XCATSHOWXML"))
        self._traces = bool(environ.get("XCATXMLTRACE"))

    def hold(self, document: bytes, *, can_abort: bool = True) -> int:
        """Send, read to the end, print; returns the exit status.

        ``can_abort``: an interrupted user's wish is passed on to the server; else it ends the program.
        """
        if self._traces:
            sys.stdout.buffer.write(document)
        try:
            self._send(document)
            if can_abort:
                signal.signal(signal.SIGINT, _abort)
                signal.signal(signal.SIGTERM, _abort)
            is_complete = self._read()
        except _Aborted:
            self._hear_last_words()
            if self.begun:
                self._say(f"{self.begun} was interrupted")
            return _INTERRUPTED
        except MalformedError as error:
            self._printer.flush()
            sys.stderr.write(f"{_PROGRAM}: {error}\n")
            return 255
        self._printer.clear_progress()
        self._printer.flush()
        if not is_complete:
            sys.stderr.write(_PREMATURE)
            if not self.begun:
                return 1
            self._say(f"{self.begun} was begun")
            return _PARTLY
        return self._printer.status & 0xFF

    def _say(self, what: str) -> None:
        """What to do about the plan that was begun."""
        write(
            sys.stderr,
            f"{what}; what is left of it: plans --show {self.begun}; to go on: plans --resume {self.begun}\n",
        )

    def _send(self, document: bytes) -> None:
        with contextlib.suppress(OSError):  # reading tells what the server made of it
            self._sock.sendall(document)

    def _read(self, until: float | None = None) -> bool:
        """Print what comes; true once that was the last reply, false after ``until`` or at the connection's end."""
        while data := self._receive(until):
            if self._traces:
                _write(data.decode("latin-1"))
            for response in self._reader.feed(data):
                self._show(response)
                if "serverdone" in response:
                    return True
            self._printer.flush()
        return False

    def _receive(self, until: float | None) -> bytes:
        try:
            if until is not None:
                self._sock.settimeout(max(0.001, until - time.monotonic()))
            return self._sock.recv(1 << 16)
        except OSError:  # reset, or cut without TLS's goodbye: the end all the same
            return b""

    def _show(self, response: Tree) -> None:
        self.saved = savedplan.of_reply(response) or self.saved
        self._note_begun(response)
        if self._shows_xml:
            _write(layout("xcatresponse", response) + "\n")
        else:
            self._printer.show(response)

    def _note_begun(self, response: Tree) -> None:
        found = savedplan.begun(response)
        self.begun = found if planning.is_id(found) else self.begun

    def _hear_last_words(self) -> None:
        """Tell the server, give it the time to hear, and print what it says meanwhile."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self._printer.clear_progress()
        self._printer.flush()
        self._send(layout("xcatrequest", {"abortcommand": ["1"]}).encode())
        until = time.monotonic() + _ABORT_PATIENCE
        with contextlib.suppress(MalformedError):  # the interrupt may have cut a reply in two
            self._read(until)
        self._printer.clear_progress()
        self._printer.flush()


if __name__ == "__main__":
    sys.exit(main(_PROGRAM))
