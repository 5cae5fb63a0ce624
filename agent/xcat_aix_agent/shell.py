"""The only module that starts processes: argv lists, an explicit environment, a time limit.

Owns: :class:`Commands` (what operations get, so that a laboratory can put a model of AIX there) and
:class:`Subprocesses`, the real one.  Must not: build an argv, or know what a command means.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Callable, List, Mapping, Optional, Protocol, Sequence, Tuple

from xcat_aix_proto.errors import AgentError, ErrorCode

from .files import NO_FOLLOW

#: Where AIX keeps its commands, and NIM its methods (docs/facts/aix.md, Dump device).
DEFAULT_PATH = "/usr/bin:/usr/sbin:/etc:/sbin:/usr/lpp/bos.sysmgt/nim/methods"

#: Upper bound, in bytes, of what one command may print on each of its two outputs.
MAX_OUTPUT = 32 * 1024 * 1024

#: Seconds a command gets between SIGTERM and SIGKILL.
GRACE = 1.0

#: Seconds to wait for more output of a command that ended while something it left behind holds the
#: pipe open.
LINGER = 0.2

#: Stands for the process group of a command that is being started.
STARTING = 0

#: What the agent's own files are kept from: everybody else; and what commands get, which make files
#: for others to read.
PRIVATE, USUAL = 0o077, 0o022

_TICK = 0.1
_CHUNK = 65536


def make_private() -> None:
    """From now on nobody else may read what this process creates; commands get the usual mask."""
    os.umask(PRIVATE)


@dataclass(frozen=True)
class Completed:
    """A command that ended.  ``rc`` is negative if a signal ended it; ``duration`` is in seconds."""

    argv: Tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    duration: float = 0.0

    def failure(self, what: str) -> AgentError:
        """A ``COMMAND_FAILED`` that tells the description, command, exit code and both outputs."""
        return AgentError(
            ErrorCode.COMMAND_FAILED,
            f"{what}: {self.argv[0]} ended with {self.rc}",
            f"command: {' '.join(self.argv)}\nexit code: {self.rc}\n"
            f"stdout: {self.stdout.strip()}\nstderr: {self.stderr.strip()}",
        )


class Commands(Protocol):
    """Something that runs commands.  An exit code other than 0 is an answer, not an error."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Optional[Mapping[str, str]] = None,
        input: Optional[str] = None,  # noqa: A002 - named as in subprocess
    ) -> Completed:
        """Run ``argv`` for at most ``timeout`` seconds, ``env`` added to the environment of its own.

        Raises :class:`AgentError`: ``NOT_FOUND`` (no such program, see :func:`not_found`),
        ``TIMED_OUT`` (see :func:`timed_out`), ``COMMAND_FAILED`` (it could not be run at all).
        """


def not_found(argv: Sequence[str]) -> AgentError:
    """The error for a program that is not on this host."""
    return AgentError(ErrorCode.NOT_FOUND, f"cannot find the command {argv[0]} on this host")


def timed_out(argv: Sequence[str], timeout: float, output: str = "") -> AgentError:
    """The error for a command that ran longer than ``timeout`` seconds."""
    return AgentError(
        ErrorCode.TIMED_OUT, f"{argv[0]} did not end within {timeout:.0f} seconds", output
    )


