"""The agent as a program: bytes from peers with, without and with a wrong certificate."""

from __future__ import annotations

import errno
import json
import random
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.agent.conftest import CA, RawClient
from tests.attack import grammars
from tests.attack.meter import MIB, Bounds, Complaint
from tests.attack.programs import Program, check_text
from tests.attack.targets import Target
from tests.attack.targets.operations import Operations, chain

from xcat_aix_proto import ALPN_RELAY, ALPN_RPC, ALPN_TAKE, messages

_HEADER = RawClient.HEADER
_SIZE = struct.calcsize(_HEADER)
_PATIENCE = 12.0  # an agent answers a "follow" within ten seconds
_MOST = 8 << 20

#: Ways to come: plain bytes, TLS without certificate, with a foreign one, and as a management node: not greeted,
#: greeted, and as a relay; and as a service node that has a grant to take something.
_WAYS = b"PAFNGRT"
_PLAIN, _ANONYMOUS, _FOREIGN, _NEW, _GREETED, _RELAY, _TAKE = _WAYS

_WANTED = {"what": {"kind": "tree", "name": "lpp_72"}, "digest": "0" * 64}
_GRANT = {"to": "xcat-aix:sn:sn2", **_WANTED}


def frame(payload: bytes, **fields: int) -> bytes:
    """One message of Pyro5's protocol."""
    return (
        struct.pack(
            _HEADER,
            b"PYRO",
            fields.get("version", 502),
            fields.get("kind", 4),
            fields.get("serializer", 3),
            fields.get("flags", 0),
            fields.get("seq", 1),
            fields.get("size", len(payload)),
            fields.get("notes", 0),
            b"\0" * 16,
            0,
            0x4DC5,
        )
        + payload
    )


_HELLO = frame(RawClient.body("hello", {"protocols": [1], "version": "x"}))


