"""The daemon as a program, over TLS: requests from a peer without certificate and from a user with few rights."""

from __future__ import annotations

import random
import socket
import ssl
import time
from pathlib import Path
from xml.sax.saxutils import escape

from tests.attack import grammars
from tests.attack.meter import MIB, Bounds, Complaint
from tests.attack.programs import Program, check_text
from tests.attack.targets import Target, requests, stanzas
from tests.daemon.noderange import clusters
from tests.daemon.serving.conftest import Authority
from tests.plugins.commands import replay

_PATIENCE = 8.0
#: Processor time that one request may take before it is answered.
_CPU = 4.0
_MOST = 32 << 20
_LAST = 65.0  # what the daemon itself gives running commands at its end, and a little

#: What the user may do: nothing that writes files, starts programs or changes who may do what.
_COMMANDS = (
    *("nodels", "lsdef", "rnoderange", "noderange", "mkdef", "chdef", "gettab", "tabgrep", "nodech", "nodeadd"),
    *("noderm", "nodegrpch", "tabrestore", "lsxcatd", "snmove", "snbalance"),
)  # fmt: skip

#: What is in a table; who may read tables at all sees it, who comes without a certificate never.
_SECRET = "tell-nobody-this"
#: What is in files that the daemon can read and nobody sees through it.
_HIDDEN = (b"root:x:", b"daemon,bin")

_HONEST = b"<xcatrequest><command>tabdump</command><arg>site</arg></xcatrequest>\n"


class Daemon(Target):
    """An input is a letter for who comes (A nobody, U the user), and what is sent."""

    bounds = Bounds(seconds=_PATIENCE + 10.0, memory=160 * MIB)
    longest = 200 << 10
    spoilt = 0.4
    tokens = (*requests.Requests.tokens, b"^/etc/passwd", b"ipmi.password=~.", b"passwd.password")
    seeds = tuple(
        letter + document for letter in (b"A", b"U") for document in requests.Requests.seeds
    )

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._authority = Authority()
        self._prepare()
        self._contexts = {letter: self._context(user) for letter, user in _USERS.items()}
        self._daemon = self._start()

    @property
    def process(self) -> int:
        return self._daemon.pid

    def _prepare(self) -> None:
        certificates = self.directory / "etc" / "cert"
        certificates.mkdir(mode=0o700, parents=True)
        (certificates / "server-cred.pem").write_bytes(self._authority.credentials("mn"))
        (certificates / "ca.pem").write_bytes(self._authority.pem)
        (self.directory / "db").mkdir(mode=0o700)
        snapshot = clusters.snapshot("example")
        tables = {
            name: [dict(row) for row in snapshot.rows(name)]
            for name in ("nodelist", "nodehm", "nodetype", "nodegroup")
        }
        tables["site"] = [
            {"key": "xcatdport", "value": "0"},
            {"key": "xcatconfdir", "value": str(self.directory / "etc")},
            {"key": "master", "value": "mn"},
        ]
        tables["policy"] = [
            {"priority": "1", "name": "root", "rule": "allow"},
            {"priority": "2", "name": "tester", "commands": ",".join(_COMMANDS), "rule": "allow"},
            {"priority": "3", "commands": "lsxcatd", "rule": "allow"},
        ]
        tables["passwd"] = [{"key": "ipmi", "username": "u", "password": _SECRET}]
        tables["ipmi"] = [{"node": "compute", "username": "u", "password": _SECRET}]
        replay.open_database(self.directory / "db", tables).close()

    def _start(self) -> Program:
        pidfile = str(self.directory / "pid")
        return Program(
            ["-m", "xcatd.main", "-f", "-p", pidfile],
            self.directory,
            {"XCATCFG": f"SQLite:{self.directory / 'db'}"},
        )

    def _context(self, user: str | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=self._authority.pem.decode())
        if user is not None:
            own = self._authority.client_directory(self.directory / f"user-{user}", user)
            context.load_cert_chain(own / "client-cred.pem")
        return context

    def generate(self, rng: random.Random) -> bytes:
        document = _request(rng) if rng.random() < 0.8 else requests.document(rng)
        return rng.choice((b"A", b"U", b"U", b"U")) + document

    def run(self, data: bytes) -> None:
        try:
            self._tried(data)
            self._daemon.check()
            self._honest()
        except Complaint:
            # The next input gets a daemon that this one has not spoilt.
            self._daemon.end(1.0)
            self._daemon = self._start()
            raise

    def _tried(self, data: bytes) -> None:
        user = data[:1] if data[:1] in _USERS else (b"A", b"U")[sum(data[:4]) % 2]
        begin, used = time.monotonic(), self._daemon.cpu()
        try:
            is_over, answer = self._asked(user, data[1:])
        except (ssl.SSLError, ConnectionError):
            return
        check_text(answer)
        hidden = (*_HIDDEN, _SECRET.encode()) if user == b"A" else _HIDDEN
        if any(text in answer for text in hidden):
            raise Complaint(f"what nobody may see is told: {answer[:2000]!r}")
        if not is_over and self._daemon.cpu() - used > _CPU:
            raise Complaint(
                f"no answer for {time.monotonic() - begin:.1f} s, and the daemon works on it"
            )

    def _asked(self, user: bytes, data: bytes) -> tuple[bool, bytes]:
        """Whether the daemon was done with it in time, and what it said."""
        with self._connected(user) as sock:
            sock.sendall(data)
            if b"</xcatrequest>" not in data:
                return True, b""
            return _read(sock)

    def _connected(self, user: bytes) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self._daemon.port), _PATIENCE)
        return self._contexts[user].wrap_socket(plain)

    def _honest(self) -> None:
        """Root is served, whatever was before."""
        try:
            with self._connected(b"r") as sock:
                sock.sendall(_HONEST)
                is_over, answer = _read(sock)
        except OSError as error:
            raise Complaint(f"root is not served: {error!r}") from error
        if not is_over or b"xcatconfdir" not in answer:
            raise Complaint(f"root is not served: {answer[-300:]!r}")

    def close(self) -> None:
        if not self._daemon.end(_LAST):
            raise Complaint("SIGTERM did not end the daemon")


