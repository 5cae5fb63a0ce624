"""One request from the wire to its last reply: who asks, may they, for which nodes, by which plugin.

Owns: the order of these questions and the daemon's fixed replies.  Must not: know sockets or any plugin.
Facts: specs/wire-protocol.md, sections 2.5 and 3.3 to 6.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from xcatd import messages, nodes
from xcatd.context import Agents, Clock, Context
from xcatd.db.errors import DatabaseError
from xcatd.logs import request_id
from xcatd.messages import Reply, Request
from xcatd.noderange import NoderangeError, TooLarge
from xcatd.plugins import PluginHost
from xcatd.site import Settings
from xcatd.text import perlre
from xcatd.upstream import Interest, Sender, Upstream, UpstreamError, pass_on
from xcatd.wire import replies
from xcatd.wire.requests import Incoming

from . import audit, builtin, identity, policy
from .peernames import PeerName

if TYPE_CHECKING:
    from xcatd.db.database import Database
    from xcatd.db.snapshot import Snapshot

_log = logging.getLogger(__name__)

#: Seconds of computing that the regular expressions of one request may take, by who asks.
_KNOWN_SECONDS = 10.0
_ANONYMOUS_SECONDS = 1.0


class Caller(Protocol):
    """The connection as the session sees it."""

    user: str | None
    address: str
    port: int
    cancelled: threading.Event

    @property
    def is_lost(self) -> bool:
        """Nothing more can be sent."""


class Channel(Protocol):
    """Where replies go."""

    @property
    def connection(self) -> Caller:
        """Who is at the other end."""

    def send(self, document: bytes) -> None:
        """One or more complete documents."""

    def end(self, document: bytes) -> None:
        """The document that ends the request."""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """The request ends with this reply; ``keeps`` tells whether the connection stays open."""

    def __init__(self, text: str, *, code: int | None = 1, keeps: bool = True) -> None:
        super().__init__(text)
        self.reply = Reply(errors=(text,), errorcode=code)
        self.keeps = keeps


@dataclass(slots=True)
class Services:
    """What every session uses; ``plugins`` is replaced by ``rescanplugins``.

    ``upstream`` takes the commands no plugin does; without one they are unknown.
    """

    database: Database
    plugins: PluginHost
    clock: Clock
    agents: Agents
    hostname: str
    version: str
    is_mn: bool
    writer: audit.AuditWriter
    name_of: Callable[[str], PeerName]
    load_plugins: Callable[[], PluginHost] = PluginHost.load
    environ: Mapping[str, str] = field(default_factory=dict)
    upstream: Upstream | None = None


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What is known of a request once its sender is."""

    channel: Channel
    incoming: Incoming
    snapshot: Snapshot
    settings: Settings
    user: str | None
    peer: PeerName

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.incoming.remote_client or (self.peer.host,)


_numbers = itertools.count(1)


def _new_id() -> str:
    return f"r{next(_numbers)}"


