"""A daemon in this process, with certificates, a small database and a plugin of known replies."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from xcatd import messages
from xcatd.api import Context, Reply, Request
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.main import Daemon, Machine
from xcatd.messages import Contents, NodeReply, SavedPlan
from xcatd.plugins import PluginHost
from xcatd.serving.peer import PeerTimes
from xcatd.serving.server import Server

_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Authority:
    """A CA for tests; elliptic keys, because they are made quickly."""

    def __init__(self, name: str = "xCAT CA") -> None:
        self._name = _subject(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.pem = _pem(self._certificate(self._name, self._key))

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        is_ca = subject == self._name
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_START)
            .not_valid_after(_START + dt.timedelta(days=36500))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def credentials(self, subject: str | x509.Name) -> bytes:
        """Key and certificate in one PEM text."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _subject(subject) if isinstance(subject, str) else subject
        plain = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return plain + _pem(self._certificate(name, key))

    def client_directory(self, directory: Path, subject: str | x509.Name) -> Path:
        """What a user has in ``~/.xcat``."""
        directory.mkdir(parents=True)
        (directory / "client-cred.pem").write_bytes(self.credentials(subject))
        (directory / "ca.pem").write_bytes(self.pem)
        return directory


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def other_authority() -> Authority:
    return Authority("another CA")


class Sample:
    """Commands with known replies, and some that misbehave."""

    commands = (
        *("sample", "crash", "echo", "wait", "flood", "outer"),
        *("lsdef", "lsxcatd", "nimnodeset", "nodels", "snmove"),
    )

    def __init__(self) -> None:
        self.started = threading.Event()
        self.cancelled = threading.Event()
        self.release = threading.Event()
        self.requests: list[Request] = []

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        self.requests.append(request)
        match request.command:
            case "sample":
                yield from SAMPLES[request.words[0]]
            case "crash":
                raise KeyError(request.words[0] if request.args else "boom")
            case "wait":
                yield from self._wait(context)
            case "flood":
                yield from (messages.info("x" * 1000) for _ in range(int(request.words[0])))
            case "outer":
                yield from context.run("echo", ("inner",), request.nodes)
            case "lsxcatd":
                yield messages.data(context.version)
            case _:
                yield messages.info(",".join(request.nodes), *request.words)

    def _wait(self, context: Context) -> Iterator[Reply]:
        yield messages.info("waiting")
        self.started.set()
        while not self.release.wait(0.01):
            if context.cancelled.is_set():
                self.cancelled.set()
                return
        yield messages.info("released")


SAMPLES: dict[str, list[Reply]] = {
    "errors": [messages.error("bad thing", "second"), messages.error("")],
    "warnings": [messages.warning("careful", "")],
    "info": [messages.info("a", "", "0", " x ", "several\nlines")],
    "progress": [Reply(sinfo=("10%", "20%"))],
    "data": [messages.data("text", "", "0", " ", 'a & <b> "q"')],
    "contents": [
        Reply(
            data=(
                Contents("c", "d"),
                Contents("c"),
                Contents("", "d"),
                Contents("c", ""),
                Contents("0", "d"),
                Contents("c", "0"),
            )
        )
    ],
    "nodes": [
        Reply(
            nodes=(
                NodeReply("n1"),
                NodeReply("n2", data="x"),
                NodeReply("n3", data=""),
                NodeReply("n4", data="0"),
                NodeReply("n5", data=Contents("c", "d")),
                NodeReply("n6", data=Contents("c")),
                NodeReply("n7", data=Contents("")),
                NodeReply("n8", data=Contents("c", "")),
            )
        )
    ],
    "node-errors": [
        Reply(
            nodes=(
                NodeReply("n0", data="on standard output"),
                NodeReply("n1", error="e", errorcode=2),
                NodeReply("n2", data="after an error"),
                NodeReply("n3", warning="w"),
                NodeReply("n4", error="e", data="d", errorcode=4),
                NodeReply("n5", error="e", warning="w"),
            )
        ),
        messages.node_data("n6", "in the next document"),
    ],
    "other-source": [Reply(errors=("e",), source="sn1", errorcode=1)],
    "flags": [
        Reply(
            errors=("e",),
            warnings=("w",),
            info=("i",),
            flags=frozenset({"NoErrorPrefix", "NoWarnPrefix", "NoSvrPrefix"}),
        )
    ],
    "host": [
        Reply(
            info=("i", "", "0"),
            data=("d",),
            nodes=(NodeReply("n", data="x"), NodeReply("n")),
            extra={"host": ("1",)},
        )
    ],
    "code-300": [Reply(errorcode=300)],
    "codes": [Reply(errorcode=1), Reply(errorcode=4), Reply(nodes=(NodeReply("n", errorcode=2),))],
    "order": [
        Reply(
            errors=("e",),
            warnings=("w",),
            info=("i",),
            sinfo=("s",),
            nodes=(NodeReply("n", data="x"),),
            data=("d",),
            errorcode=3,
        )
    ],
    "escape": [messages.info("\x1b[1mbold\x1b[0m"), messages.data("x\x1by")],
    "characters": [
        messages.info("a\x00b\x07c\x0bd\x7fe", "é ü 日本", "tab\there"),
        messages.info("a\r\nb"),
    ],
    "ignored": [
        Reply(extra={"numofnodes": ("4",), "status": ("x",), "token": ("t",)}, info=("i",))
    ],
    "large": [messages.info(*[f"line {number} {'x' * 50}" for number in range(1500)])],
    "many": [messages.node_data(f"n{number}", "v" * 20, "desc") for number in range(400)],
    "nothing": [],
    "saved-plan": [
        messages.info("1 step"),
        Reply(
            saved=SavedPlan(
                *("toy-7", "ab" * 32, 2, ("1 step", "", "  - of n1"), True, ("--fanout=8",))
            )
        ),
        messages.data("Saved as toy-7."),
    ],
    "partly": [
        Reply(nodes=(NodeReply("n1", error="no agent answers"),)),
        messages.info("1 of 2 moved"),
        Reply(errorcode=2),
    ],
    "waiting": [Reply(warnings=("n1 cannot boot",)), Reply(errorcode=3)],
}

