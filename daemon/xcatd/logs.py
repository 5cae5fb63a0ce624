"""Logging: to syslog as xCAT does, to standard error in the foreground, with the request's id.

Must not: hold anything a test cannot replace; nothing is set up at import.
Facts: specs/wire-protocol.md, section 8.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_request_id: ContextVar[str] = ContextVar("request_id", default="-")

#: So many lines of one wording per period; floods of connections must not become floods of lines.
BURST = 50
PERIOD = 10.0


@contextmanager
def request_id(text: str) -> Iterator[None]:
    """Lines logged within carry this id."""
    token = _request_id.set(text)
    try:
        yield
    finally:
        _request_id.reset(token)


def current_request_id() -> str:
    """The id of the request being served, ``-`` outside of one."""
    return _request_id.get()


class AddRequestId(logging.Filter):
    """Puts the id of the request being served on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass, with ``request`` set."""
        record.request = _request_id.get()
        return True


class Throttle(logging.Filter):
    """Lets a wording pass ``BURST`` times per ``PERIOD`` seconds, and says what it left out."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}
        self._since = time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written."""
        now = time.monotonic()
        if now - self._since >= PERIOD:
            self._counts.clear()
            self._since = now
        count = self._counts[str(record.msg)] = self._counts.get(str(record.msg), 0) + 1
        if count == BURST:
            record.msg = f"{record.msg} (further ones within {PERIOD:g} s are left out)"
        return count <= BURST


def _syslog_handler() -> logging.Handler | None:
    if not Path("/dev/log").exists():
        return None
    try:
        handler = logging.handlers.SysLogHandler(
            "/dev/log", facility=logging.handlers.SysLogHandler.LOG_LOCAL4
        )
    except OSError:
        return None
    handler.ident = "xcat: "
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def set_up(*, foreground: bool, debug: bool) -> None:
    """Send the daemon's lines to syslog if the machine has one, and in the foreground to stderr."""
    handlers = [handler for handler in [_syslog_handler()] if handler is not None]
    if foreground:
        stderr = logging.StreamHandler(sys.stderr)
        stderr.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s [%(request)s] %(name)s: %(message)s")
        )
        handlers.append(stderr)
    throttle = Throttle()
    for handler in handlers:
        handler.addFilter(AddRequestId())
    root = logging.getLogger()
    root.handlers[:] = handlers or [logging.NullHandler()]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    for quiet in ("sqlalchemy", "Pyro5"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    for name in ("xcatd.serving.server", "xcatd.serving.session"):
        logger = logging.getLogger(name)
        logger.filters[:] = [throttle] if not debug else []