#: ``r`` is nobody's letter in an input.
_USERS = {b"A": None, b"U": "tester", b"r": "root"}


def _read(sock: ssl.SSLSocket) -> tuple[bool, bytes]:
    received = bytearray()
    limit = time.monotonic() + _PATIENCE
    while b"serverdone" not in received[-200:]:
        sock.settimeout(max(0.01, limit - time.monotonic()))
        try:
            data = sock.recv(65536)
        except TimeoutError:
            return False, bytes(received)
        except (ssl.SSLError, ConnectionError):
            break
        if not data:
            break
        received += data
        if len(received) > _MOST:
            raise Complaint(f"more than {_MOST} bytes are answered")
    return True, bytes(received)


def _request(rng: random.Random) -> bytes:
    """A command that the user may do, with operands as its grammar has them, or nearly."""
    command = rng.choice((*_COMMANDS, "tabprune", "regnotif", "nosuch"))
    words: list[str] = []
    more = ""
    match command:
        case "mkdef" | "chdef":
            words = ["-z"]
            more = _element("stdin", grammars.lines(rng, stanzas._LINES))
        case "lsdef":
            words = [
                "-w",
                rng.choice(("os", "arch", "groups"))
                + rng.choice(("=~", "!~", "=="))
                + grammars.expression(rng),
            ]
        case "tabrestore":
            rows = [f'"{name}","all"\n' for name in rng.sample(grammars.NODES, 3)]
            more = _element("table", "hosts") + "".join(
                _element("data", row) for row in ["#node,ip\n", *rows]
            )
        case "gettab":
            words = [f"node={rng.choice(grammars.NODES)}", rng.choice(grammars.COLUMNS)]
        case "nodech" | "nodeadd":
            words = [
                rng.choice(grammars.COLUMNS)
                + rng.choice(("=", ",=", "^=", "=~"))
                + grammars.text(rng)
            ]
        case "rnoderange":
            words = [grammars.noderange(rng)]
        case _:
            words = [grammars.text(rng) for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.7:
        more += _element("noderange", grammars.noderange(rng))
    args = "".join(_element("arg", word) for word in words)
    return f"<xcatrequest>{_element('command', command)}{args}{more}</xcatrequest>\n".encode(
        "utf-8", "surrogatepass"
    )


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


TARGET = Daemon