class Agent(Target):
    """An input is a letter for how the peer comes, and what it sends."""

    bounds = Bounds(seconds=15.0, memory=64 * MIB)
    longest = 128 << 10
    spoilt = 0.4
    tokens = (
        *(b"PYRO", b"\x01\xf6", b'"method"', b'"hello"', b'"submit"', b'"__class__"', b'"params"', b"[[[[[[[["),
        *(_HELLO, frame(b"{}"), frame(b"", kind=1), frame(b"x", flags=2), frame(b"", size=2**31)),
        *(b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.0\r\n\r\n"),
    )  # fmt: skip
    seeds = (
        b"P" + _HELLO,
        b"P\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(64),
        b"A" + _HELLO,
        b"F" + _HELLO,
        b"N" + _HELLO + frame(RawClient.body("jobs")),
        b"G" + frame(RawClient.body("jobs")) + frame(RawClient.body("follow", "j", 0, 0.1)),
        b"G" + frame(RawClient.body("query", {"kind": "host.facts@1", "args": {}})),
        b"G"
        + frame(RawClient.body("lodge", _GRANT, 60))
        + frame(RawClient.body("withdraw", _GRANT)),
        b"T" + json.dumps(_WANTED).encode() + b"\n",
        b"R" + b'{"node": "n1", "address": "127.0.0.1", "port": 1}\n',
    )

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._port, self._agent = 0, self._start()

    @property
    def process(self) -> int:
        return self._agent.pid

    def _start(self) -> Program:
        """Nothing can be run below this root: there are no programs on its path."""
        place = self.directory
        for name in ("jobs", "root/etc", "root/xcatpost", "bin"):
            (place / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        ca, other = CA("agents"), CA("somebody else")
        (place / "ca.pem").write_bytes(ca.pem)
        ca.issue(place / "agent.pem", "xcat-aix:sn:sn1")
        ca.issue(place / "mn.pem", "xcat-aix:mn:mn1")
        other.issue(place / "foreign.pem", "xcat-aix:mn:mn1")
        ca.issue(place / "other.pem", "xcat-aix:sn:sn2")
        (place / "policy").write_text("[xcat-aix:mn:mn1]\nallow = operate\n")
        settings = {
            "node": "sn1",
            "role": "sn",
            "certificate": place / "agent.pem",
            "ca": place / "ca.pem",
            "policy": place / "policy",
            "jobs": place / "jobs",
            "root": place / "root",
            "path": place / "bin",
            "listen": "127.0.0.1",
            "port": 0,
            "handshake_timeout": 3,
        }
        text = "".join(f"{key} = {value}\n" for key, value in settings.items())
        (place / "agent.ini").write_text(f"[agent]\n{text}")
        for path in place.iterdir():
            path.chmod(0o700 if path.is_dir() else 0o600)
        args = ["-m", "xcat_aix_agent.main", "serve", "--config", str(place / "agent.ini")]
        return Program(args, place, {})

    def generate(self, rng: random.Random) -> bytes:
        come = rng.choice("PAFNGGGGGGGRT")
        message = {"R": _relay_line, "T": _take_line}.get(come, _message)
        return come.encode() + b"".join(message(rng) for _ in range(rng.randint(1, 4)))

    def run(self, data: bytes) -> None:
        come = data[0] if data and data[0] in _WAYS else _WAYS[sum(data[:4]) % len(_WAYS)]
        try:
            answers = self._attack(come, data[1:])
        except (ssl.SSLError, ConnectionError, EOFError):
            answers = b""
        check_text(answers)
        if come in (_NEW, _GREETED):
            for answer in _envelopes(answers):
                _check(answer)
        self._agent.check()
        self._honest()

    def _attack(self, come: int, data: bytes) -> bytes:
        """What the agent says until it hangs up; the peer says that no more will come."""
        with socket.create_connection(("127.0.0.1", self._agent.port), _PATIENCE) as plain:
            if come == _PLAIN:
                plain.sendall(data)
                _say_no_more(plain)
                return _read(plain)
            with self._context(come).wrap_socket(plain) as secure:
                if come == _GREETED:
                    RawClient(secure).hello()
                secure.sendall(data)
                _say_no_more(secure)
                return _read(secure)

    def _context(self, come: int) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.directory / "ca.pem")
        context.set_alpn_protocols([{_RELAY: ALPN_RELAY, _TAKE: ALPN_TAKE}.get(come, ALPN_RPC)])
        if come == _FOREIGN:
            context.load_cert_chain(self.directory / "foreign.pem")
        elif come == _TAKE:
            context.load_cert_chain(self.directory / "other.pem")
        elif come != _ANONYMOUS:
            context.load_cert_chain(self.directory / "mn.pem")
        return context

    def _honest(self) -> None:
        """A management node that means well is served."""
        try:
            plain = socket.create_connection(("127.0.0.1", self._agent.port), 5)
            with self._context(_NEW).wrap_socket(plain) as secure:
                client = RawClient(secure)
                if "ok" not in client.hello() or "ok" not in client.call("jobs"):
                    raise Complaint("an honest management node is refused")
                if "ok" not in client.call("lodge", _GRANT, 3600):
                    raise Complaint("a grant of an honest management node is refused")
        except (OSError, EOFError) as error:
            raise Complaint(f"an honest management node is not served: {error!r}") from error

    def close(self) -> None:
        if not self._agent.end(20.0):
            raise Complaint("SIGTERM did not end the agent")


def _message(rng: random.Random) -> bytes:
    kind = rng.randrange(16)
    if kind == 0:
        return frame(grammars.dumped(grammars.value(rng)))
    if kind == 1:
        fields = rng.choice(("version", "kind", "serializer", "flags", "size", "notes", "seq"))
        return frame(_call(rng), **{fields: rng.choice((0, 1, 2, 6, 8, 32, 255))})
    return frame(_call(rng))


def _relay_line(rng: random.Random) -> bytes:
    line = {"node": "n1", "address": "127.0.0.1", "port": rng.choice((1, 0, 70000, -1))}
    return grammars.dumped(grammars.mutated(rng, line)) + rng.choice((b"\n", b"", b"\n\n"))


def _take_line(rng: random.Random) -> bytes:
    line = grammars.dumped(grammars.mutated(rng, _WANTED))
    return line + rng.choice((b"\n", b"", b"\n\n"))


def _call(rng: random.Random) -> bytes:
    operation = json.loads(rng.choice(Operations.seeds).partition(b" ")[2])
    if rng.random() < 0.3:
        operation = chain(rng)
    elif rng.random() < 0.7:
        operation = grammars.mutated(rng, operation)
    methods = messages.METHODS if rng.random() < 0.95 else ("__init__", "_answer", "x")
    method = rng.choice(methods)
    params: list[Any] = {
        "hello": [{"protocols": [1], "version": "x"}],
        "query": [operation],
        "probe": [operation, "j"],
        "submit": ["j" + str(rng.randrange(4)), operation, rng.choice((1, 60, 0, -1, 1e308))],
        "begin": [
            "j" + str(rng.randrange(4)),
            operation,
            rng.choice((1, 60, 0)),
            rng.choice((0, 0.1, -1)),
        ],
        "lodge": [grammars.mutated(rng, _GRANT), rng.choice((60, 0, -1, 1e308))],
        "withdraw": [grammars.mutated(rng, _GRANT)],
        "follow": ["j1", rng.choice((0, -1, 2**70)), rng.choice((0, 0.1, -1))],
    }.get(method, ["j1"] if method in ("acknowledge", "cancel") else [])
    if rng.random() < 0.2:
        params = [grammars.value(rng) for _ in range(rng.randint(0, 4))]
    call: Any = {"object": "xcat-aix.agent", "method": method, "params": params, "kwargs": {}}
    return grammars.dumped(grammars.mutated(rng, call) if rng.random() < 0.1 else call)


def _say_no_more(sock: socket.socket) -> None:
    """Of TCP, not of TLS: answers can still be read.  The agent may have hung up before."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise


def _read(sock: socket.socket) -> bytes:
    received = b""
    sock.settimeout(_PATIENCE)
    while True:
        try:
            data = sock.recv(65536)
        except (ssl.SSLError, ConnectionError):
            return received
        except TimeoutError:
            raise Complaint(f"it neither answers nor hangs up for {_PATIENCE} s") from None
        if not data:
            return received
        received += data
        if len(received) > _MOST:
            raise Complaint(f"it answers more than {_MOST} bytes")


def _envelopes(data: bytes) -> Iterator[Any]:
    while len(data) >= _SIZE:
        fields = struct.unpack(_HEADER, data[:_SIZE])
        size = fields[6] + fields[7]
        yield json.loads(data[_SIZE : _SIZE + size])
        data = data[_SIZE + size :]
    if data:
        raise Complaint(f"half a message is answered: {data[:100]!r}")


def _check(envelope: Any) -> None:
    """An answer is an envelope, or what Pyro5 asks about methods."""
    keys = set(envelope) if isinstance(envelope, dict) else set()
    if keys not in ({"ok"}, {"error"}, {"methods", "oneway", "attrs"}):
        raise Complaint(f"the answer is no envelope: {str(envelope)[:300]}")


TARGET = Agent
