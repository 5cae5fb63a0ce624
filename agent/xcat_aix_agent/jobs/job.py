"""One job as a directory: what an administrator reads with ``ls`` and ``cat``.

========================  =====================================================================
``spec.json``             the job is accepted; what to do, for whom, within how many seconds
``lock``                  held (``fcntl.lockf``) by the wrapper process as long as it lives
``started``               the wrapper began to work; its process id
``group``                 process group of the command that runs just now
``events``                what happened: ``<seq> <time> <text>`` per line
``records``               of a chain, a line for each operation that is over, as soon as it is:
                          ``<kind> <record as JSON>``; the line of the first operation is the first
``result.json``, ``rc``   the outcome; ``rc`` comes last, so that with it the job has exited
``acknowledged``          the management node knows the outcome; the directory may expire
========================  =====================================================================

Of a lost chain ``records`` tells what is done: the first operation without a line may have been at work, and
those after it were not begun.

Owns: the layout.  Must not: start, stop or look for processes (see :mod:`.runners`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional, Tuple, Type, TypeVar

from xcat_aix_agent import files, ownership
from xcat_aix_agent.clock import Clock, parse, stamp
from xcat_aix_proto import bounds, codec, operations
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import JobEvent, JobOutcome, Record, RecordState

T = TypeVar("T")

_SPEC, _LOCK, _STARTED, _GROUP = "spec.json", "lock", "started", "group"
# An event's line is shorter than the tail that is read to find the last number.
_MAX_LINE, _TAIL = 4000, 65536
_EVENTS, _RESULT, _RC, _ACKNOWLEDGED = "events", "result.json", "rc", "acknowledged"
_RECORDS = "records"


# A specification and an outcome are as large as a message can make them.
_MOST_BYTES = 4 * 1024 * 1024

# Numbers of processes and of events have fewer.
_MOST_DIGITS = 10

#: What is told in the place of a line of a job's story that this program did not write.
_ODD_LINE = "(a line that cannot be read)"

_LOST = Record(RecordState.LOST, "its job died before it could tell")

# What is there is no lock that anybody could hold; anything else (no descriptors left) tells nothing.
_NO_LOCK = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})


#: Fields of older agents, which did what a file said instead of what the settings say.
_FORMER = frozenset({"node", "root", "path", "postscripts", "max_log"})


@dataclass(frozen=True)
class JobEnvironment:
    """What a job's wrapper is told by the agent's settings, never by the job: see ``config.KEYS``.

    Where an agent of the version before still runs and starts a wrapper of this one, the last three are
    empty, and the job reaches no other agent.
    """

    node: str
    root: str
    path: str
    postscripts: str
    max_log: int
    certificate: str = ""
    ca: str = ""
    crl: str = ""


@dataclass(frozen=True)
class Spec:
    """The content of ``spec.json``: what to do and for whom.  Where and how follows from the settings.

    ``operation`` is the wire form; ``by`` the identity that asked, ``trace`` its word for the request.
    ``limit`` is in seconds from ``accepted`` on: past that nobody begins with the job any more, because the
    management node has given it up by then.
    """

    job_id: str
    operation: Mapping[str, Any]
    limit: float
    by: str
    accepted: str
    trace: str = ""

    @property
    def kind(self) -> str:
        """The kind of the operation."""
        return str(self.operation["kind"])

    @property
    def parts(self) -> Tuple[Mapping[str, Any], ...]:
        """What is to be done one after the other, in wire form: the operation, or those of a chain."""
        return operations.parts_of(self.operation)

    @property
    def kinds(self) -> Tuple[str, ...]:
        """The kinds of what is to be done."""
        return tuple(str(part["kind"]) for part in self.parts)

    @property
    def is_chain(self) -> bool:
        """Whether its outcome has a record of each part."""
        return self.kind == operations.Chain.kind

    @property
    def deadline(self) -> float:
        """When its time is over (seconds of the epoch)."""
        return parse(self.accepted).timestamp() + self.limit

    def decoded(self) -> operations.Operation:
        """The operation; raises ``BAD_OPERATION`` if an older agent accepted what this one lacks."""
        return operations.from_wire(self.operation)


class Job:
    """The directory of one job.  ``sync`` False leaves out flushing to disk (laboratories)."""

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        self.path = path
        self.job_id = path.name
        self._place = f"{path}{os.sep}"
        self._sync = sync
        self._lock: Optional[int] = None
        self._seq = 0
        self._written = 0
        self._log_is_closed = False

    def _has(self, name: str) -> bool:
        # A job is looked at many times a second: no Path is made for each look.
        try:
            os.stat(self._place + name)  # noqa: PTH116 - see above
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    # What is there.

    def spec(self) -> Spec:
        """What was accepted; raises ``INTERNAL`` if the file cannot be read, or is not this job's."""
        spec = self._stored(Spec, _SPEC, _check)
        if spec.job_id != self.job_id:
            text = f"{self.path / _SPEC} is of the job {spec.job_id}; remove the directory"
            raise AgentError(ErrorCode.INTERNAL, text)
        return spec

    def _stored(self, kind: Type[T], name: str, check: Callable[[T], object] = lambda _: None) -> T:
        path = self.path / name
        try:
            value = codec.from_wire(kind, _current(_parsed(path)))
            check(value)
        except (OSError, ValueError, AgentError) as error:
            text = f"cannot read {path}: {error}; remove the directory"
            raise AgentError(ErrorCode.INTERNAL, text) from None
        return value

    def check_owner(self) -> None:
        """Raises ``INTERNAL`` if somebody else made this job, or could have changed it.

        To be called again right before it is begun: the directory may have been opened up meanwhile.
        """
        try:
            ownership.check_directory(self.path.parent)
            ownership.check_directory(self.path)
            ownership.check_file(self.path / _SPEC)
        except ownership.OwnershipError as error:
            text = f"{error}, or remove the job {self.path}"
            raise AgentError(ErrorCode.INTERNAL, text) from None

    @property
    def exists(self) -> bool:
        """Whether the job was accepted."""
        return self._has(_SPEC)

    @property
    def is_started(self) -> bool:
        """Whether a wrapper began to work."""
        return self._has(_STARTED)

    @property
    def is_exited(self) -> bool:
        """Whether the outcome is there."""
        return self._has(_RC)

    @property
    def is_acknowledged(self) -> bool:
        """Whether the outcome may be forgotten."""
        return self._has(_ACKNOWLEDGED)

    @property
    def wrapper(self) -> Optional[int]:
        """Process id of the wrapper, None before it began."""
        return _number(self.path / _STARTED)

    @property
    def group(self) -> Optional[int]:
        """Process group of the command that runs, or ran when the wrapper was killed.

        ``shell.STARTING`` if one was just being started.
        """
        return _number(self.path / _GROUP)

    def changed_at(self) -> float:
        """When the directory got its last file (seconds of the epoch)."""
        return _modified(self.path)

    def outcome(self) -> Optional[JobOutcome]:
        """How it ended, None unless it exited; raises ``INTERNAL`` if the file cannot be read."""
        if not self.is_exited:
            return None
        return self._stored(JobOutcome, _RESULT)

    def records(self, spec: Spec) -> Tuple[Record, ...]:
        """What is known of each operation of a chain that nobody works on any more."""
        kinds = spec.kinds
        found = [_record(line, kind) for line, kind in zip(self._lines(_RECORDS), kinds)]
        rest = [Record(RecordState.NOT_BEGUN)] * (len(kinds) - len(found))
        if rest and self.is_started and not any(one.state is RecordState.FAILED for one in found):
            rest[0] = _LOST
        return (*found, *rest)

    def events(self, after_seq: int = 0) -> Tuple[JobEvent, ...]:
        """The events after ``after_seq``; a line cut off by a crash is left out.

        Their numbers are those of the lines, whatever they say themselves.
        """
        first = max(0, after_seq)
        lines = self._lines(_EVENTS)[first:]
        return tuple(_event(seq, line) for seq, line in enumerate(lines, first + 1))

    def _lines(self, name: str) -> List[str]:
        try:
            text = files.read(self.path / name) or ""
        except OSError:  # it is no file: the job has no story
            return []
        return text.split("\n")[:-1]

    def last_seq(self) -> int:
        """The number of the last event, 0 without one; reads only the end of the file."""
        try:
            with open(self._place + _EVENTS, "rb") as file:
                file.seek(max(0, self.size_of_events() - _TAIL))
                lines = file.read().split(b"\n")
        except OSError:
            return 0
        if len(lines) < 2:
            return 0
        number = lines[-2].partition(b" ")[0]
        is_ours = number.isdigit() and len(number) < _MOST_DIGITS
        return int(number) if is_ours else len(self._lines(_EVENTS))

    def size_of_events(self) -> int:
        """Bytes of events: a cheap way to see that there are new ones."""
        try:
            return os.stat(self._place + _EVENTS).st_size  # noqa: PTH116 - see _has
        except FileNotFoundError:
            return 0

    # What the agent does.

    def accept(self, spec: Spec) -> None:
        """Make the directory with its ``spec.json`` at once.  Raises :class:`OSError`."""
        unfinished = self.path.with_name(f".{self.job_id}.new")
        remove(unfinished)
        unfinished.mkdir(mode=0o700)
        try:
            self._write(unfinished / _SPEC, self._text(spec))
            unfinished.rename(self.path)
        except OSError:
            remove(unfinished)
            raise
        if self._sync:
            files.sync_directory(self.path.parent)

    def acknowledge(self) -> None:
        """Let the job expire.  Raises :class:`OSError`."""
        with contextlib.suppress(FileExistsError):
            self._write(self.path / _ACKNOWLEDGED, "")

    def lock_is_held(self) -> bool:
        """Whether another process holds the lock.  Never ask in the process that holds it."""
        try:
            descriptor = os.open(self._place + _LOCK, os.O_RDWR | files.NO_FOLLOW)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in _NO_LOCK:
                return False
            raise
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    # What the wrapper does.

    def lock(self) -> bool:
        """Take the lock until this process ends; False if another process holds it.

        Opened once: closing any other descriptor of the file would give a POSIX lock away.
        """
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | files.NO_FOLLOW, 0o600)
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            return False
        return True

    def start(self, process: int) -> None:
        """Note that work begins."""
        self._write(self.path / _STARTED, f"{process}\n")

    def record_group(self, group: Optional[int]) -> None:
        """Note the process group of the command that runs, or that none does."""
        if group is None:
            with contextlib.suppress(FileNotFoundError):
                (self.path / _GROUP).unlink()
        else:
            files.replace(self.path / _GROUP, f"{group}\n", sync=False, mode=0o600)

    def report(self, text: str, clock: Clock, max_log: int) -> None:
        """Append one event per line of ``text``; past ``max_log`` bytes only a last word is kept."""
        for line in text.splitlines():
            if self._log_is_closed:
                return
            self._append(_printable(line[:_MAX_LINE]), clock)
            if self._written > max_log:
                self._append(f"no more is kept: this log reached {max_log} bytes", clock)
                self._log_is_closed = True

    def _append(self, text: str, clock: Clock) -> None:
        self._seq += 1
        line = f"{self._seq} {stamp(clock.now())} {text}\n".encode()
        self._written += len(line)
        try:
            with open(self._place + _EVENTS, "ab", opener=_private) as file:
                file.write(line)
        except OSError:  # a full disk costs the rest of the story, not the job
            self._log_is_closed = True

    def record(self, kind: str, record: Record) -> None:
        """Note what became of the next operation of a chain, so that it lasts.  Raises :class:`OSError`."""
        line = f"{kind} {json.dumps(codec.to_wire(record))}\n"
        is_new = not self._has(_RECORDS)
        with open(self._place + _RECORDS, "ab", opener=_private) as file:
            file.write(line.encode())
            file.flush()
            if self._sync:
                os.fsync(file.fileno())
        if self._sync and is_new:
            files.sync_directory(self.path)

    def finish(self, outcome: JobOutcome) -> None:
        """Record the outcome.  Raises :class:`OSError`; the job is then lost and a probe decides."""
        rc = 0 if outcome.error is None else int(outcome.error.get("code", 1))
        self._write(self.path / _RESULT, self._text(outcome))
        # Until this file is there nobody reads the other.
        files.replace(self.path / _RC, f"{rc}\n", sync=self._sync, mode=0o600)

    def _text(self, value: Any) -> str:
        # Indented for people, which costs; where nothing is flushed nobody reads.
        return json.dumps(codec.to_wire(value), indent=1 if self._sync else None) + "\n"

    def _write(self, path: Path, text: str) -> None:
        files.write(path, text, 0o600, sync=self._sync)


