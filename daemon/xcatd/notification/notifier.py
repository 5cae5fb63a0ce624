"""Tells hooks what was written: the observer of the database.

Owns how long the ``notification`` table is remembered.  Must not: run processes (:mod:`.runner` does).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from xcatd.db.errors import DatabaseError
from xcatd.db.watching import RowChange, Watched

from . import paths
from .hooks import Hooks
from .runner import HookRunner

_log = logging.getLogger(__name__)

TABLE = "notification"

#: Seconds for which a read of the table is good, unless this daemon writes it: others write it as well.
MEMORY = 5.0

#: The table with the setting that turns hooks off.
SITE = "site"

_NONE = Hooks({})

Rows = Iterable[Mapping[str, str | None]]


class Notifier:
    """Watches what the ``notification`` table says.  Safe to use from several threads."""

    def __init__(
        self,
        read: Callable[[], Rows],
        monotonic: Callable[[], float],
        environ: Mapping[str, str],
        runner: HookRunner | None = None,
        is_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """``environ`` is the daemon's own; ``is_on`` tells whether hooks are to be called at all."""
        self._read = read
        self._monotonic = monotonic
        self._root = paths.root_of(environ)
        self._runner = runner or HookRunner(paths.environment(environ))
        self._is_on = is_on
        self._lock = threading.Lock()
        self._hooks = _NONE
        self._refused: tuple[str, ...] = ()
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
            hooks = Hooks.of(self._read())
            if hooks.files and not self._is_on():
                self._runner.forget()
                return _NONE
        except DatabaseError as error:
            _log.error("the last known notification hooks are used: %s", error)
            return self._hooks
        for text in hooks.refused:
            if text not in self._refused:
                _log.error("%s", text)
        self._refused = hooks.refused
        return hooks

    def committed(self, tables: Sequence[str], changes: Sequence[RowChange]) -> None:
        """See :class:`xcatd.db.watching.Observer`."""
        if changes:
            hooks = self._current()
            calls = [call for change in changes for call in hooks.calls(change, self._root)]
            self._runner.add(calls)
        if not {TABLE, SITE}.isdisjoint(tables):
            with self._lock:
                self._read_at = None

    def wait(self, timeout: float) -> bool:
        """Wait for the hooks that were called for; False when ``timeout`` seconds are not enough."""
        return self._runner.wait(timeout)

    def close(self, timeout: float) -> None:
        """Let waiting hooks run for so many seconds, and end the rest."""
        self._runner.close(timeout)