class Subprocesses:
    """The real :class:`Commands`.

    Every command gets a session of its own, so that its whole process group can be killed;
    ``on_group`` is told :data:`STARTING` before the command exists, the group's id as soon as it runs, and
    None when it is over: whoever is killed in between leaves no command that nobody knows of.
    """

    def __init__(
        self, path: str = DEFAULT_PATH, on_group: Callable[[Optional[int]], None] = lambda _: None
    ) -> None:
        self._environment = {"PATH": path, "LC_ALL": "C", "LANG": "C"}
        self._on_group = on_group

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Optional[Mapping[str, str]] = None,
        input: Optional[str] = None,  # noqa: A002 - named as in subprocess
    ) -> Completed:
        """See :meth:`Commands.run`."""
        started = time.monotonic()
        self._on_group(STARTING)
        try:
            process = self._start(argv, env, with_input=input is not None)
        except AgentError:
            self._on_group(None)
            raise
        self._on_group(process.pid)
        pipes = _Pipes(process, argv, (input or "").encode())
        try:
            pipes.pump(started, timeout)
        except BaseException:
            _kill_group(process)
            raise
        finally:
            pipes.close()
            self._on_group(None)
        duration = time.monotonic() - started
        rc, stdout, stderr = process.returncode, pipes.text("stdout"), pipes.text("stderr")
        return Completed(tuple(argv), rc, stdout, stderr, duration)

    def _start(
        self, argv: Sequence[str], env: Optional[Mapping[str, str]], *, with_input: bool
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**(env or {}), **self._environment},
                cwd="/",
                umask=USUAL,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise not_found(argv) from None
        except OSError as error:
            raise AgentError(
                ErrorCode.COMMAND_FAILED, f"cannot run {argv[0]}: {error.strerror}"
            ) from None


def start_detached(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a long-lived helper of our own in a session of its own; returns its process id.

    It outlives this process; its output is appended to the file ``log``.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | NO_FOLLOW
    with open(os.open(log, flags, 0o600), "ab") as output:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd="/",
            umask=PRIVATE,
            start_new_session=True,
        )
    _children.append(process)
    reap()
    return process.pid


_children: List[subprocess.Popen[bytes]] = []


def reap() -> None:
    """Collect helpers of :func:`start_detached` that ended, so that none stays a zombie."""
    _children[:] = [child for child in _children if child.poll() is None]


def group_is_alive(group: int) -> bool:
    """Whether any process of the process group exists."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group that may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a command and all it started: SIGTERM, a moment, SIGKILL."""
    signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    signal_group(process.pid, signal.SIGKILL)
    process.wait()


class _Pipes:
    """Moves bytes to and from one process without ever blocking on one of the pipes."""

    def __init__(self, process: subprocess.Popen[bytes], argv: Sequence[str], data: bytes) -> None:
        self._process = process
        self._argv = argv
        self._data = data
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self._selector = selectors.DefaultSelector()
        self._register(process.stdout, "stdout")
        self._register(process.stderr, "stderr")
        self._register(process.stdin, "stdin")

    def _register(self, pipe: Optional[IO[bytes]], name: str) -> None:
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            event = selectors.EVENT_WRITE if name == "stdin" else selectors.EVENT_READ
            self._selector.register(pipe.fileno(), event, name)

    def close(self) -> None:
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def text(self, name: str) -> str:
        return self._output[name].decode("utf-8", "replace")

    def pump(self, started: float, timeout: float) -> None:
        """Until the process ended and said all it had to say; raises ``TIMED_OUT``."""
        until = deadline = started + timeout
        lingering = False
        while self._selector.get_map():
            now = time.monotonic()
            if not lingering and self._process.poll() is not None:
                lingering, until = True, min(deadline, now + LINGER)
            if now >= until:
                break
            for key, _ in self._selector.select(min(_TICK, until - now)):
                self._move(key)
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise timed_out(self._argv, timeout, self.text("stderr")) from None

    def _move(self, key: selectors.SelectorKey) -> None:
        if key.data == "stdin":
            self._feed(key.fd)
        else:
            self._fetch(key.fd, key.data)

    def _feed(self, pipe: int) -> None:
        try:
            sent = os.write(pipe, self._data[:_CHUNK])
            self._data = self._data[sent:]
        except BrokenPipeError:
            self._data = b""
        if not self._data and self._process.stdin is not None:
            self._selector.unregister(pipe)
            self._process.stdin.close()

    def _fetch(self, pipe: int, name: str) -> None:
        chunk = os.read(pipe, _CHUNK)
        self._output[name] += chunk
        if not chunk:
            self._selector.unregister(pipe)
        if len(self._output[name]) > MAX_OUTPUT:
            text = f"{self._argv[0]} printed more than {MAX_OUTPUT} bytes"
            raise AgentError(ErrorCode.COMMAND_FAILED, text)
