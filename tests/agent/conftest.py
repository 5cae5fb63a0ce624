"""A certificate authority, an agent on loopback, and a client that shares no code with ours.

Works on Python 3.9; makes certificates with ``cryptography`` itself, because the project's own authority
needs a newer Python.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import ssl
import struct
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from xcat_aix_agent.config import AgentConfig
from xcat_aix_agent.serving.server import AgentServer
from xcat_aix_agent.shell import Completed, not_found
from xcat_aix_proto.identity import Role

_NOW = dt.datetime.now(dt.timezone.utc)
_PEM = serialization.Encoding.PEM


class CA:
    """A throw-away certificate authority."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, ca=True, uris=())
        self.pem = self.certificate.public_bytes(_PEM)

    def _sign(self, subject: x509.Name, key: Any, *, ca: bool, uris: Sequence[str]) -> Any:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - dt.timedelta(hours=1))
            .not_valid_after(_NOW + dt.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if uris:
            names = [x509.UniformResourceIdentifier(uri) for uri in uris]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, path: Path, *uris: str) -> int:
        """Certificate and key for the identities in one file; returns the serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.stem)])
        certificate = self._sign(subject, key, ca=False, uris=uris)
        plain = serialization.NoEncryption()
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain)
        path.touch(0o600)
        path.write_bytes(certificate.public_bytes(_PEM) + private)
        return certificate.serial_number

    def revoke(self, path: Path, *serials: int) -> None:
        """Write a revocation list."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(_NOW - dt.timedelta(hours=1))
            .next_update(_NOW + dt.timedelta(days=2))
        )
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(_NOW).build())
        path.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(_PEM))


class ScriptedCommands:
    """A host of the tests: each command is a function of its words; what was run is kept."""

    def __init__(self, **programs: Callable[[Sequence[str]], Any]) -> None:
        self.programs: Dict[str, Callable[[Sequence[str]], Any]] = dict(programs)
        self.ran: List[Tuple[str, ...]] = []
        self.environments: List[Optional[Mapping[str, str]]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Optional[Mapping[str, str]] = None,
        input: Optional[str] = None,  # noqa: A002 - as in the product
    ) -> Completed:
        self.ran.append(tuple(argv))
        self.environments.append(env)
        program = self.programs.get(os.path.basename(argv[0]))  # noqa: PTH119 - a word, no path
        if program is None:
            raise not_found(argv)
        answer = program(argv)
        rc, out, err = answer if isinstance(answer, tuple) else (0, answer or "", "")
        return Completed(tuple(argv), rc, out, err)


class RawClient:
    """Speaks the agent's protocol byte by byte; nothing of the product is used."""

    HEADER = "!4sHBBHHII16sHH"

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.seq = 0

    def send(self, payload: bytes, **fields: int) -> None:
        """One message; fields: kind, serializer, flags, size, version."""
        self.seq += 1
        header = struct.pack(
            self.HEADER,
            b"PYRO",
            fields.get("version", 502),
            fields.get("kind", 4),
            fields.get("serializer", 3),
            fields.get("flags", 0),
            self.seq,
            fields.get("size", len(payload)),
            0,
            b"\0" * 16,
            0,
            0x4DC5,
        )
        self.sock.sendall(header + payload)

    def receive(self) -> Any:
        """The answer's data; raises EOFError if the peer hung up."""
        fields = struct.unpack(self.HEADER, self._exactly(40))
        return json.loads(self._exactly(fields[6]))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                chunk = self.sock.recv(size - len(data))
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def call(self, method: str, *params: Any, **kwargs: Any) -> Any:
        """One call; the envelope."""
        self.send(self.body(method, *params, **kwargs))
        return self.receive()

    @staticmethod
    def body(method: str, *params: Any, **kwargs: Any) -> bytes:
        call = {
            "object": "xcat-aix.agent",
            "method": method,
            "params": params,
            "kwargs": kwargs,
        }
        return json.dumps(call).encode()

    def hello(self) -> Any:
        """Greet as version 1."""
        return self.call("hello", {"protocols": [1], "version": "test"})

    def close(self) -> None:
        self.sock.close()


