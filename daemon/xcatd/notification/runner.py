"""Notification hooks as programs, in the background.

Owns their number, time and queue, and how much is logged of them.  Must not: decide who is called.  No
shell is involved: a hook is a file, what changed is on its standard input.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from xcatd import files
from xcatd.processes import Process, TooSlowError

from . import paths
from .hooks import HookCall

_log = logging.getLogger(__name__)

#: Hooks that run at the same time; one file's calls never overlap, so that it sees changes in order.
MOST_PROCESSES = 4

#: Calls that may wait; what a hook cannot keep up with beyond that is dropped, and logged.
MOST_WAITING = 20_000

#: Seconds a call may take.
LONGEST_CALL = 60.0

#: Seconds for which a hook that fails is not mentioned again; then with how often it did.
SILENCE = 60.0

_LAST_WORDS = 1000  # bytes of a failed hook's standard error that are logged
_PERL = "perl"
_MOST_NAMES = 1000  # hooks whose failures are counted


class _Complaints:
    """What is logged of failing hooks: a line a minute for each."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._said: dict[str, tuple[float, int]] = {}

    def say(self, call: HookCall, text: str) -> None:
        now = self._monotonic()
        with self._lock:
            said, kept = self._said.get(call.filename, (None, 0))
            if said is not None and now - said < SILENCE:
                self._said[call.filename] = (said, kept + 1)
                return
            if len(self._said) >= _MOST_NAMES:
                self._said.clear()
            self._said[call.filename] = (now, 0)
        _log.error("%s%s", text, f" (failed {kept} more times before)" if kept else "")


class HookRunner:
    """Runs calls in the background, each file's one after the other."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        longest: float = LONGEST_CALL,
        most_waiting: int = MOST_WAITING,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``environ`` is all that hooks find in theirs."""
        self._complaints = _Complaints(monotonic)
        self._environ = dict(environ)
        self._longest = longest
        self._most_waiting = most_waiting
        self._condition = threading.Condition()
        self._queues: dict[str, deque[HookCall]] = {}
        self._ready: deque[str] = deque()
        self._processes: set[Process] = set()
        self._waiting = 0
        self._dropped = 0
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self._lacks_perl = False

    def add(self, calls: Sequence[HookCall]) -> None:
        """Have these called, in order; returns at once."""
        with self._condition:
            if self._is_closed:
                return
            for call in calls:
                self._add(call)
            while len(self._threads) < min(MOST_PROCESSES, len(self._queues)):
                thread = threading.Thread(target=self._work, name="hook", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._condition.notify_all()

    def _add(self, call: HookCall) -> None:
        if self._waiting >= self._most_waiting:
            if not self._dropped:
                _log.error(
                    "more than %d notifications wait: further ones are dropped", self._most_waiting
                )
            self._dropped += 1
            return
        self._waiting += 1
        queue = self._queues.get(call.filename)
        if queue is None:
            queue = self._queues[call.filename] = deque()
            self._ready.append(call.filename)
        queue.append(call)

    def forget(self) -> None:
        """Drop what waits: hooks were turned off.  What runs is left to its end."""
        with self._condition:
            for queue in self._queues.values():
                self._waiting -= len(queue) - 1
                while len(queue) > 1:
                    queue.pop()
            for name in self._ready:  # nobody has taken these up
                del self._queues[name]
                self._waiting -= 1
            self._ready.clear()
            self._condition.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait until everything was called; False when that takes longer than ``timeout`` seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._queues, timeout)

    def close(self, timeout: float) -> None:
        """Let waiting calls run for so many seconds, then end what runs and drop the rest, which is logged."""
        if not self.wait(timeout):
            _log.error("%d notifications are not delivered: the daemon ends", self._waiting)
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
            running = list(self._processes)
        for process in running:
            process.end()

    def _work(self) -> None:
        while (call := self._next()) is not None:
            try:
                self._run(call)
            finally:
                self._done(call)

    def _next(self) -> HookCall | None:
        with self._condition:
            self._condition.wait_for(lambda: self._is_closed or self._ready)
            return None if self._is_closed else self._queues[self._ready.popleft()][0]

    def _done(self, call: HookCall) -> None:
        with self._condition:
            queue = self._queues[call.filename]
            queue.popleft()
            self._waiting -= 1
            if queue:
                self._ready.append(call.filename)
            else:
                del self._queues[call.filename]
            if not self._waiting and self._dropped:
                _log.error("%d notifications were dropped", self._dropped)
                self._dropped = 0
            self._condition.notify_all()

    def _run(self, call: HookCall) -> None:
        if call.is_module and self._lacks_perl:
            return
        with (
            tempfile.TemporaryFile() as errors
        ):  # not a pipe: what a hook leaves running may keep it open
            try:
                process = self._start(call, errors)
            except (OSError, ValueError) as error:
                self._say_missing(call, error)
                return
            status = self._finish(call, process)
            if status > 0:
                self._complaints.say(
                    call,
                    f"notification hook {call.filename} failed with {status}: {_last_words(errors)}",
                )

    def _finish(self, call: HookCall, process: Process) -> int:
        try:
            return process.finish(call.stdin.encode("utf-8", "surrogateescape"), self._longest)
        except TooSlowError:
            text = f"ended the notification hook {call.filename} after {self._longest:g} s"
            self._complaints.say(call, text)
            return 0
        finally:
            with self._condition:
                self._processes.discard(process)

    def _start(self, call: HookCall, errors: IO[bytes]) -> Process:
        paths.check(call.path)
        if call.library is not None:
            _check_library(call.library)
        process = Process(call.argv, self._environ, errors=errors)
        with self._condition:
            self._processes.add(process)
            is_late = self._is_closed
        if is_late:  # it was started while the others were ended
            process.end()
        return process

    def _say_missing(self, call: HookCall, error: OSError | ValueError) -> None:
        if call.is_module and isinstance(error, FileNotFoundError) and error.filename == _PERL:
            self._lacks_perl = True
            _log.error(
                "cannot call %s: notification modules are written in Perl, and there is no perl; said once",
                call.filename,
            )
        else:
            text = f"cannot call the notification hook {call.filename}: {error}"
            self._complaints.say(call, text)


def _check_library(path: Path) -> None:
    """Raises :class:`xcatd.files.UnsafeError` where others could change what Perl modules load."""
    with contextlib.suppress(FileNotFoundError), files.directory(path, trusted=True):
        pass


def _last_words(errors: IO[bytes]) -> str:
    end = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, end - _LAST_WORDS))
    return " ".join(errors.read().decode("utf-8", "replace").split())
