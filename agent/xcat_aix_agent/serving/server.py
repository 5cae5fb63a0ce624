"""The agent as a server: listens, authenticates each peer in a thread of its own, serves it.

The way of a connection: the acceptor hands it over when it says something; its thread does
the TLS handshake with our own context under a time limit, reads the peer's identity from its certificate, and
then serves calls, relays bytes or gives what another agent may take, as the peer chose by ALPN.  While it is
open it is looked at again and again: a peer that may not be here any more, or has been here too long, is hung
up on.  Owns: the life of the agent's parts.  Must not: know what a call means, or judge: it asks the policy.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from functools import partial
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

from xcat_aix_agent import operations, ownership
from xcat_aix_agent.clock import Clock, SystemClock
from xcat_aix_agent.config import AgentConfig
from xcat_aix_agent.host import Host
from xcat_aix_agent.jobs.job import Spec
from xcat_aix_agent.jobs.runners import Detached, Inline, JobRunner
from xcat_aix_agent.jobs.store import JobStore, StoreLimits
from xcat_aix_agent.nim.clients import Clients
from xcat_aix_agent.shell import Commands, Subprocesses
from xcat_aix_agent.tls import ListenerContexts, TlsError
from xcat_aix_agent.transfer.agents import TlsAgents
from xcat_aix_proto import ALPN_RELAY, ALPN_RPC
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity
from xcat_aix_proto.operations import Right

from . import giving, relay, rpc
from .acceptor import Acceptor
from .giving import Give
from .grants import Grants
from .peers import ConnectedPeer, Peers
from .policy import Policy, RemoteCall
from .quiet import QuietLog
from .rights import PolicyFile
from .service import Conversation, PeerSlots, Service
from .standing import Standing
from .trust import Trust
from .visit import Visit

_log = logging.getLogger(__name__)

_BACKLOG = 128

#: Bytes of what is no TLS that are read before the connection is closed, so that it ends politely.
_MOST_GARBAGE = 65536

#: Seconds a refused peer gets to read why (the TLS alert).
_LAST_WORDS = 0.5

#: The first byte of every TLS connection (a handshake record, RFC 8446, section 5.1).
_TLS = b"\x16"


class AgentServer:
    """One agent.

    ``commands`` None runs real processes.  ``runner`` is ``"detached"`` (jobs outlive the agent) or
    ``"inline"`` (jobs are threads that use ``commands``, nothing is flushed to disk: laboratories).
    ``acceptor`` may be shared by many agents in one process and is then closed by its owner.  ``gives`` says
    who gives which kind of thing to other agents.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        commands: Optional[Commands] = None,
        runner: str = "detached",
        acceptor: Optional[Acceptor] = None,
        clock: Optional[Clock] = None,
        gives: Optional[Mapping[str, Give]] = None,
    ) -> None:
        self.config = config
        self._clock = clock or SystemClock()
        self._commands = commands or Subprocesses(config.path)
        self._acceptor = acceptor or Acceptor()
        self._owns_acceptor = acceptor is None
        self._listeners: List[socket.socket] = []
        self._contexts = ListenerContexts(config)
        self._peers = Peers(
            config.max_handshakes, config.max_connections, config.max_peer_connections
        )
        # Two, so that who is nobody cannot silence what is said of those who are somebody.
        self._strangers, self._refusals = (QuietLog(_log, self._clock) for _ in range(2))
        self._sync = runner != "inline"
        self._runner = self._make_runner(runner)
        store = self._make_store()
        store.on_lost = self._recover
        host, self._gives = self._host(), gives or {}
        self._policy = self._make_policy(host)
        self._grants = self._policy.grants
        turns = PeerSlots(config.max_peer_queries)
        self.service = Service(
            config, host, store, self._policy, self._grants, self._refusals, turns
        )
        self._trust = Trust(config, self._policy, self._clock)

    def _make_runner(self, kind: str) -> JobRunner:
        if kind == "detached":
            return Detached(self._clock, self.config)
        if kind == "inline":
            return Inline(self._host, self.config.max_job_log)
        raise ValueError(f"there is no runner {kind!r}")

    def _make_store(self) -> JobStore:
        limits = StoreLimits.of(self.config)
        return JobStore(self.config.jobs, self._runner, self._clock, limits, sync=self._sync)

    def _make_policy(self, host: Host) -> Policy:
        config, rights = self.config, PolicyFile(self.config.policy)
        return Policy(
            node=config.node,
            rights=rights,
            clients=Clients(host).addresses,
            relay_ports=frozenset(config.relay_ports or (config.port,)),
            grants=Grants(self._clock, lambda who: (rights.of(who) or 0) >= Right.OPERATE),
            clock=self._clock,
        )

    def _host(self) -> Host:
        config = self.config
        return Host(
            node=config.node,
            commands=self._commands,
            root=Path(config.root),
            postscripts=config.postscripts,
            clock=self._clock,
            sync=self._sync,
            peers=TlsAgents(config.certificate, config.ca, config.crl, self._clock),
        )

    def _recover(self, spec: Spec) -> None:
        """A job was lost: what it left half done is mended where that is safe."""
        _log.warning("job %s (%s) was lost", spec.job_id, spec.kind)
        try:
            operations.recover(spec.decoded(), self._host())
        except AgentError as error:
            _log.error("cannot mend what job %s left: %s", spec.job_id, error)

    # Life.

    def start(self) -> None:
        """Take up the jobs and listen; returns at once.

        Raises :class:`TlsError`, :class:`ownership.OwnershipError`, :class:`AgentError` (the jobs
        directory) or :class:`OSError` (an address cannot be listened at), and then nothing is left open.
        """
        self._contexts.get()
        check_directories(self.config)
        self.service.store.recover()
        try:
            for address in self.config.addresses:
                self._listeners.append(_listen(address, self.config.port))
        except OSError:
            for listener in self._listeners:
                listener.close()
            raise
        config = self.config
        for listener in self._listeners:
            self._acceptor.add(
                listener,
                self._accepted,
                places=config.max_handshakes,
                patience=config.handshake_timeout,
            )
        self._acceptor.watch(self.look_after_peers)
        _log.info("no grants are kept: those of before ended with the agent that kept them")

    @property
    def addresses(self) -> Tuple[Tuple[str, int], ...]:
        """Where the agent listens (port 0 in the settings lets the system choose)."""
        return tuple(listener.getsockname()[:2] for listener in self._listeners)

    def tick(self) -> None:
        """Notice lost jobs that nobody asks about, and mend what they left; call it now and then."""
        self.service.store.settle()

    def look_after_peers(self) -> None:
        """Hang up on those who may not be here any more; called every second, raises nothing."""
        config = self.config
        now = self._clock.monotonic()
        for peer in self._peers.late(now, config.handshake_timeout, config.connection_life):
            peer.hang_up()
        for peer, standing, reason in self._peers.dubious(self._trust.problem):
            # As many as were let in, and so not bounded as refusals are.
            _log.warning("hung up on %s at %s: %s", standing.identity, peer.name, reason)
            peer.hang_up()
        self._grants.settle(lambda by: self._trust.problem(by, RemoteCall("lodge")))

    def stop(self, wait: float = 5.0, *, abandon: bool = False) -> None:
        """Listen no more, end all connections; ``abandon`` also drops inline jobs, as a kill would."""
        self._acceptor.unwatch(self.look_after_peers)
        for listener in self._listeners:
            self._acceptor.remove(listener)
        self._listeners.clear()
        self._runner.close(abandon=abandon)
        self._peers.close(wait)
        if self._owns_acceptor:
            self._acceptor.close()

    # One connection.

    def _accepted(self, sock: socket.socket, address: Any) -> None:
        now = self._clock.monotonic()
        peer = ConnectedPeer(sock, f"{address[0]}:{address[1]}", address[0], now)
        if not self._speaks_tls(peer):
            peer.close()
            return
        self._peers.add(peer)
        thread = threading.Thread(
            target=self._attend, args=(peer,), name=f"peer {peer.name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            self._refuse(peer, "no thread is left")
            self._peers.remove(peer)
            peer.close()

    def _speaks_tls(self, peer: ConnectedPeer) -> bool:
        """Whether what has arrived begins as TLS does: nothing else is worth a thread."""
        try:
            first = peer.sock.recv(1, socket.MSG_PEEK)
            if first not in (_TLS, b""):
                self._refuse(peer, "it does not speak TLS")
                peer.sock.recv(_MOST_GARBAGE)
        except OSError:
            return False
        return first == _TLS

    def _attend(self, peer: ConnectedPeer) -> None:
        try:
            self._serve(peer)
        except (OSError, AgentError, TlsError) as error:
            self._refuse(peer, str(error))
        except Exception:  # noqa: BLE001 - the outer boundary of a connection
            _log.exception("internal error while serving %s", peer.name)
        finally:
            self._peers.remove(peer)
            peer.close()

    def _refuse(self, peer: ConnectedPeer, reason: str) -> None:
        self._strangers.warning("refused %s: %s", peer.name, reason)

    def _serve(self, peer: ConnectedPeer) -> None:
        authority = self._trust.authority()
        sock = self._handshake(peer)
        if sock.session_reused:
            # Its certificate was not looked at, nor the list.  OpenSSL keeps sessions of TLS 1.2 without
            # tickets, and Python cannot tell it not to.
            raise AgentError(
                ErrorCode.NOT_AUTHENTICATED, "it resumed a session; it must begin anew"
            )
        certificate = sock.getpeercert() or {}
        identity = Identity.of_certificate(certificate)
        protocol = sock.selected_alpn_protocol() or ""
        self._policy.check_protocol(identity, protocol)
        standing = Standing.of_certificate(certificate, authority, protocol)
        if protocol == ALPN_RPC:
            self._serve_calls(peer, standing)
        else:
            self._serve_visit(peer, sock, standing)

    def _serve_calls(self, peer: ConnectedPeer, standing: Standing) -> None:
        session = self._session(peer, standing)
        rpc.serve(peer.sock, session)
        if session.refused is not None:
            self._turned_away(session.whom, session.peer, session.refused)

    def _session(self, peer: ConnectedPeer, standing: Standing) -> Conversation:
        """A laboratory's agents may have another."""
        return Conversation(
            self.service, standing, peer.name, partial(self._let_in, peer, standing)
        )

    def _serve_visit(self, peer: ConnectedPeer, sock: ssl.SSLSocket, standing: Standing) -> None:
        identity, protocol = standing.identity, standing.protocol
        visit = Visit(
            sock=sock,
            identity=identity,
            ask=partial(self._policy.check, identity, protocol),
            let_in=partial(self._let_in, peer, standing),
            limit=self.config.handshake_timeout,
            clock=self._clock,
        )
        try:
            if protocol == ALPN_RELAY:
                relay.serve(visit)
            else:
                giving.serve(visit, self._gives)
        except AgentError as error:
            self._turned_away(f"{identity} at {peer.name}, trace -", identity, error)
            peer.let_read(_LAST_WORDS)

    def _turned_away(self, whom: str, who: Identity, error: AgentError) -> None:
        """Somebody of ours who was told why he is not served."""
        self._refusals.warning("refused %s: %s", whom, error.message, about=str(who))

    def _handshake(self, peer: ConnectedPeer) -> ssl.SSLSocket:
        sock = peer.sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(self.config.handshake_timeout)
        secure = self._contexts.get().wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        peer.replace(secure)
        try:
            secure.do_handshake()
        except ssl.SSLError:
            peer.let_read(_LAST_WORDS)
            raise
        return secure

    def _let_in(self, peer: ConnectedPeer, standing: Standing) -> None:
        self._trust.check(standing)
        self._peers.establish(peer, standing, self._clock.monotonic())
        peer.sock.settimeout(self.config.idle_timeout)


def check_directories(config: AgentConfig) -> None:
    """Raises :class:`ownership.OwnershipError` if others could change what is run, or for whom.

    A policy that is not there yet is none of that: nobody is served until it is.
    """
    ownership.check_file(config.policy)
    ownership.check_directory(config.jobs)
    ownership.check_directory(config.root)
    ownership.check_directory(config.root / config.postscripts.lstrip("/"))
    for place in config.path.split(":"):
        ownership.check_directory(Path(place), owners=ownership.system_users())


def _listen(address: str, port: int) -> socket.socket:
    """A listening socket; raises :class:`OSError` that names the address."""
    try:
        family, kind, number, _, place = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        text = f"cannot listen at {address}:{port}: {error.strerror or error}"
        raise OSError(error.errno, text) from None
    return listener