class Site:
    """A directory with a CA, credentials and agents."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ca = CA("agents")
        (path / "ca.pem").write_bytes(self.ca.pem)
        self.policy = path / "policy"
        self.allow("operate")
        self.credential("mn1", "xcat-aix:mn:mn1")
        self.servers: List[AgentServer] = []
        self.clients: List[RawClient] = []

    def allow(self, right: str, identity: str = "xcat-aix:mn:mn1") -> None:
        """The whole policy is this one line."""
        self.policy.write_text(f"[{identity}]\nallow = {right}\n")

    def credential(self, name: str, *uris: str, ca: Optional[CA] = None) -> Tuple[Path, int]:
        path = self.path / f"{name}.pem"
        return path, (ca or self.ca).issue(path, *uris)

    def config(self, node: str = "sn1", **settings: Any) -> AgentConfig:
        certificate, _ = self.credential(f"agent-{node}", f"xcat-aix:sn:{node}")
        root = self.path / "roots" / node
        (root / "etc").mkdir(parents=True, exist_ok=True)
        values: Dict[str, Any] = {
            "node": node,
            "role": Role.SN,
            "certificate": certificate,
            "ca": self.path / "ca.pem",
            "policy": self.policy,
            "jobs": self.path / "jobs" / node,
            "root": root,
            "listen": ("127.0.0.1",),
            "port": 0,
            "path": os.environ.get("PATH", os.defpath),
            "handshake_timeout": 2.0,
        }
        values.update(settings)
        return AgentConfig(**values)

    def start(self, config: AgentConfig, **options: Any) -> AgentServer:
        server = AgentServer(config, **options)
        server.start()
        self.servers.append(server)
        return server

    def context(self, credential: str = "mn1", alpn: str = "xcat-aix-rpc/1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.path / "ca.pem")
        if credential:
            context.load_cert_chain(self.path / f"{credential}.pem")
        if alpn:
            context.set_alpn_protocols([alpn])
        return context

    def connect(
        self, server: AgentServer, credential: str = "mn1", alpn: str = "xcat-aix-rpc/1"
    ) -> RawClient:
        """A TLS connection that has not said anything yet."""
        sock = socket.create_connection(server.addresses[0], 10)
        secure = self.context(credential, alpn).wrap_socket(sock)
        client = RawClient(secure)
        self.clients.append(client)
        return client

    def greeted(self, server: AgentServer, credential: str = "mn1") -> RawClient:
        client = self.connect(server, credential)
        assert "ok" in client.hello()
        return client

    def is_refused(
        self, server: AgentServer, credential: str, alpn: str = "xcat-aix-rpc/1"
    ) -> bool:
        """Whether the connection ends without an answer."""
        try:
            self.connect(server, credential, alpn).hello()
        except (OSError, EOFError):
            return True
        return False

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for server in self.servers:
            server.stop()


@pytest.fixture(autouse=True)
def _own_mask() -> Iterator[None]:
    """The program sets the mask of its process, which here is that of the tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


@pytest.fixture
def commands() -> ScriptedCommands:
    return ScriptedCommands()


@pytest.fixture
def scripted() -> Callable[..., ScriptedCommands]:
    return ScriptedCommands


@pytest.fixture
def other_ca() -> CA:
    return CA("somebody else")


@pytest.fixture
def raw() -> Callable[[Any], RawClient]:
    return RawClient


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition that another process or thread brings about."""

    def wait(condition: Callable[[], Any], seconds: float = 20.0) -> None:
        limit = time.monotonic() + seconds
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < limit, "it did not happen in time"
            pause.wait(0.01)

    return wait


@pytest.fixture
def error() -> Callable[[Any], Tuple[int, str]]:
    """The code and the message in a failed envelope."""

    def read(envelope: Any) -> Tuple[int, str]:
        assert set(envelope) == {"error"}, envelope
        return envelope["error"]["code"], envelope["error"]["message"]

    return read
