"""The record of who did what: the syslog line and the auditlog row, without secrets.

Owns: which requests are recorded where, masking, and the writer that keeps the database off the request's
way.  Must not: decide whether a request is allowed.
Facts: docs/facts/policy.md, Audit.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from xcatd import secrets
from xcatd.db.errors import DatabaseError
from xcatd.site import Settings
from xcatd.wire.requests import Incoming

_log = logging.getLogger(__name__)
#: The audit lines themselves; main sends them to syslog.
line_log = logging.getLogger("xcatd.serving.audit.line")

#: Characters of the nodes, and of the arguments, that are kept of a request.
LONGEST_IN_LINE, LONGEST_IN_ROW = 4_000, 60_000
#: The same of a peer without certificate, and of all other cells.
LONGEST_OF_ANONYMOUS, LONGEST_WORD = 250, 64

MASK = "xxxxxxxx"
_NEVER = ("getdestiny", "getbladecons", "getipmicons", "getopenbmccons", "getcons")
_SYSLOG_ONLY = frozenset({"getpostscript", "getcredentials"})

_ASSIGNMENT = re.compile(r"(?<![\w.])([\w.]+)\s*(?:[-+,^!]?=~?|!~)\s*")


@dataclass(frozen=True, slots=True)
class _Secrets:
    """Where a command takes secrets: after these short and long options, in these prefixes."""

    short: str = ""
    long: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    with_value: str = ""  # other short options that take a value: what follows the letter is theirs


_COMMANDS = {
    "bmcdiscover": _Secrets("pn", ("bmcpasswd", "newbmcpw"), with_value="smiu"),
    "switchdiscover": _Secrets("c", with_value="s"),
    "mkhwconn": _Secrets("P", with_value="psT"),
    "mkvm": _Secrets("w", ("password",), ("pw=",), with_value="dijlmpqrvz"),
    "createvcluster": _Secrets(long=("password",)),
    "lsvcluster": _Secrets(long=("password",)),
    "rmvcluster": _Secrets(long=("password",)),
    "rspconfig": _Secrets(
        prefixes=("*_passwd=", "admin_passwd=", "HMC_passwd=", "general_passwd=", "USERID=")
    ),
}
#: Secrets by position, counted from the option itself, which is the first argument.
_OPERANDS = {
    ("chvm", "--setpassword"): (1,),
    ("chvm", "--add3390"): (5, 6, 7),
    ("chvm", "--add9336"): (5, 6, 7),
    ("chvm", "--addpagespool"): (8,),
    ("chvm", "--formatdisk"): (2,),
}


def masked(command: str, args: Sequence[str | None]) -> tuple[str, ...]:
    """The arguments with every secret as ``xxxxxxxx``."""
    words = [arg or "" for arg in args]
    first = words[0] if words else ""
    operands = _OPERANDS.get((command, first), ())
    places = _COMMANDS.get(command, _Secrets())
    holds_site_secret = command in {"tabch", "chtab"} and _selects_secret(words)
    result = []
    is_pending = False
    for index, word in enumerate(words):
        if is_pending or index in operands:
            result.append(MASK)
            is_pending = False
            continue
        shown, is_pending = _masked_word(word, places)
        if holds_site_secret and word.startswith("site.value"):
            shown = _ASSIGNMENT.sub(lambda match: match.group() + MASK, word[: _end(word)])
        result.append(shown)
    return tuple(result)


def _selects_secret(words: Sequence[str]) -> bool:
    keys = {part.removeprefix("site.") for word in words for part in word.split(",")}
    return "key=snmpc" in keys


def _end(word: str) -> int:
    match = _ASSIGNMENT.search(word)
    return match.end() if match else len(word)


def _masked_word(word: str, places: _Secrets) -> tuple[str, bool]:
    """The word as it may be shown, and whether the next one is a secret."""
    for prefix in places.prefixes:
        if word.startswith(prefix):
            return prefix + MASK, False
    if word.startswith("-"):
        shown, is_pending = _masked_option(word, places)
        if is_pending or shown != word:
            return shown, is_pending
    for match in _ASSIGNMENT.finditer(word):
        if secrets.is_secret_name(match.group(1)):
            return word[: match.end()] + MASK, False
    return word, False


def _masked_option(word: str, places: _Secrets) -> tuple[str, bool]:
    name, has_value, _ = word.lstrip("-").partition("=")
    is_long = word.startswith("--") or len(name) > 1
    if is_long and name and any(long.startswith(name.lower()) for long in places.long):
        return (word.partition("=")[0] + "=" + MASK, False) if has_value else (word, True)
    body = word.lstrip("-")
    for at, letter in enumerate(body):
        if letter in places.short:
            end = len(word) - len(body) + at + 1
            return (word, True) if end == len(word) else (word[:end] + MASK, False)
        if letter in places.with_value or not letter.isalpha():
            break
    return word, False


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What is kept of one request: a row for auditlog, a line for syslog, either may be missing.

    ``source`` is the host of a user nobody has confirmed: so much is kept of each, and the rest counted.
    """

    row: dict[str, str] | None
    line: str | None
    source: str | None = None

    def without_row(self) -> AuditRecord:
        """For a machine that keeps no auditlog."""
        return replace(self, row=None)


