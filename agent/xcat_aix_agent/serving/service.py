"""What a management node can ask of this agent: the methods of ``xcat_aix_proto.messages``.

Owns: decoding arguments, asking the policy, answering in envelopes; nothing raised in here leaves as an
exception.  Must not: know sockets or Pyro5.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import threading
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from xcat_aix_agent import __version__, operations
from xcat_aix_agent.config import AgentConfig
from xcat_aix_agent.host import Host, LimitedCommands
from xcat_aix_agent.jobs.store import JobStore
from xcat_aix_proto import PROTOCOL_VERSIONS, bounds, codec, messages
from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity
from xcat_aix_proto.operations import Operation

from . import grants
from .grants import Grants
from .policy import Policy, RemoteCall
from .quiet import QuietLog
from .standing import Standing

_log = logging.getLogger(__name__)

#: Seconds all commands of one query or probe may take together.
ANSWER_LIMIT = 90.0

#: Upper bound, in seconds, of a job's time limit.
MAX_LIMIT = 86400.0


#: Seconds for which a query waits while its management node has too many under way.
TURN_LIMIT = 5.0


class PeerSlots:
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
    grants: Grants
    refusals: QuietLog
    turns: PeerSlots

    def limited_host(self, job_id: str = "") -> Host:
        """The host for one query or probe; ``job_id`` is the job a probe asks about."""
        return dataclasses.replace(
            self.host,
            commands=LimitedCommands(self.host.commands, self.host.clock, ANSWER_LIMIT),
            finished=lambda operation: bool(job_id) and self.store.finished(job_id, operation),
        )


class Conversation:
    """One authenticated connection from ``source``.  ``on_hello`` is called when the peer was let in.

    Rights are looked up at every call, so that a change of the policy holds at once.
    """

    def __init__(
        self,
        service: Service,
        standing: Standing,
        source: str,
        on_hello: Callable[[], None] = lambda: None,
    ) -> None:
        self._service = service
        self._standing = standing
        self.peer = standing.identity
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
            elif error.code in _LOGGED or method in _LOGGED_CALLS:
                asked, who = _names(args), str(self.peer)
                text = "refused %s of %s: %s (it asked: %s)"
                values = (method, self.whom, error.message, asked or "nothing")
                self._service.refusals.warning(text, *values, about=who)
            return messages.failed(error)
        except Exception as error:  # noqa: BLE001 - the outer boundary of a call
            _log.exception("internal error in %s for %s", method, self.peer)
            return messages.failed(AgentError(ErrorCode.INTERNAL, f"internal error: {error!r}"))

    @property
    def whom(self) -> str:
        """Who asks, from where, as part of what: for the log."""
        return f"{self.peer} at {self._source}, trace {self._trace or '-'}"

    def _answer(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        handler, wanted = _METHODS[method]
        if kwargs or len(args) != len(wanted):
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{method} takes {len(wanted)} arguments")
        for place, (arg, argument) in enumerate(zip(args, wanted), start=1):
            if not isinstance(arg, argument.types) or isinstance(arg, bool):
                text = f"argument {place} of {method} has the wrong type"
                raise AgentError(ErrorCode.BAD_MESSAGE, text)
        if not self._greeted and method != "hello":
            raise AgentError(ErrorCode.BAD_MESSAGE, "the first call must be hello")
        values = [argument.read(arg) for arg, argument in zip(args, wanted)]
        operation = next((one for one in values if isinstance(one, Operation)), None)
        self._service.policy.check(
            self.peer, self._standing.protocol, RemoteCall(method, operation)
        )
        return codec.to_wire(handler(self, *values))

    # The methods: what they get is typed, and the policy has allowed it.

    def _hello(self, hello: messages.Hello) -> messages.Welcome:
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
            operations=(messages.GRANTS, messages.BEGIN, *operations.kinds()),
            # Nothing: it was taken away at this very moment, as the next call will tell.
            right=int(self._service.policy.rights.of(self.peer) or 0),
        )

    def _query(self, operation: Operation) -> Any:
        with self._service.turns.of(self.peer):
            return operations.query(operation, self._service.limited_host())

    def _probe(self, operation: Operation, job_id: str) -> Any:
        with self._service.turns.of(self.peer):
            return operations.probe(operation, self._service.limited_host(job_id))

    def _submit(self, job_id: str, operation: Operation, limit: float) -> Any:
        if operation.is_query:
            raise AgentError(ErrorCode.BAD_OPERATION, f"{operation.kind} is a query, not a job")
        if not 0 < limit <= MAX_LIMIT:
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{limit!r} is not a time limit for a job")
        status = self._service.store.submit(
            job_id, operation, float(limit), str(self.peer), self._trace
        )
        text = "job %s (%s) submitted by %s: %s"
        kinds = ", ".join(part.kind for part in operation.parts)
        _log.info(text, status.job_id, kinds, self.whom, status.state.value)
        return status

    def _begin(self, job_id: str, operation: Operation, limit: float, wait: float) -> Any:
        self._submit(job_id, operation, limit)
        return self._follow(job_id, 0, wait)

    def _follow(self, job_id: str, after_seq: int, wait: float) -> Any:
        return self._service.store.follow(job_id, after_seq, wait)

    def _acknowledge(self, job_id: str) -> None:
        self._service.store.acknowledge(job_id)

    def _cancel(self, job_id: str) -> Any:
        status = self._service.store.cancel(job_id)
        _log.info("job %s cancelled by %s", job_id, self.whom)
        return status

    def _jobs(self) -> Any:
        return self._service.store.all()

    def _lodge(self, grant: messages.Grant, seconds: float) -> None:
        if not 0 < seconds <= messages.MAX_GRANT:
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{seconds!r} is not a time for a grant")
        self._service.grants.lodge(grant, self._standing, float(seconds))
        text = "grant lodged for %.0f s: %s; %s"
        _log.info(text, seconds, grants.told(grant, self.peer), self.whom)

    def _withdraw(self, grant: messages.Grant) -> None:
        if self._service.grants.withdraw(grant, self.peer):
            _log.info("grant withdrawn: %s; %s", grants.told(grant, self.peer), self.whom)


def _names(args: Sequence[Any]) -> str:
    """The job's id and the operation in the arguments of a call, as far as they are any: for the log."""
    named = [arg.get("kind") if isinstance(arg, dict) else arg for arg in args]
    for arg in args:
        if isinstance(arg, dict) and arg.get("kind") == proto.Chain.kind:
            with contextlib.suppress(AgentError):
                named += [part.get("kind") for part in proto.parts_of(arg)]
    return " ".join(bounds.cut(name, 128) for name in named if isinstance(name, str))


