"""A log that a hostile peer cannot fill: so many lines a minute, then a count."""

from __future__ import annotations

import logging
import threading

from xcat_aix_agent.clock import Clock

#: Lines per window, and the window in seconds.
LINES, WINDOW = 20, 60.0


class QuietLog:
    """Warnings about peers, bounded.  Safe for use by several threads."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._count = 0

    def warning(self, text: str, *args: object) -> None:
        """Log, or count."""
        with self._lock:
            now = self._clock.monotonic()
            if now >= self._until:
                if self._count > LINES:
                    self._log.warning("%d more such lines were left out", self._count - LINES)
                self._until, self._count = now + WINDOW, 0
            self._count += 1
            if self._count <= LINES:
                self._log.warning(text, *args)
            if self._count == LINES:
                self._log.warning("more such lines within %.0f s are left out", WINDOW)
