"""A tunnel from a management node through this service node to the agent of one of its nodes.

The management node's TLS with the far agent stays end to end: only bytes pass here.  Owns: who may be
reached (machines of this host's own NIM database, at the addresses of their names, at the agents' port)
and the pumping.  Must not: be an open proxy.
"""

from __future__ import annotations

import json
import logging
import selectors
import socket
import ssl
import threading
from typing import Any, Callable, Dict, FrozenSet, Iterable, Mapping, Tuple

from xcat_aix_agent.host import Host, LimitedCommands
from xcat_aix_agent.nim import commands, lsnim
from xcat_aix_agent.operations import nimsnapshot
from xcat_aix_proto import MAX_RELAY_LINE, codec, messages, names
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.operations import NimSnapshot

from .service import ANSWER_LIMIT, Session

_log = logging.getLogger(__name__)

#: Seconds for which the machines of the NIM database are remembered.
REMEMBER = 30.0
_CONNECT_LIMIT = 3.0
_CHUNK = 64 * 1024
_TICK = 1.0
_NO_LINE = "the relay request does not end"


class Relay:
    """Opens tunnels.  Safe for use by several threads."""

    def __init__(self, host: Host, ports: Iterable[int]) -> None:
        self._host = host
        self._ports = frozenset(ports)
        self._lock = threading.Lock()
        self._machines: Mapping[str, FrozenSet[str]] = {}
        self._read_at = float("-inf")

    def serve(
        self, sock: ssl.SSLSocket, session: Session, let_in: Callable[[], None], limit: float
    ) -> None:
        """One connection of a peer that may operate: the request line, our answer, then bytes.

        The peer's right is asked before anything is read; the line must be there within ``limit`` seconds.
        """
        try:
            session.require_operate()
            request = _request(_read_line(sock, self._host.clock.monotonic, limit))
            self.check(request)
            let_in()
            far = socket.create_connection((request.address, request.port), _CONNECT_LIMIT)
        except AgentError as error:
            _send_line(sock, messages.failed(error))
            raise
        except OSError as error:
            text = f"no agent answers there: {error.strerror or error}"
            _send_line(sock, messages.failed(AgentError(ErrorCode.UNREACHABLE, text)))
            return
        with far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _send_line(sock, messages.ok(None))
            _log.info("relaying %s to %s at %s", session.peer, request.node, request.address)
            pump(sock, far, sock.gettimeout() or _TICK)

    def check(self, request: messages.RelayRequest) -> None:
        """Raises ``NOT_ALLOWED`` unless the target is an agent of a machine this host serves."""
        if request.port not in self._ports:
            raise AgentError(ErrorCode.NOT_ALLOWED, f"port {request.port} is not relayed to")
        if request.address not in self._addresses(request.node):
            text = f"{request.address} is not an address of a machine {request.node} in NIM here"
            raise AgentError(ErrorCode.NOT_ALLOWED, text)

    def _addresses(self, node: str) -> FrozenSet[str]:
        hosts = self._hosts(node)
        return frozenset(found for name in hosts for found in self._host.addresses(name) | {name})

    def _hosts(self, node: str) -> FrozenSet[str]:
        """The host names NIM knows for the machine; one look serves many requests."""
        with self._lock:
            now = self._host.clock.monotonic()
            if now >= self._read_at + REMEMBER:
                self._machines = self._read()
                self._read_at = self._host.clock.monotonic()
            return self._machines.get(node) or self._machines.get(_short(node)) or frozenset()

    def _read(self) -> Mapping[str, FrozenSet[str]]:
        limited = LimitedCommands(self._host.commands, self._host.clock, ANSWER_LIMIT)
        done = limited.run(commands.lsnim(), timeout=ANSWER_LIMIT)
        machines = tuple(
            name
            for name, kind, type_ in lsnim.listing(done.stdout)
            if kind == "machines" and type_ != "master"
        )
        if done.rc != 0 or not machines:
            return {}
        host = Host(self._host.node, limited, self._host.root, clock=self._host.clock)
        found = nimsnapshot.answer(NimSnapshot(machines), host)
        return {machine.name: frozenset(lsnim.hosts(machine)) for machine in found.objects}


def _short(name: str) -> str:
    return name.partition(".")[0]


def _request(line: bytes) -> messages.RelayRequest:
    try:
        data = json.loads(line)
    except ValueError:
        raise AgentError(ErrorCode.BAD_MESSAGE, "the relay request is not JSON") from None
    request = codec.from_wire(messages.RelayRequest, data)
    names.host_name(request.node)
    return request


def _read_line(sock: socket.socket, monotonic: Callable[[], float], limit: float) -> bytes:
    """Up to a newline, byte for byte beyond it nothing: what follows belongs to the far end."""
    until = monotonic() + limit
    line = bytearray()
    while not line.endswith(b"\n"):
        left = until - monotonic()
        if left <= 0 or len(line) >= MAX_RELAY_LINE:
            raise AgentError(ErrorCode.BAD_MESSAGE, _NO_LINE)
        sock.settimeout(left)
        try:
            chunk = sock.recv(1)
        except socket.timeout:
            chunk = b""
        if not chunk:
            raise AgentError(ErrorCode.BAD_MESSAGE, _NO_LINE)
        line += chunk
    return bytes(line)


def _send_line(sock: socket.socket, envelope: Mapping[str, Any]) -> None:
    sock.sendall(json.dumps(envelope).encode() + b"\n")


class _Half:
    """One direction: at most one chunk is held at a time."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.held = b""
        self.ended = False

    def move(self) -> bool:
        """Read or write what is possible; whether anything was."""
        if self.held:
            sent = _try(lambda: self.sink.send(self.held))
            self.held = self.held[sent or 0 :]
            return bool(sent)
        if self.ended:
            return False
        chunk = _try(lambda: self.source.recv(_CHUNK))
        if chunk is None:
            return False
        self.held, self.ended = chunk, not chunk
        return True


def _try(action: Callable[[], Any]) -> Any:
    """The answer, None if it would block."""
    try:
        return action()
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None


def pump(one: socket.socket, other: socket.socket, idle: float) -> None:
    """Pass bytes both ways until one side ends, or nothing moved for ``idle`` seconds."""
    one.setblocking(False)
    other.setblocking(False)
    halves = (_Half(one, other), _Half(other, one))
    quiet = 0.0
    with selectors.DefaultSelector() as selector:
        while not any(half.ended and not half.held for half in halves) and quiet < idle:
            moved = [half.move() for half in halves]
            if any(moved):
                quiet = 0.0
            else:
                quiet += 0.0 if _watch(selector, halves) else _TICK


def _watch(selector: selectors.BaseSelector, halves: Tuple[_Half, _Half]) -> bool:
    """Wait a moment for something to do; whether there is."""
    wanted: Dict[socket.socket, int] = {}
    for half in halves:
        sock = half.sink if half.held else half.source
        event = selectors.EVENT_WRITE if half.held else selectors.EVENT_READ
        wanted[sock] = wanted.get(sock, 0) | event
    for sock, events in wanted.items():
        selector.register(sock, events)
    ready = selector.select(_TICK)
    for sock in wanted:
        selector.unregister(sock)
    return bool(ready)
