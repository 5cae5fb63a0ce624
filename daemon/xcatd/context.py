"""What a plugin gets beside the request: database, time, agents, names, and other commands.

Owns: the :class:`Context` value, one per request.  Must not: know the wire, or any plugin by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Protocol

from .messages import Reply, Request
from .reach.dns import Dns, Resolvers
from .reach.ssh import Ssh, SshProgram
from .rights import ALL, Rights, Targets

if TYPE_CHECKING:
    from xcat_aix_proto.identity import Role
    from xcatd.noderange import Expansion

    from .agents import AgentConnection, Relay
    from .db.database import Database
    from .db.snapshot import Snapshot
    from .resolve import Resolver
    from .watching.notices import Notices


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """The time of day, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The time of day, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""
        return time.monotonic()


class Agents(Protocol):
    """The way to agents: :class:`xcatd.agents.AgentPool`, or a test's double."""

    def connect(
        self,
        node: str,
        role: Role,
        address: str,
        port: int,
        *,
        timeout: float = 3.0,
        via: Relay | None = None,
    ) -> AgentConnection:
        """A connection to the agent of ``node``; raises ``AgentError``."""


@dataclass(frozen=True, slots=True)
class Context:
    """The world of one request.

    ``cancelled`` is set when the user aborts or the daemon must stop: long commands look at it and end
    soon.  ``version`` is the text of ``lsxcatd -v``; ``hostname`` the server's short name.  ``rights`` are what the
    policy left to the request; ``db`` refuses to write beyond them.  ``judge`` is the policy itself, see :meth:`may`.
    ``ssh`` and ``dns`` reach what has no agent; what runs long is given ``cancelled``.
    """

    db: Database
    clock: Clock
    agents: Agents
    cancelled: Event
    version: str
    is_mn: bool
    hostname: str
    environ: Mapping[str, str] = field(default_factory=dict)
    runner: Callable[[Request, Context], Iterator[Reply]] | None = None
    request: Request | None = None
    rights: Rights = ALL
    ssh: Ssh = field(default_factory=SshProgram)
    dns: Dns = field(default_factory=Resolvers)
    judge: Callable[[Targets], bool] | None = None

    def may(self, targets: Targets) -> bool:
        """Whether the policy lets the user touch these, and as the commands whose work that is.

        For what a request shows of others' work: a list of plans leaves those out that it refuses.  Where nobody
        asks but the daemon itself, everything may be.
        """
        return self.judge is None or self.judge(targets)

    def expand(
        self,
        text: str,
        *,
        verify: bool = True,
        snapshot: Snapshot | None = None,
        is_users: bool = True,
    ) -> Expansion:
        """Expand a noderange; reads the tables it needs once unless a snapshot is given.

        ``is_users``: the text is the user's, and so are its limits: nodes that the policy did not allow are
        refused, files are read for known users only, and secrets are selected by only where everything is allowed.
        Raises :class:`xcatd.noderange.NoderangeError`.
        """
        from .nodes import expand  # noqa: PLC0415 - the database layers load with the first use

        rights = self.rights if is_users else ALL
        return expand(
            self.db, text, verify=verify, snapshot=snapshot, environ=self.environ, rights=rights
        )

    @property
    def notices(self) -> Notices:
        """What watchers told, for people to see and acknowledge."""
        from .watching.notices import Notices  # noqa: PLC0415 - see expand

        return Notices(self.db, self.clock)

    def resolver(self, snapshot: Snapshot) -> Resolver:
        """Names to addresses, by the hosts table of ``snapshot`` first."""
        from .resolve import Resolver  # noqa: PLC0415 - see expand

        return Resolver(snapshot)

    def run(
        self,
        command: str,
        args: tuple[str, ...] = (),
        nodes: tuple[str, ...] = (),
        stdin: str | None = None,
    ) -> Iterator[Reply]:
        """Another command as part of this one: same user, no policy, its replies handed back."""
        if self.runner is None:
            raise LookupError(f"cannot run {command}: this context has no plugin host")
        outer = self.request or Request("")
        inner = Request(
            command=command,
            args=args,
            nodes=nodes,
            stdin=stdin,
            cwd=outer.cwd,
            environment=outer.environment,
            clienttype=outer.clienttype,
            user=outer.user,
            host=outer.host,
            id=outer.id,
        )
        return self.runner(inner, self)
