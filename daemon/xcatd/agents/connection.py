"""One conversation with one agent: queries, probes, jobs.

Owns: the typed methods, and going on after a dropped line: every method of the protocol may be repeated
(a job is known by its id), so a lost answer costs a reconnect, not the work.  Belongs to one thread.
Must not: know operations by name.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from xcat_aix_proto import (
    MAX_FOLLOW,
    PROTOCOL_VERSIONS,
    codec,
    messages,
    operations,
)
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import ChainProbe, JobStatus, JobUpdate, NodesProbe, Probe

if TYPE_CHECKING:
    from .link import AgentLink

T = TypeVar("T")

#: What ``probe`` answers where that is more than one verdict.
_PROBES: Mapping[type[operations.Operation], type[Probe]] = {
    operations.Chain: ChainProbe,
    operations.ForNodes: NodesProbe,
}

#: Seconds for answers that an agent gives at once, and for those it runs commands for.
QUICK, SLOW = 15.0, 100.0


class AgentConnection:
    """See the module.  A context manager; ``welcome`` is what the agent said to our hello.

    ``dial`` makes a greeted link.
    """

    def __init__(self, dial: Callable[[], tuple[AgentLink, messages.Welcome]]) -> None:
        self._dial = dial
        #: Jobs whose outcome is known here.
        self._known: list[str] = []
        self._owner = threading.get_ident()
        self._link: AgentLink | None = None
        self._link, self.welcome = dial()

    def __enter__(self) -> AgentConnection:  # noqa: PYI034 - a concrete class
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; jobs go on."""
        if self._link is not None and self._known:
            *others, last = self._known
            self._known.clear()
            with contextlib.suppress(AgentError):
                for (
                    job_id
                ) in others:  # an answer that is there when we close takes away what is behind it
                    self._link.call("acknowledge", job_id, limit=QUICK)
                self._link.tell("acknowledge", last)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def knows(self, kind: str) -> bool:
        """Whether the agent performs this kind of operation, or has this further thing, as it said itself."""
        return kind in self.welcome.operations

    def require(self, op: operations.Operation) -> None:
        """Raises ``BAD_OPERATION``, before anything is sent, if the agent lacks the operation or a part of it."""
        self.require_kinds(_kinds(op))

    def require_kinds(self, kinds: Iterable[str]) -> None:
        """Raises ``BAD_OPERATION``, which names them, if the agent lacks any of these kinds of operations."""
        if lacking := [kind for kind in kinds if not self.knows(kind)]:
            version, named = self.welcome.version, ", ".join(lacking)
            text = f"its agent (version {version}) does not know {named}: update the agent"
            raise AgentError(ErrorCode.BAD_OPERATION, text)

    # The protocol; an operation that the agent does not know is not sent.

    def query(self, op: operations.Operation, limit: float = SLOW) -> Any:
        """What the query is answered with (``op.answer``), within ``limit`` seconds.

        Raises ``BAD_OPERATION`` for what is no query.
        """
        if op.answer is None:
            raise AgentError(ErrorCode.BAD_OPERATION, f"{op.kind} is a job, not a query")
        answer = self._call("query", operations.to_wire(op), limit=limit, needs=_kinds(op))
        return codec.from_wire(op.answer, answer)

    def probe(self, op: operations.Operation, job_id: str = "") -> Probe:
        """Whether the effect of ``op`` is there; ``job_id`` is the job that was to bring it about.

        Without the id an effect that only the job's record can prove (postscripts, dump device) is
        NOT_DONE.  Of a chain a :class:`ChainProbe`, with a probe for each part; of an operation for several nodes
        a :class:`NodesProbe`, with one for each node.
        """
        answer = next((found for base, found in _PROBES.items() if isinstance(op, base)), Probe)
        args = (operations.to_wire(op), job_id)
        return self._ask(answer, "probe", *args, limit=SLOW, needs=_kinds(op))

    def submit(self, job_id: str, op: operations.Operation, limit: float) -> JobStatus:
        """Have ``op`` done within ``limit`` seconds; the same id again is the same job."""
        args = (job_id, operations.to_wire(op), float(limit))
        return self._ask(JobStatus, "submit", *args, limit=QUICK, needs=_kinds(op))

    def begin(self, job_id: str, op: operations.Operation, limit: float, wait: float) -> JobUpdate:
        """As :meth:`submit`, and what :meth:`follow` tells from the beginning on, if the agent can do that.

        Of an agent that cannot the events are missing, as ``status.last_seq`` tells.
        """
        if not self.knows(messages.BEGIN):
            return JobUpdate(self.submit(job_id, op, limit))
        wait = min(wait, MAX_FOLLOW)
        args = (job_id, operations.to_wire(op), float(limit), float(wait))
        needs = (messages.BEGIN, *_kinds(op))
        return self._ask(JobUpdate, "begin", *args, limit=wait + QUICK, needs=needs)

    def follow(self, job_id: str, after_seq: int, wait: float) -> JobUpdate:
        """Events after ``after_seq``; waits up to ``wait`` seconds for the first."""
        wait = min(wait, MAX_FOLLOW)
        return self._ask(JobUpdate, "follow", job_id, after_seq, wait, limit=wait + QUICK)

    def acknowledge(self, job_id: str) -> None:
        """The outcome is known here; the agent may forget the job."""
        self._call("acknowledge", job_id, limit=QUICK)

    def forget(self, job_id: str) -> None:
        """As :meth:`acknowledge`, when the connection is closed, and of the last one without an answer.

        If it does not arrive the agent keeps the job longer, which does no harm.
        """
        self._known.append(job_id)

    def cancel(self, job_id: str) -> JobStatus:
        """Stop a job."""
        return self._ask(JobStatus, "cancel", job_id, limit=2 * QUICK)

    def jobs(self) -> list[JobStatus]:
        """All jobs the agent keeps."""
        answer = self._call("jobs", limit=QUICK)
        if not isinstance(answer, list):
            raise AgentError(ErrorCode.BAD_MESSAGE, "the answer to jobs is not a list")
        return [codec.from_wire(JobStatus, item) for item in answer]

    # Calls.

    def _ask(
        self,
        answer: type[T],
        method: str,
        *args: Any,
        limit: float,
        needs: Iterable[str] = (),
    ) -> T:
        return codec.from_wire(answer, self._call(method, *args, limit=limit, needs=needs))

    def _call(self, method: str, *args: Any, limit: float, needs: Iterable[str] = ()) -> Any:
        """One call; once more over a new link if this one turns out to be dead."""
        from .link import LinkLostError, NoAnswerError  # noqa: PLC0415 - loads Pyro5

        if threading.get_ident() != self._owner:
            raise RuntimeError("an agent connection belongs to the thread that made it")
        link, is_fresh = self._live_link(needs)
        try:
            return link.call(method, *args, limit=limit)
        except LinkLostError as error:
            self._hang_up()
            if is_fresh or isinstance(error, NoAnswerError):
                raise
        link, _ = self._live_link(needs)
        try:
            return link.call(method, *args, limit=limit)
        except LinkLostError:
            self._hang_up()
            raise

    def _live_link(self, needs: Iterable[str]) -> tuple[AgentLink, bool]:
        """The link to an agent that knows what it is to be asked, and whether it is new."""
        link, is_fresh = self._link, self._link is None
        if link is None:
            link, self.welcome = self._dial()
            self._link = link
        self.require_kinds(needs)
        return link, is_fresh


def _kinds(op: operations.Operation) -> tuple[str, ...]:
    """What an agent must know to be asked for ``op``."""
    return tuple(dict.fromkeys((op.kind, *(part.kind for part in op.parts))))


def greet(link: AgentLink, version: str) -> messages.Welcome:
    """Say hello; raises ``NOT_ALLOWED``, ``UNSUPPORTED_PROTOCOL``, ``BUSY`` or what breaks the link."""
    hello = messages.Hello(PROTOCOL_VERSIONS, version)
    return codec.from_wire(messages.Welcome, link.call("hello", codec.to_wire(hello)))
