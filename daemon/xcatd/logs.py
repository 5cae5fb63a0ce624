"""Logging: to syslog as xCAT does, to standard error in the foreground, with the request's id.

Must not: hold anything a test cannot replace; nothing is set up at import.
Facts: docs/facts/daemon.md, Logs.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from .text.visible import HIDDEN

_log = logging.getLogger(__name__)
_ExceptionInfo: TypeAlias = (
    "tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]"
)
_request_id: ContextVar[str] = ContextVar("request_id", default="-")

#: So many lines of one wording per period (in seconds), and so many of one peer's; floods of connections must not
#: become floods of lines, nor one peer's flood hide what others do.
BURST = 50
BURST_OF_SOURCE = 20
BURST_OF_ALL = 500
PERIOD = 10.0
_SOURCES = 1_024  # told apart within a period
#: Characters of a message that are kept; of one with a traceback, of each of its lines.
LONGEST = 8_000
#: Whose lines a peer can cause at will.
THROTTLED = (
    *("xcatd.main", "xcatd.plugins", "xcatd.tls", "xcatd.serving.audit", "xcatd.serving.identity"),
    *("xcatd.serving.pool", "xcatd.serving.server", "xcatd.serving.session"),
)
_INDENT = "    "  # before the lines of a traceback: none can be taken for a line of the log


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


def escaped(text: str, longest: int = LONGEST) -> str:
    r"""One line: whatever could end it, command a terminal or turn its order around as ``\xNN`` or ``\uNNNN``.

    Of more than ``longest`` characters the rest is left out, and that is said.
    """
    if len(text) > longest:
        text = f"{text[:longest]}... ({len(text)} characters)"
    if text.isascii() and text.isprintable():
        return text
    return HIDDEN.sub(lambda match: _code(ord(match.group())), text)


def _code(number: int) -> str:
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


class LineFormatter(logging.Formatter):
    """The only formatter there is: a record is one line, and an exception's are indented below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base's name
        """The line; every field of it, since names of threads and requests are fields, too."""
        return escaped(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line and what is below it."""
        record.exc_text = None  # another handler's formatter may have left its own
        return super().format(record)

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 - the base's name
        """A readable traceback; what the exception says stays within its lines."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the base's name
        """The same of a stack."""
        return _indented(stack_info)


def _indented(text: str) -> str:
    return "\n".join(_INDENT + escaped(line) for line in text.split("\n"))


class _Period:
    """What has come in one of the periods: lines by wording, and by wording and peer."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.passed: Counter[str] = Counter()
        self.passed_of: Counter[tuple[str, str]] = Counter()
        self.left_out: Counter[str] = Counter()
        self.left_out_of: dict[str, Counter[str]] = {}

    def passes(self, wording: str, source: str | None) -> bool:
        """Whether one more is to be written."""
        key = (wording, source or "")
        is_told_apart = source is not None and (
            key in self.passed_of or len(self.passed_of) < _SOURCES
        )
        if is_told_apart:
            self.passed_of[key] += 0  # from now on it is one of those
        most = BURST_OF_SOURCE if is_told_apart else BURST
        count = self.passed_of[key] if is_told_apart else self.passed[wording]
        if count >= most or self.passed[wording] >= BURST_OF_ALL:
            self.left_out[wording] += 1
            by_source = self.left_out_of.setdefault(wording, Counter())
            if is_told_apart:
                by_source[source or ""] += 1
            return False
        self.passed[wording] += 1
        if is_told_apart:
            self.passed_of[key] += 1
        return True

    def is_full(self, wording: str, source: str | None) -> bool:
        """The last one that passed was the last that may."""
        if (wording, source or "") in self.passed_of:
            return self.passed_of[wording, source or ""] == BURST_OF_SOURCE
        return self.passed[wording] == BURST


def _start_timer(seconds: float, job: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, job)
    timer.daemon = True
    timer.start()


class Throttle(logging.Filter):
    """Lets a wording pass ``BURST`` times per ``PERIOD`` seconds, and says how many it left out.

    Records with a ``source`` are counted by it, ``BURST_OF_SOURCE`` of each; beyond a number of sources, as one.
    """

    def __init__(self, later: Callable[[float, Callable[[], None]], None] = _start_timer) -> None:
        super().__init__()
        self._later = later
        self._lock = threading.Lock()
        self._period = _Period(time.monotonic())

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written."""
        if getattr(record, "is_summary", False):
            return True
        wording, source = str(record.msg), getattr(record, "source", None)
        if time.monotonic() - self._period.since >= PERIOD:
            self.tell()
        with self._lock:
            was_silent = not self._period.left_out
            passes = self._period.passes(wording, source)
            if passes and self._period.is_full(wording, source):
                record.msg = f"{wording} (further ones within {PERIOD:g} s are left out)"
        if not passes and was_silent:
            self._later(PERIOD, self.tell)
        return passes

    def tell(self) -> None:
        """The period is over: say what was left out in it."""
        with self._lock:
            ended, self._period = self._period, _Period(time.monotonic())
        for wording, count in ended.left_out.items():
            by_source = ended.left_out_of[wording]
            most = by_source.most_common(1)
            where = f", {most[0][1]} of them about {most[0][0]}" if most and most[0][1] else ""
            _log.error(
                "%d more lines like %r were left out%s",
                count,
                wording,
                where,
                extra={"is_summary": True},
            )


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
    handler.setFormatter(LineFormatter("%(message)s"))
    return handler


def set_up(*, foreground: bool, debug: bool) -> None:
    """Send the daemon's lines to syslog if the machine has one, and in the foreground to stderr."""
    handlers = [handler for handler in [_syslog_handler()] if handler is not None]
    if foreground:
        stderr = logging.StreamHandler(sys.stderr)
        stderr.setFormatter(
            LineFormatter("%(asctime)s %(levelname)s [%(request)s] %(name)s: %(message)s")
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
    for name in THROTTLED:
        logger = logging.getLogger(name)
        logger.filters[:] = [throttle] if not debug else []
