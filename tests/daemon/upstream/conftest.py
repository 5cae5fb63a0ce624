"""A daemon of ours in front of a scripted xcatd: real sockets, real TLS, on loopback."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.daemon.serving.conftest import (
    PATIENT,
    Authority,
    Cluster,
    Sample,
    _fill,
    _prepare,
)

from xcatd.main import Daemon, Machine
from xcatd.plugins import PluginHost
from xcatd.tls import user_of
from xcatd.upstream import Address, RelayLimits, Upstream
from xcatd.upstream.link import LinkTimes
from xcatd.wire.tree import DocumentLimits as TreeLimits
from xcatd.wire.tree import Tree, parse

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.xml"))
LAST = b"<xcatresponse>\n  <serverdone></serverdone>\n</xcatresponse>\n"
#: Short where something must fail, long where it must not.
LIMITS = RelayLimits(
    commands=4, patience=20.0, times=LinkTimes(connect=5.0, handshake=20.0, look=0.02)
)


def info(text: str) -> bytes:
    return f"<xcatresponse>\n  <info>{text}</info>\n</xcatresponse>\n".encode()


class Visit:
    """One connection, as the scripted xcatd sees it."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock
        self.user = user_of(sock.getpeercert())
        self._read = b""
        self.request = self.document("xcatrequest")

    def document(self, root: str = "xcatrequest") -> Tree:
        """The next document of our daemon; raises EOFError when it has gone."""
        end = f"</{root}>".encode()
        while end not in self._read:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self._read += data
        text, _, self._read = self._read.partition(end)
        return parse(text + end, root, TreeLimits())

    def say(self, *parts: bytes) -> None:
        for part in parts:
            self.sock.sendall(part)


Script = Callable[[Visit], None]


def answers(*parts: bytes) -> Script:
    """Says this, and waits for the other end to close."""

    def script(visit: Visit) -> None:
        visit.say(*parts)
        with suppress(EOFError, OSError):
            visit.document()

    return script


class Scripted:
    """An xcatd that does what a test says."""

    def __init__(self, context: ssl.SSLContext, script: Script) -> None:
        self.script = script
        self.visits: queue.Queue[Visit] = queue.Queue()
        self.accepted = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.accepted += 1
                self._sockets.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, EOFError), sock:
            sock.settimeout(60)
            secure = self._context.wrap_socket(sock, server_side=True)
            self._sockets.append(secure)
            with secure:
                visit = Visit(secure)
                self.visits.put(visit)
                self.script(visit)

    def visit(self) -> Visit:
        """The next one that has said what it wants."""
        return self.visits.get(timeout=20)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)


def server_context(authority: Authority, directory: Path, name: str = "mn") -> ssl.SSLContext:
    """As the Perl daemon sets TLS up: a certificate is asked for and not required."""
    directory.mkdir(parents=True, exist_ok=True)
    pem = directory / f"{name}.pem"
    pem.write_bytes(authority.credentials(name))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.load_verify_locations(cadata=authority.pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@dataclass
class Front:
    """What tests start, and what is stopped after them."""

    directory: Path
    authority: Authority
    filled: Path
    _running: list[Callable[[], None]] = field(default_factory=list)

    def scripted(
        self, script: Script | None = None, name: str = "mn", authority: Authority | None = None
    ) -> Scripted:
        context = server_context(authority or self.authority, self.directory / "up", name)
        server = Scripted(context, script or answers(LAST))
        self._running.append(server.close)
        return server

    def daemon(
        self, upstream: Scripted | Address | None, limits: RelayLimits = LIMITS, name: str = "front"
    ) -> Cluster:
        """Our daemon in front of it."""
        address = upstream.address if isinstance(upstream, Scripted) else upstream
        directory = _prepare(self.directory / name, self.authority, self.filled)
        machine = Machine("mn", {"XCATCFG": f"SQLite:{directory / 'db'}"}, directory / "mn")
        sample = Sample()
        daemon = Daemon(
            machine,
            plugins=PluginHost({"sample": sample, "caller": Caller()}),
            upstream=Upstream(address, limits) if address else None,
        )
        sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        sock.setblocking(False)
        port = sock.getsockname()[1]
        server = daemon.server([sock], PATIENT)
        thread = threading.Thread(target=server.run)
        thread.start()

        def stop() -> None:
            sample.release.set()
            server.stop()
            thread.join(20)
            daemon.close()

        self._running.append(stop)
        return Cluster(directory, self.authority, daemon, server, sample, port, stop)

    def close(self) -> None:
        for stop in self._running:
            stop()


class Caller:
    """A plugin that runs a command of the upstream's."""

    commands = ("calls",)

    def handle(self, request, context):
        yield from context.run(request.words[0], request.words[1:], request.nodes)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def other_authority() -> Authority:
    return Authority("another CA")


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    _fill(directory)
    return directory


@pytest.fixture
def front(tmp_path: Path, authority: Authority, filled: Path) -> Iterator[Front]:
    started = Front(tmp_path, authority, filled)
    yield started
    started.close()
