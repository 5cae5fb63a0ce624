"""The only place of the daemon that starts other programs: argv lists, an environment of our own, and an end in time.

Owns: sessions of their own, so that a program ends with all it started; pipes that never block.  Must not: know what
is run, or why.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import IO

_CHUNK = 64 << 10
_TICK = 0.1  # seconds between two looks whether the program ended, or nobody wants it any more
_LINGER = 1.0  # seconds for what a program said before its end, while what it left running keeps its pipes open


class TooSlowError(Exception):
    """The program did not end in time; it was ended, with all it started."""


class UnwantedError(Exception):
    """Nobody wanted the program any more; it was ended, with all it started."""


class Process:
    """A program that runs; whoever starts one waits for it by :meth:`finish` or :meth:`talk`, once.

    ``errors`` takes its standard error, else that is read by :meth:`talk`, as its standard output is then.
    Raises OSError if it cannot be started, ValueError for words that no program can be given.
    """

    def __init__(
        self, argv: Sequence[str], environ: Mapping[str, str], *, errors: IO[bytes] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if errors is None else subprocess.DEVNULL,
            stderr=subprocess.PIPE if errors is None else errors,
            cwd="/",
            env=dict(environ),
            start_new_session=True,
        )

    def end(self) -> None:
        """End it, and what it started; from any thread, and at any time."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def finish(self, stdin: bytes, limit: float) -> int:
        """Give it its input and wait for its end; its exit status, below 0 for a signal.

        Raises :class:`TooSlowError` after ``limit`` seconds.
        """
        try:
            self._process.communicate(stdin, limit)
        except subprocess.TimeoutExpired:
            self._kill()
            raise TooSlowError from None
        return self._process.returncode

    def talk(
        self,
        stdin: bytes,
        limit: float,
        take: Callable[[bytes, bool], None],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> int:
        """Give it its input, ``take`` what it says as it comes (bytes, whether errors), and wait for its end.

        Raises :class:`TooSlowError`, :class:`UnwantedError`, and what ``take`` raises.
        """
        pipes = _Pipes(self._process, stdin, take)
        try:
            pipes.pump(time.monotonic() + limit, is_wanted)
        except BaseException:
            self._kill()
            raise
        finally:
            pipes.close()
        return self._process.returncode

    def _kill(self) -> None:
        self.end()
        self._process.wait()


class _Pipes:
    """Moves bytes to and from one program without ever blocking on one of its pipes."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: bytes,
        take: Callable[[bytes, bool], None],
    ) -> None:
        self._process = process
        self._left = memoryview(stdin)
        self._take = take
        self._selector = selectors.DefaultSelector()
        self._register(process.stdin, selectors.EVENT_WRITE, self._feed)
        self._register(process.stdout, selectors.EVENT_READ, lambda pipe: self._fetch(pipe, False))
        self._register(process.stderr, selectors.EVENT_READ, lambda pipe: self._fetch(pipe, True))

    def _register(
        self, pipe: IO[bytes] | None, event: int, move: Callable[[IO[bytes]], None]
    ) -> None:
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, event, partial(move, pipe))

    def close(self) -> None:
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def pump(self, deadline: float, is_wanted: Callable[[], bool]) -> None:
        until = deadline
        while self._selector.get_map() and (now := time.monotonic()) < until:
            if not is_wanted():
                raise UnwantedError
            if until == deadline and self._process.poll() is not None:
                until = min(deadline, now + _LINGER)
            for key, _ in self._selector.select(min(_TICK, until - now)):
                key.data()
        while self._process.poll() is None:
            if not is_wanted():
                raise UnwantedError
            if (left := deadline - time.monotonic()) <= 0:
                raise TooSlowError
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(min(_TICK, left))

    def _feed(self, pipe: IO[bytes]) -> None:
        try:
            self._left = self._left[os.write(pipe.fileno(), self._left[:_CHUNK]) :]
        except BrokenPipeError:  # it reads no more
            self._left = self._left[:0]
        if not self._left:
            self._selector.unregister(pipe)
            pipe.close()

    def _fetch(self, pipe: IO[bytes], is_error: bool) -> None:
        chunk = os.read(pipe.fileno(), _CHUNK)
        if chunk:
            self._take(chunk, is_error)
        else:
            self._selector.unregister(pipe)
