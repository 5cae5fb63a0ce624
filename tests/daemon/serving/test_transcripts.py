"""Recorded exchanges of the existing Perl client with this daemon, replayed on both ends.

``request`` is what the Perl client sent, ``response`` what the daemon answered, the rest what the Perl client
made of it.  A difference is a difference to that client.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from xcatd.client import commands
from xcatd.client.main import Conversation
from xcatd.client.printer import Printer
from xcatd.wire.tree import layout

Cluster = Any
Transcript = dict[str, Any]


class Recorded:
    """A connection on which the server's part has been recorded."""

    def __init__(self, response: bytes, piece: int) -> None:
        self._pieces = [response[at : at + piece] for at in range(0, len(response), piece)]
        self.sent = b""

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@pytest.fixture(autouse=True)
def _same_signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


#: Where the daemon answers other than recorded: nothing it says may command the terminal of the Perl client.
HARMLESS = str.maketrans("\x1b\x7f", "??")


def test_the_daemon_answers_as_recorded(standing: Cluster, transcript: Transcript) -> None:
    expected = transcript["response"]
    if "because" in transcript:
        expected = transcript["ours"]
    assert standing.ask(transcript["request"]) == expected.translate(HARMLESS)


def test_the_client_sends_what_the_perl_client_sent(
    transcript: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    command, *args = transcript["argv"]
    stdin = [] if transcript["stdin"] is None else [transcript["stdin"]]
    if commands.kind_of(command) is commands.ClientProgram.OBJECTS and not stdin:
        stdin = [None]  # recorded with an empty standard input that is no terminal
    tree = commands.build(command, args, cwd="/", stdin=stdin, environ=transcript["environ"])
    assert layout("xcatrequest", tree) == transcript["request"]


@pytest.mark.parametrize("piece", [7, 1 << 16])
def test_the_client_prints_what_the_perl_client_printed(
    transcript: Transcript, piece: int, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    import sys

    command, *args = transcript["argv"]
    environ = transcript["environ"]
    printer = Printer(
        sys.stdout.buffer,
        sys.stderr.buffer,
        shows_server=commands.shows_server(command, args),
    )
    connection: Any = Recorded(transcript["response"].encode(), piece)
    request = transcript["request"].encode()
    status = Conversation(connection, printer, environ).hold(request)
    out, err = capsysbinary.readouterr()
    assert connection.sent == request
    assert out.decode("latin-1") == transcript["stdout"]
    assert err.decode("latin-1") == transcript["stderr"]
    assert status == transcript["status"]
