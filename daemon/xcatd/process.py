"""The daemon as a process: options, pid file, detaching, taking the port over from an older one.

Must not: know what the daemon does.  Facts: docs/facts/daemon.md, Processes.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from . import files

_log = logging.getLogger(__name__)

DEFAULT_PIDFILE = Path("/var/run/xcatd.pid")
_TRIES = 100
_PAUSE = 0.05  # seconds between two tries to get the port
_DESCRIPTORS = 8192
_LAST_PORT = 0xFFFF


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """The command line; what was not asked for is None."""

    foreground: bool = False
    pidfile: Path | None = None
    port: int | None = None
    upstream: str | None = None


class DaemonOptionError(ValueError):
    """An option cannot be used; the message is for the administrator."""


_NAMES = {"-p": "--pidfile", "-f": "--foreground"}


def parse_options(args: Sequence[str]) -> DaemonOptions:
    """Unknown options are ignored, as the start scripts of xCAT expect.  Raises :class:`DaemonOptionError`."""
    foreground = False
    values: dict[str, str] = {}
    rest = iter(args)
    for arg in rest:
        name, has_value, value = arg.partition("=")
        name = _NAMES.get(name, name)
        if name == "--foreground":
            foreground = True
        elif name in {"--pidfile", "--port", "--upstream"}:
            values[name] = value if has_value else next(rest, "")
    pidfile, port = values.get("--pidfile"), values.get("--port")
    return DaemonOptions(
        foreground,
        Path(pidfile) if pidfile else None,
        None if port is None else _port(port),
        values.get("--upstream"),
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= _LAST_PORT:
        return int(text)
    raise DaemonOptionError(f"cannot use --port {text!r}: it is not a port number")


def allow_many_descriptors() -> int:
    """Raise the soft limit as far as is sensible; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return soft


def calm_garbage_collection() -> None:
    """Leave what was loaded out of the collector's rounds, and have fewer of them.

    A command over 10 000 nodes makes 100 000 rows and cells that hold no cycles; looking through them again
    and again took a quarter of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


class PidFile:
    """A pid file whose lock tells whether its process lives.

    Its directory must be one where nobody else can put a file: the process that a pid names gets signals.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def running(self) -> int | None:
        """The pid of the living daemon that holds the file; None if there is none."""
        try:
            with files.opened(self._path) as fd:
                return _holder(fd)
        except OSError:
            return None

    def write(self) -> None:
        """Make the file ours; raises :class:`.files.UnsafeError` and OSError."""
        with (
            files.directory(self._path.parent, trusted=True) as folder,
            files.create(folder, mode=0o644) as (fd, name),
        ):
            os.write(fd, f"{os.getpid()}\n".encode())
            held = os.dup(fd)  # the lock is that of both, and lasts as long as one of them
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                files.put(folder, name, self._path.name, self._path)
            except OSError:
                os.close(held)
                raise
        self._fd = held

    def release(self) -> None:
        """Let a successor have the name; the file stays unless it is still ours."""
        if self._fd is None:
            return
        try:
            if os.path.samestat(os.fstat(self._fd), self._path.stat()):
                self._path.unlink()
        except OSError:
            pass  # it has gone already
        os.close(self._fd)
        self._fd = None


def _holder(fd: int) -> int | None:
    """The pid in a pid file, where its lock is held."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(fd, 32).strip()
        return int(text) if text.isdigit() else None
    return None


def take_port(bind: Callable[[], list[socket.socket]], pidfile: PidFile) -> list[socket.socket]:
    """Bind; a running daemon of the same pid file is asked to hand its port over.

    Raises OSError when the port stays taken.
    """
    try:
        return bind()
    except OSError as error:
        if error.errno != errno.EADDRINUSE or (old := pidfile.running()) is None:
            raise
    _log.info("asking the running xcatd (pid %d) for its port", old)
    os.kill(old, signal.SIGUSR2)
    for _ in range(_TRIES):
        time.sleep(_PAUSE)
        try:
            return bind()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return bind()


@dataclass(slots=True)
class Launch:
    """How the starting process reports: to a waiting launcher, or directly."""

    report: int | None = None

    def ready(self, port: int) -> None:
        """The listener is bound."""
        if self.report is None:
            sys.stdout.write(f"xcatd: ready on port {port}\n")
            sys.stdout.flush()
            return
        os.write(self.report, b"+")
        os.close(self.report)
        _to_null()

    def failed(self, text: str) -> None:
        """The daemon cannot start: one line for people."""
        line = " ".join(text.split())
        if self.report is None:
            sys.stderr.write(f"xcatd: {line}\n")
        else:
            os.write(self.report, line.encode()[:4000])
            os.close(self.report)


def _to_null() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def detach() -> Launch:
    """Go on as a daemon; the launching process waits for :class:`Launch` and exits."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        _wait_for(reader)
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    return Launch(writer)


def _wait_for(reader: int) -> NoReturn:
    with open(reader, "rb") as pipe:
        said = pipe.read()
    if said == b"+":
        os._exit(0)
    reason = said.decode(errors="replace") or "it ended before it was ready; see the syslog"
    sys.stderr.write(f"xcatd: {reason}\n")
    sys.stderr.flush()
    os._exit(1)
