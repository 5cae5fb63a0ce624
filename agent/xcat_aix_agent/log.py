"""The agent's log: readable by nobody else, and one line is one line whatever a peer sends.

Owns: the one formatter.  Must not: decide what is logged.
"""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path
from typing import Any, Optional

from xcat_aix_proto import bounds

from . import ownership

_BYTES, _FILES = 5 * 1024 * 1024, 3
_FORMAT = "%(asctime)s %(levelname)s %(message)s"

#: Before each line of a traceback, so that none can pass for a line of the log.
_MARK = "  | "


class LineFormatter(logging.Formatter):
    """Control characters, line ends among them, become visible; long lines are cut."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overrides logging's
        """The line without a traceback."""
        return bounds.cut(bounds.visible(super().formatMessage(record)), bounds.MAX_TEXT)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - overrides logging's
        """A traceback, its lines marked."""
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"{_MARK}{bounds.visible(line)}" for line in lines)


def set_up(path: Optional[Path]) -> None:
    """Log to ``path``, or to standard error.

    Raises :class:`ownership.OwnershipError` if somebody else could change the file, or :class:`OSError`.
    """
    handler: logging.Handler = logging.StreamHandler()
    if path is not None:
        ownership.check_file(path)
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=_BYTES, backupCount=_FILES, encoding="utf-8"
        )
        path.chmod(0o600)  # one of an older version was readable
    handler.setFormatter(LineFormatter(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
