"""Tells hooks what was written: the observer of the database.

Owns how long the ``notification`` table is remembered.  Must not: run processes (:mod:`.runner` does).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from xcatd.db.errors import DatabaseError
from xcatd.db.watching import Change, Watched

from .hooks import Call, Hooks
from .runner import Runner

_log = logging.getLogger(__name__)

TABLE = "notification"

#: Seconds for which a read of the table is good, unless this daemon writes it: others write it as well.
MEMORY = 5.0

#: Where xCAT is installed unless XCATROOT says otherwise.
DEFAULT_ROOT = "/opt/xcat"

_NONE = Hooks({})

Rows = Iterable[Mapping[str, str | None]]


class Notifier:
    """Watches what the ``notification`` table says.  Safe to use from several threads."""

    def __init__(
        self,
        read: Callable[[], Rows],
        monotonic: Callable[[], float],
        environ: Mapping[str, str],
        runner: Runner | None = None,
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._root = environ.get("XCATROOT") or DEFAULT_ROOT
        self._runner = runner or Runner(environ)
        self._lock = threading.Lock()
        self._hooks = _NONE
        self._read_at: float | None = None

    def watched(self) -> Watched:
        """See :class:`xcatd.db.watching.Observer`."""
        return self._current().watched

    def _current(self) -> Hooks:
        with self._lock:
            now = self._monotonic()
            if self._read_at is None or now - self._read_at >= MEMORY:
                self._hooks = self._fresh()
                self._read_at = now
            return self._hooks

    def _fresh(self) -> Hooks:
        try:
            return Hooks.of(self._read())
        except DatabaseError as error:
            _log.error("the last known notification hooks are used: %s", error)
            return self._hooks

    def committed(self, tables: Sequence[str], changes: Sequence[Change]) -> None:
        """See :class:`xcatd.db.watching.Observer`."""
        if changes:
            hooks = self._current()
            self._runner.add([call for change in changes for call in self._calls(hooks, change)])
        if TABLE in tables:
            with self._lock:
                self._read_at = None

    def _calls(self, hooks: Hooks, change: Change) -> Sequence[Call]:
        try:
            return tuple(hooks.calls(change, self._root))
        except ValueError as error:
            _log.error("%s", error)
            return ()

    def wait(self, timeout: float) -> bool:
        """Wait for the hooks that were called for; False when ``timeout`` seconds are not enough."""
        return self._runner.wait(timeout)

    def close(self, timeout: float) -> None:
        """Let waiting hooks run for so many seconds, and end the rest."""
        self._runner.close(timeout)
