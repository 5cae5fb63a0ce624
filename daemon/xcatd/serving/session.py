"""One request from the wire to its last reply: who asks, may they, for which nodes, by which plugin.

Owns: the order of these questions and the daemon's fixed replies.  Must not: know sockets or any plugin.
Facts: docs/facts/wire.md, What the daemon adds; Fixed replies; docs/facts/policy.md, Rows of the policy table;
Users, passwords and tokens; docs/facts/daemon.md, Life of a request; Plugins and dispatch.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from xcatd import messages, nodes
from xcatd.channel import Caller, Channel
from xcatd.context import Agents, Clock, Context
from xcatd.db.errors import DatabaseError
from xcatd.logs import request_id
from xcatd.messages import Reply, Request, unsupported
from xcatd.noderange import NoderangeError, NotAllowed, TooLarge
from xcatd.plugins import PluginHost
from xcatd.reach.dns import Dns, Resolvers
from xcatd.reach.ssh import Ssh, SshProgram
from xcatd.rights import ALL, Rights, Targets
from xcatd.site import LastGood, Settings
from xcatd.text import perlre
from xcatd.upstream import EMPTY, Interest, Sender, Upstream, UpstreamError, judged_tree, pass_on
from xcatd.wire import replies
from xcatd.wire.requests import Incoming

from . import audit, builtin, identity, policy
from .guesses import Guesses
from .judging import Judge
from .peernames import PeerName

if TYPE_CHECKING:
    from xcatd.db.database import Database
    from xcatd.db.snapshot import Snapshot

_log = logging.getLogger(__name__)

#: Seconds of computing that the regular expressions of one request may take, by who asks.
_KNOWN_SECONDS = 10.0
_ANONYMOUS_SECONDS = 1.0


class Refusal(Exception):
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
    guesses: Guesses
    load_plugins: Callable[[], PluginHost] = PluginHost.load
    environ: Mapping[str, str] = field(default_factory=dict)
    upstream: Upstream | None = None
    settings: LastGood = field(default_factory=LastGood)
    ssh: Ssh = field(default_factory=SshProgram)
    dns: Dns = field(default_factory=Resolvers)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What is known of a request once its sender is."""

    channel: Channel
    incoming: Incoming
    snapshot: Snapshot
    settings: Settings
    user: str | None
    peer: PeerName
    name: str
    is_trusted: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that count as the peer's; whom nobody trusts cannot give others."""
        return (self.is_trusted and self.incoming.remote_client) or (self.peer.host,)

    @property
    def names_nobody(self) -> bool:
        """The request has a noderange, which the daemon in front may have expanded to nothing."""
        said = self.is_trusted and EMPTY in self.incoming.extra
        return said or self.incoming.noderange is not None

    @property
    def recorded_user(self) -> str | None:
        """Whom the user speaks for: a trusted peer may name somebody."""
        return (self.is_trusted and self.incoming.username) or self.user

    @property
    def query(self) -> policy.Query:
        """The request as the policy sees it."""
        incoming = self.incoming
        return policy.Query(
            user=self.user,
            hosts=self.hosts,
            command=incoming.command,
            args=tuple(arg or "" for arg in incoming.args),
            brings_nodes=bool(incoming.nodes or incoming.noderange),
        )


@dataclass(frozen=True, slots=True)
class _Judged:
    """An allowed request: its nodes, and what it may touch."""

    expansion: nodes.Expansion
    rights: Rights
    may: Callable[[Targets], bool]


_numbers = itertools.count(1)


def _new_id() -> str:
    return f"r{next(_numbers)}"


