"""The daemon as a process: start, readiness, errors, signals, handing the port over."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.process import PidFile, parse_options

XCATD = [sys.executable, "-m", "xcatd.main"]


class Started:
    """A daemon process."""

    def __init__(self, process: subprocess.Popen[str], first: str) -> None:
        self.process = process
        self.first = first

    @property
    def port(self) -> int:
        return int(self.first.rpartition(" ")[2])

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


def _environ(prepared: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "XCATCFG": f"SQLite:{prepared / 'db'}"}


def _set(prepared: Path, key: str, value: str) -> None:
    with sqlite3.connect(prepared / "db" / "site.sqlite") as connection:
        connection.execute("DELETE FROM site WHERE key = ?", (key,))
        connection.execute("INSERT INTO site (key, value) VALUES (?, ?)", (key, value))
    connection.close()


@pytest.fixture
def launch(prepared: Path) -> Iterator[Callable[..., Started]]:
    started: list[subprocess.Popen[str]] = []

    def start(*args: str) -> Started:
        process = subprocess.Popen(
            [*XCATD, "-f", *args],
            env=_environ(prepared),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 30)[0], "no word of readiness"
        return Started(process, process.stdout.readline())

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def _run(prepared: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*XCATD, *args],
        env=_environ(prepared),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )


def test_it_says_when_it_is_ready_and_ends_on_sigterm(
    launch: Callable[..., Started], prepared: Path
) -> None:
    daemon = launch("-p", str(prepared / "pid"), "--unknown", "-x")
    assert daemon.first == f"xcatd: ready on port {daemon.port}\n"
    assert (prepared / "pid").read_text() == f"{daemon.process.pid}\n"
    socket.create_connection(("127.0.0.1", daemon.port), 5).close()
    assert daemon.end() == 0
    assert daemon.process.stdout is not None
    assert daemon.process.stdout.read() == ""
    assert not (prepared / "pid").exists()


def test_sigint_ends_it_too(launch: Callable[..., Started], prepared: Path) -> None:
    assert launch("-p", str(prepared / "pid")).end(signal.SIGINT) == 0


def test_it_serves(launch: Callable[..., Started], prepared: Path, authority: Any) -> None:
    import ssl

    daemon = launch("-p", str(prepared / "pid"))
    directory = authority.client_directory(prepared / "user", "root")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(directory / "ca.pem")
    context.load_cert_chain(directory / "client-cred.pem")
    plain = socket.create_connection(("127.0.0.1", daemon.port), 10)
    with context.wrap_socket(plain) as sock:
        sock.sendall(
            b"<xcatrequest><command>noderange</command><noderange>n1</noderange></xcatrequest>"
        )
        assert b"<node>n1</node>" in sock.recv(65536)
    assert daemon.end() == 0


#: An expression, and a name with which it takes longer than anybody waits.
COSTLY = ".*" * 900 + "[XY]"
LONG = "n" * 60


def _insert(prepared: Path, table: str, **row: str) -> None:
    database = Database.open(Location("SQLite", prepared / "db"))
    with database.transaction(table) as transaction:
        transaction.insert(table, [row])
    database.close()


def _is_busy(pid: int) -> bool:
    """Waits until the process computes."""

    def ticks() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before, deadline = ticks(), time.monotonic() + 20
    while ticks() - before < 30 and time.monotonic() < deadline:
        select.select([], [], [], 0.02)
    return ticks() - before >= 30


@pytest.mark.parametrize("noderange", [f"/{COSTLY}", "nodehm.mgt==a"], ids=["asked", "stored"])
def test_sigterm_ends_it_while_an_expression_runs(
    launch: Callable[..., Started], prepared: Path, authority: Any, noderange: str
) -> None:
    import ssl

    _insert(prepared, "nodelist", node=LONG, groups="all")
    _insert(prepared, "nodehm", node="all", mgt=f"|{COSTLY}|a|")
    directory = authority.client_directory(prepared / "user", "root")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(directory / "ca.pem")
    context.load_cert_chain(directory / "client-cred.pem")
    request = (
        f"<xcatrequest><command>noderange</command><noderange>{noderange}</noderange></xcatrequest>"
    )
    for _ in range(2):  # what is stored is there after a restart, too
        daemon = launch("-p", str(prepared / "pid"))
        socks = [socket.create_connection(("127.0.0.1", daemon.port), 20) for _ in range(4)]
        asking = [context.wrap_socket(sock) for sock in socks]
        for sock in asking:
            sock.sendall(request.encode())
        assert _is_busy(daemon.process.pid)
        asked = time.monotonic()
        assert daemon.end() == 0
        assert time.monotonic() - asked < 18
        for sock in asking:
            assert b"took longer than 2 s" in sock.recv(65536)
            sock.close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda top: (top / "etc/cert/server-cred.pem").unlink(), "server-cred.pem: No such file"),
        (lambda top: (top / "etc/cert/ca.pem").unlink(), "ca.pem: No such file"),
        (lambda top: (top / "etc/cert/server-cred.pem").write_text("x"), "server-cred.pem: "),
        (lambda top: (top / "etc/cert/ca.pem").write_text("x"), "ca.pem: "),
        (lambda top: (top / "db/site.sqlite").unlink(), "cannot find xcatdport in the site table"),
        (lambda top: _set(top, "xcatdport", "x"), "cannot use site.xcatdport 'x'"),
        (lambda top: shutil.rmtree(top / "db"), "cannot"),
    ],
)
@pytest.mark.parametrize("option", ["-f", "-x"])
def test_what_is_missing_is_said_in_one_line(
    prepared: Path, spoil: Callable[[Path], None], said: str, option: str
) -> None:
    spoil(prepared)
    done = _run(prepared, option, "-p", str(prepared / "pid"))
    assert done.returncode == 1
    assert done.stdout == ""
    *_, line = done.stderr.splitlines()
    assert line.startswith("xcatd: ")
    assert said in line
    assert "Traceback" not in done.stderr
    assert not (prepared / "pid").exists()


def test_a_taken_port_is_an_error(prepared: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        _set(prepared, "xcatdport", str(sock.getsockname()[1]))
        done = _run(prepared, "-f", "-p", str(prepared / "pid"))
    assert done.returncode == 1
    assert "Address already in use" in done.stderr


def test_an_unwritable_pid_file_that_was_asked_for_is_an_error(prepared: Path) -> None:
    done = _run(prepared, "-f", "-p", str(prepared / "no" / "such" / "directory"))
    assert done.returncode == 1
    assert "xcatd: cannot start: " in done.stderr


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_a_second_daemon_takes_the_port_over(
    launch: Callable[..., Started], prepared: Path
) -> None:
    _set(prepared, "xcatdport", str(_free_port()))
    pidfile = prepared / "pid"
    first = launch("-p", str(pidfile))
    second = launch("-p", str(pidfile))
    assert first.process.wait(20) == 0
    assert second.port == first.port
    assert pidfile.read_text() == f"{second.process.pid}\n"
    assert second.end() == 0


def test_as_a_daemon_the_launcher_waits_for_readiness(prepared: Path) -> None:
    port = _free_port()
    _set(prepared, "xcatdport", str(port))
    pidfile = prepared / "pid"
    done = _run(prepared, "-p", str(pidfile))
    assert (done.returncode, done.stdout) == (0, "")
    pid = int(pidfile.read_text())
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    finally:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while pidfile.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("args", "foreground", "pidfile"),
    [
        ([], False, None),
        (["-f"], True, None),
        (["--foreground", "--pidfile", "/x"], True, "/x"),
        (["--pidfile=/x"], False, "/x"),
        (["-p", "/x", "--verbose", "word"], False, "/x"),
        (["-p"], False, None),
    ],
)
def test_options(args: list[str], foreground: bool, pidfile: str | None) -> None:
    options = parse_options(args)
    assert options.foreground is foreground
    assert options.pidfile == (Path(pidfile) if pidfile else None)


def test_a_stale_pid_file_names_nobody(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    assert PidFile(path).running() is None
    path.write_text("1\n")
    assert PidFile(path).running() is None
    mine = PidFile(path)
    mine.write()
    assert PidFile(path).running() == os.getpid()
    mine.release()
    mine.release()
    assert not path.exists()
