"""The remote methods of an agent, their arguments and answers.

An agent exposes exactly these methods under :data:`xcat_aix_proto.OBJECT_ID`.  Each takes and returns
plain JSON data; every answer is an envelope ``{"ok": <answer>}`` or ``{"error": <AgentError>}``.

==================  ===========================================  ==============  =================
method              arguments                                    right           answer
==================  ===========================================  ==============  =================
``hello``           ``Hello``                                    (any known MN)  ``Welcome``
``query``           operation                                    the operation's plain data
``probe``           operation, job id or ``""``                  READ            ``jobs.Probe``
``submit``          job id, operation, ``limit`` seconds         the operation's ``jobs.JobStatus``
``begin``           job id, operation, ``limit``, ``wait``       the operation's ``jobs.JobUpdate``
``follow``          job id, ``after_seq``, ``wait`` seconds      READ            ``jobs.JobUpdate``
``acknowledge``     job id                                       OPERATE         None
``cancel``          job id                                       OPERATE         ``jobs.JobStatus``
``jobs``            —                                            READ            list of JobStatus
``lodge``           ``Grant``, for how many seconds              OPERATE         None
``withdraw``        ``Grant``                                    OPERATE         None
==================  ===========================================  ==============  =================

``hello`` comes first on every connection.  The job id of ``probe`` names the job whose effect is asked
about: where the host itself cannot tell (postscripts), that job's record does.  Of a chain
``probe`` answers a ``jobs.ChainProbe``, and a job that is a chain proves each of its operations.  Of an
operation for several nodes it answers a ``jobs.NodesProbe``.

``lodge`` and ``withdraw`` may be repeated: a grant that is lodged again gets the new time, one that is not
there is withdrawn already.  Only an agent whose ``Welcome.operations`` name :data:`GRANTS` has them.

``begin`` is ``submit`` and then ``follow`` from the beginning, in one call: a short job is over with its answer.
Only an agent whose ``Welcome.operations`` name :data:`BEGIN` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Tuple

from . import names
from .errors import AgentError, ErrorCode
from .identity import Identity, Role

METHODS = (
    *("hello", "query", "probe", "submit", "follow", "acknowledge", "cancel", "jobs"),
    *("lodge", "withdraw", "begin"),
)

#: Among the operations of an agent that keeps grants and gives what they are for.
GRANTS = "agent.grants@1"

#: Among the operations of an agent that has the method ``begin``.
BEGIN = "agent.begin@1"

#: Upper bound, in seconds, of a grant's time.
MAX_GRANT = 86400.0

#: Upper bounds of the answer to each method: bytes of the message, and values in it.  An error's further
#: text and a job's outcome may come with any answer but the shortest; a NIM database of some thousand
#: machines is the largest.
ANSWERS: Mapping[str, Tuple[int, int]] = {
    "hello": (128 * 1024, 2_000),
    "query": (16 * 1024 * 1024, 600_000),
    "probe": (2 * 1024 * 1024, 2_000),
    "submit": (4 * 1024 * 1024, 50_000),
    "begin": (6 * 1024 * 1024, 100_000),
    "follow": (6 * 1024 * 1024, 100_000),
    "acknowledge": (2 * 1024 * 1024, 2_000),
    "cancel": (4 * 1024 * 1024, 50_000),
    "jobs": (16 * 1024 * 1024, 200_000),
}

#: Upper bound, in bytes, of the events in one answer to ``follow``; the rest comes with the next one.
MAX_EVENT_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Hello:
    """First call on a connection: which protocol versions the caller speaks, oldest first."""

    protocols: Tuple[int, ...]
    version: str


@dataclass(frozen=True)
class Welcome:
    """The agent's answer: the newest common protocol and what it can do.

    ``operations`` are the kinds it performs and the further things it knows (:data:`GRANTS`, :data:`BEGIN`); every agent
    tells them, so that nothing has to be guessed from its ``version``.  No field may be added here: an older
    management node would refuse it.
    """

    protocol: int
    version: str
    node: str
    role: str
    operations: Tuple[str, ...]
    right: int


@dataclass(frozen=True)
class RelayRequest:
    """First line (JSON, newline-terminated) on an ``ALPN_RELAY`` connection.

    ``node`` is the compute node meant, ``address`` and ``port`` where its agent listens.  The answer
    is one JSON line, an envelope; after ``{"ok": null}`` bytes are piped both ways, so that the
    management node's mTLS with the compute node stays end to end.
    """

    node: str
    address: str
    port: int

    def __post_init__(self) -> None:
        names.host_name(self.node)


@dataclass(frozen=True)
class What:
    """Something an agent can give to another: ``name`` is that of one thing of its ``kind``, on its host."""

    kind: str
    name: str

    def __post_init__(self) -> None:
        names.label(self.kind)
        names.label(self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Grant:
    """``to`` (the identity of a service node) may take ``what`` if its content has the ``digest`` (SHA-256).

    A management node lodges it with the agent that is to give, over its own connection; nothing else lets
    one agent take anything from another.
    """

    to: str
    what: What
    digest: str

    def __post_init__(self) -> None:
        names.digest(self.digest)
        try:
            identity = Identity.parse(self.to)
        except AgentError as error:
            raise AgentError(ErrorCode.BAD_NAME, error.message) from None
        if identity.role is not Role.SN:
            text = f"{self.to} is not a service node: only those take from each other"
            raise AgentError(ErrorCode.BAD_NAME, text)


@dataclass(frozen=True)
class TakeRequest:
    """First line (JSON, newline-terminated) on an ``ALPN_TAKE`` connection.

    The answer is one JSON line, an envelope; after ``{"ok": null}`` comes the content in pieces: four bytes,
    the most significant first, say how long each is (at most ``MAX_PIECE``), and an empty one is the end.
    That the content has the digest is for the taker to see.
    """

    what: What
    digest: str

    def __post_init__(self) -> None:
        names.digest(self.digest)


def ok(answer: Any) -> Dict[str, Any]:
    """The envelope of a successful call."""
    return {"ok": answer}


def failed(error: AgentError) -> Dict[str, Any]:
    """The envelope of a refused or failed call."""
    return {"error": error.to_wire()}


def unwrap(envelope: Any) -> Any:
    """The answer in an envelope; raises the :class:`AgentError` it carries, or ``BAD_MESSAGE``."""
    if isinstance(envelope, Mapping) and len(envelope) == 1:
        if "ok" in envelope:
            return envelope["ok"]
        if isinstance(envelope.get("error"), Mapping):
            raise AgentError.from_wire(envelope["error"])
    raise AgentError(ErrorCode.BAD_MESSAGE, "the answer is not an envelope of this protocol")
