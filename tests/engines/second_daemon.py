"""An xcatd as on a host of its own: ``second_daemon.py ADDRESS HOSTNAME SHIFT``.

It listens on one address only, has the given host name, and its clock is ahead by the seconds in the file SHIFT,
so that a test need not wait for a claim to run out.  It has a ``makeconservercf`` that is at work while there is a
file SHIFT.HOSTNAME.hold, and makes SHIFT.HOSTNAME.at-work.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path

from xcatd import main as xcatd
from xcatd import plugins, process
from xcatd.api import Context, Reply, Request
from xcatd.context import SystemClock


class ShiftedClock(SystemClock):
    """The system's, ahead by what the file says."""

    def __init__(self, shift: Path) -> None:
        self._shift = shift

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=float(self._shift.read_text()))


class Consoles:
    """See the module; ends by itself after a minute."""

    commands = ("makeconservercf",)

    def __init__(self) -> None:
        _, _, hostname, shift = sys.argv
        self._hold, self._at_work = (
            Path(f"{shift}.{hostname}.{word}") for word in ("hold", "at-work")
        )

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        self._at_work.touch()
        for _ in range(600):
            if not self._hold.exists():
                break
            threading.Event().wait(0.1)
        yield from ()


def listen(address: str, port: int) -> list[socket.socket]:
    sock = socket.create_server((address, port), backlog=32)
    sock.setblocking(False)
    return [sock]


def main(address: str, hostname: str, shift: str) -> int:
    xcatd.listen = functools.partial(listen, address)
    installed = metadata.entry_points(group=plugins.GROUP)
    here = metadata.EntryPoint("consoles", f"{Path(__file__).stem}:Consoles", plugins.GROUP)
    xcatd.Daemon = functools.partial(
        xcatd.Daemon,
        clock=ShiftedClock(Path(shift)),
        plugins=plugins.PluginHost.load([*installed, here]),
    )
    machine = xcatd.Machine(hostname, os.environ)
    options = process.DaemonOptions(foreground=True, pidfile=Path(f"{shift}.{hostname}.pid"))
    return xcatd._start(options, machine, process.Launch())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