_POLICY = (
    {"priority": "1", "name": "root", "rule": "allow"},
    {"priority": "1.2", "name": "mn", "rule": "trusted"},
    {"priority": "2.3", "commands": "lsxcatd", "rule": "allow"},
)


def _fill(directory: Path) -> None:
    """A small cluster's database."""
    database = Database.open(Location("SQLite", directory))
    database.create_missing_tables()
    site = {"xcatdport": "0", "xcatconfdir": "(set by each test)", "master": "mn"}
    with database.transaction("site", "policy", "nodelist", "passwd") as transaction:
        transaction.insert("site", [{"key": key, "value": site[key]} for key in site])
        transaction.insert("policy", list(_POLICY))
        nodes = [{"node": f"n{number}", "groups": "all,compute"} for number in range(1, 13)]
        transaction.insert("nodelist", nodes)
        transaction.insert(
            "passwd", [{"key": "xcat", "username": "web", "password": "web-password"}]
        )
    database.close()


@dataclass
class Cluster:
    """A running daemon and what tests look at."""

    directory: Path
    authority: Authority
    daemon: Daemon
    server: Server
    sample: Sample
    port: int
    stop: Callable[[], None]
    contexts: dict[str, ssl.SSLContext] = field(default_factory=dict)

    @property
    def location(self) -> Location:
        return Location("SQLite", self.directory / "db")

    def context(
        self, user: str | None = "root", authority: Authority | None = None
    ) -> ssl.SSLContext:
        """A client's end of TLS."""
        issuer = authority or self.authority
        key = f"{user}-{id(issuer)}"
        if key not in self.contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(cadata=self.authority.pem.decode())
            if user is not None:
                directory = issuer.client_directory(self.directory / f"user-{key}", user)
                context.load_cert_chain(directory / "client-cred.pem")
            self.contexts[key] = context
        return self.contexts[key]

    def plain(self) -> socket.socket:
        """A TCP connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def tls(self, user: str | None = "root", authority: Authority | None = None) -> ssl.SSLSocket:
        """A TLS connection."""
        return self.context(user, authority).wrap_socket(self.plain())

    def ask(self, document: str | bytes, user: str | None = "root") -> str:
        """Everything the daemon answers to one document."""
        with self.tls(user) as sock:
            sock.sendall(document.encode() if isinstance(document, str) else document)
            return read_answer(sock)

    def command(self, command: str, *args: str, user: str | None = "root", more: str = "") -> str:
        """Everything the daemon answers to a command."""
        return self.ask(request(command, *args, more=more), user)

    def rows(self, table: str) -> list[dict[str, str]]:
        """The rows of a table, without empty cells."""
        database = Database.open(self.location)
        try:
            found = database.read([table]).rows(table)
            return [{name: row[name] for name in row if row[name]} for row in found]
        finally:
            database.close()

    def audited(self, count: int) -> list[dict[str, str]]:
        """The audit rows once there are so many."""
        deadline = time.monotonic() + 10
        while len(rows := self.rows("auditlog")) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return rows

    def write(self, table: str, *rows: dict[str, str]) -> None:
        """Add rows as another program would."""
        database = Database.open(self.location)
        with database.transaction(table) as transaction:
            transaction.insert(table, list(rows))
        database.close()


def request(command: str, *args: str, more: str = "") -> str:
    """A request document; ``more`` is XML to put into it."""
    texts = "".join(f"<arg>{arg}</arg>" for arg in args)
    return f"<xcatrequest><command>{command}</command>{texts}{more}</xcatrequest>\n"


def read_answer(sock: ssl.SSLSocket) -> str:
    """Read until ``serverdone`` or the end."""
    received = b""
    while b"serverdone" not in received:
        try:
            data = sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            break
        if not data:
            break
        received += data
    return received.decode("ascii")


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database directory to copy: making all its tables takes a while."""
    directory = tmp_path_factory.mktemp("filled")
    _fill(directory)
    return directory


