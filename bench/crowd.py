"""A certified user's latency beside a crowd: connections without certificate, and silent ones."""

from __future__ import annotations

import contextlib
import socket
import ssl
import statistics
from collections.abc import Iterator
from pathlib import Path

from xcatd.process import allow_many_descriptors

from . import clusters
from .figures import Figure, seconds

_ANONYMOUS, _SILENT = 1024, 500
_RUNS = 40
_REQUEST = b"<xcatrequest><command>lsxcatd</command><arg>-v</arg></xcatrequest>\n"


def _context(site: clusters.Site, *, certified: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(site.top / "client" / "ca.pem")
    if certified:
        context.load_cert_chain(site.top / "client" / "client-cred.pem")
    return context


def _plain(site: clusters.Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.port), timeout=30)


def _ask(site: clusters.Site, context: ssl.SSLContext) -> None:
    """Connect, ask, and read to the end of the answer."""
    with context.wrap_socket(_plain(site)) as sock:
        sock.sendall(_REQUEST)
        received = b""
        while b"serverdone" not in received:
            if not (data := sock.recv(65536)):
                raise RuntimeError("the daemon ended the connection of a certified user")
            received += data


def _latency(site: clusters.Site, context: ssl.SSLContext) -> float:
    return statistics.median(seconds(lambda: _ask(site, context)) for _ in range(_RUNS))


def _gather(site: clusters.Site, stack: contextlib.ExitStack) -> None:
    context = _context(site, certified=False)
    for number in range(_ANONYMOUS + _SILENT):
        with contextlib.suppress(OSError):  # it was refused, as the crowd's surplus is
            sock = stack.enter_context(_plain(site))
            if number % 3 != 2:
                secure = stack.enter_context(context.wrap_socket(sock))
                secure.sendall(b"<xcatrequest><arg>")


def bench_crowd(scratch: Path) -> Iterator[Figure]:
    """The same request in calm, and while 1024 connections without certificate and 500 silent ones are made."""
    allow_many_descriptors()
    site = clusters.make(scratch, 10)
    root = _context(site, certified=True)
    with clusters.daemon(site), contextlib.ExitStack() as stack:
        _ask(site, root)
        calm = _latency(site, root)
        yield Figure("lsxcatd -v without client, calm", f"{calm * 1000:.1f} ms")
        took = seconds(lambda: _gather(site, stack))
        yield Figure(
            f"{_ANONYMOUS} connections and {_SILENT} silent ones: made in", f"{took:.1f} s"
        )
        crowded = _latency(site, root)
        yield Figure("lsxcatd -v beside them", f"{crowded * 1000:.1f} ms", f"{calm * 3000:.0f} ms")
