"""What a management node can ask of this agent: the methods of ``xcat_aix_proto.messages``.

Owns: decoding arguments, checking rights, answering in envelopes; nothing raised in here leaves as an
exception.  Must not: know sockets or Pyro5.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from xcat_aix_agent import __version__, operations
from xcat_aix_agent.config import AgentConfig
from xcat_aix_agent.host import Host, LimitedCommands
from xcat_aix_agent.jobs.store import JobStore
from xcat_aix_proto import PROTOCOL_VERSIONS, codec, messages
from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity
from xcat_aix_proto.operations import Operation, Right

from .policy import Policy
from .quiet import QuietLog

_log = logging.getLogger(__name__)

#: Seconds all commands of one query or probe may take together.
ANSWER_LIMIT = 90.0

#: Upper bound, in seconds, of a job's time limit.
MAX_LIMIT = 86400.0


#: Seconds for which a query waits while its management node has too many under way.
TURN_LIMIT = 5.0


class Turns:
    """So many things at once for each peer.  Safe for use by several threads."""

    def __init__(self, most: int, wait: float = TURN_LIMIT) -> None:
        self._most = most
        self._wait = wait
        self._taken: Dict[Identity, int] = {}
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, peer: Identity) -> Iterator[None]:
        """One of the peer's turns; raises ``BUSY`` if none becomes free in time."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._taken.get(peer, 0) < self._most, self._wait
            ):
                text = f"this agent works on {self._most} queries of {peer} already"
                raise AgentError(ErrorCode.BUSY, text)
            self._taken[peer] = self._taken.get(peer, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._taken[peer] -= 1
                if not self._taken[peer]:
                    del self._taken[peer]
                self._changed.notify_all()


@dataclasses.dataclass(frozen=True)
class Service:
    """The agent behind its connections."""

    config: AgentConfig
    host: Host
    store: JobStore
    policy: Policy
    refusals: QuietLog
    turns: Turns

    def limited_host(self, job_id: str = "") -> Host:
        """The host for one query or probe; ``job_id`` is the job a probe asks about."""
        return dataclasses.replace(
            self.host,
            commands=LimitedCommands(self.host.commands, self.host.clock, ANSWER_LIMIT),
            finished=lambda operation: bool(job_id) and self.store.finished(job_id, operation),
        )


class Session:
    """One authenticated connection from ``source``.  ``on_hello`` is called when the peer was let in.

    Rights are looked up at every call, so that a change of the policy holds at once.
    """

    def __init__(
        self,
        service: Service,
        peer: Identity,
        source: str,
        on_hello: Callable[[], None] = lambda: None,
    ) -> None:
        self._service = service
        self.peer = peer
        self._source = source
        self._trace = ""
        self._on_hello = on_hello
        self._greeted = False
        #: Set when the connection must end after the answer.
        self.refused: Optional[AgentError] = None

    def call(
        self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any], trace: str = ""
    ) -> Dict[str, Any]:
        """The envelope that answers one remote call, which is part of the peer's request ``trace``."""
        self._trace = trace
        try:
            return messages.ok(self._answer(method, args, kwargs))
        except AgentError as error:
            if not self._greeted:
                self.refused = error
            elif error.code in _LOGGED or method == "submit":
                text = "refused %s of %s: %s"
                self._service.refusals.warning(text, method, self.whom, error.message)
            return messages.failed(error)
        except Exception as error:  # noqa: BLE001 - the outer boundary of a call
            _log.exception("internal error in %s for %s", method, self.peer)
            return messages.failed(AgentError(ErrorCode.INTERNAL, f"internal error: {error!r}"))

    @property
    def whom(self) -> str:
        """Who asks, from where, as part of what: for the log."""
        return f"{self.peer} at {self._source}, trace {self._trace or '-'}"

    def _answer(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        handler, types = _METHODS[method]
        if kwargs or len(args) != len(types):
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{method} takes {len(types)} arguments")
        for place, (arg, wanted) in enumerate(zip(args, types), start=1):
            if not isinstance(arg, wanted) or isinstance(arg, bool):
                text = f"argument {place} of {method} has the wrong type"
                raise AgentError(ErrorCode.BAD_MESSAGE, text)
        if not self._greeted and method != "hello":
            raise AgentError(ErrorCode.BAD_MESSAGE, "the first call must be hello")
        return codec.to_wire(handler(self, *args))

    def _require(self, right: Right) -> Right:
        granted = self._service.policy.right_of(self.peer)
        if granted is None or granted < right:
            had = "nothing" if granted is None else granted.name.lower()
            # Where to mend it is told: the peer is a management node with a certificate of our authority.
            text = (
                f"{self.peer} needs the right {right.name.lower()} here and has {had}; allow it in"
                f" {self._service.policy.path} on {self._service.config.node}"
            )
            raise AgentError(ErrorCode.NOT_ALLOWED, text)
        return granted

    def require_operate(self) -> None:
        """Raises ``NOT_ALLOWED``."""
        self._require(Right.OPERATE)

    # The methods.

    def _hello(self, data: Mapping[str, Any]) -> messages.Welcome:
        hello = codec.from_wire(messages.Hello, data)
        right = self._require(Right.READ)
        common = set(PROTOCOL_VERSIONS) & set(hello.protocols)
        if not common:
            text = f"this agent ({__version__}) speaks the protocol versions {PROTOCOL_VERSIONS}"
            raise AgentError(ErrorCode.UNSUPPORTED_PROTOCOL, text)
        if not self._greeted:
            self._on_hello()
            self._greeted = True
        return messages.Welcome(
            protocol=max(common),
            version=__version__,
            node=self._service.config.node,
            role=self._service.config.role.value,
            operations=operations.kinds(),
            right=int(right),
        )

    def _query(self, data: Mapping[str, Any]) -> Any:
        operation = self._allowed(data)
        with self._service.turns.of(self.peer):
            return operations.query(operation, self._service.limited_host())

    def _probe(self, data: Mapping[str, Any], job_id: str) -> Any:
        operation = proto.from_wire(data)
        self._require(Right.READ)
        with self._service.turns.of(self.peer):
            return operations.probe(operation, self._service.limited_host(job_id))

    def _submit(self, job_id: str, data: Mapping[str, Any], limit: float) -> Any:
        operation = self._allowed(data)
        if operation.is_query:
            raise AgentError(ErrorCode.BAD_OPERATION, f"{operation.kind} is a query, not a job")
        if not 0 < limit <= MAX_LIMIT:
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{limit!r} is not a time limit for a job")
        status = self._service.store.submit(
            job_id, operation, float(limit), str(self.peer), self._trace
        )
        text = "job %s (%s) submitted by %s: %s"
        _log.info(text, status.job_id, status.kind, self.whom, status.state.value)
        return status

    def _follow(self, job_id: str, after_seq: int, wait: float) -> Any:
        self._require(Right.READ)
        return self._service.store.follow(job_id, after_seq, wait)

    def _acknowledge(self, job_id: str) -> None:
        self._require(Right.OPERATE)
        self._service.store.acknowledge(job_id)

    def _cancel(self, job_id: str) -> Any:
        self._require(Right.OPERATE)
        status = self._service.store.cancel(job_id)
        _log.info("job %s cancelled by %s", job_id, self.whom)
        return status

    def _jobs(self) -> Any:
        self._require(Right.READ)
        return self._service.store.all()

    def _allowed(self, data: Mapping[str, Any]) -> Operation:
        operation = proto.from_wire(data)
        self._require(operation.right)
        return operation


#: Refusals that are logged whatever was asked.
_LOGGED = frozenset({ErrorCode.NOT_ALLOWED, ErrorCode.BUSY})

_NUMBER = (int, float)
#: Method -> handler and the types of its arguments.
_METHODS: Dict[str, Tuple[Callable[..., Any], Tuple[Any, ...]]] = {
    "hello": (Session._hello, (dict,)),  # noqa: SLF001 - this table is part of the class
    "query": (Session._query, (dict,)),  # noqa: SLF001 - as above
    "probe": (Session._probe, (dict, str)),  # noqa: SLF001 - as above
    "submit": (Session._submit, (str, dict, _NUMBER)),  # noqa: SLF001 - as above
    "follow": (Session._follow, (str, int, _NUMBER)),  # noqa: SLF001 - as above
    "acknowledge": (Session._acknowledge, (str,)),  # noqa: SLF001 - as above
    "cancel": (Session._cancel, (str,)),  # noqa: SLF001 - as above
    "jobs": (Session._jobs, ()),  # noqa: SLF001 - as above
}