def _prepare(directory: Path, authority: Authority, filled: Path) -> Path:
    cert = directory / "etc" / "cert"
    cert.mkdir(parents=True)
    (cert / "server-cred.pem").write_bytes(authority.credentials("mn"))
    (cert / "ca.pem").write_bytes(authority.pem)
    shutil.copytree(filled, directory / "db")
    database = Database.open(Location("SQLite", directory / "db"))
    with database.transaction("site") as transaction:
        transaction.update("site", {"key": "xcatconfdir"}, {"value": str(directory / "etc")})
    database.close()
    (directory / "mn" / "etc").mkdir(parents=True)
    (directory / "mn" / "etc" / "xCATMN").touch()
    return directory


@pytest.fixture
def prepared(tmp_path: Path, authority: Authority, filled: Path) -> Path:
    """The files a daemon starts with."""
    return _prepare(tmp_path, authority, filled)


def _start(directory: Path, authority: Authority, times: PeerTimes, max_peers: int) -> Cluster:
    """A daemon in a thread of this process."""
    sample = Sample()
    machine = Machine("mn", {"XCATCFG": f"SQLite:{directory / 'db'}"}, directory / "mn")
    daemon = Daemon(machine, plugins=PluginHost({"sample": sample}))
    sock = socket.create_server(("127.0.0.1", 0), backlog=512)
    sock.setblocking(False)
    port = sock.getsockname()[1]
    server = daemon.server([sock], times, max_peers)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()

    def stop() -> None:
        sample.release.set()
        server.stop()
        thread.join(20)
        daemon.close()

    return Cluster(directory, authority, daemon, server, sample, port, stop)


#: So patient that a busy machine does not matter.
PATIENT = PeerTimes(handshake=40.0, request=40.0)


@pytest.fixture
def start(prepared: Path, authority: Authority) -> Iterator[Callable[..., Cluster]]:
    """Start daemons."""
    running: list[Cluster] = []

    def starter(times: PeerTimes = PATIENT, max_peers: int = 1024) -> Cluster:
        cluster = _start(prepared, authority, times, max_peers)
        running.append(cluster)
        return cluster

    yield starter
    for cluster in running:
        cluster.stop()


@pytest.fixture(scope="module")
def standing(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, filled: Path
) -> Iterator[Cluster]:
    """One daemon for many tests that change nothing."""
    directory = _prepare(tmp_path_factory.mktemp("standing") / "top", authority, filled)
    cluster = _start(directory, authority, PeerTimes(), 1024)
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(start: Callable[..., Cluster]) -> Cluster:
    """One running daemon."""
    return start()


@pytest.fixture
def make_request() -> Callable[..., str]:
    return request


@pytest.fixture
def answer() -> Callable[[ssl.SSLSocket], str]:
    return read_answer


TRANSCRIPTS = Path(__file__).parent / "transcripts"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``transcript``: every recorded exchange."""
    if "transcript" in metafunc.fixturenames:
        files = sorted(TRANSCRIPTS.glob("*.json"))
        cases = [json.loads(file.read_text("utf-8")) for file in files]
        metafunc.parametrize("transcript", cases, ids=[file.stem for file in files])