#: Refusals that are logged whatever was asked, and what is always logged.
_LOGGED = frozenset({ErrorCode.NOT_ALLOWED, ErrorCode.BUSY})
_LOGGED_CALLS = frozenset({"submit", "begin", "lodge"})


@dataclasses.dataclass(frozen=True)
class _Argument:
    """What is expected on the wire, and what it is read as."""

    types: Tuple[type, ...]
    read: Callable[[Any], Any] = lambda plain: plain


_TEXT, _COUNT, _NUMBER = _Argument((str,)), _Argument((int,)), _Argument((int, float))
_OPERATION = _Argument((dict,), proto.from_wire)
_HELLO = _Argument((dict,), functools.partial(codec.from_wire, messages.Hello))
_GRANT = _Argument((dict,), functools.partial(codec.from_wire, messages.Grant))
#: Method -> handler and its arguments.
_METHODS: Dict[str, Tuple[Callable[..., Any], Tuple[_Argument, ...]]] = {
    "hello": (Conversation._hello, (_HELLO,)),  # noqa: SLF001 - this table is part of the class
    "query": (Conversation._query, (_OPERATION,)),  # noqa: SLF001 - as above
    "probe": (Conversation._probe, (_OPERATION, _TEXT)),  # noqa: SLF001 - as above
    "submit": (Conversation._submit, (_TEXT, _OPERATION, _NUMBER)),  # noqa: SLF001 - as above
    "begin": (Conversation._begin, (_TEXT, _OPERATION, _NUMBER, _NUMBER)),  # noqa: SLF001 - as above
    "follow": (Conversation._follow, (_TEXT, _COUNT, _NUMBER)),  # noqa: SLF001 - as above
    "acknowledge": (Conversation._acknowledge, (_TEXT,)),  # noqa: SLF001 - as above
    "cancel": (Conversation._cancel, (_TEXT,)),  # noqa: SLF001 - as above
    "lodge": (Conversation._lodge, (_GRANT, _NUMBER)),  # noqa: SLF001 - as above
    "withdraw": (Conversation._withdraw, (_GRANT,)),  # noqa: SLF001 - as above
    "jobs": (Conversation._jobs, ()),  # noqa: SLF001 - as above
}