class Session:
    """Serves requests; one instance for all connections, called in many threads."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def services(self) -> Services:
        """What it uses."""
        return self._services

    def own_context(self, cancelled: threading.Event) -> Context:
        """The daemon's own: nobody's request, and nothing that policy would limit."""
        return self._context(cancelled, Request(""), ALL, None)

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
        except (DatabaseError, TooLarge, NotAllowed) as error:
            _log.error("%s: %s", incoming.command, error)
            told = messages.error(_told(channel.connection, error))
            channel.end(replies.encode_last(told, incoming.transid))
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
                f" {_told(channel.connection, error)}"
            )
            channel.send(replies.encode(Reply(errors=(text,)), self._services.hostname))
            return False

    def _serve(self, channel: Channel, incoming: Incoming, name: str) -> bool:
        snapshot = self._services.database.read(_tables(incoming))
        settings = self._services.settings.of(snapshot.site)
        if incoming.gettoken is not None:
            self._give_token(channel, incoming, snapshot, settings)
            return False
        user = self._user(channel.connection, incoming, snapshot)
        peer = self._services.name_of(channel.connection.address)
        exchange = _Exchange(channel, incoming, snapshot, settings, user, peer, name)
        is_trusted = policy.trusts(snapshot.rows("policy"), exchange.query)
        exchange = replace(exchange, is_trusted=is_trusted)
        judged = self._judge(exchange)
        if not self._passes_on(incoming.command):
            self._warn_of_version(exchange)
        self._answer(exchange, judged)
        return True

    # -- who ---------------------------------------------------------------------------------

    def _give_token(
        self, channel: Channel, incoming: Incoming, snapshot: Snapshot, settings: Settings
    ) -> None:
        services, caller = self._services, channel.connection
        user = None
        if incoming.gettoken is not None:
            user = services.guesses.authenticate(incoming.gettoken, caller.address, snapshot)
        if user is None:
            raise _unauthenticated("gettoken", caller)
        token = identity.give_token(
            user, settings.token_days, services.database, services.clock.now()
        )
        channel.end(replies.encode_token(token.id, token.expire))

    def _user(self, caller: Caller, incoming: Incoming, snapshot: Snapshot) -> str | None:
        user = caller.user
        if incoming.becomeuser is not None:
            guesses = self._services.guesses
            user = guesses.authenticate(incoming.becomeuser, caller.address, snapshot)
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

    def _judge(self, exchange: _Exchange) -> _Judged:
        """Who, from where, which command and arguments come first; nothing is expanded for those who fail."""
        judge = self._judge_of(exchange)
        candidates = judge.candidates()
        if not candidates:
            raise self._refused(exchange, policy.Decision(is_allowed=False, priority=None))
        if exchange.incoming.nodes and (not exchange.is_trusted or exchange.incoming.noderange):
            _log.error("node elements count from trusted peers only, and without a noderange")
            raise self._refused(exchange, policy.Decision(is_allowed=False, priority=""))
        rights = judge.rights(candidates)
        expansion = self._expand(exchange, rights)
        view = _View(self, exchange, expansion, rights, judge)
        decision = policy.decide(candidates, view)
        if not decision.is_allowed:
            raise self._refused(exchange, decision)
        rights = replace(rights, nodes=decision.nodes)
        if self._services.plugins.acts_for_another(self._request(exchange, ())):
            rights &= self._rights_as(exchange, view.targets, judge)
        rights = ALL if rights == ALL else rights
        return _Judged(expansion, rights, lambda targets: judge.may(targets, rights))

    def _judge_of(self, exchange: _Exchange) -> Judge:
        plugins = self._services.plugins

        def is_powerful(command: str, args: tuple[str, ...]) -> bool:
            request = replace(self._request(exchange, ()), command=command, args=args)
            return plugins.needs_everything(request)

        rows = exchange.snapshot.rows("policy")
        return Judge(rows, exchange.query, self._members, is_powerful)

    def _rights_as(self, exchange: _Exchange, targets: Targets, judge: Judge) -> Rights:
        """The rights of the commands whose work the request does."""
        rights = judge.rights_as(targets)
        if rights is None:
            names = ", ".join(sorted({other.command for other in targets.commands})) or "anything"
            _log.error("Request would do the work of a command that is not allowed: %s", names)
            raise self._refused(exchange, policy.Decision(is_allowed=False, priority=""))
        return rights

    def _refused(self, exchange: _Exchange, decision: policy.Decision) -> Refusal:
        who = f"peername={exchange.user or ''}, peerhost={exchange.peer.host}"
        command = exchange.incoming.command
        source = {"source": exchange.channel.connection.address}
        if decision.priority is None:
            some = ",".join(sorted(decision.open_nodes)[:100])
            to = f" to {some}" if some else ""
            _log.error("Request matched no policy rule: %s %s%s", who, command, to, extra=source)
        _log.error("Permission denied for request: %s, command=%s", who, command, extra=source)
        return Refusal("Permission denied for request")

    def _expand(self, exchange: _Exchange, rights: Rights) -> nodes.Expansion:
        """The nodes of the request."""
        incoming = exchange.incoming
        if incoming.nodes:
            return nodes.Expansion(incoming.nodes, ())
        if incoming.noderange is None:
            return nodes.Expansion((), ())
        services = self._services
        return nodes.expand(
            services.database, incoming.noderange, environ=services.environ, rights=rights
        )

    def _members(self, text: str) -> tuple[str, ...]:
        """The noderange of a policy row."""
        services = self._services
        return nodes.expand(services.database, text, environ=services.environ).nodes

    def targets(self, exchange: _Exchange, names: tuple[str, ...], rights: Rights) -> Targets:
        """What the request's command will touch."""
        request = self._request(exchange, nodes.in_plugin_order(names))
        cancelled = exchange.channel.connection.cancelled
        context = self._context(cancelled, request, rights, None)
        return self._services.plugins.targets(request, context)

    # -- what ----------------------------------------------------------------------------------

    def _answer(self, exchange: _Exchange, judged: _Judged) -> None:
        incoming, end = exchange.incoming, exchange.channel.end
        expansion = judged.expansion
        command = incoming.command
        if command == "authcheck":
            end(builtin.authcheck(exchange.user))
        elif command == "rescanplugins":
            self._rescan(exchange, judged)
        elif command in self._services.plugins.commands:
            self._run(exchange, judged)
        elif command == "noderange" and incoming.noderange:
            end(builtin.noderange(incoming, expansion))
        elif command == "extnoderange" and incoming.noderange:
            end(builtin.extnoderange(incoming, expansion, self._services.database))
        elif self._passes_on(command):
            self._audit(exchange)
            self._pass_on(exchange, judged)
        else:
            _log.error("Unsupported request: %s from %s", command[:80], exchange.peer.host)
            raise Refusal(unsupported(command, is_builtin=command in builtin.NAMES))

    def _rescan(self, exchange: _Exchange, judged: _Judged) -> None:
        self._audit(exchange)
        self._services.plugins = self._services.load_plugins()
        if self._services.upstream is None:
            self._end(exchange)
        else:  # its plugins are meant as well
            self._pass_on(exchange, judged)

    def _passes_on(self, command: str) -> bool:
        services = self._services
        is_ours = command in builtin.NAMES or command in services.plugins.commands
        return services.upstream is not None and not is_ours

    def _pass_on(self, exchange: _Exchange, judged: _Judged) -> None:
        """The upstream answers, in the name of the user as the audit record has it."""
        _refuse_missed(judged.expansion)
        if self._services.upstream is not None:
            sender = Sender(exchange.recorded_user, exchange.hosts)
            request = self._request(exchange, judged.expansion.nodes)
            tree = judged_tree(exchange.incoming, request)
            pass_on(self._services.upstream, tree, sender, exchange.settings, exchange.channel)

    def _run(self, exchange: _Exchange, judged: _Judged) -> None:
        _refuse_missed(judged.expansion)
        names = nodes.in_plugin_order(judged.expansion.nodes)
        host = self._services.plugins
        command = exchange.incoming.command
        choice = host.choose(command, names, self._route(command, names, exchange))
        if names and not exchange.settings.master:
            raise Refusal(f"site.master is not set, unable to dispatch '{command}'")
        self._audit(exchange)
        request = self._request(exchange, names)
        cancelled = exchange.channel.connection.cancelled
        context = self._context(cancelled, request, judged.rights, judged.may)
        for reply in host.run(choice, request, context, tells_why=exchange.user is not None):
            self._send(exchange, reply)
        self._end(exchange)

    def _route(self, command: str, names: Sequence[str], exchange: _Exchange) -> nodes.PluginValues:
        tables = self._services.plugins.tables(command) if names else frozenset()
        if not tables:
            return nodes.PluginValues(exchange.snapshot)
        return nodes.PluginValues(self._services.database.read({*tables, "nodelist", "site"}))

    def _audit(self, exchange: _Exchange) -> None:
        user, host = exchange.recorded_user, exchange.peer.host
        entry = audit.record(exchange.incoming, user, host, exchange.settings)
        if not self._services.is_mn:
            entry = entry.without_row()
        self._services.writer.write(entry)

    def _request(self, exchange: _Exchange, names: tuple[str, ...]) -> Request:
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
            empty_noderange=not names and exchange.names_nobody,
            stdin=incoming.stdin,
            cwd=incoming.cwd,
            environment=incoming.environment,
            env=incoming.env,
            clienttype=incoming.clienttype or "",
            user=exchange.user,
            host=exchange.peer.host,
            id=exchange.name,
            extra={**incoming.extra, **by_server},
        )

    def _context(
        self,
        cancelled: threading.Event,
        request: Request,
        rights: Rights,
        judge: Callable[[Targets], bool] | None,
    ) -> Context:
        services = self._services
        return Context(
            db=services.database.limited(rights),
            clock=services.clock,
            agents=services.agents,
            cancelled=cancelled,
            version=services.version,
            is_mn=services.is_mn,
            hostname=services.hostname,
            environ=services.environ,
            runner=self._run_inner,
            request=request,
            rights=rights,
            ssh=services.ssh,
            dns=services.dns,
            judge=judge,
        )

    def _run_inner(self, request: Request, context: Context) -> Iterator[Reply]:
        """A plugin's sub-request: no policy, no audit, its replies handed back."""
        host = self._services.plugins
        if self._passes_on(request.command):
            return self._run_upstream(request, context)
        if request.command not in host.commands:
            return iter((messages.error(unsupported(request.command)),))
        tables = host.tables(request.command) if request.nodes else frozenset()
        snapshot = self._services.database.read({*tables, "nodelist", "site"})
        choice = host.choose(request.command, request.nodes, nodes.PluginValues(snapshot))
        return host.run(choice, request, context)

    def _run_upstream(self, request: Request, context: Context) -> Iterator[Reply]:
        settings = self._services.settings.of(self._services.database.read(["site"]).site)

        def interest() -> Interest:
            return Interest.ABORTED if context.cancelled.is_set() else Interest.WANTED

        if self._services.upstream is not None:
            yield from self._services.upstream.run(request, settings, interest)

    # -- replies -------------------------------------------------------------------------------

    def _send(self, exchange: _Exchange, reply: Reply) -> None:
        exchange.channel.send(replies.encode(reply, self._services.hostname))

    def _end(self, exchange: _Exchange) -> None:
        exchange.channel.end(replies.encode_last(transid=exchange.incoming.transid))


