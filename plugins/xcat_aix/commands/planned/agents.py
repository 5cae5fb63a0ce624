"""Agents for a command: reached by role and name, and asked many at once.

Owns: addresses and port, the way through a relay, and the bound on how many are asked at the same time.  Must not: know
what they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.model import Plan, Target
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Role
from xcatd.api import Context, Relay

if TYPE_CHECKING:
    from xcatd.api import AgentConnection

T = TypeVar("T")

DEFAULT_PORT = 3009

#: The tables that tell addresses and the port.
TABLES = ("hosts", "nics", "nodelist", "site")

#: Seconds until an agent counts as not running: one that is asked, and one that a lane is sent to.
CONNECT_LIMIT, LANE_LIMIT = 2.5, 3.0

#: How many are asked at the same time.
MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class AgentCalls:
    """The agents of some nodes; ``addresses`` are theirs by node, ``port`` is everybody's."""

    context: Context
    addresses: Mapping[str, str]
    port: int

    @classmethod
    def of(cls, nodes: Iterable[str], context: Context) -> AgentCalls:
        """Looks all addresses up together; raises :class:`PlanError` for a port that is none."""
        wanted = set(nodes)
        tables = context.db.read(TABLES)
        found = context.resolver(tables).addresses(wanted) if wanted else {}
        return cls(context, found, agent_port(tables.site))

    @classmethod
    def of_plan(cls, plan: Plan, context: Context) -> AgentCalls:
        """Those that a plan's lanes are sent to, or relayed by."""
        targets = (target for lane in plan.lanes for target in (lane.target, lane.via) if target)
        return cls.of((target.node for target in targets), context)

    def connect(
        self, target: Target, via: Target | None = None, limit: float = LANE_LIMIT
    ) -> AgentConnection:
        """Straight, or through ``via`` where there is no direct way; raises :class:`AgentError`.

        ``limit`` is how many seconds each of the ways may take.
        """
        address = self._address(target)
        try:
            return self._connect(target, address, None, limit)
        except AgentError as problem:
            if problem.code is not ErrorCode.UNREACHABLE or via is None:
                raise
            return self._relayed(target, address, via, problem, limit)

    def ask(
        self, targets: Iterable[Target], question: Callable[[AgentConnection], T]
    ) -> dict[Target, T | AgentError]:
        """Ask all of them at once, up to a bound; who gives no answer has the error in its place.

        Once the request is given up nobody else is asked.
        """
        return self.ask_each(dict.fromkeys(targets, question))

    def ask_each(
        self,
        questions: Mapping[Target, Callable[[AgentConnection], T]],
        ways: Mapping[Target, Target | None] | None = None,
    ) -> dict[Target, T | AgentError]:
        """The same with a question for each; ``ways`` are the relays of those that have one."""
        asked, vias = tuple(questions), ways or {}
        if not asked:
            return {}

        def ask(target: Target) -> T | AgentError:
            return around[target].run(self._ask, target, vias.get(target), questions[target])

        # Each thread works for this request: its id is in the agents' logs.
        around = {target: copy_context() for target in asked}
        with ThreadPoolExecutor(min(len(asked), MOST_AT_ONCE), "ask") as pool:
            return dict(zip(asked, pool.map(ask, asked), strict=True))

    def _ask(
        self, target: Target, via: Target | None, question: Callable[[AgentConnection], T]
    ) -> T | AgentError:
        if self.context.cancelled.is_set():
            return AgentError(
                ErrorCode.CANCELLED, f"{target.node} was not asked: the request was given up"
            )
        try:
            with self.connect(target, via, CONNECT_LIMIT) as connection:
                return question(connection)
        except AgentError as problem:
            return problem

    def _relayed(
        self, target: Target, address: str, via: Target, direct: AgentError, limit: float
    ) -> AgentConnection:
        """The other way; if it fails too, both reasons are told."""
        try:
            relay = Relay(via.node, self._address(via), self.port)
            return self._connect(target, address, relay, limit)
        except AgentError as problem:
            text = f"{direct.message}; {problem.message}"
            # A relay that is busy says nothing about the node: that is tried again.
            code = ErrorCode.BUSY if problem.code is ErrorCode.BUSY else ErrorCode.UNREACHABLE
            raise AgentError(code, text, problem.detail) from None

    def _connect(
        self, target: Target, address: str, via: Relay | None, limit: float
    ) -> AgentConnection:
        role = Role(target.role)
        return self.context.agents.connect(
            target.node, role, address, self.port, timeout=limit, via=via
        )

    def _address(self, target: Target) -> str:
        address = self.addresses.get(target.node)
        if address is None:
            raise AgentError(ErrorCode.UNREACHABLE, f"{target.node} has no address")
        return address


def agent_port(site: Mapping[str, str]) -> int:
    """``site.aixagentport``, 3009 by default; raises :class:`PlanError` for a value that is no port."""
    text = site.get("aixagentport", str(DEFAULT_PORT)).strip()
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise PlanError(f"cannot reach any agent: site.aixagentport is '{text}', which is no port")