def record(incoming: Incoming, user: str | None, host: str, settings: Settings) -> AuditRecord:
    """What is to be recorded of an allowed request; pure, ``audittime`` is added when written."""
    command = incoming.command
    if any(command in name for name in _NEVER):
        return AuditRecord(None, None)
    source = host if user is None else None
    args = "".join(f" {arg}" for arg in masked(command, incoming.args))
    line = _line(incoming, args, user, host)
    if command in _SYSLOG_ONLY:
        return AuditRecord(None, None if settings.skip_validate_log else line, source)
    row = None if _is_skipped(incoming, settings.audit_skip) else _row(incoming, args, user, host)
    return AuditRecord(row, None if settings.audit_no_syslog else line, source)


def _is_skipped(incoming: Incoming, skip: str) -> bool:
    """By substring of the whole value, as administrators know it."""
    client = f"clienttype:{incoming.clienttype or ''}"
    return "all" in skip.lower() or incoming.command in skip or client in skip


def _line(incoming: Incoming, args: str, user: str | None, host: str) -> str:
    longest = LONGEST_IN_LINE if user else LONGEST_OF_ANONYMOUS
    nodes = _shortened(incoming.noderange or ",".join(incoming.nodes), longest)
    to = f" to {nodes}" if nodes else ""
    by = f" for {user[:LONGEST_WORD]}" if user else ""
    what = f"{incoming.command}{to}{_shortened(args, longest)}"
    return f"xCAT: Allowing {what}{by}{f' from {host}' if host else ''}"


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


def _row(incoming: Incoming, args: str, user: str | None, host: str) -> dict[str, str]:
    other = "webui" if incoming.becomeuser else "other"
    longest = LONGEST_IN_ROW if user else LONGEST_OF_ANONYMOUS
    cells = {
        "userid": (user or "")[:LONGEST_WORD],
        "clientname": host,
        "clienttype": (incoming.clienttype or other)[:LONGEST_WORD],
        "command": incoming.command[:LONGEST_WORD],
        "noderange": _shortened(incoming.noderange or "", longest),
        "args": _shortened(args, longest),
        "status": "Allowed",
    }
    return {column: value for column, value in cells.items() if value}


#: Rows and lines kept per period (in seconds) of one source without certificate, and of all.
PERIOD = 60.0
OF_SOURCE, OF_ALL = 60, 1_200
_SOURCES = 1_024  # told apart within a period; the others count as one
_OTHERS = "other hosts"


@dataclass(slots=True)
class LeftOut:
    """What of one source was not recorded, and where it would have been."""

    source: str
    count: int = 0
    in_table: bool = False
    in_syslog: bool = False

    def add(self, entry: AuditRecord) -> None:
        """One more."""
        self.count += 1
        self.in_table |= entry.row is not None
        self.in_syslog |= entry.line is not None

    def summary(self) -> AuditRecord:
        """What stands for all of them."""
        text = f"{self.count} more requests without certificate within {PERIOD:g} s"
        row = {
            "clientname": self.source,
            "command": "(not recorded)",
            "args": f" {text}",
            "status": "Allowed",
        }
        line = f"xCAT: Allowing {text} from {self.source}, not recorded one by one"
        return AuditRecord(row if self.in_table else None, line if self.in_syslog else None)


