"""A log that a hostile peer cannot fill: so many lines a minute of each, then a count."""

from __future__ import annotations

import logging
import threading
from typing import Dict

from xcat_aix_agent.clock import Clock

#: Lines per window of each, and the window in seconds.
LINES, WINDOW = 20, 60.0

#: Of so many a count of their own is kept; the others share one.
_MOST = 64
_OTHERS = "others"


class QuietLog:
    """Warnings about peers, bounded for each of them, so that none silences what is said of another.

    Safe for use by several threads.
    """

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._counts: Dict[str, int] = {}

    def warning(self, text: str, *args: object, about: str = "") -> None:
        """Log, or count; ``about`` is whose lines these are."""
        with self._lock:
            self._begin_window()
            if about not in self._counts and len(self._counts) >= _MOST:
                about = _OTHERS
            count = self._counts[about] = self._counts.get(about, 0) + 1
            if count <= LINES:
                self._log.warning(text, *args)
            if count == LINES:
                whose = f" about {about}" if about else ""
                self._log.warning("more such lines%s within %.0f s are left out", whose, WINDOW)

    def _begin_window(self) -> None:
        now = self._clock.monotonic()
        if now < self._until:
            return
        for about, count in self._counts.items():
            if count > LINES:
                whose = f" about {about}" if about else ""
                self._log.warning("%d more such lines%s were left out", count - LINES, whose)
        self._counts.clear()
        self._until = now + WINDOW
