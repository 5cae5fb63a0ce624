"""The real agents of a few simulated hosts in this process, and a management node's way to them.

Every agent listens on loopback, wherever its host is said to be; who connects to a host's address reaches its
agent.  For clusters whose addresses this machine does not have.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from xcat_aix_agent.config import AgentConfig
from xcat_aix_agent.serving.acceptor import Acceptor
from xcat_aix_agent.serving.server import AgentServer
from xcat_aix_agent.shell import Commands
from xcat_aix_lab.inprocess import ModelCommands
from xcat_aix_lab.sim.host import COMPUTE
from xcat_aix_lab.sim.store import MemoryStore
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcatd.agents import AgentConnection, AgentPool, Relay
from xcatd.pki.authority import Authority

_DAYS = 2
_MN = Identity(Role.MN, "mn")
_LOOPBACK = "127.0.0.1"
_SECONDS_TO_END = 1.0


@dataclass(slots=True)
class Papers:
    """A certificate authority, and one certificate per identity however often it is asked for."""

    authority: Authority
    now: datetime
    _issued: dict[Identity, bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def create(cls, now: datetime) -> Self:
        """A new authority; ``now`` is aware."""
        return cls(Authority.create("xcat-aix lab CA", now, _DAYS), now)

    def pem(self, identity: Identity) -> bytes:
        """Certificate and key."""
        with self._lock:
            if identity not in self._issued:
                self._issued[identity] = self.authority.issue(identity, self.now, _DAYS).pem
            return self._issued[identity]


class Crew:
    """Agents for the hosts of a store.  It is a :class:`xcatd.context.Agents`; close it at the end.

    ``directory`` holds their certificates, settings and jobs; ``roots`` the hosts' files, as in
    :func:`.staging.store_of`.
    """

    def __init__(self, store: MemoryStore, roots: Path, directory: Path, papers: Papers) -> None:
        self._store = store
        self._roots = roots
        self._directory = directory
        self._papers = papers
        self._acceptor = Acceptor()
        self._servers: dict[str, AgentServer] = {}
        _write(directory / "ca.pem", papers.authority.certificate_pem)
        _write(directory / "mn-cred.pem", papers.pem(_MN))
        _write(directory / "policy", f"[{_MN}]\nallow = operate\n".encode())
        self._pool = AgentPool(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, names: Iterable[str]) -> None:
        """Start the agents of hosts; raises what ``AgentServer.start`` raises."""
        for name in names:
            commands = self.commands(name)
            server = AgentServer(
                self._settings(name), commands=commands, runner="inline", acceptor=self._acceptor
            )
            server.start()
            self._servers[name] = server

    def commands(self, name: str) -> Commands:
        """What the agent of a host runs its commands with."""
        return ModelCommands(self._store, name)

    def _role(self, name: str) -> Role:
        """Every NIM master's agent is a service node's, the NIM primary's too."""
        return Role.CN if self._store.topology.kinds[name] == COMPUTE else Role.SN

    def _settings(self, name: str) -> AgentConfig:
        own = self._directory / name
        role = self._role(name)
        _write(own / "agent.pem", self._papers.pem(Identity(role, name)))
        return AgentConfig(
            node=name,
            role=role,
            certificate=own / "agent.pem",
            ca=self._directory / "ca.pem",
            policy=self._directory / "policy",
            jobs=own / "jobs",
            root=self._roots / name,
            listen=(_LOOPBACK,),
            port=0,
        )

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
        """See :meth:`xcatd.context.Agents.connect`; a relay reaches no more than we do."""
        found = self._store.topology.find(address)
        server = self._servers.get(found[0]) if found else None
        if server is None:
            way = f" through {via.node}" if via else ""
            text = f"cannot connect to {address} port {port}{way}"
            raise AgentError(ErrorCode.UNREACHABLE, text)
        place, own_port = server.addresses[0]
        return self._pool.connect(node, role, place, own_port, timeout=timeout)

    def close(self) -> None:
        """End all agents."""
        for server in self._servers.values():
            server.stop(_SECONDS_TO_END, abandon=True)
        self._servers.clear()
        self._acceptor.close()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_bytes(content)