class Measure:
    """Counts what sources without certificate have recorded, and what of it is left out."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since = monotonic()
        self._kept: Counter[str] = Counter()
        self._left_out: dict[str, LeftOut] = {}

    def keeps(self, source: str, entry: AuditRecord) -> bool:
        """Whether something of this source is to be recorded; else it is counted."""
        if source not in self._kept and len(self._kept) >= _SOURCES:
            source = _OTHERS
        if self._kept[source] < OF_SOURCE and self._kept.total() < OF_ALL:
            self._kept[source] += 1
            return True
        counted = source if source in self._kept else _OTHERS
        self._left_out.setdefault(counted, LeftOut(counted)).add(entry)
        return False

    @property
    def left(self) -> float | None:
        """Seconds until :meth:`ended` has something to tell; None while nothing was left out."""
        if not self._left_out:
            return None
        return max(0.0, self._since + PERIOD - self._monotonic())

    def ended(self, *, at_once: bool = False) -> list[LeftOut]:
        """What was left out, once the period is over; then a new one begins."""
        now = self._monotonic()
        if not at_once and now - self._since < PERIOD:
            return []
        told = list(self._left_out.values())
        self._since = now
        self._kept.clear()
        self._left_out = {}
        return told


#: A row, or an event to set when everything before it is written; None ends the thread.
_Item = dict[str, str] | threading.Event | None


class AuditWriter:
    """Writes rows in its own thread, several in one transaction; a full queue is said, not waited for.

    Of hosts without certificate a bounded number is kept per period; a summary tells how many were not.
    """

    def __init__(
        self,
        insert: Callable[[list[dict[str, str]]], None],
        now: Callable[[], datetime],
        backlog: int = 4096,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._insert = insert
        self._now = now
        self._measure = Measure(monotonic)
        self._measuring = threading.Lock()
        self._queue: queue.Queue[_Item] = queue.Queue(backlog)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def write(self, entry: AuditRecord) -> None:
        """Syslog now, the row soon."""
        self._tell_left_out()
        if self._is_kept(entry):
            self._put(entry)

    def _is_kept(self, entry: AuditRecord) -> bool:
        if entry.source is None or (entry.row is None and entry.line is None):
            return True
        with self._measuring:
            was_silent = self._measure.left is None
            is_kept = self._measure.keeps(entry.source, entry)
        if not is_kept and was_silent:  # the thread is to wait for the end of the period
            self._start()
            with suppress(queue.Full):  # it is awake already
                self._queue.put_nowait(threading.Event())
        return is_kept

    def _put(self, entry: AuditRecord) -> None:
        if entry.line is not None:
            line_log.info("%s", _one_line(entry.line))
        if entry.row is None:
            return
        self._start()
        try:
            self._queue.put_nowait(self._timed(entry.row))
        except queue.Full:
            _log.error("an auditlog row is lost: the database does not take rows any more")

    def _timed(self, row: dict[str, str]) -> dict[str, str]:
        return {"audittime": self._now().astimezone().strftime("%Y-%m-%d %H:%M:%S"), **row}

    def _tell_left_out(self, *, at_once: bool = False) -> None:
        with self._measuring:
            told = self._measure.ended(at_once=at_once)
        for left_out in told:
            self._put(left_out.summary())

    def flush(self, timeout: float) -> bool:
        """Wait until every row so far is written; False if ``timeout`` seconds were not enough."""
        if self._thread is None:
            return True
        written = threading.Event()
        try:
            self._queue.put(written, timeout=timeout)
        except queue.Full:
            return False
        return written.wait(timeout)

    def close(self, timeout: float) -> bool:
        """Write what is left and end; False if ``timeout`` seconds were not enough."""
        self._tell_left_out(at_once=True)
        is_written = self.flush(timeout)
        with self._lock, suppress(queue.Full):
            if self._thread is not None:
                self._queue.put_nowait(None)
                self._thread = None
        return is_written

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        batch: list[_Item] = []
        while None not in batch:
            self._tell_left_out()
            batch = list(self._batch())
            rows = [item for item in batch if isinstance(item, dict)]
            if rows:
                self._store(rows)
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()

    def _batch(self) -> Iterator[_Item]:
        try:
            yield self._queue.get(timeout=self._measure.left)
        except queue.Empty:  # a period is over
            return
        for _ in range(255):
            try:
                yield self._queue.get_nowait()
            except queue.Empty:
                return

    def _store(self, rows: list[dict[str, str]]) -> None:
        try:
            self._insert(rows)
        except DatabaseError:
            _log.exception("cannot write %d auditlog rows", len(rows))


def _one_line(text: str) -> str:
    """No argument can forge a second line."""
    return "".join(char if char.isprintable() else "?" for char in text)