@dataclass(frozen=True)
class _View:
    """What the policy looks at only where a row for some nodes could decide."""

    session: Session
    exchange: _Exchange
    expansion: nodes.Expansion
    rights: Rights
    judge: Judge

    @property
    def asked(self) -> frozenset[str]:
        return frozenset(self.expansion.nodes)

    @cached_property
    def targets(self) -> Targets:
        return self.session.targets(self.exchange, self.expansion.nodes, self.rights)

    def members(self, noderange: str) -> Iterable[str]:
        return self.judge.members(noderange)


def _refuse_missed(expansion: nodes.Expansion) -> None:
    if expansion.missed:
        missed = ",".join(expansion.missed)
        raise Refusal(f"Invalid nodes and/or groups in noderange: {missed}")


def _tables(incoming: Incoming) -> set[str]:
    """What must be read before anything is known."""
    tables = {"site", "policy"}
    if incoming.becomeuser or incoming.gettoken:
        tables.add("passwd")
    return tables


def _told(caller: Caller, error: Exception) -> str:
    """What the peer learns of a failure: without a certificate nothing of paths, hosts or our insides."""
    return str(error) if caller.user is not None else "the daemon's log has why"


def _unauthenticated(how: str, caller: Caller) -> Refusal:
    _log.error("%s from %s is refused", how, caller.address, extra={"source": caller.address})
    return Refusal("Authentication failure", keeps=False)
