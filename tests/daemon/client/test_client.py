"""The client as a program, against a scripted server."""

from __future__ import annotations

import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import xcatd
from xcatd.client.connect import (
    ConnectError,
    certificate_directory,
    connect,
    home_directory,
    parse_host,
)

DONE = b"<xcatresponse><serverdone></serverdone></xcatresponse>\n"
LAST_WORD = b"<xcatresponse><info>the last word</info></xcatresponse>\n"
BEGUN = b"<xcatresponse><begunplan>snmove-7</begunplan></xcatresponse>\n"
CLIENT = [sys.executable, "-m", "xcatd.client.main"]


@dataclass
class Scripted:
    """A TLS server that answers every connection in the same way and keeps what it was sent."""

    port: int
    certificates: Path
    received: list[bytes] = field(default_factory=list)

    def run(
        self, *args: str, environ: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the client."""
        settings: dict[str, object] = {"stdin": subprocess.DEVNULL, **options}
        if "input" in options:
            del settings["stdin"]
        return subprocess.run(
            [*CLIENT, *args],
            env=self.environ(environ),
            capture_output=True,
            check=False,
            timeout=30,
            **settings,  # type: ignore[call-overload]
        )

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "TERM": "xterm",
            "XCATHOST": f"127.0.0.1:{self.port}",
            "XCATCLIENTCERTS": str(self.certificates),
            **(more or {}),
        }


def _answer(connection: ssl.SSLSocket, answer: bytes, received: list[bytes]) -> None:
    connection.settimeout(20)
    request = b""
    while b"</xcatrequest>" not in request:
        data = connection.recv(65536)
        if not data:
            return
        request += data
    received.append(request)
    connection.sendall(answer)
    if b"serverdone" not in answer and b"HOLD" in answer:
        received.append(connection.recv(65536))
        if b"LATE" in answer:
            connection.sendall(BEGUN + LAST_WORD + DONE)


@pytest.fixture
def scripted(certificates: Path) -> Iterator[Callable[[bytes], Scripted]]:
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server-cred.pem")
    threads: list[threading.Thread] = []

    def serve(server: Scripted, answer: bytes) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with plain:
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        _answer(connection, answer, server.received)
                except OSError:
                    continue

    def start(answer: bytes) -> Scripted:
        server = Scripted(listener.getsockname()[1], certificates)
        thread = threading.Thread(target=serve, args=(server, answer))
        thread.start()
        threads.append(thread)
        return server

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join(20)


def test_a_command_by_the_first_argument(scripted: Callable[[bytes], Scripted]) -> None:
    server = scripted(b"<xcatresponse><info>hello</info></xcatresponse>\n" + DONE)
    done = server.run("tabdump", "site", cwd="/")
    assert done.returncode == 0
    assert done.stdout == b"hello\n"
    assert b"<arg>site</arg>" in server.received[0]
    assert b"<command>tabdump</command>" in server.received[0]


def test_a_link_gives_the_command(scripted: Callable[[bytes], Scripted], tmp_path: Path) -> None:
    server = scripted(b"<xcatresponse><errorcode>300</errorcode></xcatresponse>\n" + DONE)
    program = tmp_path / "xcatclient"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom xcatd.client.main import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    (tmp_path / "nodels").symlink_to(program)
    done = subprocess.run(
        [tmp_path / "nodels", "n1", "-x"],
        env=server.environ({"XCAT_FOO": "1"}),
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd="/",
    )
    assert done.returncode == 44
    (request,) = server.received
    assert request == (
        b"<xcatrequest>\n  <arg>-x</arg>\n  <clienttype>cli</clienttype>\n"
        b"  <command>nodels</command>\n  <cwd>/</cwd>\n  <environment>\n"
        b"    <XCAT_FOO>1</XCAT_FOO>\n  </environment>\n  <noderange>n1</noderange>\n"
        b"</xcatrequest>\n"
    )


def test_the_end_before_the_end_is_said(scripted: Callable[[bytes], Scripted]) -> None:
    server = scripted(b"<xcatresponse><info>half</info></xcatresponse>\n<xcatresponse>")
    done = server.run("tabdump")
    assert done.stdout == b"half\n"
    assert done.stderr == (
        b"ERROR/WARNING: communication with the xCAT server seems to have been ended prematurely\n"
    )
    assert done.returncode == 1


def test_what_cannot_be_parsed_is_an_error(scripted: Callable[[bytes], Scripted]) -> None:
    server = scripted(b"<?xml version='1.0'?><xcatresponse></xcatresponse>\n" + DONE)
    done = server.run("tabdump")
    assert done.returncode == 255
    assert b"cannot parse the server's reply" in done.stderr


def test_piped_input_is_sent(scripted: Callable[[bytes], Scripted]) -> None:
    server = scripted(DONE)
    server.run("tabdump", input=b"a & b")
    server.run("lsdef", input=b"")
    server.run("tabdump")
    server.run("tabdump", environ={"SHELL": "/bin/ksh"}, input=b"k")
    sent = [b"<stdin>" in request for request in server.received]
    assert sent == [True, True, False, True]
    assert b"<stdin>a &amp; b</stdin>" in server.received[0]
    assert b"<stdin></stdin>" in server.received[1]


def _interrupted(server: Scripted, *words: str) -> subprocess.CompletedProcess[bytes]:
    """The client, interrupted once the server is silent; what it wrote from then on."""
    process = subprocess.Popen(
        [*CLIENT, *words],
        env=server.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"HOLD\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        out, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, 130, out, errors)


def test_an_interrupt_aborts_the_command(scripted: Callable[[bytes], Scripted]) -> None:
    server = scripted(b"<xcatresponse><info>HOLD</info></xcatresponse>\n")
    assert _interrupted(server, "tabdump").stderr == b""
    assert server.received[1] == (
        b"<xcatrequest>\n  <abortcommand>1</abortcommand>\n</xcatrequest>\n"
    )


ADVICE = b"what is left of it: plans --show snmove-7; to go on: plans --resume snmove-7\n"


@pytest.mark.parametrize(
    "answer",
    [
        BEGUN + b"<xcatresponse><info>HOLD</info></xcatresponse>\n",
        b"<xcatresponse><info>HOLD</info><flag>LATE</flag></xcatresponse>\n",
    ],
)
def test_a_plan_that_was_begun_is_named_at_an_interrupt(
    scripted: Callable[[bytes], Scripted], answer: bytes
) -> None:
    """Also one of which the daemon tells only when it hears of the interrupt."""
    done = _interrupted(scripted(answer), "snmove", "n1")
    assert done.stderr == b"snmove-7 was interrupted; " + ADVICE


def test_the_last_words_after_an_interrupt_are_heard(
    scripted: Callable[[bytes], Scripted],
) -> None:
    late = b"<xcatresponse><info>HOLD</info><flag>LATE</flag></xcatresponse>\n"
    assert _interrupted(scripted(late), "snmove", "n1").stdout == b"the last word\n"


def test_a_plan_that_was_begun_is_named_at_the_end_before_the_end(
    scripted: Callable[[bytes], Scripted],
) -> None:
    done = scripted(BEGUN + b"<xcatresponse><info>half</info>").run("snmove", "n1")
    assert done.returncode == 2
    assert done.stderr == (
        b"ERROR/WARNING: communication with the xCAT server seems to have been ended prematurely\n"
        b"snmove-7 was begun; " + ADVICE
    )


@pytest.mark.parametrize("word", [b"begunplan", b"savedplan"])
def test_names_that_no_plan_has_are_not_shown(
    scripted: Callable[[bytes], Scripted], word: bytes, tmp_path: Path
) -> None:
    inside = b"<plan>p\x1b[2J</plan><sha256>x</sha256>" if word == b"savedplan" else b"p\x1b[2J"
    reply = b"<xcatresponse><%b>%b</%b></xcatresponse>\n" % (word, inside, word)
    ended = DONE if word == b"savedplan" else b""
    done = scripted(reply + ended).run("snmove", "n1", "--out", "x", cwd=tmp_path)
    assert done.returncode == 1 and b"\x1b" not in done.stdout + done.stderr
    assert (b"has no saved plan" in done.stderr) is (word == b"savedplan")
    assert not (tmp_path / "x").exists()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    done = Scripted(port, Path("/nonexistent")).run("tabdump")
    assert done.returncode == 111
    assert done.stdout.decode() == (
        f"Unable to open socket connection to xcatd daemon on 127.0.0.1:{port}.\n"
        "Verify that the xcatd daemon is running and that your SSL setup is correct.\n"
    )
    assert done.stderr.startswith(b"Connection failure: ")


def test_the_port_is_needed() -> None:
    done = Scripted(0, Path("/nonexistent")).run("tabdump", environ={"XCATHOST": "mn"})
    assert done.returncode == 22
    assert b"Connection failure: Cannot determine remote port" in done.stderr


def test_an_unknown_interface_is_said() -> None:
    done = Scripted(0, Path("/x")).run("tabdump", environ={"XCATHOST": "[::1%nosuch]:3001"})
    assert done.returncode == 1
    assert done.stderr == b"Unable to identify scope nosuch\n"


def test_without_certificates_one_is_warned_and_goes_on(
    scripted: Callable[[bytes], Scripted], tmp_path: Path
) -> None:
    server = scripted(DONE)
    done = server.run("tabdump", environ={"XCATCLIENTCERTS": str(tmp_path)})
    assert done.returncode == 0
    assert done.stdout.startswith(
        f"warning: the client certificates under {tmp_path}/ are not setup correctly".encode()
    )


def test_a_server_of_another_authority_is_not_trusted(
    scripted: Callable[[bytes], Scripted], tmp_path: Path, other_certificates: Path
) -> None:
    server = scripted(DONE)
    done = server.run("tabdump", environ={"XCATCLIENTCERTS": str(other_certificates)})
    assert done.returncode != 0
    assert b"Connection failure: " in done.stderr
    assert b"Unable to open socket connection" in done.stdout
    assert server.received == []


def test_no_command_and_bypass() -> None:
    alone = Scripted(0, Path("/x"))
    assert alone.run().returncode == 1
    bypass = alone.run("tabdump", environ={"XCATBYPASS": "1"})
    assert bypass.returncode == 1
    assert b"XCATBYPASS" in bypass.stderr


def test_the_exchange_can_be_traced(scripted: Callable[[bytes], Scripted]) -> None:
    server = scripted(DONE)
    done = server.run("tabdump", environ={"XCATXMLTRACE": "1"})
    assert done.stdout == server.received[0] + DONE


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mn:3001", ("mn", "3001", "")),
        ("mn", ("mn", "", "")),
        ("10.0.0.1:1", ("10.0.0.1", "1", "")),
        ("[::1]:3001", ("::1", "3001", "")),
        ("[::1]", ("::1", "", "")),
        ("[fe80::1%eth0]:3001", ("fe80::1", "3001", "eth0")),
        ("fe80::1%eth0:3001", ("fe80::1", "3001", "eth0")),
        ("", ("", "", "")),
    ],
)
def test_hosts_are_taken_apart(text: str, parts: tuple[str, str, str]) -> None:
    assert parse_host(text) == parts


def test_unknown_names_cannot_be_connected_to() -> None:
    with pytest.raises(ConnectError, match="cannot find the address"):
        connect("no such host:1")


def test_certificates_lie_in_the_users_home() -> None:
    assert certificate_directory({"HOME": "/elsewhere"}) == home_directory() / ".xcat"
    assert certificate_directory({"XCATCLIENTCERTS": "/c"}) == Path("/c")


def test_the_start_is_light() -> None:
    """What a command line user waits for on every call."""
    code = (
        "import sys, xcatd.client.main;"
        "print([name for name in sys.modules if name.partition('.')[0] in"
        " ('sqlalchemy', 'dataclasses', 'logging', 'cryptography', 'Pyro5', 'subprocess')])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(Path(xcatd.__file__).parents[1])},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout == "[]\n"


def test_on_a_terminal_progress_is_asked_for_and_drawn_over(
    scripted: Callable[[bytes], Scripted],
) -> None:
    documents = (
        b"<xcatresponse><sinfo>1 of 2</sinfo></xcatresponse>\n"
        b"<xcatresponse><info>done</info></xcatresponse>\n"
    )
    server = scripted(documents + DONE)
    terminal, inner = pty.openpty()
    try:
        done = subprocess.run(
            [*CLIENT, "tabdump"],
            env=server.environ(),
            stdin=subprocess.DEVNULL,
            stdout=inner,
            stderr=subprocess.PIPE,
            check=False,
            timeout=30,
        )
        os.close(inner)
        shown = os.read(terminal, 4096)
    finally:
        os.close(terminal)
    assert (done.returncode, done.stderr) == (0, b"")
    assert shown == b"\r\x1b[K1 of 2\r\x1b[Kdone\r\n"
    assert b"<XCAT_PROGRESS>1</XCAT_PROGRESS>" in server.received[0]
