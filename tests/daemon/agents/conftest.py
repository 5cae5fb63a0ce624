"""The management node's pool and real agents on loopback."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from xcat_aix_agent.config import AgentConfig
from xcat_aix_agent.serving.server import AgentServer
from xcat_aix_agent.shell import Completed, not_found
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcat_aix_proto.jobs import JobStatus, JobUpdate
from xcatd.agents import AgentPool
from xcatd.pki.authority import Authority

_NOW = datetime.now(UTC)


class Programs:
    """Commands as functions of their words."""

    def __init__(self) -> None:
        self.programs: dict[str, Callable[[Sequence[str]], Any]] = {}
        self.ran: list[tuple[str, ...]] = []

    def run(self, argv: Sequence[str], *, timeout: float, env=None, input=None) -> Completed:  # noqa: A002 - as in the product
        self.ran.append(tuple(argv))
        program = self.programs.get(Path(argv[0]).name)
        if program is None:
            raise not_found(argv)
        answer = program(argv)
        rc, out, err = answer if isinstance(answer, tuple) else (0, answer or "", "")
        return Completed(tuple(argv), rc, out, err)


def carry_out(agent, job_id: str, op, said: list | None = None) -> JobStatus:
    """Begin a job and follow it to its end, over any number of lost lines; ``said`` gets its events."""
    said, limit = [] if said is None else said, time.monotonic() + 30
    update = agent.begin(job_id, op, 30, 0.0)
    while True:
        said.extend(update.events)
        if update.status.state.is_over and len(said) >= update.status.last_seq:
            return update.status
        try:
            update = agent.follow(job_id, len(said), 10.0)
        except AgentError as error:
            if error.code is not ErrorCode.UNREACHABLE or time.monotonic() > limit:
                raise
            update = JobUpdate(update.status)


class Cluster:
    """A CA, the management node's directory, agents."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.authority = Authority.create("agents", _NOW, 10)
        self.mn = path / "aix"
        self.mn.mkdir()
        (self.mn / "ca.pem").write_bytes(self.authority.certificate_pem)
        self.enrol_mn("mn1")
        self.policy = path / "policy"
        self.policy.write_text("[xcat-aix:mn:mn1]\nallow = operate\n")
        self.pool = AgentPool(self.mn)
        self.servers: list[AgentServer] = []

    def enrol_mn(self, name: str, authority: Authority | None = None, role: Role = Role.MN) -> None:
        issued = (authority or self.authority).issue(Identity(role, name), _NOW, 5)
        (self.mn / "mn-cred.pem").write_bytes(issued.pem)

    def config(self, node: str, role: Role = Role.SN, **settings: Any) -> AgentConfig:
        certificate = self.path / f"{role.value}-{node}.pem"
        issued = self.authority.issue(Identity(role, node), _NOW, 5)
        certificate.touch(0o600)
        certificate.write_bytes(issued.pem)
        root = self.path / node
        (root / "etc").mkdir(parents=True, exist_ok=True)
        values: dict[str, Any] = {
            "node": node,
            "role": role,
            "certificate": certificate,
            "ca": self.mn / "ca.pem",
            "policy": self.policy,
            "jobs": root / "jobs",
            "root": root,
            "listen": ("127.0.0.1",),
            "port": 0,
            "path": os.environ["PATH"],
        } | settings
        return AgentConfig(**values)

    def start(
        self, node: str, role: Role = Role.SN, commands: Programs | None = None, **settings: Any
    ) -> AgentServer:
        return self.run(self.config(node, role, **settings), commands)

    def run(self, config: AgentConfig, commands: Programs | None = None) -> AgentServer:
        server = AgentServer(config, commands=commands or Programs(), runner="inline")
        server.start()
        self.servers.append(server)
        return server

    def connect(
        self, server: AgentServer, node: str = "", role: Role | None = None, **options: Any
    ):
        """To an agent, as whom the arguments say, by default as whom it is."""
        address, port = server.addresses[0]
        config = server.config
        return self.pool.connect(node or config.node, role or config.role, address, port, **options)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest.fixture
def new_authority() -> Callable[[], Authority]:
    return lambda: Authority.create("somebody else", _NOW, 10)
