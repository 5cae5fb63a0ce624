"""Who may do what here: every question of that is asked here, once, before any work for the peer.

Owns: which role may come by which protocol (ALPN), which right each call and each operation needs, where a
relay may lead and what may be taken.  It weighs facts that others gather: the rights that the policy file
grants (:mod:`.rights`), the clients of this host's NIM database, the grants that are lodged
(:mod:`.grants`).  Must not: gather them itself.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Callable, FrozenSet, Mapping, Optional, Tuple, Union

from xcat_aix_agent.clock import Clock
from xcat_aix_proto import ALPN_RELAY, ALPN_RPC, ALPN_TAKE
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcat_aix_proto.messages import RelayRequest, TakeRequest
from xcat_aix_proto.operations import Operation, Right

from .grants import Grants
from .rights import PolicyFile

#: Who comes by which protocol, and in words.
_ROLES = {ALPN_RPC: Role.MN, ALPN_RELAY: Role.MN, ALPN_TAKE: Role.SN}
_WORDS = {Role.MN: "a management node", Role.SN: "a service node", Role.CN: "a compute node"}

#: The right that each call needs; None: the one that its operation needs.
CALLS: Mapping[str, Optional[Right]] = {
    "hello": Right.READ,
    "query": None,
    "probe": Right.READ,
    "submit": None,
    "begin": None,
    "follow": Right.READ,
    "acknowledge": Right.OPERATE,
    "cancel": Right.OPERATE,
    "jobs": Right.READ,
    "lodge": Right.OPERATE,
    "withdraw": Right.OPERATE,
}


class Opening(enum.Enum):
    """To come by the protocol and to stay, before anything else is asked."""

    OPENING = enum.auto()


OPENING = Opening.OPENING


@dataclass(frozen=True)
class RemoteCall:
    """To make one remote call, perhaps for an operation."""

    method: str
    operation: Optional[Operation] = None

    @property
    def right(self) -> Right:
        """What it needs."""
        needed = CALLS[self.method]
        if needed is None:
            needed = Right.ADMIN if self.operation is None else self.operation.right
        return needed

    @property
    def parts(self) -> Tuple[RemoteCall, ...]:
        """The calls as which it is judged: for a chain, one for each of its operations."""
        if self.operation is None:
            return (self,)
        return tuple(RemoteCall(self.method, part) for part in self.operation.parts)


#: What a peer can ask for: a relay and a take are more than the protocol's opening.
Asked = Union[Opening, RemoteCall, RelayRequest, TakeRequest]


@dataclass(frozen=True)
class Policy:
    """``clients`` tells the addresses of a machine in this host's NIM database, none if it is not there."""

    node: str
    rights: PolicyFile
    clients: Callable[[str], FrozenSet[str]]
    relay_ports: FrozenSet[int]
    grants: Grants
    clock: Clock

    def check(self, who: Identity, protocol: str, asked: Asked) -> None:
        """Raises unless ``who`` may have what is ``asked`` by this protocol (ALPN), now.

        ``BAD_MESSAGE`` (no protocol of ours), ``WRONG_PEER`` (not for that role) or ``NOT_ALLOWED``; the
        answer is never remembered, so that what changes holds at once.
        """
        self.check_protocol(who, protocol)
        if protocol == ALPN_RPC and isinstance(asked, RemoteCall):
            for part in asked.parts:
                self._check_right(who, part.right)
        elif protocol == ALPN_RPC and asked is OPENING:
            self._check_right(who, Right.READ)
        elif protocol == ALPN_RELAY and (asked is OPENING or isinstance(asked, RelayRequest)):
            self._check_right(who, Right.OPERATE)
            if isinstance(asked, RelayRequest):
                self._check_target(asked)
        elif protocol == ALPN_TAKE and (asked is OPENING or isinstance(asked, TakeRequest)):
            self._check_grant(who, asked if isinstance(asked, TakeRequest) else None)
        else:
            raise AgentError(ErrorCode.NOT_ALLOWED, f"{protocol} is not for that")

    @staticmethod
    def check_protocol(who: Identity, protocol: str) -> None:
        """The part of :meth:`check` that is asked before a word is read: who fails it is told nothing."""
        role = _ROLES.get(protocol)
        if role is None:
            raise AgentError(ErrorCode.BAD_MESSAGE, "it asked for no protocol of ours (ALPN)")
        if who.role is not role:
            raise AgentError(ErrorCode.WRONG_PEER, f"{who} is not {_WORDS[role]}")

    def _check_right(self, who: Identity, needed: Right) -> None:
        granted = self.rights.of(who)
        if granted is None or granted < needed:
            had = "nothing" if granted is None else granted.name.lower()
            # Where to mend it is told: the peer is a management node with a certificate of our authority.
            text = (
                f"{who} needs the right {needed.name.lower()} here and has {had}; allow it in"
                f" {self.rights.path} on {self.node}"
            )
            raise AgentError(ErrorCode.NOT_ALLOWED, text)

    def _check_target(self, asked: RelayRequest) -> None:
        """Only the agent of a machine that this host serves is relayed to."""
        if asked.port not in self.relay_ports:
            raise AgentError(ErrorCode.NOT_ALLOWED, f"port {asked.port} is not relayed to")
        if asked.address not in self.clients(asked.node):
            text = f"{asked.address} is not an address of a machine {asked.node} in NIM here"
            raise AgentError(ErrorCode.NOT_ALLOWED, text)

    def _check_grant(self, who: Identity, asked: Optional[TakeRequest]) -> None:
        what, digest = (None, "") if asked is None else (asked.what, asked.digest)
        if not self.grants.allows(who, what, digest, self.clock.monotonic()):
            # Not a word of what others may take.
            wanted = "anything" if asked is None else f"{what} with the digest {digest}"
            text = (
                f"no grant lets {who} take {wanted} from {self.node}; a management node lodges it, again"
                " after its time and after each start of that agent"
            )
            raise AgentError(ErrorCode.NOT_ALLOWED, text)
