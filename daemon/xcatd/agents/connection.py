"""One conversation with one agent: queries, probes, jobs.

Owns: the typed methods, and going on after a dropped line: every method of the protocol may be repeated
(a job is known by its id), so a lost answer costs a reconnect, not the work.  Belongs to one thread.
Must not: know operations by name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from xcat_aix_proto import (
    MAX_FOLLOW,
    PROTOCOL_VERSIONS,
    bounds,
    codec,
    facts,
    messages,
    operations,
)
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import ChainProbe, JobEvent, JobState, JobStatus, JobUpdate, Outcome, Probe

if TYPE_CHECKING:
    from .link import Link

T = TypeVar("T")

_ANSWERS: Mapping[type[operations.Operation], type] = {
    operations.HostFacts: facts.Host,
    operations.NimSnapshot: facts.NimDatabase,
}

#: Seconds for answers that an agent gives at once, and for those it runs commands for.
QUICK, SLOW = 15.0, 100.0

#: Seconds beyond a job's limit until it counts as out of time.
_SLACK = 15.0

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0


class AgentConnection:
    """See the module.  A context manager; ``welcome`` is what the agent said to our hello.

    ``dial`` makes a greeted link; ``patience`` is how many seconds a running job's agent may be out of
    reach.
    """

    def __init__(
        self,
        dial: Callable[[], tuple[Link, messages.Welcome]],
        *,
        patience: float = 30.0,
    ) -> None:
        self._dial = dial
        self._patience = patience
        self._owner = threading.get_ident()
        self._link: Link | None = None
        self._link, self.welcome = dial()

    def __enter__(self) -> AgentConnection:  # noqa: PYI034 - a concrete class
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; jobs go on."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def knows(self, kind: str) -> bool:
        """Whether the agent performs this kind of operation, or has this further thing, as it said itself."""
        return kind in self.welcome.operations

    def require(self, op: operations.Operation) -> None:
        """Raises ``BAD_OPERATION``, before anything is sent, if the agent lacks the operation or a part of it."""
        for kind in dict.fromkeys((op.kind, *(part.kind for part in op.parts))):
            if not self.knows(kind):
                text = f"its agent (version {self.welcome.version}) does not know {kind}: update the agent"
                raise AgentError(ErrorCode.BAD_OPERATION, text)

    # The protocol; an operation that the agent does not know is not sent.

    def query(self, op: operations.Operation, limit: float = SLOW) -> Any:
        """The facts a query answers with (``facts.Host`` or ``facts.NimDatabase``), within ``limit`` seconds."""
        answer = self._call("query", operations.to_wire(op), limit=limit, needs=op)
        return codec.from_wire(_ANSWERS[type(op)], answer)

    def probe(self, op: operations.Operation, job_id: str = "") -> Probe:
        """Whether the effect of ``op`` is there; ``job_id`` is the job that was to bring it about.

        Without the id an effect that only the job's record can prove (postscripts, dump device) is
        NOT_DONE.  Of a chain a :class:`ChainProbe`, with a probe for each part.
        """
        answer = ChainProbe if isinstance(op, operations.Chain) else Probe
        return self._ask(answer, "probe", operations.to_wire(op), job_id, limit=SLOW, needs=op)

    def submit(self, job_id: str, op: operations.Operation, limit: float) -> JobStatus:
        """Have ``op`` done within ``limit`` seconds; the same id again is the same job."""
        args = (job_id, operations.to_wire(op), float(limit))
        return self._ask(JobStatus, "submit", *args, limit=QUICK, needs=op)

    def follow(self, job_id: str, after_seq: int, wait: float) -> JobUpdate:
        """Events after ``after_seq``; waits up to ``wait`` seconds for the first."""
        wait = min(wait, MAX_FOLLOW)
        return self._ask(JobUpdate, "follow", job_id, after_seq, wait, limit=wait + QUICK)

    def acknowledge(self, job_id: str) -> None:
        """The outcome is known here; the agent may forget the job."""
        self._call("acknowledge", job_id, limit=QUICK)

    def cancel(self, job_id: str) -> JobStatus:
        """Stop a job."""
        return self._ask(JobStatus, "cancel", job_id, limit=2 * QUICK)

    def jobs(self) -> list[JobStatus]:
        """All jobs the agent keeps."""
        answer = self._call("jobs", limit=QUICK)
        if not isinstance(answer, list):
            raise AgentError(ErrorCode.BAD_MESSAGE, "the answer to jobs is not a list")
        return [codec.from_wire(JobStatus, item) for item in answer]

    # A job from beginning to end.

    def run(
        self,
        job_id: str,
        op: operations.Operation,
        limit: float,
        on_event: Callable[[JobEvent], None] | None = None,
        cancelled: threading.Event | None = None,
    ) -> Outcome:
        """Submit and follow until it is over; a dropped line is taken up again.

        Raises ``JOB_LOST`` (its process died), ``TIMED_OUT``, ``CANCELLED``, ``UNREACHABLE`` (the agent
        stayed away longer than our patience); then only a probe tells what was done.
        """
        cancelled = cancelled or threading.Event()
        deadline = time.monotonic() + limit + _SLACK
        seq, story = 0, bounds.Story()
        self._patiently(lambda: self.submit(job_id, op, limit), cancelled)
        while True:
            update = self._patiently(lambda: self.follow(job_id, seq, MAX_FOLLOW), cancelled)  # noqa: B023 - called at once
            before = seq
            for event in update.events:
                seq = max(seq, event.seq)
                for text in story.told([event.text]):
                    if on_event is not None:
                        on_event(replace(event, text=text))
            if update.status.state.is_over:
                is_told = seq == before or seq >= update.status.last_seq
                if is_told or time.monotonic() > deadline:
                    return _outcome(update.status)
                continue
            self._check_time(job_id, deadline, cancelled)

    def _check_time(self, job_id: str, deadline: float, cancelled: threading.Event) -> None:
        if cancelled.is_set():
            self.cancel(job_id)
            raise AgentError(ErrorCode.CANCELLED, "cancelled")
        if time.monotonic() > deadline:
            self.cancel(job_id)
            raise AgentError(ErrorCode.TIMED_OUT, "the job did not end within its time")

    def _patiently(self, action: Callable[[], T], cancelled: threading.Event) -> T:
        """Repeat while the agent is out of reach, within our patience."""
        until = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return action()
            except AgentError as error:
                can_wait = error.code in {ErrorCode.UNREACHABLE, ErrorCode.BUSY}
                if not can_wait or time.monotonic() + pause > until or cancelled.is_set():
                    raise
            cancelled.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    # Calls.

    def _ask(
        self,
        answer: type[T],
        method: str,
        *args: Any,
        limit: float,
        needs: operations.Operation | None = None,
    ) -> T:
        return codec.from_wire(answer, self._call(method, *args, limit=limit, needs=needs))

    def _call(
        self, method: str, *args: Any, limit: float, needs: operations.Operation | None = None
    ) -> Any:
        """One call; once more over a new link if this one turns out to be dead."""
        from .link import LinkLostError, NoAnswerError  # noqa: PLC0415 - loads Pyro5

        if threading.get_ident() != self._owner:
            raise RuntimeError("an agent connection belongs to the thread that made it")
        link, is_fresh = self._live_link(needs)
        try:
            return link.call(method, *args, limit=limit)
        except LinkLostError as error:
            self.close()
            if is_fresh or isinstance(error, NoAnswerError):
                raise
        link, _ = self._live_link(needs)
        try:
            return link.call(method, *args, limit=limit)
        except LinkLostError:
            self.close()
            raise

    def _live_link(self, needs: operations.Operation | None) -> tuple[Link, bool]:
        """The link to an agent that knows what it is to be asked, and whether it is new."""
        link, is_fresh = self._link, self._link is None
        if link is None:
            link, self.welcome = self._dial()
            self._link = link
        if needs is not None:
            self.require(needs)
        return link, is_fresh


def greet(link: Link, version: str) -> messages.Welcome:
    """Say hello; raises ``NOT_ALLOWED``, ``UNSUPPORTED_PROTOCOL``, ``BUSY`` or what breaks the link."""
    hello = messages.Hello(PROTOCOL_VERSIONS, version)
    return codec.from_wire(messages.Welcome, link.call("hello", codec.to_wire(hello)))


def _outcome(status: JobStatus) -> Outcome:
    if status.state is JobState.LOST or status.outcome is None:
        text = f"job {status.job_id} was lost: its process died before it could tell how it ended"
        raise AgentError(ErrorCode.JOB_LOST, text)
    return replace(status.outcome, result=bounds.result(status.outcome.result))
