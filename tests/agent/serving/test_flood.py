"""Floods of connections from one address, and honest management nodes at another."""

from __future__ import annotations

import collections
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_agent.serving.fair import gives_way

HONEST = 15
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


FLOOD = """
import collections, select, socket, sys, time
address, words = ("127.0.0.1", int(sys.argv[1])), bytes.fromhex(sys.argv[2])
kept, made, begun = collections.deque(), 0, time.monotonic()
while not select.select([sys.stdin], [], [], 0)[0]:
    sock = socket.socket()
    try:
        sock.bind(("127.0.0.2", 0))
        sock.connect(address)
        sock.sendall(words)
    except OSError:
        sock.close()
        continue
    kept.append(sock)
    made += 1
    if made == 100:
        print("begun", flush=True)
    if len(kept) > 300:
        kept.popleft().close()
print(made / (time.monotonic() - begun))
"""


class Flood:
    """A process whose connections from 127.0.0.2 say ``words`` and nothing more, as fast as can be."""

    def __init__(self, port: int, words: bytes) -> None:
        argv = [sys.executable, "-c", FLOOD, str(port), words.hex()]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.rate = 0.0

    def __enter__(self) -> Flood:  # noqa: PYI034 - a concrete class
        assert self._process.stdout.readline() == "begun\n"
        return self

    def __exit__(self, *_: object) -> None:
        said, _ = self._process.communicate("stop\n", timeout=20)
        self.rate = float(said)


def honest(site, server, raw) -> bool:
    sock = socket.create_connection(server.addresses[0], 20, ("127.0.0.3", 0))
    try:
        with site.context().wrap_socket(sock) as secure:
            return "ok" in raw(secure).hello()
    except (OSError, EOFError):
        return False


@pytest.mark.parametrize("words", [b"", CLIENT_HELLO, b"GET / HTTP/1.0\r\n\r\n"])
def test_flood_from_one_address_costs_those_at_another_nothing(site, commands, raw, words):
    config = site.config(max_handshakes=8)
    server = site.start(config, commands=commands, runner="inline")
    with Flood(server.addresses[0][1], words) as flood:
        served = [honest(site, server, raw) for _ in range(HONEST)]
    assert served == [True] * HONEST
    assert flood.rate > 50, "no flood at all"


class ByHand:
    """A TLS client whose first bytes are sent apart from the rest."""

    def __init__(self, site, address) -> None:
        self.sock = socket.create_connection(address, 20, ("127.0.0.3", 0))
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = site.context().wrap_bio(self._in, self._out)
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.do_handshake()
        hello = self._out.read()
        self.sock.sendall(hello[:5])
        self._rest = hello[5:]

    def go_on(self) -> ByHand:
        self.sock.sendall(self._rest)
        self._run(self._tls.do_handshake)
        return self

    def sendall(self, data: bytes) -> None:
        self._run(lambda: self._tls.write(data))

    def recv(self, size: int) -> bytes:
        return self._run(lambda: self._tls.read(size))

    def close(self) -> None:
        self.sock.close()

    def _run(self, action):
        while True:
            try:
                answer = action()
            except ssl.SSLWantReadError:
                self.sock.sendall(self._out.read())
                data = self.sock.recv(65536)
                if not data:
                    raise EOFError from None
                self._in.write(data)
            else:
                self.sock.sendall(self._out.read())
                return answer


@pytest.mark.parametrize("words", [b"", CLIENT_HELLO])
def test_peer_in_the_middle_of_its_handshake_keeps_its_place(site, commands, raw, words):
    config = site.config(max_handshakes=4, handshake_timeout=30.0)
    server = site.start(config, commands=commands, runner="inline")
    slow, flood = ByHand(site, server.addresses[0]), []
    try:
        for _ in range(60):
            sock = socket.create_connection(server.addresses[0], 20, ("127.0.0.2", 0))
            sock.sendall(words)
            flood.append(sock)
        for sock in flood[:50]:  # they gave way to those after them
            assert hung_up(sock)
        assert "ok" in raw(slow.go_on()).hello()
    finally:
        slow.close()
        for sock in flood:
            sock.close()


def hung_up(sock) -> bool:
    try:
        return not sock.recv(1)
    except ConnectionError:
        return True


def test_silent_connections_take_no_thread_and_give_way_to_one_another(site, commands, until):
    config = site.config(max_handshakes=8, handshake_timeout=60.0)
    server = site.start(config, commands=commands, runner="inline")
    silent = [socket.create_connection(server.addresses[0]) for _ in range(20)]
    try:
        for sock in silent[:12]:
            sock.settimeout(10)
            assert sock.recv(1) == b""
        assert not [t for t in threading.enumerate() if t.name.startswith("peer 127.0.0.1")]
        site.greeted(server)
    finally:
        for sock in silent:
            sock.close()


def test_who_came_and_went_without_a_word_is_forgotten(site, commands, until):
    server = site.start(site.config(), commands=commands, runner="inline")
    for _ in range(50):
        socket.create_connection(server.addresses[0]).close()
    site.greeted(server)
    doors = server._acceptor._doors
    until(lambda: not any(door.silent for door in doors.values()))


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=40))
def test_the_source_with_most_places_gives_its_oldest(sources):
    places = dict(enumerate(sources))
    leaving = gives_way(places)
    counts = collections.Counter(sources)
    assert counts[sources[leaving]] == max(counts.values())
    assert sources[leaving] not in sources[:leaving]
    # A source with a single place keeps it as long as anybody has two.
    assert counts[sources[leaving]] > 1 or max(counts.values()) == 1