def _check(spec: Spec) -> None:
    """What the codec does not look at."""
    operations.check_wire(spec.operation)
    parse(spec.accepted)


def _current(data: Any) -> Any:
    """A stored specification without what older agents kept in it."""
    if not isinstance(data, dict):
        return data
    return {name: value for name, value in data.items() if name not in _FORMER}


def remove(path: Path) -> None:
    """Remove a job's directory, if it is there; it stops being a job at once."""
    doomed = path if path.name.startswith(".") else path.with_name(f".{path.name}.old")
    with contextlib.suppress(FileNotFoundError):
        if doomed != path:
            remove(doomed)
            path.rename(doomed)
        for entry in list(doomed.iterdir()):
            entry.unlink()
        doomed.rmdir()


def _private(path: str, flags: int) -> int:
    """Opens a file that nobody else may read."""
    return os.open(path, flags | files.NO_FOLLOW, 0o600)


def _printable(text: str) -> str:
    return bounds.visible(text if text.isprintable() else text.expandtabs())


def _parsed(path: Path) -> Any:
    """The JSON data in a file; raises :class:`OSError` or :class:`ValueError`."""
    with open(path, "rb", opener=_unfollowed) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it is longer than {_MOST_BYTES} bytes")
    return bounds.parsed(data)


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | files.NO_FOLLOW)


def _event(seq: int, line: str) -> JobEvent:
    """The event number ``seq``: they are counted without gaps, so the place of a line tells."""
    number, _, rest = line.partition(" ")
    at, _, text = rest.partition(" ")
    return JobEvent(seq, at, text) if number == str(seq) else JobEvent(seq, "", _ODD_LINE)


def _record(line: str, kind: str) -> Record:
    """One line of a chain's records; what this program did not write tells nothing."""
    name, _, text = line.partition(" ")
    try:
        found = codec.from_wire(Record, bounds.parsed(text.encode("utf-8", "surrogateescape")))
    except (ValueError, AgentError):
        return _LOST
    return found if name == kind else _LOST


def _number(path: Path) -> Optional[int]:
    """The process, or group, in a file; None without one.  1 is the system's own and never one of ours."""
    try:
        text = (files.read(path) or "").strip()
    except OSError:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS):
        return None
    number = int(text)
    return None if number == 1 else number


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