class Session:
    """Serves requests; one instance for all connections, called in many threads."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __call__(self, channel: Channel, incoming: Incoming) -> bool:
        """Serve one request; True if the connection may send another."""
        clock = self._services.clock
        started = clock.monotonic()
        name = _new_id()
        seconds = _KNOWN_SECONDS if channel.connection.user else _ANONYMOUS_SECONDS
        with request_id(name), perlre.budget(seconds):
            try:
                return self._guarded(channel, incoming, name)
            finally:
                milliseconds = (clock.monotonic() - started) * 1000
                _log.debug("%s took %.1f ms", incoming.command, milliseconds)

    def _guarded(self, channel: Channel, incoming: Incoming, name: str) -> bool:
        try:
            return self._serve(channel, incoming, name)
        except Refusal as refusal:
            channel.end(replies.encode_last(refusal.reply, incoming.transid))
            return refusal.keeps
        except (DatabaseError, TooLarge) as error:
            _log.error("%s: %s", incoming.command, error)
            channel.end(replies.encode_last(messages.error(str(error)), incoming.transid))
            return True
        except UpstreamError as error:
            if (
                not error.is_torn
            ):  # else closing the connection tells the client that it is incomplete
                channel.end(replies.encode_last(messages.error(str(error)), incoming.transid))
            return not error.is_torn
        except Exception as error:  # noqa: BLE001 - outer boundary: one request's crash stays its own
            if not isinstance(error, NoderangeError):
                _log.exception("possible bug in serving %s", incoming.command)
            text = (
                "A fatal error was encountered, the following information may help identify a bug:"
                f" {error}"
            )
            channel.send(replies.encode(Reply(errors=(text,)), self._services.hostname))
            return False

    def _serve(self, channel: Channel, incoming: Incoming, name: str) -> bool:
        snapshot = self._services.database.read(_tables(incoming))
        settings = Settings.of(snapshot.site)
        if incoming.gettoken is not None:
            self._give_token(channel, incoming, snapshot, settings)
            return False
        user = self._user(channel.connection, incoming, snapshot)
        peer = self._services.name_of(channel.connection.address)
        exchange = _Exchange(channel, incoming, snapshot, settings, user, peer)
        if not self._passes_on(incoming.command):
            self._warn_of_version(exchange)
        expansion = self._expand(exchange)
        decision = self._decide(exchange, expansion.nodes)
        self._answer(exchange, expansion, decision, name)
        return True

    # -- who ---------------------------------------------------------------------------------

    def _give_token(
        self, channel: Channel, incoming: Incoming, snapshot: Snapshot, settings: Settings
    ) -> None:
        user = identity.authenticate(incoming.gettoken, snapshot) if incoming.gettoken else None
        if user is None:
            raise _unauthenticated("gettoken", channel.connection)
        services = self._services
        token = identity.give_token(
            user, settings.token_days, services.database, services.clock.now()
        )
        channel.end(replies.encode_token(token.id, token.expire))

    def _user(self, caller: Caller, incoming: Incoming, snapshot: Snapshot) -> str | None:
        user = caller.user
        if incoming.becomeuser is not None:
            user = identity.authenticate(incoming.becomeuser, snapshot)
            if user is None:
                raise _unauthenticated("becomeuser", caller)
        if incoming.asks_token_login:
            services = self._services
            user = identity.user_of_token(
                incoming.token or "", services.database, services.clock.now()
            )
            if user is None:
                raise _unauthenticated("a token", caller)
        return user

    def _warn_of_version(self, exchange: _Exchange) -> None:
        """A request passed on by another daemon names that one's version."""
        theirs, ours = exchange.incoming.version, self._services.version
        if theirs and theirs != ours:
            indent = " " * 9
            text = (
                f"xCAT Version mismatch! \n{indent}{self._services.hostname}: {ours}"
                f"\n{indent}{exchange.peer.host}: {theirs}\n"
            )
            self._send(exchange, messages.warning(text))

    # -- may they ------------------------------------------------------------------------------

    def _expand(self, exchange: _Exchange) -> nodes.Expansion:
        """The nodes of the request; who sent no certificate cannot have files read."""
        incoming = exchange.incoming
        if incoming.nodes:
            return nodes.Expansion(incoming.nodes, ())
        if incoming.noderange is None:
            return nodes.Expansion((), ())
        return nodes.expand(
            self._services.database,
            incoming.noderange,
            environ=self._services.environ,
            with_files=exchange.user is not None,
        )

    def _decide(self, exchange: _Exchange, names: Sequence[str]) -> policy.Decision:
        incoming = exchange.incoming
        decision = policy.decide(
            exchange.snapshot.rows("policy"),
            policy.Query(
                user=exchange.user,
                hosts=exchange.hosts,
                command=incoming.command,
                args=tuple(arg or "" for arg in incoming.args),
                nodes=frozenset(names),
            ),
            self._expand_row,
        )
        if not decision.is_allowed:
            who = f"peername={exchange.user or ''}, peerhost={exchange.peer.host}"
            to = f" to {','.join(sorted(decision.open_nodes)[:100])}" if decision.open_nodes else ""
            if decision.priority is None:
                _log.error("Request matched no policy rule: %s %s%s", who, incoming.command, to)
            _log.error("Permission denied for request: %s, command=%s", who, incoming.command)
            raise Refusal("Permission denied for request")
        return decision

    def _expand_row(self, text: str) -> tuple[str, ...]:
        """The noderange of a policy row."""
        services = self._services
        return nodes.expand(services.database, text, environ=services.environ).nodes

    # -- what ----------------------------------------------------------------------------------

    def _answer(
        self,
        exchange: _Exchange,
        expansion: nodes.Expansion,
        decision: policy.Decision,
        name: str,
    ) -> None:
        incoming, end = exchange.incoming, exchange.channel.end
        command = incoming.command
        if command == "authcheck":
            end(builtin.authcheck(exchange.user))
        elif command == "rescanplugins":
            self._rescan(exchange, decision)
        elif command in self._services.plugins.commands:
            self._run(exchange, expansion, decision, name)
        elif command == "noderange" and incoming.noderange:
            end(builtin.noderange(incoming, expansion))
        elif command == "extnoderange" and incoming.noderange:
            end(builtin.extnoderange(incoming, expansion, self._services.database))
        elif self._passes_on(command):
            self._audit(exchange, decision)
            self._pass_on(exchange, decision)
        else:
            _log.error("Unsupported request: %s from %s", command[:80], exchange.peer.host)
            raise Refusal("Unsupported request", code=None)

    def _rescan(self, exchange: _Exchange, decision: policy.Decision) -> None:
        self._audit(exchange, decision)
        self._services.plugins = self._services.load_plugins()
        if self._services.upstream is None:
            self._end(exchange)
        else:  # its plugins are meant as well
            self._pass_on(exchange, decision)

    def _passes_on(self, command: str) -> bool:
        services = self._services
        is_ours = command in builtin.NAMES or command in services.plugins.commands
        return services.upstream is not None and not is_ours

    def _pass_on(self, exchange: _Exchange, decision: policy.Decision) -> None:
        """The upstream answers, in the name of the user as the audit record has it."""
        if self._services.upstream is not None:
            sender = Sender(_recorded_user(exchange, decision), exchange.hosts)
            incoming, settings = exchange.incoming, exchange.settings
            pass_on(self._services.upstream, incoming, sender, settings, exchange.channel)

    def _run(
        self,
        exchange: _Exchange,
        expansion: nodes.Expansion,
        decision: policy.Decision,
        name: str,
    ) -> None:
        if expansion.missed:
            missed = ",".join(expansion.missed)
            raise Refusal(f"Invalid nodes and/or groups in noderange: {missed}")
        names = nodes.in_plugin_order(expansion.nodes)
        host = self._services.plugins
        command = exchange.incoming.command
        choice = host.choose(command, names, self._route(command, names, exchange))
        if names and not exchange.settings.master:
            raise Refusal(f"site.master is not set, unable to dispatch '{command}'")
        self._audit(exchange, decision)
        request = self._request(exchange, names, name)
        context = self._context(exchange.channel.connection, request)
        for reply in host.run(choice, request, context):
            self._send(exchange, reply)
        self._end(exchange)

    def _route(self, command: str, names: Sequence[str], exchange: _Exchange) -> nodes.Route:
        tables = self._services.plugins.tables(command) if names else frozenset()
        if not tables:
            return nodes.Route(exchange.snapshot)
        return nodes.Route(self._services.database.read({*tables, "nodelist", "site"}))

    def _audit(self, exchange: _Exchange, decision: policy.Decision) -> None:
        incoming = exchange.incoming
        user = _recorded_user(exchange, decision)
        entry = audit.record(incoming, user, exchange.peer.host, exchange.settings)
        if not self._services.is_mn:
            entry = audit.Record(None, entry.line)
        self._services.writer.write(entry)

    def _request(self, exchange: _Exchange, names: tuple[str, ...], name: str) -> Request:
        incoming = exchange.incoming
        by_server = {
            "_xcat_authname": (exchange.user,),
            "_xcat_clienthost": (exchange.peer.host,),
            "_xcat_clientfqdn": (exchange.peer.fqdn,),
            "_xcat_clientport": (str(exchange.channel.connection.port),),
        }
        if incoming.command == "signx509cert":
            by_server["_xcat_clientip"] = (exchange.channel.connection.address,)
        return Request(
            command=incoming.command,
            args=incoming.args,
            noderange=incoming.noderange,
            nodes=names,
            empty_noderange=incoming.noderange is not None and not names,
            stdin=incoming.stdin,
            cwd=incoming.cwd,
            environment=incoming.environment,
            env=incoming.env,
            clienttype=incoming.clienttype or "",
            user=exchange.user,
            host=exchange.peer.host,
            id=name,
            extra={**incoming.extra, **by_server},
        )

    def _context(self, caller: Caller, request: Request) -> Context:
        services = self._services
        return Context(
            db=services.database,
            clock=services.clock,
            agents=services.agents,
            cancelled=caller.cancelled,
            version=services.version,
            is_mn=services.is_mn,
            hostname=services.hostname,
            environ=services.environ,
            runner=self._run_inner,
            request=request,
        )

    def _run_inner(self, request: Request, context: Context) -> Iterator[Reply]:
        """A plugin's sub-request: no policy, no audit, its replies handed back."""
        host = self._services.plugins
        if self._passes_on(request.command):
            return self._run_upstream(request, context)
        if request.command not in host.commands:
            return iter((Reply(errors=("Unsupported request",)),))
        tables = host.tables(request.command) if request.nodes else frozenset()
        snapshot = self._services.database.read({*tables, "nodelist", "site"})
        choice = host.choose(request.command, request.nodes, nodes.Route(snapshot))
        return host.run(choice, request, context)

    def _run_upstream(self, request: Request, context: Context) -> Iterator[Reply]:
        settings = Settings.of(self._services.database.read(["site"]).site)

        def interest() -> Interest:
            return Interest.ABORTED if context.cancelled.is_set() else Interest.WANTED

        if self._services.upstream is not None:
            yield from self._services.upstream.run(request, settings, interest)

    # -- replies -------------------------------------------------------------------------------

    def _send(self, exchange: _Exchange, reply: Reply) -> None:
        exchange.channel.send(replies.encode(reply, self._services.hostname))

    def _end(self, exchange: _Exchange) -> None:
        exchange.channel.end(replies.encode_last(transid=exchange.incoming.transid))


def _recorded_user(exchange: _Exchange, decision: policy.Decision) -> str | None:
    """Whom the user speaks for: a trusted peer may name somebody."""
    return (decision.is_trusted and exchange.incoming.username) or exchange.user


def _tables(incoming: Incoming) -> set[str]:
    """What must be read before anything is known."""
    tables = {"site", "policy"}
    if incoming.becomeuser or incoming.gettoken:
        tables.add("passwd")
    return tables


def _unauthenticated(how: str, caller: Caller) -> Refusal:
    _log.error("%s from %s is refused", how, caller.address)
    return Refusal("Authentication failure", keeps=False)
