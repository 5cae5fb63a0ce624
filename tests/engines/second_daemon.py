"""An xcatd as on a host of its own: ``second_daemon.py ADDRESS HOSTNAME SHIFT``.

It listens on one address only, has the given host name, and its clock is ahead by the seconds in the file SHIFT,
so that a test need not wait for a claim to run out.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
from datetime import datetime, timedelta
from pathlib import Path

from xcatd import main as xcatd
from xcatd import process
from xcatd.context import SystemClock


class ShiftedClock(SystemClock):
    """The system's, ahead by what the file says."""

    def __init__(self, shift: Path) -> None:
        self._shift = shift

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=float(self._shift.read_text()))


def listen(address: str, port: int) -> list[socket.socket]:
    sock = socket.create_server((address, port), backlog=32)
    sock.setblocking(False)
    return [sock]


def main(address: str, hostname: str, shift: str) -> int:
    xcatd.listen = functools.partial(listen, address)
    xcatd.Daemon = functools.partial(xcatd.Daemon, clock=ShiftedClock(Path(shift)))
    machine = xcatd.Machine(hostname, os.environ)
    options = process.DaemonOptions(foreground=True, pidfile=Path(f"{shift}.{hostname}.pid"))
    return xcatd._start(options, machine, process.Launch())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
